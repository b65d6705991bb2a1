// The response to a passed request on its way to the client: the head from the fields as the origin sent them, then the body.
import { pipeline, type Duplex, type Readable } from 'node:stream'
import type { ClientExchange } from '../../exchange/client/exchange.ts'
import type { ClientResponse } from '../../exchange/client/response.ts'
import { sendHead, sendHeadAlone } from '../../exchange/client/sending.ts'
import { clientFields } from '../../forwarding/response-fields.ts'
import type { FieldLines } from '../../http/fields.ts'
import { passStatus } from '../../policy/cache-status.ts'
import type { PassReason } from '../../policy/reasons.ts'

/** The head of an origin's response, and how it came about. */
export interface PassedHead {
  readonly status: number
  readonly fields: FieldLines
  /** The names of fields that the client does not receive. */
  readonly cacheOnly: ReadonlySet<string>
  /** True if none of the body came with it. */
  readonly headAlone: boolean
  /** True if the head is all of the response. */
  readonly endsAtHead: boolean
  readonly reason: PassReason
  /** This hop's Via member. */
  readonly via: string
}

/**
 * Sends the response, its body by way of `copy` if there is one. Not through Fastify: it keeps fields in an object, and sends a
 * head from within a write of the body, where nothing can guard it.
 */
export function relayResponse(exchange: ClientExchange, { status, fields, cacheOnly, headAlone, endsAtHead, reason, via }: PassedHead, body: Readable,
  copy: Duplex | undefined): void {
  const { response } = exchange
  // Destroying an unread body emits an error too.
  body.on('error', () => cutUnlessEnded(response))
  if (response.hasLeft) return end(exchange, body)
  const head = clientFields(fields, cacheOnly, via, passStatus(reason, copy !== undefined))
  // Over HTTP/1.1 the rest of the request's body would be taken for the next request.
  if (response.hasUnreadBody) head.push('connection', 'close')
  if (endsAtHead) response.endAtHead()
  if (!sendHead(exchange, status, head)) return end(exchange, body)
  // If either ends early, the other ends too, and the copy is dropped.
  const source = copy === undefined ? body : pipeline(body, copy, () => undefined)
  source.on('error', () => cutUnlessEnded(response))
  response.onClose(() => end(exchange, source))
  relayBody(source, exchange, () => response.end())
  if (headAlone) sendHeadAlone(exchange)
}

function end(exchange: ClientExchange, body: Readable): void {
  body.destroy()
  exchange.end()
}

function cutUnlessEnded(response: ClientResponse): void {
  if (response.headersSent && !response.writableEnded) response.cut()
}

/** Writes a body to a response, no faster than the client takes it; then calls `ended`. */
export function relayBody(body: Readable, exchange: ClientExchange, ended: () => void): void {
  const { response } = exchange
  body.on('data', (chunk: Buffer) => {
    exchange.bodyBytes += chunk.length
    if (!response.write(chunk)) body.pause()
  })
  body.on('end', ended)
  response.onDrain(() => body.resume())
}
