// Decides what a received field section may contain (RFC 9110 §5.3), so that every transport can send the result.
import { parseHttpDate } from './date.ts'
import { maxDeltaSeconds } from './directives.ts'
import type { FieldLines } from './fields.ts'
import { listMembers } from './fields.ts'
import { isSpace, withoutOuterSpace } from './white-space.ts'

/** The settled fields of a response, or the reason why the response is refused. */
export type SettledFields = { readonly fields: FieldLines; readonly fault?: undefined } | { readonly fields?: undefined; readonly fault: string }

/**
 * The treatment of several lines with different values. Equal values are one value, except in a list.
 * - `refuse`: two readers may take two meanings from it, such as two media types or two targets. The response is a 502.
 * - `join`: the field is a list (RFC 9110 §5.6.1) that HTTP/2 libraries nevertheless take in one line.
 * - `validator`: no validator can be trusted, so neither ETag nor Last-Modified is kept.
 * - `first`: the first value is kept, as RFC 9111 §5.1 says of Age.
 * - `earliest`, `soonest`, `nosniff`: the value that restricts most is kept.
 * - `drop`: none is kept. The field permits something, or advises, or means nothing in a response.
 * - `alone`: none is kept, also if the values are equal. Content-Location makes the response to a POST storable, so it must
 *   be plain.
 */
type Rule = 'refuse' | 'join' | 'validator' | 'first' | 'earliest' | 'soonest' | 'nosniff' | 'drop' | 'alone'

const byRule: Readonly<Record<Rule, readonly string[]>> = {
  refuse: ['content-length', 'content-type', 'content-range', 'content-disposition', 'location', 'sec-websocket-accept', 'sec-websocket-protocol'],
  join: ['content-encoding', 'content-language', 'if-match', 'if-none-match', 'sec-websocket-extensions'],
  validator: ['etag', 'last-modified'],
  first: ['age'],
  earliest: ['date'],
  soonest: ['expires'],
  nosniff: ['x-content-type-options'],
  alone: ['content-location'],
  drop: [
    'content-md5',
    'retry-after',
    'tk',
    'access-control-allow-credentials',
    'access-control-max-age',
    // Request fields.
    'access-control-request-method',
    'authorization',
    'dnt',
    'from',
    'host',
    'if-modified-since',
    'if-range',
    'if-unmodified-since',
    'max-forwards',
    'proxy-authorization',
    'range',
    'referer',
    'upgrade-insecure-requests',
    'user-agent',
  ],
}

interface Single {
  readonly rule: Rule
  /** The index among all single-line fields. */
  readonly number: number
}

const singles: ReadonlyMap<string, Single> = new Map(
  (Object.entries(byRule) as [Rule, readonly string[]][]).flatMap(([rule, names]) => names.map((name) => [name, rule] as const)).map(([name, rule],
    number) => [name, { rule, number }]
  ),
)

/** The fields of which a settled message has one line at most. */
export const singleLineFields: readonly string[] = [...singles.keys()]

// A token in lower case (RFC 9110 §5.6.2): no pseudo-field of HTTP/2, which begins with a colon.
const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
// §5.5. The bytes are latin1. Node refuses the same.
// eslint-disable-next-line no-control-regex -- a tab is a control character, and may stand in a value
const notInValue = /[^\t\x20-\x7e\x80-\xff]/

export function isFieldName(name: string): boolean {
  return fieldName.test(name)
}

/** True if a text has only bytes that a field may hold. */
export function hasFieldBytes(text: string): boolean {
  return !notInValue.test(text)
}

/** True if a text may be a field value. White space around it is not part of it (RFC 9113 §8.2.1). */
export function isFieldValue(value: string): boolean {
  return hasFieldBytes(value) && !isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(value.length - 1))
}

/** True if every transport can send these lines as they are. */
export function isSettled(lines: FieldLines): boolean {
  // A bit for each field that may occur once. Two numbers, because bitwise operators take 32 bits.
  let low = 0
  let high = 0
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1]
    if (value === undefined || !isFieldName(name) || !isFieldValue(value)) return false
    const number = singles.get(name)?.number
    if (number === undefined) continue
    const bit = 1 << (number & 31)
    if (number < 32) {
      if ((low & bit) !== 0) return false
      low |= bit
    } else {
      if ((high & bit) !== 0) return false
      high |= bit
    }
  }
  return true
}

