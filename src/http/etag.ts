// Entity tags and the conditional fields that list them (RFC 9110 §8.8.3, §13.1.1, §13.1.2).
import { isSpace, withoutOuterSpace } from './white-space.ts'

export interface EntityTag {
  readonly weak: boolean
  /** The opaque-tag with its quotes. */
  readonly opaque: string
}

export type Comparison = 'weak' | 'strong'

// etagc: VCHAR except the quote, and obs-text. A backslash is an ordinary character, not an escape.
const entityTag = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")$/

/** Parses one entity-tag as RFC 9110 §8.8.3 spells it. Undefined for anything else. */
export function parseEntityTag(value: string): EntityTag | undefined {
  const match = entityTag.exec(value)
  return match === null ? undefined : { weak: match[1] !== undefined, opaque: match[2] as string }
}

/**
 * Weak comparison (RFC 9110 §8.8.3.2) of two tags as received. A malformed tag, such as one without quotes, equals itself
 * byte for byte: clients send back the tag that they received, and its origin expects a 304 for it.
 */
export function weakMatch(a: string, b: string): boolean {
  return a !== '' && withoutWeakness(a) === withoutWeakness(b)
}

/**
 * Strong comparison (RFC 9110 §8.8.3.2) of two tags as received. A tag that begins like a weak tag is not strong, malformed
 * or not: bytes of two representations must never be joined because of it.
 */
export function strongMatch(a: string, b: string): boolean {
  return a !== '' && a === b && !/^w\//i.test(a)
}

/**
 * True if an If-Match or If-None-Match (its combined value) names the tag. `*` matches any representation, also one without
 * a tag. Members are compared as received, so a malformed one matches only an identical tag.
 */
export function matchesList(fieldValue: string, etag: string | undefined, comparison: Comparison): boolean {
  const value = withoutOuterSpace(fieldValue)
  if (value === '*') return true
  if (etag === undefined) return false
  const matches = comparison === 'weak' ? weakMatch : strongMatch
  // Nearly always the list is the one tag that was sent. A tag without quotes may hold a comma, and is found here too.
  if (matches(value, etag)) return true

  let at = 0
  while (at < value.length) {
    const end = memberEnd(value, at)
    if (matches(withoutOuterSpace(value.slice(at, end)), etag)) return true
    at = end + 1
  }
  return false
}

/** Returns the end of the member that starts at `start`: its comma, unless the comma stands between the quotes. */
function memberEnd(value: string, start: number): number {
  let at = start
  while (isSpace(value.charCodeAt(at))) at++
  if (value.startsWith('W/', at)) at += 2
  // Does not use listMembers: a quoted-string may escape its quote, but an opaque-tag ends at the next quote.
  const close = value.charCodeAt(at) === 0x22 ? value.indexOf('"', at + 1) : at
  const end = close < 0 ? value.length : value.indexOf(',', close)
  return end < 0 ? value.length : end
}

/** Returns an entity-tag without its weakness indicator. */
export function withoutWeakness(tag: string): string {
  return tag.startsWith('W/"') ? tag.slice(2) : tag
}
