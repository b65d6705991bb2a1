// Conditional requests, both ways: asking the origin, merging its 304, and answering a client's own (RFC 9111 §4.3).
import { matchesList } from '../http/etag.ts'
import { parseHttpDate } from '../http/date.ts'
import { connectionNamed, fieldValue, isHopByHop, type FieldLines } from '../http/fields.ts'
import type { CacheRequest } from './request.ts'
import type { Metadata } from './stored.ts'

/** The precondition fields that validate a stored response (§4.3.1), as lines to add to the request. */
export function conditionalFields(meta: Metadata): FieldLines {
  const lines: string[] = []
  if (meta.etag !== undefined) lines.push('if-none-match', meta.etag)
  if (meta.lastModified !== undefined) lines.push('if-modified-since', meta.lastModified)
  return lines
}

/** Fields by which a client asks for less than the whole response: none of them may shape the fill of an entry. */
export const partialRequestFields: ReadonlySet<string> = new Set([
  'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range',
])

/**
 * §4.3.3, §4.3.4: whether a 304 speaks of this stored response. One that names another strong tag does not: the origin
 * has confirmed something that is not stored here.
 */
export function confirms(meta: Metadata, fields304: FieldLines): boolean {
  const etag = fieldValue(fields304, 'etag')
  if (etag === undefined) return true
  // A tag where none was stored: it may be that of newer bytes, unless the other validator is the one that was asked with.
  if (meta.etag === undefined) return isWeak(etag) || (meta.lastModified !== undefined && fieldValue(fields304, 'last-modified') === meta.lastModified)
  return etag === meta.etag || withoutWeakness(etag) === withoutWeakness(meta.etag)
}

function isWeak(etag: string): boolean {
  return etag.startsWith('W/')
}

function withoutWeakness(etag: string): string {
  return isWeak(etag) ? etag.slice(2) : etag
}

// §3.2: the one field that is never updated: it frames the stored bytes, which are kept as they were received, so whatever
// else the origin now says of them is what a whole answer would have said.
const keptFromStored: ReadonlySet<string> = new Set(['content-length'])

/**
 * §3.2, §4.3.4: the stored response's fields with those of the 304 in their place, Age included when the 304 carries it.
 * A field that the 304 brings replaces every stored line of that name.
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
 * Whether a client's own precondition is answered with 304 from a response to GET with these validators (§4.3.2;
 * RFC 9110 §13.2.2: If-None-Match before If-Modified-Since, and both before Range). Only what would be answered 200, or 206,
 * can be "not modified".
 */
export function isNotModified(request: CacheRequest, status: number, fields: FieldLines, nowMs: number): boolean {
  if (status !== 200 && status !== 206) return false
  if (request.ifNoneMatch !== undefined) return matchesList(request.ifNoneMatch, fieldValue(fields, 'etag'), 'weak')
  if (request.ifModifiedSince === undefined) return false
  const since = parseHttpDate(request.ifModifiedSince, nowMs)
  if (since === undefined) return false // RFC 9110 §13.1.3: an invalid date is ignored
  const changed = fieldValue(fields, 'last-modified') ?? fieldValue(fields, 'date') // §4.3.2: Date stands in where Last-Modified is absent
  const changedMs = changed === undefined ? undefined : parseHttpDate(changed, nowMs)
  return changedMs !== undefined && changedMs <= since
}

// RFC 9110 §15.4.5: what a 304 must carry of what a 200 would; other metadata would only repeat what the client has.
const carriedBy304: ReadonlySet<string> = new Set([
  'cache-control', 'cdn-cache-control', 'content-location', 'date', 'etag', 'expires', 'vary', 'last-modified', 'set-cookie',
  'access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers', 'cache-status', 'via', 'age',
])

/** The fields of a 304 made from the fields of a 200. */
export function notModifiedFields(fields: FieldLines): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (carriedBy304.has(fields[i] as string)) kept.push(fields[i] as string, fields[i + 1] as string)
  }
  return kept
}