/** The most bytes of stored fields, because each 304 may add some. A response with more is forwarded and not stored. */
export const longestStoredSection = 32_768

/** Counts the bytes of names and values. */
export function sectionBytes(lines: FieldLines): number {
  let bytes = 0
  for (const text of lines) bytes += text.length
  return bytes
}

/** Settles the fields of a response head that was received at `nowMs`. */
export function settleHead(status: number, lines: FieldLines, nowMs: number): SettledFields {
  if (isSettled(lines)) return { fields: lines }
  const { fields, malformed, refused, validatorsGone } = settle(lines, nowMs)
  if (malformed) return { fault: 'a malformed field' }
  if (refused !== undefined) return { fault: `several different ${refused} fields` }
  // Without validators a 304 would confirm any stored response.
  if (validatorsGone && status === 304) return { fault: 'several different validators' }
  return { fields }
}

/** Settles trailers, or the fields of an interim response. Fields that would refuse a head are left out. */
export function settleSection(lines: FieldLines, nowMs: number): FieldLines {
  return isSettled(lines) ? lines : settle(lines, nowMs).fields
}

interface Settled {
  readonly fields: string[]
  /** True if a line was left out because it is not a valid field. */
  readonly malformed: boolean
  /** A field that is left out because its lines have different meanings. */
  readonly refused: string | undefined
  readonly validatorsGone: boolean
}

function settle(lines: FieldLines, nowMs: number): Settled {
  const sound: string[] = []
  const given = new Map<string, string[]>()
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = withoutOuterSpace(lines[i + 1] ?? '')
    if (!isFieldName(name) || !isFieldValue(value)) continue
    sound.push(name, value)
    if (!singles.has(name)) continue
    const values = given.get(name)
    if (values === undefined) given.set(name, [value])
    else values.push(value)
  }
  let refused: string | undefined
  let validatorsGone = false
  const one = new Map<string, string | undefined>()
  for (const [name, values] of given) {
    const { rule } = singles.get(name) as Single
    const value = oneOf(rule, values, nowMs)
    one.set(name, value)
    if (value !== undefined) continue
    if (rule === 'refuse') refused ??= name
    if (rule === 'validator') validatorsGone = true
  }
  if (validatorsGone) { for (const name of byRule.validator) one.set(name, undefined) }
  const fields: string[] = []
  for (let i = 0; i < sound.length; i += 2) {
    const name = sound[i] as string
    if (!given.has(name)) {
      fields.push(name, sound[i + 1] as string)
      continue
    }
    // A settled field takes the place of its first line.
    const value = one.get(name)
    one.set(name, undefined)
    if (value !== undefined) fields.push(name, value)
  }
  return { fields, malformed: sound.length !== lines.length, refused, validatorsGone }
}

/** Returns the one value that stands for several lines, or undefined if none may. */
function oneOf(rule: Rule, values: readonly string[], nowMs: number): string | undefined {
  const [first = ''] = values
  if (values.length === 1) return first
  if (rule === 'join') return values.filter((value) => value !== '').join(', ')
  if (rule !== 'alone' && values.every((value) => value === first)) return first
  switch (rule) {
    case 'first':
      return firstDeltaSeconds(values)
    case 'earliest':
      return ofDates(values, nowMs, false)
    case 'soonest':
      return ofDates(values, nowMs, true)
    case 'nosniff':
      return values.some((value) => value.toLowerCase() === 'nosniff') ? 'nosniff' : undefined
    default:
      return undefined
  }
}

/** RFC 9111 §5.1. Values that are not delta-seconds are ignored. */
function firstDeltaSeconds(values: readonly string[]): string | undefined {
  const first = values.flatMap(listMembers).find((member) => /^\d+$/.test(member))
  return first === undefined ? undefined : String(Math.min(Number(first), maxDeltaSeconds))
}

/**
 * Returns the earliest date, as it was written. An invalid Date is left out. An invalid Expires means that the response has
 * expired (RFC 9111 §5.3), so it is earlier than all others.
 */
function ofDates(values: readonly string[], nowMs: number, invalidFirst: boolean): string | undefined {
  let earliest: string | undefined
  let earliestMs = Infinity
  for (const value of values) {
    const ms = parseHttpDate(value, nowMs)
    if (ms === undefined && invalidFirst) return value
    if (ms === undefined || ms >= earliestMs) continue
    earliest = value
    earliestMs = ms
  }
  return earliest
}
