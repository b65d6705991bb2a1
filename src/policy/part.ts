// Parts: the range of a representation that a response brings, and the bytes of a stored body that a request receives (RFC
// 9110 §14).
import { parseHttpDate } from '../http/date.ts'
import { strongMatch } from '../http/etag.ts'
import { fieldLineValues, fieldValue, hasField, type FieldLines } from '../http/fields.ts'
import { parseContentRange, parseRange, type ByteRange } from '../http/range.ts'
import { dateValueMs } from './freshness.ts'
import type { CacheRequest } from './request.ts'
import type { Metadata, Part } from './stored.ts'

// §14.2 lets a server ignore Range. More than this many ranges are meant to cause work, not to read.
export const maxRanges = 16

/** Fields about the bytes of one message, not of the representation: with other bytes they would be wrong (RFC 9530 §2). */
export const contentFields: ReadonlySet<string> = new Set(['content-length', 'content-range', 'content-digest', 'content-md5'])

/**
 * Returns what the response to a GET with this Range (or without) holds of the representation. undefined: this is unknown,
 * so the response must be neither stored nor reused.
 */
export function receivedContent(range: string | undefined, status: number, fields: FieldLines): Part | 'whole' | undefined {
  if (range === undefined) return status === 206 ? undefined : 'whole'
  // An unknown unit means what origin and client have agreed on, and may have shaped a 200 as well. A range may also have
  // caused an error or a redirect, which the next client's request would not.
  if (!/^bytes=/i.test(range)) return undefined
  if (status === 200) return hasField(fields, 'content-range') ? undefined : 'whole'
  if (status !== 206) return undefined
  // §15.3.7.2: several parts have their Content-Range inside, one each. They are passed through, and not stored.
  if (/^\s*multipart\/byteranges/i.test(fieldValue(fields, 'content-type') ?? '')) return undefined
  const lines = fieldLineValues(fields, 'content-range')
  const content = lines.length === 1 ? parseContentRange(lines[0] as string) : undefined
  if (content === undefined) return undefined
  const { start, end, complete } = content
  return { ranges: [{ start, end }], complete, requestedRange: range }
}

/**
 * Returns a part's name among the variants of its key: a whole and a part of the same selecting fields are separate
 * variants.
 */
export function partVariant(variant: string): string {
  return `${variant} part`
}

/** Counts the bytes in a part's ranges. */
export function partBytes(part: Part): number {
  let bytes = 0
  for (const { start, end } of part.ranges) bytes += end - start
  return bytes
}

/** True if a stored part is as long as its ranges. Otherwise it is a part of nothing: see src/policy/README.md. */
export function lengthMatchesRanges(meta: Metadata): boolean {
  return meta.part !== undefined && partBytes(meta.part) === meta.bodyBytes
}

/** A range of a stored body, and the Content-Range with which it is sent. */
export interface Slice extends ByteRange {
  readonly contentRange: string
}

/**
 * The bytes of a stored response that a request receives: slices of its body; `undefined` for all of it; `'unsatisfiable'`
 * for 416; `'not-covered'` if it is a part without the requested range, which must not be used.
 */
export type RangeSelection = readonly Slice[] | 'unsatisfiable' | 'not-covered' | undefined

export function selectRanges(request: CacheRequest, meta: Metadata, nowMs: number): RangeSelection {
  return meta.part === undefined ? wantedOfWhole(request, meta, nowMs) : wantedOfPart(request, meta, meta.part, nowMs)
}

// §14.2: Range applies to a GET whose response would be 200, after the preconditions.
function wantedOfWhole(request: CacheRequest, meta: Metadata, nowMs: number): RangeSelection {
  if (request.method !== 'GET' || meta.status !== 200 || !ifRangeHolds(request, meta, nowMs)) return undefined
  const ranges = parseRange(request.range, meta.bodyBytes, maxRanges)
  if (ranges === undefined || ranges === 'unsatisfiable') return ranges
  return ranges.map(({ start, end }) => ({ start, end, contentRange: contentRange(start, end, meta.bodyBytes) }))
}

// RFC 9111 §3.3: a stored part may serve a range request if it covers the whole range.
function wantedOfPart(request: CacheRequest, meta: Metadata, part: Part, nowMs: number): RangeSelection {
  const { range, method, ifRange } = request
  if (method !== 'GET' || range === undefined) return 'not-covered'
  if (!lengthMatchesRanges(meta)) {
    // It is unknown which bytes these are. For an identical Range the origin would send the same.
    const [only] = part.ranges
    if (range !== part.requestedRange || ifRange !== undefined || only === undefined) return 'not-covered'
    return [{ start: 0, end: meta.bodyBytes, contentRange: contentRange(only.start, only.end, part.complete) }]
  }
  if (!ifRangeHolds(request, meta, nowMs)) return 'not-covered' // §13.1.5: then the whole is requested
  // Without a known length, ranges counted from the end become Infinity, and no part covers them.
  const asked = parseRange(range, part.complete ?? Infinity, maxRanges)
  if (asked === undefined || asked === 'unsatisfiable' || asked.length !== 1) return 'not-covered'
  const [one] = asked
  let at = 0
  for (const held of part.ranges) {
    if (one !== undefined && one.start >= held.start && one.end <= held.end) {
      const start = at + one.start - held.start
      return [{ start, end: start + one.end - one.start, contentRange: contentRange(one.start, one.end, part.complete) }]
    }
    at += held.end - held.start
  }
  return 'not-covered'
}

// §14.4
function contentRange(start: number, end: number, complete: number | undefined): string {
  return `bytes ${start}-${end - 1}/${complete ?? '*'}`
}

/**
 * §13.1.5: strong comparison of tags. A date must be identical, and old enough when the response was made: it must not stand
 * for two versions of the same second (§8.8.2.2).
 */
function ifRangeHolds(request: CacheRequest, meta: Metadata, nowMs: number): boolean {
  const { ifRange } = request
  if (ifRange === undefined) return true
  if (ifRange.startsWith('"') || ifRange.startsWith('W/')) return meta.etag !== undefined && strongMatch(ifRange, meta.etag)
  if (meta.lastModified === undefined || ifRange !== meta.lastModified) return false
  const modifiedMs = parseHttpDate(meta.lastModified, nowMs)
  return modifiedMs !== undefined && dateValueMs(meta.fields, meta.responseTimeMs) - modifiedMs >= 1000
}

/** A part in readable form: `{ ranges: '0-4,7-9', complete: 10, sound: true }`. undefined for a whole response. */
export interface ShownPart {
  readonly ranges: string
  /** null: unknown. */
  readonly complete: number | null
  /** False if its length differs from its ranges: it is sent only in response to an identical Range. */
  readonly sound: boolean
}

export function shownPart(meta: Metadata): ShownPart | undefined {
  const { part } = meta
  if (part === undefined) return undefined
  return { ranges: part.ranges.map(({ start, end }) => `${start}-${end - 1}`).join(','), complete: part.complete ?? null, sound: lengthMatchesRanges(meta) }
}
