// Sends stored responses: head, precondition, range, body; RFC 9111 §4, RFC 9110 §13 and §14.
import { fieldValue, withoutFields } from '../../http/fields.ts'
import { hitStatus } from '../../policy/cache-status.ts'
import { strongValidator } from '../../policy/combine.ts'
import { contentFields, selectRanges } from '../../policy/part.ts'
import type { DecisionReason } from '../../policy/reasons.ts'
import type { Metadata } from '../../policy/stored.ts'
import type { Origins } from '../../origin/origin.ts'
import { isNotModified, notModifiedFields } from '../../policy/validation.ts'
import type { Body, Stored } from '../../store/store.ts'
import type { ClientExchange, ExchangeObserver, RoutedExchange } from '../client/exchange.ts'
import { writable } from '../client/response.ts'
import { MultipartBody } from './multipart.ts'
import { ResumedBody, type Continuation, type SentBytes } from './resumed-body.ts'
import { sendHead } from '../client/sending.ts'
import { unconditionalFields } from '../../forwarding/request-fields.ts'

// Up to here the copy costs less than another write to the socket (npm run bench -- --only hit).
const joinedBytes = 16_384

/** Why and when a stored response is delivered. */
export interface Occasion {
  readonly reason: DecisionReason
  readonly ageMs: number
  readonly nowMs: number
  /** In place of the member that says hit: after a validation, for example. */
  readonly cacheStatus?: string
}

/** The parts of the cache that delivering a stored response uses. */
export interface DeliverParts {
  readonly origins: Origins
  readonly observer: ExchangeObserver
  /** This hop's Via member for responses. */
  readonly via: string
  /**
   * Finds where a response goes on whose body was lost: in a fetch that all its readers share (Continuation.shared).
   * @param from the first byte that is needed
   */
  continuation(exchange: RoutedExchange, lost: Metadata, from: number): ReturnType<Continuation['shared']>
}

/**
 * Sends a stored response. Returns false if its body was found to be lost before anything was sent: then it is a miss. If a
 * body is lost later, and the origin no longer has it either, the response is truncated, so that it never seems complete.
 */
export function deliverStored(exchange: RoutedExchange, stored: Stored, occasion: Occasion, parts: DeliverParts): boolean | Promise<boolean> {
  const { routed: { request }, response } = exchange
  const { meta } = stored
  const body = stored.body.bytes === undefined && mayRefetch(exchange, meta) ? continued(exchange, stored, parts) : stored.body
  const head = headOf(meta, occasion, parts.via)
  exchange.reason = occasion.reason
  exchange.ageMs = occasion.ageMs
  exchange.tags = meta.tags
  exchange.storedFetchMs = meta.responseTimeMs - meta.requestTimeMs
  if (isNotModified(request, meta.status, meta.fields, occasion.nowMs)) {
    if (sendHead(exchange, 304, notModifiedFields(head))) response.end()
    return true
  }
  const wanted = request.range === undefined && meta.part === undefined ? undefined : selectRanges(request, meta, occasion.nowMs)
  if (wanted === undefined) return send(exchange, meta.status, head, body, 0, meta.bodyBytes)
  // A part is never sent in place of the whole, or of another part: that is a miss instead.
  if (wanted === 'not-covered') return false
  const cutHead = withoutFields(head, contentFields)
  if (wanted === 'unsatisfiable') {
    cutHead.push('content-range', `bytes */${meta.bodyBytes}`, 'content-length', '0')
    if (sendHead(exchange, 416, cutHead)) response.end()
    return true
  }
  const [slice, another] = wanted
  if (another === undefined && slice !== undefined) {
    cutHead.push('content-range', slice.contentRange)
    return send(exchange, 206, cutHead, body, slice.start, slice.end)
  }
  const multipart = new MultipartBody(body, wanted, fieldValue(meta.fields, 'content-type'))
  const multipartHead = withoutFields(cutHead, contentType)
  multipartHead.push('content-type', multipart.contentType)
  return send(exchange, 206, multipartHead, multipart, 0, multipart.length)
}

// A part goes on only for the very Range that brought it: for another one it is not known what the origin would send. `only-if-cached`
// forbids contacting the origin (RFC 9111 §5.2.1.7).
function mayRefetch({ routed: { request } }: RoutedExchange, { part }: Metadata): boolean {
  return (part === undefined || part.requestedRange === request.range) && !request.directives.onlyIfCached
}

