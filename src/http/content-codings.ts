// Content codings: those of a response, and those that a request accepts (RFC 9110 §8.4, §12.5.3).
import { listMembers } from './fields.ts'
import { withoutOuterSpace } from './white-space.ts'

/**
 * Returns the codings of a Content-Encoding field, in the order in which they were applied. §8.4.1: they are
 * case-insensitive, and x-gzip and x-compress are other names. `identity` is none.
 */
export function contentCodings(value: string): string[] {
  return listMembers(value).map(codingName).filter(coding => coding !== 'identity')
}

function codingName(text: string): string {
  const name = text.toLowerCase()
  return name === 'x-gzip' || name === 'x-compress' ? name.slice(2) : name
}

// The registry of RFC 9110 §16.6.1, without other names.
const registered: ReadonlySet<string> = new Set(['aes128gcm', 'br', 'compress', 'dcb', 'dcz', 'deflate', 'exi', 'gzip', 'pack200-gzip', 'zstd'])

/**
 * Returns whether an Accept-Encoding field accepts a Content-Encoding: every coding that was applied. §12.5.3: a coding is
 * accepted if it is listed, or else if `*` is, with a weight other than 0. An empty field accepts none. A weight that cannot be
 * read counts as 0, and so does the weight of a coding that is listed twice with and without it.
 *
 * A coding that is not registered (`none`, `utf-8`) is a mistake of the origin, which no client can list. It is accepted unless
 * its name or `*` is listed with a weight of 0.
 */
export function acceptsCodings(acceptEncoding: string, contentEncoding: string): boolean {
  const listed = readAcceptEncoding(acceptEncoding)
  return contentCodings(contentEncoding).every(coding => listed.get(coding) ?? listed.get('*') ?? !registered.has(coding))
}

// Clients send a handful of values, and a hit on a response with a coding may need one.
const known = new Map<string, ReadonlyMap<string, boolean>>()
const mostKnown = 256
const longestKnown = 256

function readAcceptEncoding(value: string): ReadonlyMap<string, boolean> {
  const found = known.get(value)
  if (found !== undefined) return found
  const listed = new Map<string, boolean>()
  for (const member of listMembers(value)) {
    const end = member.indexOf(';')
    const coding = codingName(withoutOuterSpace(member, 0, end === -1 ? member.length : end))
    const accepted = end === -1 || hasWeight(member.slice(end + 1))
    listed.set(coding, accepted && listed.get(coding) !== false)
  }
  if (value.length <= longestKnown) {
    if (known.size >= mostKnown) known.clear()
    known.set(value, listed)
  }
  return listed
}

/** Returns whether the text after the first semicolon of a member is a weight above 0. */
function hasWeight(text: string): boolean {
  const weight = /^[ \t]*q=([01](?:\.\d{0,3})?)[ \t]*$/i.exec(text)?.[1]
  return weight !== undefined && Number(weight) > 0
}
