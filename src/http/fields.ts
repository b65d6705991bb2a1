// A field section as a flat list of lines, and the functions that read it.
import { withoutOuterSpace } from './white-space.ts'

/**
 * Header or trailer fields in the order received: name, value, name, value. Names are lower-case (RFC 9110 §5.1: they are
 * case-insensitive). Values are as received, without surrounding white space. Lines with the same name stay apart.
 */
export type FieldLines = readonly string[]

/**
 * True if a lower-case field name is the proxy's own: it begins with `springhouse-`, where any sign but a letter or digit counts as a
 * dash, as CGI reads it. No client and no trusted proxy may set such a request field, and no origin such a response field: an origin
 * takes Springhouse-Session for a statement of this proxy.
 */
export function isReservedField(name: string): boolean {
  return name.length > 11 && name.startsWith('springhouse') && !letterOrDigit.test(name[11] as string)
}

const letterOrDigit = /[a-z0-9]/

/** Converts Node's `rawHeaders`, whose names keep the sender's case, to field lines. */
export function fieldLines(raw: readonly string[]): string[] {
  const lines: string[] = Array.from({ length: raw.length })
  for (let i = 0; i < raw.length; i += 2) {
    lines[i] = (raw[i] as string).toLowerCase()
    lines[i + 1] = raw[i + 1] as string
  }
  return lines
}

/** Returns the value of the first line with a name, given in lower case, of Node's `rawHeaders`. Makes no copy of them. */
export function firstRawValue(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    const given = raw[i] as string
    if (given.length === name.length && given.toLowerCase() === name) return raw[i + 1]
  }
  return undefined
}

/** Returns the combined value of a field (RFC 9110 §5.2: lines joined by ", "), or undefined if it is absent. */
export function fieldValue(lines: FieldLines, name: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] === name) value = value === undefined ? lines[i + 1] : `${value}, ${lines[i + 1]}`
  }
  return value
}

/** Returns the combined value of each field by its name, for callers that need many. */
export function fieldValues(lines: FieldLines): Map<string, string> {
  const values = new Map<string, string>()
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const before = values.get(name)
    values.set(name, before === undefined ? lines[i + 1] as string : `${before}, ${lines[i + 1]}`)
  }
  return values
}

/** Returns the value of each line of a field, in order; [] if it is absent. */
export function fieldLineValues(lines: FieldLines, name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] === name) values.push(lines[i + 1] as string)
  }
  return values
}

export function hasField(lines: FieldLines, name: string): boolean {
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] === name) return true
  }
  return false
}

/** Returns the lines whose names are not in the set. */
export function withoutFields(lines: FieldLines, names: { has(name: string): boolean }): string[] {
  const kept: string[] = []
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    if (!names.has(name)) kept.push(name, lines[i + 1] as string)
  }
  return kept
}

/** Returns the lines as pairs. */
export function linePairs(lines: FieldLines): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i < lines.length; i += 2) pairs.push([lines[i] as string, lines[i + 1] as string])
  return pairs
}

/**
 * Returns the members of a comma-separated list (RFC 9110 §5.6.1). Commas inside quoted strings do not separate; empty
 * members are dropped.
 */
export function listMembers(value: string): string[] {
  const members: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i <= value.length; i++) {
    const char = value.charCodeAt(i)
    if (quoted && char === 0x5c && i + 1 < value.length) i++ // quoted-pair: the next byte is not the closing quote
    else if (char === 0x22) quoted = !quoted
    else if (i >= value.length || (char === 0x2c && !quoted)) {
      const member = withoutOuterSpace(value, start, i)
      if (member !== '') members.push(member)
      start = i + 1
    }
  }
  return members
}

/** Fields of one connection: RFC 9110 §7.6.1, and those that RFC 9112 and older specifications limit to it. */
export const alwaysHopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

const none: ReadonlySet<string> = new Set()

/** Returns the fields that Connection names on this message, beyond those that are always hop-by-hop. */
export function connectionNamed(lines: FieldLines): ReadonlySet<string> {
  const value = fieldValue(lines, 'connection')
  if (value === undefined || value === 'keep-alive' || value === 'close') return none
  return new Set(listMembers(value.toLowerCase()))
}

/** True if a field belongs to one connection, and is neither stored nor forwarded (RFC 9110 §7.6.1, RFC 9111 §3.1). */
export function isHopByHop(name: string, named: ReadonlySet<string>): boolean {
  return alwaysHopByHop.has(name) || named.has(name)
}

/**
 * Returns a message's Content-Length; -1 if it has none. The origin room has refused lengths that are not one valid number.
 */
export function announcedLength(fields: FieldLines): number {
  const value = hasField(fields, 'transfer-encoding') ? undefined : fieldValue(fields, 'content-length')
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : -1
}
