// The tags by which responses are purged: Cache-Tag, Surrogate-Key, Cache-Groups and Cache-Group-Invalidation.
import { isUtf8 } from 'node:buffer'
import { parseList } from 'structured-headers'
import { fieldLineValues, fieldValue, type FieldLines } from './fields.ts'
import { withoutOuterSpace } from './white-space.ts'

/** Bounds on the tags of one response. RFC 9875 §2 requires at least 32 groups of 32 characters. */
export const maxTags = 1000
export const maxTagBytes = 1024

export interface ResponseTags {
  /** Without duplicates, in the order received. Compared byte by byte (RFC 9875 §2.1). */
  readonly tags: readonly string[]
  /**
   * False if a tag was not taken: too many, too long, or a Cache-Groups that does not parse or holds other types than
   * Strings. Such a response must not be stored, because a purge of the missing tag would be acknowledged without reaching
   * it. RFC 9651 §4.2 would ignore the malformed field and store the response, which promises less.
   */
  readonly complete: boolean
}

/**
 * Returns the tags of a response: Cache-Tag (separated by commas), Surrogate-Key (by spaces), Cache-Groups (RFC 9875 §2).
 */
export function responseTags(lines: FieldLines): ResponseTags {
  const tags = new Set<string>()
  let complete = true
  const add = (bytes: string): void => {
    const tag = tagText(bytes)
    if (tag === '' || tags.has(tag)) return
    if (bytes.length > maxTagBytes || tags.size >= maxTags) complete = false
    else tags.add(tag)
  }
  // Neither of the first two has quoting: a quote is part of the tag.
  for (const value of fieldLineValues(lines, 'cache-tag')) for (const tag of value.split(',')) add(withoutOuterSpace(tag))
  for (const value of fieldLineValues(lines, 'surrogate-key')) for (const tag of value.split(/[ \t]+/)) add(tag)
  const groups = listOfStrings(lines, 'cache-groups')
  for (const group of groups.strings) add(group)
  return { tags: [...tags], complete: complete && groups.wellFormed }
}

// eslint-disable-next-line no-control-regex -- finds bytes beyond ASCII
const beyondAscii = /[^\x00-\x7f]/

/**
 * Returns the text of a tag from its bytes, one character for each. Bytes beyond ASCII have no charset in HTTP (RFC 9110 §5.5).
 * Origins write UTF-8, and purges name text: bytes that are valid UTF-8 are read so, and any others as latin1.
 */
function tagText(bytes: string): string {
  if (!beyondAscii.test(bytes)) return bytes
  const received = Buffer.from(bytes, 'latin1')
  return isUtf8(received) ? received.toString('utf8') : bytes
}

// eslint-disable-next-line no-control-regex -- a tab is a control character, and a field may hold it
const control = /[\x00-\x08\x0a-\x1f\x7f]/

// With the flag `u`, a whole pair is one character, which this does not match.
const halfPair = /[\ud800-\udfff]/u

/** True if `responseTags` may return this tag. */
export function isPossibleTag(tag: string): boolean {
  return tag !== '' && tag.length <= maxTagBytes && !control.test(tag) && !halfPair.test(tag)
}

/** Returns why no response can carry a tag; undefined if one can. */
export function tagFault(tag: string): string | undefined {
  const at = control.exec(tag)?.index
  if (at !== undefined) return `has a control character (U+${tag.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0')}, character ${at + 1}), which no field can hold`
  if (withoutOuterSpace(tag) !== tag) return 'begins or ends with a space or tab, which is no part of a tag: remove it'
  return halfPair.test(tag) ? 'has half a surrogate pair, which no field can hold' : undefined
}

/**
 * Returns the groups that a response invalidates (Cache-Group-Invalidation, RFC 9875 §3), without duplicates; [] if absent
 * or malformed. The caller applies the rest of §3: ignored after a safe method, and only for the same URI origin. Their
 * number is not bounded, because a dropped group would leave a stale response. A group longer than any stored tag is left
 * out.
 */
export function groupInvalidations(lines: FieldLines): string[] {
  const { strings } = listOfStrings(lines, 'cache-group-invalidation')
  return [...new Set(strings)].filter((group) => group !== '' && group.length <= maxTagBytes)
}

interface StringList {
  readonly strings: readonly string[]
  readonly wellFormed: boolean
}

/**
 * Parses a Structured Fields List of Strings, without parameters. Members of another type are left out and make it
 * malformed.
 */
function listOfStrings(lines: FieldLines, name: string): StringList {
  const value = fieldValue(lines, name)
  if (value === undefined) return { strings: [], wellFormed: true }
  try {
    const members = parseList(value).map(([item]) => item)
    const strings = members.filter((item) => typeof item === 'string')
    return { strings, wellFormed: strings.length === members.length }
  } catch {
    return { strings: [], wellFormed: false }
  }
}
