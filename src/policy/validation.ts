// Conditional requests (RFC 9111 §4.3): to the origin, the merge of its 304, and from clients.
import { contentCodings } from '../http/content-codings.ts'
import { matchesList, withoutWeakness } from '../http/etag.ts'
import { parseHttpDate } from '../http/date.ts'
import { connectionNamed, fieldValue, hasField, isHopByHop, type FieldLines } from '../http/fields.ts'
import type { CacheRequest } from './request.ts'
import type { Metadata } from './stored.ts'

/** Returns the precondition fields that validate a stored response (§4.3.1), as lines to add to the request. */
export function conditionalFields(meta: Metadata): FieldLines {
  const lines: string[] = []
  if (meta.etag !== undefined) lines.push('if-none-match', meta.etag)
  if (meta.lastModified !== undefined) lines.push('if-modified-since', meta.lastModified)
  return lines
}

/** Fields by which a client requests less than the whole response: none of them may shape the fill of an entry. */
export const partialRequestFields: ReadonlySet<string> = new Set([
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
  'range',
])

/**
 * §4.3.3, §4.3.4: true if a 304 concerns this stored response. A 304 with another strong tag does not: the origin has
 * confirmed a response that is not stored here.
 */
export function confirms(meta: Metadata, fields304: FieldLines): boolean {
  if (contradictsBody(meta.fields, fields304)) return false
  const etag = fieldValue(fields304, 'etag')
  if (etag === undefined) return true
  // A tag where none was stored may belong to newer bytes, unless the other validator equals the one that was sent.
  if (meta.etag === undefined) return isWeak(etag) || (meta.lastModified !== undefined && fieldValue(fields304, 'last-modified') === meta.lastModified)
  return etag === meta.etag || withoutWeakness(etag) === withoutWeakness(meta.etag)
}

/**
 * True if a 304 describes other bytes than the stored ones: with another coding or charset, or as a part. If it updated the stored
 * fields, each later hit would label the bytes wrongly.
 */
function contradictsBody(stored: FieldLines, fields304: FieldLines): boolean {
  if (hasField(fields304, 'content-range')) return true
  const coding = fieldValue(fields304, 'content-encoding')
  if (coding !== undefined && normalCoding(coding) !== normalCoding(fieldValue(stored, 'content-encoding') ?? '')) return true
  const [before, now] = [charsetOf(fieldValue(stored, 'content-type')), charsetOf(fieldValue(fields304, 'content-type'))]
  return before !== undefined && now !== undefined && before !== now
}

function normalCoding(value: string): string {
  return contentCodings(value).join(',')
}

function charsetOf(contentType: string | undefined): string | undefined {
  return /;[ \t]*charset="?([^\s";]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase()
}

function isWeak(etag: string): boolean {
  return etag.startsWith('W/')
}

// §3.2: the only field that is never updated. It frames the stored bytes, which are kept as received. Everything else that
// the 304 says about them is what a whole response would have said.
const keptFromStored: ReadonlySet<string> = new Set(['content-length'])

/**
 * §3.2, §4.3.4: returns the stored response's fields, updated from the 304, including Age if the 304 carries it. A field of
 * the 304 replaces every stored line of that name.
 */
export function mergedFields(stored: FieldLines, fields304: FieldLines): FieldLines {
  const named = connectionNamed(fields304)
  const brought = new Set<string>()
  const merged: string[] = []
  for (let i = 0; i < fields304.length; i += 2) {
    const name = fields304[i] as string
    if (!isHopByHop(name, named) && !keptFromStored.has(name)) brought.add(name)
  }
  for (let i = 0; i < stored.length; i += 2) {
    if (!brought.has(stored[i] as string)) merged.push(stored[i] as string, stored[i + 1] as string)
  }
  for (let i = 0; i < fields304.length; i += 2) {
    if (brought.has(fields304[i] as string)) merged.push(fields304[i] as string, fields304[i + 1] as string)
  }
  return merged
}

/**
 * True if a client's precondition leads to a 304 from a response to GET with these validators (§4.3.2). RFC 9110 §13.2.2:
 * If-None-Match before If-Modified-Since, and both before Range. Only a 200 or 206 can be "not modified".
 */
export function isNotModified(request: CacheRequest, status: number, fields: FieldLines, nowMs: number): boolean {
  if (status !== 200 && status !== 206) return false
  if (request.ifNoneMatch !== undefined) return matchesList(request.ifNoneMatch, fieldValue(fields, 'etag'), 'weak')
  if (request.ifModifiedSince === undefined) return false
  const since = parseHttpDate(request.ifModifiedSince, nowMs)
  if (since === undefined) return false // RFC 9110 §13.1.3: an invalid date is ignored
  const changed = fieldValue(fields, 'last-modified') ?? fieldValue(fields, 'date') // §4.3.2: Date replaces a missing Last-Modified
  const changedMs = changed === undefined ? undefined : parseHttpDate(changed, nowMs)
  return changedMs !== undefined && changedMs <= since
}

// RFC 9110 §15.4.5: the fields of a 200 that a 304 must carry; other metadata would only repeat what the client has.
const carriedBy304: ReadonlySet<string> = new Set([
  'cache-control',
  'cdn-cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'vary',
  'last-modified',
  'set-cookie',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
  'cache-status',
  'via',
  'age',
])

/** Makes the fields of a 304 from the fields of a 200. */
export function notModifiedFields(fields: FieldLines): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (carriedBy304.has(fields[i] as string)) kept.push(fields[i] as string, fields[i + 1] as string)
  }
  return kept
}
