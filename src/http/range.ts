// Range and Content-Range in bytes (RFC 9110 §14): which part of a representation is asked for, or sent.
import { withoutOuterSpace } from './white-space.ts'

/** A part of a representation: from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface ContentRange extends ByteRange {
  /** Length of the whole representation; undefined where the sender did not know (`*`). */
  readonly complete: number | undefined
}

/**
 * The ranges that a Range field asks of a representation of `length` bytes, in the order asked for, with those that
 * overlap or touch made one (RFC 9110 §15.3.7.2), and those past the end left out.
 *
 * - `'unsatisfiable'`: well-formed, but none of it lies within the representation: 416.
 * - `undefined`: the field is to be ignored (§14.2 allows it always) and the whole sent: it is absent, of another unit,
 *   malformed, of more than `maxRanges` ranges, or of more than two that overlap: §14.2 names that as a sign of a broken
 *   client or of an attack.
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
  // Of an empty representation a suffix is satisfiable (§14.1.2), but no Content-Range can say which bytes it was.
  if (length === 0) return undefined
  return ranges.length === 1 ? ranges : coalesce(ranges)
}

/** The range that a 206 carries, its `end` exclusive; undefined when malformed, or when it is the 416 form (`bytes *` and a length). */
export function parseContentRange(value: string): ContentRange | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(value)
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2]) + 1
  const complete = match[3] === '*' ? undefined : Number(match[3])
  // §14.4: invalid when it ends before it starts, or past the whole. Beyond 2^53 the sums would no longer be exact.
  if (end <= start || (complete !== undefined && complete < end)) return undefined
  if (!Number.isSafeInteger(end) || !Number.isSafeInteger(complete ?? 0)) return undefined
  return { start, end, complete }
}

const outside: ByteRange = { start: 0, end: 0 }

/** One range-spec, resolved; `outside` when it is past the end, undefined when malformed. Huge numbers become Infinity, which compares well. */
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

/** The number written there, `absent` when nothing is, undefined when it is not digits. */
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

/** Joins what overlaps or touches, at the place of whichever was asked for first; undefined when more than two overlap. */
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