function continued(exchange: RoutedExchange, stored: Stored, parts: DeliverParts): ResumedBody {
  const { request: { target, range, ifRange }, route: { origin, forwarding: { retryOn } }, forwarded } = exchange.routed
  return new ResumedBody(stored, {
    shared: (from) => {
      parts.observer.count('bodiesContinued')
      return parts.continuation(exchange, stored.meta, from)
    },
    alone: sink => {
      const fields = unconditionalFields(forwarded)
      if (stored.meta.part !== undefined && range !== undefined) fields.push('range', range)
      if (stored.meta.part !== undefined && ifRange !== undefined) fields.push('if-range', ifRange)
      return parts.origins.request({ origin, method: 'GET', target, fields, retryOn }, sink)
    },
  })
}

const contentType: ReadonlySet<string> = new Set(['content-type'])

/**
 * Sends the rest of a body whose head and first bytes the client has. If it is lost, and the origin no longer has the same, the
 * response is truncated. Never rejects.
 * @param already the latest bytes that the client has, which the origin's response must repeat; for those before them its strong
 *   validator must stand
 */
export async function deliverRest(exchange: RoutedExchange, stored: Stored, already: SentBytes, parts: DeliverParts): Promise<void> {
  const { response } = exchange
  const isProven = mayRefetch(exchange, stored.meta) && (already.start === 0 || strongValidator(stored.meta) !== undefined)
  const rest = (isProven ? continued(exchange, stored, parts) : new ResumedBody(stored, undefined)).resume(already, stored.meta.bodyBytes)
  try {
    await writable(response)
    await pipe(exchange, rest, await rest.next())
    response.end()
  } catch {
    response.cut()
  } finally {
    await rest.return()
  }
}

/** Sends a head and the bytes of a body from `start` up to, not including, `end`. */
function send(exchange: RoutedExchange, status: number, head: string[], body: Body, start: number, end: number): boolean | Promise<boolean> {
  const { routed, response } = exchange
  // RFC 9110 §8.6: none on a 204. A response that is still arriving may have no known length.
  if (status !== 204 && end !== Infinity) head.push('content-length', String(end - start))
  if (routed.request.method === 'HEAD') {
    if (sendHead(exchange, status, head)) response.end()
    return true
  }
  const { bytes } = body
  if (bytes === undefined) return streamBody(exchange, status, head, body, start, end)
  if (!sendHead(exchange, status, head)) return true
  exchange.bodyBytes += end - start
  // Node joins a string to the head and writes both at once; a buffer takes a second write. latin1 is byte for byte.
  if (end - start <= joinedBytes) response.end(bytes.toString('latin1', start, end), 'latin1')
  else response.end(end - start === bytes.length ? bytes : bytes.subarray(start, end))
  return true
}

// The hot path: one array copied and a few members added, no object made.
function headOf(meta: Metadata, occasion: Occasion, via: string): string[] {
  const head = meta.fields.slice()
  head.push(
    'age',
    String(Math.floor(occasion.ageMs / 1000)), // §5.1: whole seconds, floored once, at the end
    'via',
    via,
    'cache-status',
    occasion.cacheStatus ?? hitStatus(occasion.reason, meta.lifetimeMs - occasion.ageMs),
  )
  return head
}

async function streamBody(exchange: ClientExchange, status: number, head: string[], body: Body, start: number, end: number): Promise<boolean> {
  const { response } = exchange
  const chunks = body.read(start, end)[Symbol.asyncIterator]()
  let first: IteratorResult<Buffer>
  try {
    // Nothing is sent before the first bytes are at hand: until then a lost body is only a miss.
    first = await chunks.next()
  } catch {
    return false
  }
  try {
    if (!sendHead(exchange, status, head)) return true
    await pipe(exchange, chunks, first)
    response.end()
  } catch {
    response.cut()
  } finally {
    await chunks.return?.()
  }
  return true
}

/** Sends chunks from `first` on, until the end or until the client leaves. */
async function pipe(exchange: ClientExchange, chunks: AsyncIterator<Buffer>, first: IteratorResult<Buffer>): Promise<void> {
  const { response } = exchange
  for (let next = first; next.done !== true; next = await chunks.next()) {
    if (response.hasLeft) return
    exchange.bodyBytes += next.value.length
    if (!response.write(next.value)) await writable(response)
  }
}
