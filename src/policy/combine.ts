// Combines two parts, and requests the rest of one: RFC 9111 §3.3 and §3.4.
import { parseHttpDate } from '../http/date.ts'
import { parseEntityTag } from '../http/etag.ts'
import { fieldValue } from '../http/fields.ts'
import type { ByteRange } from '../http/range.ts'
import { dateValueMs } from './freshness.ts'
import { lengthMatchesRanges, maxRanges, partBytes } from './part.ts'
import type { Metadata, Part } from './stored.ts'

/**
 * The longest body that is combined from parts. Each combination copies the stored bytes: a client that reads in small steps
 * would have a large body copied again and again.
 */
export const maxCombinedBytes = 8 * 1_048_576

// RFC 9110 §8.8.2.2: a Last-Modified this much older than Date is strong. Neither a difference between clocks nor a second
// change within the second can hide behind it. RFC 7232 §2.2.2 required a minute; bytes of two versions must never be
// joined.
const strongDateMs = 60_000

/**
 * Returns a validator that distinguishes one sequence of bytes from every other (RFC 9110 §8.8.1): a strong tag, or a strong
 * date.
 */
export function strongValidator(meta: Metadata): string | undefined {
  if (meta.etag !== undefined) return parseEntityTag(meta.etag)?.weak === false ? meta.etag : undefined
  if (meta.lastModified === undefined) return undefined
  const modifiedMs = parseHttpDate(meta.lastModified, meta.responseTimeMs)
  const old = modifiedMs !== undefined && dateValueMs(meta.fields, meta.responseTimeMs) - modifiedMs >= strongDateMs
  return old ? meta.lastModified : undefined
}

/**
 * Combines a stored part and a received one. Returns `'whole'` if nothing is missing any more, and undefined if they must
 * not be joined or are not worth it.
 * @param fresh the received part, whose length matches its ranges
 * @param maxBytes the longest body that may result
 */
export function combinedPart(old: Metadata, fresh: Metadata, maxBytes: number): Part | 'whole' | undefined {
  if (old.part === undefined || fresh.part === undefined || !lengthMatchesRanges(old) || old.variant !== fresh.variant) return undefined
  const validator = strongValidator(old)
  // §3.4: only parts with the same strong validator. A tag on one side and a date on the other are two validators.
  if (validator === undefined || validator !== strongValidator(fresh)) return undefined
  // Some origins send the same tag for two codings by mistake. The joined body would be unreadable.
  if (fieldValue(old.fields, 'content-encoding') !== fieldValue(fresh.fields, 'content-encoding')) return undefined
  const [one, other] = [old.part.complete, fresh.part.complete]
  if (one !== undefined && other !== undefined && one !== other) return undefined
  const complete = other ?? one
  const ranges = union([...old.part.ranges, ...fresh.part.ranges])
  const part = { ranges, complete, requestedRange: fresh.part.requestedRange }
  if (complete !== undefined && (ranges.at(-1) as ByteRange).end > complete) return undefined
  if (ranges.length > maxRanges || partBytes(part) > maxBytes) return undefined
  return isAll(part) ? 'whole' : part
}

/** True if a part is the whole representation, such as a response to `bytes=0-`. */
export function isAll({ ranges, complete }: Part): boolean {
  const [only] = ranges
  return ranges.length === 1 && only !== undefined && only.start === 0 && only.end === complete
}

function union(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: { start: number; end: number }[] = []
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    const before = joined.at(-1)
    if (before === undefined || start > before.end) joined.push({ start, end })
    else before.end = Math.max(before.end, end)
  }
  return joined
}

/** A Range to send to an origin, with its If-Range. */
export interface RangeAsked {
  readonly range: string
  readonly ifRange: string | undefined
}

/**
 * §3.3: returns the Range for the bytes that a stored part lacks, if they are one range and the whole is short enough to be
 * combined. A last range has no end: if the representation has grown, If-Range reveals it, not the end.
 */
export function restOf(meta: Metadata): RangeAsked | undefined {
  const { part } = meta
  if (part === undefined || !lengthMatchesRanges(meta) || (part.complete ?? meta.bodyBytes) > maxCombinedBytes) return undefined
  const [first, second] = part.ranges
  if (first === undefined || isAll(part)) return undefined
  const ifRange = strongValidator(meta)
  if (part.ranges.length === 1) {
    if (first.start === 0) return { range: `bytes=${first.end}-`, ifRange }
    return first.end === part.complete ? { range: `bytes=0-${first.start - 1}`, ifRange } : undefined
  }
  const gapless = part.ranges.length === 2 && first.start === 0 && second !== undefined && second.end === part.complete
  return gapless ? { range: `bytes=${first.end}-${second.start - 1}`, ifRange } : undefined
}

/** Returns the position in a stored part's body of the representation's bytes from `position` on. */
export function offsetOf(part: Part, position: number): number {
  let at = 0
  for (const { start, end } of part.ranges) at += Math.max(0, Math.min(end, position) - start)
  return at
}
