// Reads the responses of one HTTP/1.1 connection from its bytes, strictly (RFC 9112). Does no I/O.
import type { ErrorCode } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import { framingOf, mayBecomeHead, parseHead, type Framing, type Http1Head } from './http1-head.ts'
import { ChunkedBody } from './http1-chunks.ts'

// Without a limit a client would wait as long as interim responses arrive.
const mostInterims = 100
const none: Buffer = Buffer.alloc(0)
const noTrailers: FieldLines = []

/** The bytes after the end of a message: `dropped` with the connection, or so that proxy and origin disagree where the message ends (§11.1). */
export type Surplus = 'none' | 'dropped' | 'fault'

/**
 * Takes the events of one response. Calls come in this order: any `interim`, one `head`, any `data`, then `end`; or `whole` in place of
 * the last three, if all of the response arrived in the read in which its head ended; or `malformed` in place of any, once, last.
 * All bytes are slices of those that were read, or copies that nobody else has.
 */
export interface Http1ReaderSink {
  /** An interim response other than 100, which concerns this hop only (RFC 9110 §15.2.1). */
  interim(head: Http1Head): void
  head(head: Http1Head): void
  /** The pieces of the body in one read, in order. */
  data(pieces: readonly Buffer[]): void
  end(trailers: FieldLines, surplus: Surplus): void
  whole(head: Http1Head, body: Buffer, surplus: Surplus): void
  malformed(code: ErrorCode, detail: string): void
}

/** Reads one response after another. `begin` comes before the first byte of each. */
export class Http1Reader {
  readonly #sink: Http1ReaderSink
  readonly #maxHeaderBytes: number
  #state: 'idle' | 'head' | 'length' | 'chunks' | 'close' = 'idle'
  #method = 'GET'
  #interims = 0
  /** The beginning of a head whose end has not arrived. */
  #held: Buffer = none
  /** Bytes of the body that are missing, if its length is known. */
  #left = 0
  #chunks: ChunkedBody | undefined

  constructor(sink: Http1ReaderSink, maxHeaderBytes: number) {
    this.#sink = sink
    this.#maxHeaderBytes = maxHeaderBytes
  }

  /** Expects the response to a request with this method. */
  begin(method: string): void {
    this.#state = 'head'
    this.#method = method
    this.#interims = 0
  }

  /** Expects no response any more: it was complete, or is given up. */
  stop(): void {
    this.#state = 'idle'
    this.#held = none
    this.#chunks = undefined
  }

  get isIdle(): boolean {
    return this.#state === 'idle'
  }

  /** True while the end of the connection is the end of the message. */
  get endsWithConnection(): boolean {
    return this.#state === 'close'
  }

  /** Takes bytes of the response. The sink may call `stop`; then the rest of the bytes is dropped. */
  read(bytes: Buffer): void {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes)
      case 'length':
        return this.#readLength(bytes)
      case 'chunks':
        return this.#readChunks(bytes)
      case 'close':
        return this.#sink.data([bytes])
      case 'idle':
    }
  }

  /** Ends a message that ends with its connection. */
  finish(): void {
    this.#end(noTrailers, 'none')
  }

  #readHead(given: Buffer): void {
    const searched = this.#held.length
    let bytes = searched === 0 ? given : Buffer.concat([this.#held, given])
    this.#held = none
    for (let from = Math.max(0, searched - 3); this.#state === 'head'; from = 0) {
      const end = bytes.indexOf('\r\n\r\n', from, 'latin1')
      if ((end < 0 ? bytes.length : end) > this.#maxHeaderBytes) return this.#refuse('the head', 'ORIGIN_FIELDS_TOO_LARGE')
      if (end < 0) return this.#holdHead(bytes, from)
      const head = parseHead(bytes.toString('latin1', 0, end))
      if (typeof head === 'string') return this.#refuse(head)
      bytes = bytes.subarray(end + 4)
      if (head.status >= 200) return this.#takeHead(head, bytes)
      if (++this.#interims > mostInterims) return this.#refuse('1xx without end')
      // RFC 9110 §15.2.2: only a request with Upgrade, which no request of this reader has.
      if (head.status === 101) return this.#refuse('unrequested 101')
      // A final response may not come behind the last of a connection (RFC 9112 §9.6), and HTTP/1.0 has no interim ones.
      if (!head.persists) return this.#refuse('an interim response that ends its connection')
      if (head.status !== 100) this.#sink.interim(head)
      if (bytes.length === 0) return
    }
  }

  #holdHead(bytes: Buffer, checked: number): void {
    if (!mayBecomeHead(bytes.toString('latin1'), checked)) return this.#refuse('status line or field')
    this.#held = Buffer.from(bytes)
  }

  #takeHead(head: Http1Head, rest: Buffer): void {
    const framing = framingOf(head, this.#method)
    // 15 digits pass through a subtraction unchanged, so a length that has arrived is compared exactly.
    const length = framing === 'length' ? head.length : 0
    if (framing === 'none' || (framing === 'length' && length <= rest.length)) {
      this.stop()
      return this.#sink.whole(head, rest.subarray(0, length), this.#surplus(rest.subarray(length), framing))
    }
    this.#state = framing === 'chunked' ? 'chunks' : framing
    this.#left = length
    this.#chunks = framing === 'chunked' ? new ChunkedBody(this.#maxHeaderBytes) : undefined
    this.#sink.head(head)
    if (rest.length > 0) this.read(rest)
  }

  #readLength(bytes: Buffer): void {
    const piece = bytes.subarray(0, this.#left)
    this.#left -= piece.length
    this.#sink.data([piece])
    if (this.#left === 0) this.#end(noTrailers, this.#surplus(bytes.subarray(piece.length), 'length'))
  }

  #readChunks(bytes: Buffer): void {
    const chunks = this.#chunks as ChunkedBody
    const progress = chunks.read(bytes)
    if (chunks.pieces.length > 0) this.#sink.data(chunks.pieces)
    if (progress === 'end') this.#end(chunks.trailers, this.#surplus(chunks.rest, 'chunked'))
    else if (progress === 'trailers too large') this.#refuse(progress, 'ORIGIN_FIELDS_TOO_LARGE')
    else if (progress !== 'more') this.#refuse(progress)
  }

  #end(trailers: FieldLines, surplus: Surplus): void {
    // The sink may have given the response up.
    if (this.#state === 'idle') return
    this.stop()
    this.#sink.end(trailers, surplus)
  }

  #refuse(detail: string, code: ErrorCode = 'ORIGIN_MALFORMED'): void {
    if (this.#state === 'idle') return
    this.stop()
    this.#sink.malformed(code, detail)
  }

  /**
   * Judges the bytes after a message. A Content-Length that is reached is the end (§6.3): bytes after it that are no response were
   * miscounted. A response to HEAD is complete at its empty line. In any other case neither end can be trusted.
   */
  #surplus(bytes: Buffer, framing: Framing): Surplus {
    if (bytes.length === 0) return 'none'
    if (this.#method === 'HEAD') return 'dropped'
    return framing === 'length' && !bytes.includes('HTTP/', 0, 'latin1') ? 'dropped' : 'fault'
  }
}
