// The tags by which responses are purged: Cache-Tag, Surrogate-Key, Cache-Groups and similar fields, and Cache-Group-Invalidation.
import { parseList } from 'structured-headers'
import { fieldLineValues, fieldValue, type FieldLines } from './fields.ts'
import { withoutOuterSpace } from './white-space.ts'

/** Bounds on the tags of one response. RFC 9875 §2 requires at least 32 groups of 32 characters. */
export const maxTags = 1000
export const maxTagBytes = 1024

/** How a field parts its tags. `structured`: a List of Strings (RFC 9651), as in Cache-Groups. */
export type TagSeparator = 'comma' | 'space' | 'both' | 'structured'

/** A field that carries tags. Its name is in lower case. */
export interface TagField {
  readonly name: string
  readonly separator: TagSeparator
}

export interface ResponseTags {
  /** Without duplicates, in the order received. Compared character by character (RFC 9875 §2.1). */
  readonly tags: readonly string[]
  /**
   * Set if a tag was not taken: too many, too long, or a structured field that does not parse or holds other types than
   * Strings. Such a response must not be stored, because a purge of the missing tag would be acknowledged without reaching
   * it. RFC 9651 §4.2 would ignore the malformed field and store the response, which promises less.
   */
  readonly fault: 'too-many-tags' | 'bad-cache-groups' | undefined
}

/** Returns the tags that a response carries in these fields. */
export function responseTags(lines: FieldLines, fields: readonly TagField[]): ResponseTags {
  const tags = new Set<string>()
  let fault: ResponseTags['fault']
  const add = (bytes: string): void => {
    const tag = tagText(bytes)
    if (tag === '' || tags.has(tag)) return
    if (bytes.length > maxTagBytes || tags.size >= maxTags) fault ??= 'too-many-tags'
    else tags.add(tag)
  }
  for (const { name, separator } of fields) {
    if (separator !== 'structured') {
      for (const value of fieldLineValues(lines, name)) for (const tag of parted(value, separator)) add(tag)
      continue
    }
    const { strings, wellFormed } = listOfStrings(lines, name)
    if (!wellFormed) fault = 'bad-cache-groups'
    for (const tag of strings) add(tag)
  }
  return { tags: [...tags], fault }
}

/** Returns the tags of a value without quoting: a quote is part of a tag. */
function parted(value: string, separator: 'comma' | 'space' | 'both'): string[] {
  switch (separator) {
    case 'comma':
      return value.split(',').map(tag => withoutOuterSpace(tag))
    case 'both':
      return value.split(/[ \t,]+/)
    case 'space':
      return value.split(/[ \t]+/).flatMap(readings)
  }
}

/**
 * Returns the tags that a text without spaces may mean in a field whose tags are parted by spaces. Some origins write `/a, /b`
 * there, and mean two tags. Others write `a,b`, and mean one tag or two. The text without its outer commas is a tag, and so is
 * each of its parts: a purge then reaches more, and never less than was meant.
 */
function readings(text: string): string[] {
  if (!text.includes(',')) return [text]
  const parts = text.split(',')
  let start = 0
  let end = parts.length
  while (start < end && parts[start] === '') start++
  while (end > start && parts[end - 1] === '') end--
  return end - start < 2 ? parts : [parts.slice(start, end).join(','), ...parts]
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
  const text = received.toString('utf8')
  return Buffer.from(text).equals(received) ? text : bytes // invalid bytes became U+FFFD
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
