// Selects the stored variant for a request: RFC 9111 §4.1.
import { createHash } from 'node:crypto'
import { fieldLineValues, type FieldLines } from '../http/fields.ts'
import { normaliseSelecting } from '../http/negotiation.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { Metadata, Selecting } from './stored.ts'

/** Returns a request field's combined value as it is forwarded, or undefined if the request has none. */
export type RequestField = (name: string) => string | undefined

/**
 * Returns the request fields that a response's Vary names, with this request's values; '*' if nothing can ever match. Names
 * are lower-case, sorted and unique, so that two spellings of one Vary name the same variant.
 */
export function selectingFields(response: FieldLines, requestField: RequestField): readonly Selecting[] | '*' {
  const lines = fieldLineValues(response, 'vary')
  if (lines.length === 0) return none
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
  return [...names].toSorted().map(name => [name, normalised(name, requestField)] as const)
}

const fieldName = /^[!#$%&'*+.^_`|~\w-]+$/

const none: readonly Selecting[] = []

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
 * Vary by mistake. A later response with Vary is better informed: then older responses without it match no request.
 */
function select<V extends { readonly meta: Metadata }>(variants: readonly V[], ofParts: boolean, requestField: RequestField): V | undefined {
  let varies = false
  for (const variant of variants) {
    const { part, vary } = variant.meta
    if ((part !== undefined) !== ofParts) continue
    if (vary.length === 0) {
      if (!varies) return variant
    } else if (matchesVary(vary, requestField)) return variant
    else varies = true
  }
  return undefined
}
