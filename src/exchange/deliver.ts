// Answers from what is stored: head, precondition, range, body; RFC 9111 §4, RFC 9110 §13 and §14.
import type { ServerResponse } from 'node:http'
import { parseHttpDate } from '../http/date.ts'
import { strongMatch } from '../http/etag.ts'
import { parseRange } from '../http/range.ts'
import { hitStatus } from '../policy/cache-status.ts'
import { dateValueMs } from '../policy/freshness.ts'
import type { Reason } from '../policy/reasons.ts'
import type { CacheRequest } from '../policy/request.ts'
import type { Metadata } from '../policy/stored.ts'
import { isNotModified, notModifiedFields } from '../policy/validation.ts'
import type { Body, Stored } from '../store/store.ts'
import type { ClientExchange } from './client.ts'
import { cut, hasLeft, writable } from './connection.ts'

// RFC 9110 §14.2 lets a server ignore Range; more than this many parts is a request to be made to work, not to read.
const maxRanges = 16

// Up to here the copy costs less than another write to the socket (npm run bench -- --only hit).
const joinedBytes = 16_384

/** Why and when a stored response is delivered. */
export interface Occasion {
  readonly reason: Reason
  readonly ageMs: number
  readonly nowMs: number
  /** In place of the member that says hit: after a validation, for example. */
  readonly cacheStatus?: string
}

/**
 * Sends a stored response. false: its body turned out to be gone before anything was sent, so it is a miss.
 * A body that fails later cuts the connection, so that it never looks complete.
 */
export function deliverStored(exchange: ClientExchange, stored: Stored, occasion: Occasion, via: string): boolean | Promise<boolean> {
  const { asked: { request }, response } = exchange
  const { meta, body } = stored
  const head = headOf(meta, occasion, via)
  if (isNotModified(request, meta.status, meta.fields, occasion.nowMs)) {
    response.writeHead(304, notModifiedFields(head))
    response.end()
    return true
  }
  const part = request.range === undefined ? undefined : partOf(request, meta, occasion.nowMs)
  if (part === 'unsatisfiable') {
    head.push('content-range', `bytes */${meta.bodyBytes}`, 'content-length', '0')
    response.writeHead(416, head)
    response.end()
    return true
  }
  const start = part === undefined ? 0 : part.start
  const end = part === undefined ? meta.bodyBytes : part.end
  if (part !== undefined) head.push('content-range', `bytes ${start}-${end - 1}/${meta.bodyBytes}`)
  const status = part === undefined ? meta.status : 206
  if (status !== 204) head.push('content-length', String(end - start)) // RFC 9110 §8.6: none on a 204
  if (request.method === 'HEAD') {
    response.writeHead(status, head)
    response.end()
    return true
  }
  if (body.bytes !== undefined) {
    response.writeHead(status, head)
    // Node joins a string to the head and writes both at once; a buffer takes a second write. latin1 is byte for byte.
    if (end - start <= joinedBytes) response.end(body.bytes.toString('latin1', start, end), 'latin1')
    else response.end(part === undefined ? body.bytes : body.bytes.subarray(start, end))
    return true
  }
  return streamBody(response, status, head, body, start, end)
}

// The hot path: one array copied and a few members added, no object made.
function headOf(meta: Metadata, occasion: Occasion, via: string): string[] {
  const head = meta.fields.slice()
  head.push(
    'age', String(Math.floor(occasion.ageMs / 1000)), // §5.1: whole seconds, floored once, at the end
    'via', via,
    'cache-status', occasion.cacheStatus ?? hitStatus(occasion.reason, meta.lifetimeMs - occasion.ageMs),
  )
  return head
}

// RFC 9110 §14.2: Range applies to a GET that would be answered 200, after the preconditions.
function partOf(request: CacheRequest, meta: Metadata, nowMs: number): { start: number; end: number } | 'unsatisfiable' | undefined {
  if (request.method !== 'GET' || meta.status !== 200 || !ifRangeHolds(request, meta, nowMs)) return undefined
  const ranges = parseRange(request.range, meta.bodyBytes, maxRanges)
  if (ranges === undefined || ranges === 'unsatisfiable') return ranges
  return ranges.length === 1 ? ranges[0] : undefined // several parts: the whole is sent (§14.2 allows it)
}

// RFC 9110 §13.1.5: strong comparison of tags; a date must be the very one, and so old when the response was made that it
// cannot stand for two versions of the same second (§8.8.2.2).
function ifRangeHolds(request: CacheRequest, meta: Metadata, nowMs: number): boolean {
  const { ifRange } = request
  if (ifRange === undefined) return true
  if (ifRange.startsWith('"') || ifRange.startsWith('W/')) return meta.etag !== undefined && strongMatch(ifRange, meta.etag)
  if (meta.lastModified === undefined || ifRange !== meta.lastModified) return false
  const modifiedMs = parseHttpDate(meta.lastModified, nowMs)
  return modifiedMs !== undefined && dateValueMs(meta.fields, meta.responseTimeMs) - modifiedMs >= 1000
}

async function streamBody(response: ServerResponse, status: number, head: string[], body: Body, start: number, end: number): Promise<boolean> {
  const chunks = body.read(start, end)[Symbol.asyncIterator]()
  let first: IteratorResult<Buffer>
  try {
    // Nothing is sent before the first bytes are at hand: until then a body that is gone is only a miss.
    first = await chunks.next()
  } catch {
    return false
  }
  response.writeHead(status, head)
  try {
    for (let next = first; next.done !== true; next = await chunks.next()) {
      if (hasLeft(response)) break
      if (!response.write(next.value)) await writable(response)
    }
    response.end()
  } catch {
    cut(response)
  } finally {
    await chunks.return?.()
  }
  return true
}
