// Selects the stored variant for a request: RFC 9111 §4.1.
import { createHash } from 'node:crypto'
import { acceptsCodings } from '../http/content-codings.ts'
import { fieldLineValues, fieldValue, type FieldLines } from '../http/fields.ts'
import { normaliseSelecting } from '../http/negotiation.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { Metadata, Selecting } from './stored.ts'

/** Returns a request field's combined value as it is forwarded, or undefined if the request has none. */
export type RequestField = (name: string) => string | undefined

/** The most names that a response takes over from other responses of its URL. With more, nothing ever matches it. */
const mostKnown = 256

/**
 * Returns the request fields that select a response, with this request's values: those that its Vary names, and those that
 * are known to select other responses of its URL (`knownFields`). '*' if nothing can ever match. Names are lower-case, sorted
 * and unique, so that two spellings of one Vary name the same variant.
 */
export function selectingFields(response: FieldLines, requestField: RequestField, known: readonly string[] = none): readonly Selecting[] | '*' {
  const lines = fieldLineValues(response, 'vary')
  if (lines.length === 0 && known.length === 0) return none
  const names = new Set<string>()
  for (const line of lines) {
    for (const member of line.split(',')) {
      const name = withoutOuterSpace(member)
      if (name === '') continue
      // §4.1: `*` anywhere in any line. An invalid name, or quotes that hide one, may have been meant as `*`.
      if (name.includes('*') || !fieldName.test(name)) return '*'
      names.add(name.toLowerCase())
    }
  }
  const own = names.size
  for (const name of known) names.add(name)
  return names.size - own > mostKnown ? '*' : selectedBy([...names].toSorted(), requestField)
}

const fieldName = /^[!#$%&'*+.^_`|~\w-]+$/

const none: readonly never[] = []

/** Returns fields with a request's values. The names are sorted and unique. */
export function selectedBy(names: readonly string[], requestField: RequestField): readonly Selecting[] {
  return names.map(name => [name, normalised(name, requestField)] as const)
}

/**
 * Returns the names of the request fields that are known to select among the stored responses of a URL: what their Vary fields
 * name. Sorted and unique. Names that a response took over from others are not among them, so that they are forgotten with
 * the last response whose Vary names them.
 *
 * If a response has a content coding that this request excludes, then Accept-Encoding selects too. So the response to this
 * request is stored beside that one, and serves requests with the same Accept-Encoding, whatever its own coding is.
 */
export function knownFields(variants: readonly Variant[], requestField: RequestField): readonly string[] {
  const names = new Set<string>()
  for (const { meta } of variants) {
    if (meta.vary.length > 0) { for (const [name] of ownSelecting(meta)) names.add(name) }
    if (isExcluded(meta, requestField)) names.add('accept-encoding')
  }
  return names.size === 0 ? none : [...names].toSorted()
}

/** The parts of a stored response that select it. */
interface Variant {
  readonly meta: Pick<Metadata, 'fields' | 'vary' | 'part'>
}

// The fields that the Vary of a stored response names, without values. A response with `*` is never stored.
function ownSelecting({ fields }: Pick<Metadata, 'fields'>): readonly Selecting[] {
  const named = selectingFields(fields, () => undefined)
  return named === '*' ? none : named
}

/**
 * Returns whether a stored response was selected by every field that the Vary of a newer one names. If it was not, it matches
 * no request any more (`select`).
 */
export function knowsFieldsOf(vary: readonly Selecting[], newer: Pick<Metadata, 'fields' | 'vary'>): boolean {
  return covers(vary, newer.vary) || covers(vary, ownSelecting(newer))
}

// Both are sorted. Nearly always they have the same names.
function covers(vary: readonly Selecting[], others: readonly Selecting[]): boolean {
  let at = 0
  for (const [name] of others) {
    while (at < vary.length && (vary[at] as Selecting)[0] < name) at++
    if (at === vary.length || (vary[at] as Selecting)[0] !== name) return false
    at++
  }
  return true
}

// §4.1: absent matches only absent, so absence is a separate value.
function normalised(name: string, requestField: RequestField): string | null {
  const value = requestField(name)
  return value === undefined ? null : normaliseSelecting(name, value)
}

/** True if every selecting field of a stored response has the same value in this request. */
export function matchesVary(selecting: readonly Selecting[], requestField: RequestField): boolean {
  for (const [name, value] of selecting) {
    if (normalised(name, requestField) !== value) return false
  }
  return true
}

/**
 * Returns whether a request matches a stored response: its selecting fields are equal, and it does not exclude the content
 * coding.
 */
export function matches(meta: Pick<Metadata, 'fields' | 'vary'>, requestField: RequestField): boolean {
  return matchesVary(meta.vary, requestField) && !isExcluded(meta, requestField)
}

/**
 * RFC 9110 §12.5.3: true if the request excludes a content coding of the response. Not if Accept-Encoding has selected it: then
 * the origin has chosen this coding for an equal Accept-Encoding. Without that field every coding is acceptable, and a response
 * without a coding always is: an origin sends it even to `identity;q=0`.
 */
function isExcluded({ fields, vary }: Pick<Metadata, 'fields' | 'vary'>, requestField: RequestField): boolean {
  const codings = fieldValue(fields, 'content-encoding')
  if (codings === undefined) return false
  for (const [name] of vary) if (name === 'accept-encoding') return false
  const accepted = requestField('accept-encoding')
  return accepted !== undefined && !acceptsCodings(accepted, codings)
}

/**
 * Returns the variant's name within its key: '' without Vary, else a digest of names and values, each preceded by its
 * length.
 */
export function variantName(selecting: readonly Selecting[]): string {
  if (selecting.length === 0) return ''
  const hash = createHash('sha256')
  for (const [name, value] of selecting) {
    hash.update(`${name.length}:${name}${value === null ? '-' : `${value.length}:${value}`}`)
  }
  return hash.digest('base64url').slice(0, 22)
}

/** Returns the youngest whole response that a request selects among a key's variants, which are youngest first. */
export function selectVariant<V extends { readonly meta: Metadata }>(variants: readonly V[], requestField: RequestField): V | undefined {
  return select(variants, false, requestField)
}

/** Returns the youngest part that a request selects. */
export function selectPart<V extends { readonly meta: Metadata }>(variants: readonly V[], requestField: RequestField): V | undefined {
  return select(variants, true, requestField)
}

/**
 * §4: of several matches, the most recent. §4.1: a response without Vary would match every request, and some origins omit
 * Vary, or a name in it, from some responses of a URL. Responses that were not selected by every field that the others name
 * match no request, whichever is the most recent: a miss is never wrong. The response to that miss takes over the missing
 * names (`selectingFields`), so it matches the requests that are like its own.
 *
 * Age plays no part in this, because replicas may disagree about it, or hold a response that another has stored meanwhile.
 */
function select<V extends { readonly meta: Metadata }>(variants: readonly V[], ofParts: boolean, requestField: RequestField): V | undefined {
  for (const variant of variants) {
    const { meta } = variant
    if ((meta.part !== undefined) === ofParts && matches(meta, requestField) && knowsAllFields(meta.vary, variants)) return variant
  }
  return undefined
}

/** Returns the stored responses that match no request, because they do not know all fields that the others name. */
export function outdatedAmong<V extends Variant>(variants: readonly V[]): V[] {
  return variants.filter(({ meta }) => !knowsAllFields(meta.vary, variants))
}

function knowsAllFields(vary: readonly Selecting[], variants: readonly Variant[]): boolean {
  for (const { meta } of variants) {
    if (meta.vary !== vary && !knowsFieldsOf(vary, meta)) return false
  }
  return true
}
