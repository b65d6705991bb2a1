// Which stored variant a request selects: RFC 9111 §4.1.
import { createHash } from 'node:crypto'
import { fieldLineValues, type FieldLines } from '../http/fields.ts'
import { normaliseSelecting } from '../http/negotiation.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { Metadata, Selecting } from './stored.ts'

/** A request field's combined value as it is forwarded, or undefined where the request has none. */
export type RequestField = (name: string) => string | undefined

/**
 * The request fields that a response's Vary names, with this request's values; '*' when it can never be matched.
 * Names are lower-case, sorted and once each, so that two spellings of one Vary name the same variant.
 */
export function selectingFields(response: FieldLines, requestField: RequestField): readonly Selecting[] | '*' {
  const lines = fieldLineValues(response, 'vary')
  if (lines.length === 0) return none
  const names = new Set<string>()
  for (const line of lines) {
    for (const member of line.split(',')) {
      const name = withoutOuterSpace(member)
      if (name === '') continue
      // §4.1: `*` anywhere in any line. What is no name, or hides one in quotes, may have been meant for it.
      if (name.includes('*') || !fieldName.test(name)) return '*'
      names.add(name.toLowerCase())
    }
  }
  return [...names].toSorted().map(name => [name, normalised(name, requestField)] as const)
}

const fieldName = /^[!#$%&'*+.^_`|~\w-]+$/

const none: readonly Selecting[] = []

// §4.1: absent matches absent only, so absence is a value of its own.
function normalised(name: string, requestField: RequestField): string | null {
  const value = requestField(name)
  return value === undefined ? null : normaliseSelecting(name, value)
}

/** Whether every selecting field of a stored response has the same value in this request. */
export function matchesVary(selecting: readonly Selecting[], requestField: RequestField): boolean {
  for (const [name, value] of selecting) {
    if (normalised(name, requestField) !== value) return false
  }
  return true
}

/** The variant's name within its key: '' without Vary, else a digest of names and values, each with its length before it. */
export function variantName(selecting: readonly Selecting[]): string {
  if (selecting.length === 0) return ''
  const hash = createHash('sha256')
  for (const [name, value] of selecting) {
    hash.update(`${name.length}:${name}${value === null ? '-' : `${value.length}:${value}`}`)
  }
  return hash.digest('base64url').slice(0, 22)
}

/** The youngest whole response among a key's variants, which are youngest first, that a request selects. */
export function selectVariant<V extends { readonly meta: Metadata }>(variants: readonly V[], requestField: RequestField): V | undefined {
  return select(variants, false, requestField)
}

/** The youngest part that a request selects. */
export function selectPart<V extends { readonly meta: Metadata }>(variants: readonly V[], requestField: RequestField): V | undefined {
  return select(variants, true, requestField)
}

/**
 * §4: with several, the most recent. §4.1: one without Vary would do for every request, and some origins leave it off by mistake.
 * A later response that has one knows better: what is older and has none is then nobody's.
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
