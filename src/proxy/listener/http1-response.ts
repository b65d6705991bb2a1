// A response over HTTP/1.1: Node's own, with the methods that the exchange needs besides. A server makes it in place of Node's.
import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { ClientResponse } from '../../exchange/client/response.ts'
import { linePairs, type FieldLines } from '../../http/fields.ts'
import { isEventStream } from '../../http/media-type.ts'
import { hasBody } from '../admission/framing.ts'
import { endConnection } from './connection.ts'
import { isHalfClosed, whenHalfClosed } from './half-closed.ts'

/** The longest body that is joined to its head. */
const longestJoined = 16_384

/** Node's own properties of a response, the same for many years. If they change, bodies are no longer joined, and nothing else happens. */
interface InnerResponse {
  _header?: unknown
  readonly _headerSent?: unknown
  readonly _hasBody?: unknown
}

export class Http1Response<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> implements ClientResponse {
  /**
   * While a response waits behind another on its connection (pipelining), Node does not report that it was closed, and would
   * hold the bytes for ever. The request shows it then, unless it has a body: the reader of a body may close it.
   */
  get hasLeft(): boolean {
    return this.destroyed || (this.socket === null && this.req.destroyed && !hasBody(this.req))
  }

  /**
   * While a response waits behind another (pipelining), Node would put an interim response between the other's head and body.
   * HTTP/1.0 has no 1xx.
   */
  get takesInterim(): boolean {
    return !this.headersSent && this.socket !== null && this.req.httpVersion !== '1.0'
  }

  get hasUnreadBody(): boolean {
    return !this.req.complete && hasBody(this.req)
  }

  get status(): number {
    return this.headersSent ? this.statusCode : 0
  }

  /** HTTP/1.1 says it by the framing. */
  endAtHead(): void {}

  /** True for a response that may never end, and ends with its client's side of the connection. */
  isEventStream = false

  onHalfClosed(listener: () => void): void {
    // A connection outlives its responses, and must not keep them.
    this.once('close', whenHalfClosed(this.req.socket, listener))
  }

  putHead(status: number, fields: FieldLines): void {
    this.isEventStream = isEventStream(fields)
    if (this.isEventStream && isHalfClosed(this.socket)) return this.cut()
    // With the phrase: Node would reuse the phrase of a refused head.
    this.writeHead(status, STATUS_CODES[status] ?? 'unknown', fields as string[])
  }

  /**
   * Ends the response. A small body is joined to its head, if that has not been sent: then both are one string and one write. Node's own
   * `end` makes two pieces of them, and so a slower system call. Node appends the body of a string to its head in the same way.
   */
  override end(chunk?: unknown, encoding?: unknown, done?: () => void): this {
    if (done === undefined && this.#join(chunk, encoding)) return super.end()
    return super.end(chunk as Buffer, encoding as BufferEncoding, done)
  }

  /** True if the body is part of the head from now on. */
  #join(chunk: unknown, encoding: unknown): boolean {
    const inner = this as unknown as InnerResponse
    if (typeof inner._header !== 'string' || inner._headerSent !== false || inner._hasBody !== true || this.chunkedEncoding || this.writableEnded) return false
    const text = chunk instanceof Buffer && chunk.length <= longestJoined ? chunk.toString('latin1') : encoding === 'latin1' ? chunk : undefined
    if (typeof text !== 'string' || text.length > longestJoined) return false
    inner._header += text
    return true
  }

  putHeadAlone(): void {
    this.flushHeaders()
  }

  putInterim(status: 100 | 102 | 103, fields: FieldLines): void {
    if (status === 100) this.writeContinue()
    else if (status === 102) this.writeProcessing()
    else this.writeEarlyHints(hints(fields))
  }

  putTrailers(fields: FieldLines): void {
    this.addTrailers(linePairs(fields))
  }

  onDrain(listener: () => void): void {
    this.on('drain', listener)
  }

  offDrain(listener: () => void): void {
    this.off('drain', listener)
  }

  onClose(listener: () => void): void {
    this.on('close', listener)
    // See `hasLeft`.
    if (this.socket === null && !hasBody(this.req)) this.req.on('close', listener)
  }

  offClose(listener: () => void): void {
    this.off('close', listener)
    this.req.off('close', listener)
  }

  /**
   * HTTP/1.0 has no chunks. Without a length, an orderly end of the connection would be the end of the body (RFC 9112 §8), so this
   * resets it. Under TLS the missing close_notify is enough (RFC 9112 §9.8).
   */
  cut(): void {
    const { socket, req } = this
    const toHttp10 = req.httpVersionMajor === 1 && req.httpVersionMinor === 0
    if (toHttp10 && socket !== null && (socket as Partial<TLSSocket>).encrypted !== true) socket.resetAndDestroy()
    this.destroy()
  }

  endConnection(): void {
    endConnection(this.req)
  }
}

/** Returns field lines as writeEarlyHints takes them: it checks each link by itself. */
function hints(fields: FieldLines): Record<string, string | string[]> {
  const link: string[] = []
  // Without a prototype: a field may be named as one of its properties.
  const found = Object.assign(Object.create(null) as Record<string, string | string[]>, { link })
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === 'link') link.push(fields[i + 1] as string)
    else found[fields[i] as string] = fields[i + 1] as string
  }
  return found
}
