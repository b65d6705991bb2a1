// Range and Content-Range in bytes (RFC 9110 §14): the requested or the sent part of a representation.
import { withoutOuterSpace } from './white-space.ts'

/** A part of a representation: from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface ContentRange extends ByteRange {
  /** Length of the whole representation; undefined if the sender did not know it (`*`). */
  readonly complete: number | undefined
}

/**
 * Returns the ranges that a Range field requests of a representation of `length` bytes, in the requested order. Ranges that
 * overlap or touch are joined (RFC 9110 §15.3.7.2), and those past the end are left out.
 * - `'unsatisfiable'`: well-formed, but no range lies within the representation: 416.
 * - `undefined`: the field is ignored and the whole is sent, which §14.2 always allows. The field is absent, malformed, of
 *   another unit, or has more than `maxRanges` ranges, or more than two that overlap. §14.2 calls the latter a sign of a
 *   broken client or an attack.
 */
export function parseRange(
  value: string | undefined,
  length: number,
  maxRanges: number,
): readonly ByteRange[] | 'unsatisfiable' | undefined {
  if (value === undefined) return undefined
  // §14.1: unit names are case-insensitive.
  if (value.slice(0, 6).toLowerCase() !== 'bytes=') return undefined

  const ranges: ByteRange[] = []
  let specs = 0
  let start = 6
  while (start <= value.length) {
    const comma = value.indexOf(',', start)
    const end = comma < 0 ? value.length : comma
    const spec = withoutOuterSpace(value, start, end)
    start = end + 1
    if (spec === '') continue // §5.6.1.2: empty list members are passed over
    if (++specs > maxRanges) return undefined
    const range = resolveSpec(spec, length)
    if (range === undefined) return undefined
    if (range !== outside) ranges.push(range)
  }
  if (specs === 0) return undefined
  if (ranges.length === 0) return 'unsatisfiable'
  // A suffix of an empty representation is satisfiable (§14.1.2), but no Content-Range can express it.
  if (length === 0) return undefined
  return ranges.length === 1 ? ranges : coalesce(ranges)
}

/**
 * Parses the range of a 206, with an exclusive `end`. Undefined if malformed, or in the 416 form (`bytes *` and a length).
 */
export function parseContentRange(value: string): ContentRange | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(value)
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2]) + 1
  const complete = match[3] === '*' ? undefined : Number(match[3])
  // §14.4: invalid if it ends before it starts, or past the whole. Beyond 2^53 the sums would not be exact.
  if (end <= start || (complete !== undefined && complete < end)) return undefined
  if (!Number.isSafeInteger(end) || !Number.isSafeInteger(complete ?? 0)) return undefined
  return { start, end, complete }
}

const outside: ByteRange = { start: 0, end: 0 }

/**
 * Resolves one range-spec: `outside` if it is past the end, undefined if malformed. Huge numbers become Infinity, which
 * compares correctly.
 */
function resolveSpec(spec: string, length: number): ByteRange | undefined {
  const dash = spec.indexOf('-')
  const first = digits(spec, 0, dash)
  const last = digits(spec, dash + 1, spec.length)
  if (dash < 0 || first === undefined || last === undefined) return undefined
  if (first === absent) {
    if (last === absent) return undefined
    return last === 0 ? outside : { start: Math.max(0, length - last), end: length }
  }
  if (last !== absent && last < first) return undefined // §14.1.2: invalid, and not merely unsatisfiable
  if (first >= length) return outside
  return { start: first, end: last === absent ? length : Math.min(length, last + 1) }
}

const absent = -1

/** Parses a number. Returns `absent` if the text is empty, and undefined if it is not digits. */
function digits(text: string, start: number, end: number): number | undefined {
  if (start >= end) return absent
  let number = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    number = number * 10 + digit
  }
  return number
}

/** Joins ranges that overlap or touch, at the place of the first requested one. Undefined if more than two overlap. */
function coalesce(ranges: readonly ByteRange[]): readonly ByteRange[] | undefined {
  const asked = ranges.map((range, order) => ({ ...range, order }))
  asked.sort((a, b) => a.start - b.start)
  const joined: { start: number; end: number; order: number }[] = []
  let overlapping = 1
  for (const range of asked) {
    const before = joined.at(-1)
    if (before === undefined || range.start > before.end) {
      joined.push(range)
      overlapping = 1
      continue
    }
    if (range.start < before.end && ++overlapping > 2) return undefined
    before.end = Math.max(before.end, range.end)
    before.order = Math.min(before.order, range.order)
  }
  joined.sort((a, b) => a.order - b.order)
  return joined.map(({ start, end }) => ({ start, end }))
}
