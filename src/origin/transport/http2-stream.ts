// One request on an HTTP/2 stream, told of as undici tells of HTTP/1.1.
import { constants, type ClientHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { fieldValue } from '../../http/fields.ts'
import type { Transport } from './transport.ts'
import { NotProcessed } from '../failures.ts'
import { requestFields, sectionLines } from './http2-fields.ts'
import { longestHead, type Http2Connection, type StreamOwner } from './http2-connection.ts'

// A client would wait for as long as they come.
const mostInterims = 100

/**
 * The end of an answer is END_STREAM, and nothing else (RFC 9113 §8.1): Node ends a body in order also when its stream was reset
 * or its connection lost. What is given up is reset (§5.4.2), and its session goes on.
 */
export class Http2StreamTransport implements Transport, Dispatcher.DispatchController, StreamOwner {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: string[] = []
  rawTrailers: string[] = []
  receivedAny = false
  stale = false
  readonly isHttp10 = false
  /** What fails here is told in its own turn. */
  readonly broken = false
  readonly #session: Http2Connection
  readonly #giveBack: () => void
  #handler: Dispatcher.DispatchHandler | undefined
  #stream: ClientHttp2Stream | undefined
  #body: Readable | undefined
  #bodySent = false
  /** How many fields each section has that Node has not told of yet. */
  readonly #announced: number[] = []
  #resetCode: number | undefined
  #error: Error | undefined
  #interims = 0
  #headSeen = false
  #endSeen = false
  #allRead = false
  #over = false
  #timer: NodeJS.Timeout | undefined
  /** What the session had received when the request had been sent. */
  #receivedBefore = 0

  constructor(session: Http2Connection, giveBack: () => void) {
    this.#session = session
    this.#giveBack = giveBack
  }

  dispatch({ method, path, headers, body: given }: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const body = given as Readable | Buffer | string | null | undefined ?? null
    const lines = headers as string[]
    const length = Number(fieldValue(lines, 'content-length'))
    this.#handler = handler
    handler.onRequestStart?.(this, null)
    if (this.aborted) return
    const session = this.#session
    let stream: ClientHttp2Stream
    try {
      if (body === null && length > 0) throw new TypeError('a length of nothing')
      stream = session.request(requestFields(method, path, session.scheme, lines), body === null, this)
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
      // Of its own accord Node closes a stream first, and then ends what it gave.
      if (chunk === null && !stream.closed) this.#sawEnd(stream)
      return push.call(stream, chunk, encoding)
    }
    // Before Node resets a stream it ends what is sent on it, which a server would take for the end of a body (§8.1).
    const final = stream._final
    stream._final = (done) => {
      if (this.#bodySent) final.call(stream, done)
    }
    stream.on('headers', (_fields, _flags, raw?: string[]) => this.#interim(raw))
    stream.on('response', (_fields, _flags, raw?: string[]) => this.#head(raw))
    stream.on('trailers', (_fields, _flags, raw?: string[]) => {
      const lines = this.#section(raw)
      if (lines !== undefined) this.rawTrailers = lines
      if (this.#allRead) this.#finish()
    })
    stream.on('end', () => {
      this.#allRead = this.#endSeen
      // Node may yet have to tell of the trailers.
      if (this.#allRead && this.#announced.length === 0) this.#finish()
    })
    stream.on('error', (error: Error) => { this.#error = error })
    stream.on('close', () => this.#fail(this.#lostBy(stream)))
  }

  announced(fields: number): void {
    this.receivedAny = true
    this.#announced.push(fields)
  }

  wasReset(code: number): void {
    this.#resetCode = code
  }

  /** What is left is a window at most: nothing that a pause need hold back, and that a reset could still take away. */
  #sawEnd(stream: ClientHttp2Stream): void {
    this.#endSeen = true
    if (this.#headSeen) stream.resume()
  }

  /** The lines of a section; undefined when it, or the request, is over. */
  #section(raw: string[] | undefined): string[] | undefined {
    if (this.#over) return undefined
    const announced = this.#announced.shift()
    if ((raw ?? []).reduce((sum, text) => sum + text.length, 0) > longestHead) {
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
    // RFC 9110 §15.2.1: this hop's affair, and over.
    if (status === constants.HTTP_STATUS_CONTINUE) return
    this.rawHeaders = lines
    this.#handler?.onResponseStart?.(this, status, {})
  }

  #head(raw: string[] | undefined): void {
    const lines = this.#section(raw)
    if (lines === undefined) return
    this.#headSeen = true
    this.rawHeaders = lines
    clearTimeout(this.#timer)
    this.#handler?.onResponseStart?.(this, statusOf(raw), {})
    // Not before: Node gives the first bytes at once, and tells of their head later.
    this.#stream?.on('data', (chunk: Buffer) => this.#data(chunk))
    // Whatever its listener does, a pause is a pause; but it may be that all has come already.
    if (this.paused && !this.#endSeen) this.#stream?.pause()
  }

  #data(chunk: Buffer): void {
    if (this.#over) return
    this.#handler?.onResponseData?.(this, chunk)
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
    this.aborted = true
    this.reason = reason
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
      // RFC 9113 §8.1.1: the server would refuse it as malformed; here it is the sender's doing.
      if (!Number.isNaN(length) && sent !== length) return this.#fail(new SpringhouseError('BAD_REQUEST', { detail: 'a body that is not as long as it says' }))
      this.#bodySent = true
      this.#moved()
      stream.end()
    })
    body.on('error', (error) => this.#fail(error))
  }

  /** The patience for the head begins when the request has been sent. */
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

  /** Why a stream is gone whose end was not seen. */
  #lostBy(stream: ClientHttp2Stream): Error {
    const session = this.#session
    // §8.7: what the server did nothing about, and what Node never sent.
    if (stream.id === undefined || session.unprocessed(stream.id) || this.#resetCode === constants.NGHTTP2_REFUSED_STREAM) return new NotProcessed('the server did not process the request')
    this.stale = session.stale
    if (this.#resetCode !== undefined) return Object.assign(new Error(`stream reset with error ${this.#resetCode}`), { code: 'ECONNRESET' })
    if ((this.#error as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR') return new SpringhouseError('ORIGIN_MALFORMED', { cause: this.#error })
    if (session.lost) return session.lostBy
    // Reset from this side, for what came.
    const tooLarge = stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM
    return new SpringhouseError(tooLarge ? 'ORIGIN_FIELDS_TOO_LARGE' : 'ORIGIN_MALFORMED', { cause: this.#error, detail: `HTTP/2 stream error ${stream.rstCode ?? 0}` })
  }

  #finish(): void {
    if (this.#over) return
    this.#session.answered()
    this.#stop()
    this.#handler?.onResponseEnd?.(this, {})
  }

  #fail(error: Error): void {
    if (this.#over) return
    this.#stop()
    this.#handler?.onResponseError?.(this, error)
  }

  /** Nothing more is sent, and nothing more is heard. */
  #stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#body?.destroy()
    const stream = this.#stream
    // After a whole answer too: the server wants no more of the body (§8.1), or it would have waited.
    if (stream !== undefined && !stream.closed && !(this.#endSeen && this.#bodySent)) stream.close(constants.NGHTTP2_CANCEL)
    // What has come already must not wait for a reader.
    stream?.resume()
  }

  // Between a parser and its handler there is nothing here that could be left over: each stream ends by itself.
  answering(): void {
    return
  }

  messageEnded(): void {
    return
  }

  settle(): undefined {
    return undefined
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
