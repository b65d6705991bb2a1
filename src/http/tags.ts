// The tags by which responses are purged: Cache-Tag, Surrogate-Key, Cache-Groups and Cache-Group-Invalidation.
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
  const add = (tag: string): void => {
    if (tag === '' || tags.has(tag)) return
    if (tag.length > maxTagBytes || tags.size >= maxTags) complete = false
    else tags.add(tag)
  }
  // Neither of the first two has quoting: a quote is part of the tag.
  for (const value of fieldLineValues(lines, 'cache-tag')) for (const tag of value.split(',')) add(withoutOuterSpace(tag))
  for (const value of fieldLineValues(lines, 'surrogate-key')) for (const tag of value.split(/[ \t]+/)) add(tag)
  const groups = listOfStrings(lines, 'cache-groups')
  for (const group of groups.strings) add(group)
  return { tags: [...tags], complete: complete && groups.wellFormed }
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
