// Sends a request on an HTTP/2 stream.
import { constants, type ClientHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import { fieldValue, type FieldLines } from '../../http/fields.ts'
import type { ResponseControl, ResponseHandler, Transport, TransportRequest } from './transport.ts'
import { NotProcessed } from '../failures.ts'
import { requestFields, sectionLines } from './http2-fields.ts'
import type { Http2Connection, StreamOwner } from './http2-connection.ts'

// Without a limit a client would wait as long as interim responses arrive.
const mostInterims = 100

/**
 * A transport over one stream. A response ends with END_STREAM and nothing else (RFC 9113 §8.1); Node also ends a body normally
 * if its stream was reset or its connection lost. An aborted request resets its stream (§5.4.2), and the session goes on.
 */
export class Http2StreamTransport implements Transport, ResponseControl, StreamOwner {
  paused = false
  receivedAny = false
  stale = false
  readonly isHttp2 = true
  endsAtHead = false
  readonly isHttp10 = false
  readonly #session: Http2Connection
  readonly #leave: () => void
  readonly #giveBack: () => void
  #handler: ResponseHandler | undefined
  #stream: ClientHttp2Stream | undefined
  #body: Readable | undefined
  #bodySent = false
  #trailers: FieldLines = []
  /** The number of fields of each field section that Node has not delivered yet. */
  readonly #announced: number[] = []
  #resetCode: number | undefined
  #error: Error | undefined
  #interims = 0
  #headSeen = false
  #endSeen = false
  #allRead = false
  #over = false
  #timer: NodeJS.Timeout | undefined
  /** The bytes that the session had received when the request was sent. */
  #receivedBefore = 0

  constructor(session: Http2Connection, leave: () => void, giveBack: () => void) {
    this.#session = session
    this.#leave = leave
    this.#giveBack = giveBack
  }

  dispatch({ method, path, fields, body }: TransportRequest, handler: ResponseHandler): void {
    const length = Number(fieldValue(fields, 'content-length'))
    this.#handler = handler
    handler.onRequestStart(this)
    // It may have been aborted.
    if (this.#over) return
    const session = this.#session
    let stream: ClientHttp2Stream
    try {
      if (body === null && length > 0) throw new TypeError('a length of nothing')
      stream = session.request(requestFields(method, path, session.scheme, fields), body === null, this)
    } catch (error) {
      return queueMicrotask(() => this.#fail(error instanceof NotProcessed ? error : new SpringhouseError('BAD_REQUEST', { cause: error })))
    }
    this.#stream = stream
    this.#follow(stream)
    if (body === null) this.#bodySent = true
    else this.#send(stream, body, length)
    this.#receivedBefore = session.received
    this.#await(session.timeouts.headersMs)
  }

  #follow(stream: ClientHttp2Stream): void {
    const push = stream.push
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      // Node itself closes a stream before it ends its body. So an end on an open stream is END_STREAM.
      if (chunk === null && !stream.closed) this.#sawEnd(stream)
      return push.call(stream, chunk, encoding)
    }
    // Before Node resets a stream it ends the request body, which a server would treat as complete (§8.1).
    const final = stream._final
    stream._final = (done) => {
      if (this.#bodySent) final.call(stream, done)
    }
    stream.on('headers', (_fields, _flags, raw?: string[]) => this.#interim(raw))
    stream.on('response', (_fields, flags, raw?: string[]) => this.#head(raw, flags))
    stream.on('trailers', (_fields, _flags, raw?: string[]) => {
      const lines = this.#section(raw)
      if (lines !== undefined) this.#trailers = lines
      if (this.#allRead) this.#finish()
    })
    stream.on('end', () => {
      this.#allRead = this.#endSeen
      // Node may still deliver the trailers.
      if (this.#allRead && this.#announced.length === 0) this.#finish()
    })
    stream.on('error', (error: Error) => {
      this.#error = error
    })
    stream.on('close', () => this.#fail(this.#lostBy(stream)))
  }

  announced(fields: number): void {
    this.receivedAny = true
    this.#announced.push(fields)
  }

  wasReset(code: number): void {
    this.#resetCode = code
  }

  /** Reads the rest of the body without pauses: it is at most a window, and a reset could still lose it. */
  #sawEnd(stream: ClientHttp2Stream): void {
    this.#endSeen = true
    if (this.#headSeen) stream.resume()
  }

  /** Returns the lines of a field section; undefined if the section is refused, or the request is over. */
  #section(raw: string[] | undefined): string[] | undefined {
    if (this.#over) return undefined
    const announced = this.#announced.shift()
    if ((raw ?? []).reduce((sum, text) => sum + text.length, 0) > this.#session.maxHeaderBytes) {
      this.#fail(new SpringhouseError('ORIGIN_FIELDS_TOO_LARGE'))
      return undefined
    }
    const lines = sectionLines(raw ?? [], announced)
    if (lines === undefined) this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: 'a malformed field' }))
    return lines
  }

  #interim(raw: string[] | undefined): void {
    const lines = this.#section(raw)
    if (lines === undefined) return
    if (++this.#interims > mostInterims) return this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: '1xx without end' }))
    this.#timer?.refresh()
    const status = statusOf(raw)
    // RFC 9110 §15.2.1: 100 concerns this hop only and is not forwarded.
    if (status === constants.HTTP_STATUS_CONTINUE) return
    this.#handler?.onResponseStart(this, status, lines)
  }

  #head(raw: string[] | undefined, flags: number): void {
    const lines = this.#section(raw)
    if (lines === undefined) return
    this.#headSeen = true
    this.endsAtHead = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    clearTimeout(this.#timer)
    this.#handler?.onResponseStart(this, statusOf(raw), lines)
    // Not earlier: Node would deliver the first bytes before their head.
    this.#stream?.on('data', (chunk: Buffer) => this.#data(chunk))
    // A `data` listener resumes the stream, so the pause is applied again, unless the whole response has arrived.
    if (this.paused && !this.#endSeen) this.#stream?.pause()
  }

  #data(chunk: Buffer): void {
    if (this.#over) return
    this.#handler?.onResponseData(this, chunk)
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    if (!this.#endSeen) this.#stream?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.#headSeen) this.#stream?.resume()
  }

  abort(reason: Error): void {
    this.#fail(reason)
  }

  #send(stream: ClientHttp2Stream, body: Readable | Buffer | string, length: number): void {
    if (!(body instanceof Readable)) {
      this.#bodySent = true
      return void stream.end(body)
    }
    this.#body = body
    let sent = 0
    body.on('data', (chunk: Buffer) => {
      sent += chunk.length
      this.#moved()
      if (!stream.write(chunk)) body.pause()
    })
    stream.on('drain', () => {
      this.#moved()
      body.resume()
    })
    body.on('end', () => {
      // RFC 9113 §8.1.1: the server would refuse the request as malformed. The client caused it.
      if (!Number.isNaN(length) && sent !== length) return this.#fail(new SpringhouseError('BAD_REQUEST', { detail: 'the body does not have the length of its Content-Length' }))
      this.#bodySent = true
      this.#moved()
      stream.end()
    })
    body.on('error', (error) => this.#fail(error))
  }

  /** Restarts the timeout for the head, which begins when the request has been sent. */
  #moved(): void {
    if (this.#headSeen) return
    this.#receivedBefore = this.#session.received
    this.#timer?.refresh()
  }

  #await(ms: number): void {
    clearTimeout(this.#timer)
    if (ms > 0 && !this.#over) this.#timer = setTimeout(() => this.#tooLate(), ms)
  }

  #tooLate(): void {
    this.#session.doubt(this.#receivedBefore)
    this.#fail(new SpringhouseError('ORIGIN_TIMEOUT'))
  }

  /** Returns why a stream closed before its end. */
  #lostBy(stream: ClientHttp2Stream): Error {
    const session = this.#session
    // §8.7: the server did not process the request, or Node never sent it.
    if (stream.id === undefined || session.unprocessed(stream.id) || this.#resetCode === constants.NGHTTP2_REFUSED_STREAM)
      return new NotProcessed('the server did not process the request')
    this.stale = session.stale
    if (this.#resetCode !== undefined) return Object.assign(new Error(`stream reset with error ${this.#resetCode}`), { code: 'ECONNRESET' })
    if ((this.#error as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR') return new SpringhouseError('ORIGIN_MALFORMED', { cause: this.#error })
    if (session.lost) return session.lostBy
    // Node reset the stream because of the received bytes.
    const tooLarge = stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM
    return new SpringhouseError(tooLarge ? 'ORIGIN_FIELDS_TOO_LARGE' : 'ORIGIN_MALFORMED', { cause: this.#error, detail: `HTTP/2 stream error ${stream.rstCode ?? 0}` })
  }

  #finish(): void {
    if (this.#over) return
    this.#session.answered()
    this.#stop()
    this.#handler?.onResponseEnd(this, this.#trailers)
  }

  #fail(error: Error): void {
    if (this.#over) return
    this.#stop()
    this.#handler?.onResponseError(this, error)
  }

  /** Stops sending and receiving. */
  #stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#body?.destroy()
    const stream = this.#stream
    // Also after a complete response: the server wants no more of the body (§8.1), or it would have waited for it.
    if (stream !== undefined && !stream.closed && !(this.#endSeen && this.#bodySent)) stream.close(constants.NGHTTP2_CANCEL)
    // Received bytes must not wait for a reader.
    stream?.resume()
  }

  serveNoOther(): void {
    this.#session.end()
  }

  leavePool(): void {
    this.#leave()
  }

  release(): void {
    this.#giveBack()
  }

  discard(): void {
    this.#giveBack()
  }
}

function statusOf(raw: readonly string[] | undefined): number {
  return Number(raw?.[(raw.indexOf(':status')) + 1])
}
