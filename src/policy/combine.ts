// Making one of two parts, and asking for the rest of one: RFC 9111 §3.3 and §3.4.
import { parseHttpDate } from '../http/date.ts'
import { parseEntityTag } from '../http/etag.ts'
import { fieldValue } from '../http/fields.ts'
import type { ByteRange } from '../http/range.ts'
import { dateValueMs } from './freshness.ts'
import { lengthMatchesRanges, maxRanges, partBytes } from './part.ts'
import type { Metadata, Part } from './stored.ts'

/**
 * Longest body that is put together out of parts. Each time, what is there is copied: a client that reads on in small
 * steps would have a large one copied over and over.
 */
export const maxCombinedBytes = 8 * 1_048_576

// RFC 9110 §8.8.2.2: a date that is enough older than Date that no difference of clocks, and no second change within the
// second, can hide behind it. A minute is what RFC 7232 §2.2.2 asked; bytes of two versions must never be joined.
const strongDateMs = 60_000

/** A validator that tells one sequence of bytes from every other (RFC 9110 §8.8.1): a strong tag, or else a date that is strong. */
export function strongValidator(meta: Metadata): string | undefined {
  if (meta.etag !== undefined) return parseEntityTag(meta.etag)?.weak === false ? meta.etag : undefined
  if (meta.lastModified === undefined) return undefined
  const modifiedMs = parseHttpDate(meta.lastModified, meta.responseTimeMs)
  const old = modifiedMs !== undefined && dateValueMs(meta.fields, meta.responseTimeMs) - modifiedMs >= strongDateMs
  return old ? meta.lastModified : undefined
}

/**
 * What a stored part and one that has just come are together; `'whole'` when nothing is missing any more. undefined: they
 * must not be joined, or are not worth it.
 * @param fresh the new part, which is known to have the bytes that it says
 * @param maxBytes the longest body that may come of it
 */
export function combinedPart(old: Metadata, fresh: Metadata, maxBytes: number): Part | 'whole' | undefined {
  if (old.part === undefined || fresh.part === undefined || !lengthMatchesRanges(old) || old.variant !== fresh.variant) return undefined
  const validator = strongValidator(old)
  // §3.4: only parts with the same strong validator. A tag on one side and a date on the other are two validators.
  if (validator === undefined || validator !== strongValidator(fresh)) return undefined
  // The same tag for two codings is a mistake that some origins make, and would make a body that nobody can read.
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

/** Whether a part is the whole representation after all: an answer to `bytes=0-`, for one. */
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

/** A Range to ask an origin with, and the If-Range beside it. */
export interface RangeAsked {
  readonly range: string
  readonly ifRange: string | undefined
}

/**
 * §3.3: the Range that asks for what a stored part lacks, when that is in one piece and the whole is not too long to put
 * together. It goes up to the end without naming it: an origin that has grown would be found out by If-Range, not by it.
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

/** The position in a stored part's body at which the bytes of the representation from `position` on begin. */
export function offsetOf(part: Part, position: number): number {
  let at = 0
  for (const { start, end } of part.ranges) at += Math.max(0, Math.min(end, position) - start)
  return at
}
