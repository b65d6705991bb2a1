// A response over HTTP/2 (RFC 9113): one stream, as the exchange writes to it.
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { ClientResponse } from '../../exchange/client/response.ts'
import { isSettled, sectionBytes } from '../../http/field-section.ts'
import type { FieldLines } from '../../http/fields.ts'
import type { Http2Request } from './http2-request.ts'

// nghttp2 takes 65,536 bytes, and gives up the whole session for a longer section. It counts the most that a section may take:
// its names and values, and 12 bytes for each line (nghttp2_hd_deflate_bound). The status and Date are lines too.
const longestSection = 65_000
const bytesOfLine = 12

export class Http2Response implements ClientResponse {
  writableEnded = false
  status = 0
  /** An unread body ends with its stream, and delays no other request. */
  readonly hasUnreadBody = false
  readonly #stream: ServerHttp2Stream
  readonly #request: Http2Request
  #endsAtHead = false

  constructor(stream: ServerHttp2Stream, request: Http2Request) {
    this.#stream = stream
    this.#request = request
    // A stream that is reset emits an error, which would end the process. Its close event follows.
    stream.on('error', () => undefined)
  }

  get headersSent(): boolean {
    return this.#stream.headersSent
  }

  get hasLeft(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  get takesInterim(): boolean {
    return !this.headersSent && !this.hasLeft
  }

  endAtHead(): void {
    this.#endsAtHead = true
  }

  putHead(status: number, fields: FieldLines): void {
    if (this.hasLeft) return
    if (isTooLong(fields)) throw new TypeError('a head that HTTP/2 cannot carry')
    this.#stream.respond({ ...streamFields(fields), ':status': status }, this.#endsAtHead ? { endStream: true } : { waitForTrailers: true })
    this.status = status
  }

  /** A head is never kept back. */
  putHeadAlone(): void {}

  putInterim(status: 100 | 102 | 103, fields: FieldLines): void {
    if (!this.takesInterim) return
    if (isTooLong(fields)) throw new TypeError('an interim response that HTTP/2 cannot carry')
    const lines = streamFields(fields)
    if (Array.isArray(lines['link'])) lines['link'] = lines['link'].join(', ')
    this.#stream.additionalHeaders({ ...lines, ':status': status })
  }

  /** Node reads trailers behind the body, in a call that nothing can guard. So this refuses what Node would refuse then. */
  putTrailers(fields: FieldLines): void {
    if (!isSettled(fields) || isTooLong(fields)) throw new TypeError('trailers that HTTP/2 cannot carry')
    const trailers = streamFields(fields)
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(trailers))
  }

  write(chunk: Buffer): boolean {
    // Node has ended the stream of a response without content (to HEAD; 204, 205, 304), and would fail it for a write.
    if (this.#stream.writableEnded) return true
    return !this.hasLeft && this.#stream.write(chunk)
  }

  end(chunk?: Buffer | string, encoding: BufferEncoding = 'utf8'): void {
    if (this.writableEnded) return
    this.writableEnded = true
    const stream = this.#stream
    if (!stream.writableEnded) stream.end(chunk, encoding)
    if (this.#request.complete) return
    // In the next turn: the reset would overtake the end of the response.
    const endUpload = (): void => void setImmediate(() => this.#request.endUpload())
    if (stream.writableFinished) endUpload()
    else stream.once('finish', endUpload)
  }

  onDrain(listener: () => void): void {
    this.#stream.on('drain', listener)
  }

  offDrain(listener: () => void): void {
    this.#stream.off('drain', listener)
  }

  onClose(listener: () => void): void {
    this.#stream.on('close', listener)
  }

  offClose(listener: () => void): void {
    this.#stream.off('close', listener)
  }

  /** Resets the stream with an error: an end without one would be taken for the end of the message. */
  cut(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  /** A stream has no requests behind it; the other streams of its session go on. */
  endConnection(): void {}
}

function isTooLong(lines: FieldLines): boolean {
  return sectionBytes(lines) + bytesOfLine * (lines.length / 2) > longestSection
}

// Connection fields, which HTTP/2 does not have (§8.2.2): Node would refuse the head for them.
const ofConnection: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te'])

/** Field lines as node:http2 takes them: an array for a name that has several lines. */
function streamFields(lines: FieldLines): OutgoingHttpHeaders {
  // Without a prototype: a field may be named as one of its properties.
  const fields = Object.create(null) as OutgoingHttpHeaders
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    const value = lines[i + 1] as string
    if (ofConnection.has(name)) continue
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (Array.isArray(before)) before.push(value)
    else fields[name] = [String(before), value]
  }
  return fields
}
