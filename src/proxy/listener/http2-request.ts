// A request over HTTP/2 (RFC 9113) in the form of HTTP/1.1, in which it is keyed and forwarded; the body as a stream.
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { fieldLines, fieldValue, type FieldLines } from '../../http/fields.ts'

/**
 * There are no pseudo-fields: `:authority` is Host (RFC 9113 §8.3.1). Cookie is one line (§8.2.3), and content without a
 * length comes in chunks (RFC 9112 §6.1).
 */
export class Http2Request extends Readable {
  readonly httpVersion = '2.0'
  readonly httpVersionMajor = 2
  readonly method: string | undefined
  url: string | undefined
  readonly rawHeaders: string[]
  /** True if the client waits for a 100 before it sends the body (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean
  /** Bytes of the body so far. */
  receivedBytes = 0
  readonly #stream: ServerHttp2Stream
  #reading = false
  #complete: boolean

  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[]) {
    super()
    const given = fieldLines(rawHeaders)
    const bodiless = stream.endAfterHeaders
    this.method = fieldValue(given, ':method')
    this.url = fieldValue(given, ':path')
    this.rawHeaders = http1Lines(given, bodiless)
    this.expectsContinue = fieldValue(given, 'expect') === '100-continue'
    this.#stream = stream
    this.#complete = bodiless
    if (bodiless) {
      this.push(null)
      return
    }
    // A reader has its own listener. Without a reader, an error would end the process.
    this.on('error', () => undefined)
    stream.once('end', () => this.#end())
    stream.once('close', () => {
      if (!this.#complete) this.#end()
    })
  }

  /** The socket of the connection; undefined once the session is closed. */
  get socket(): Socket | undefined {
    return this.#stream.session?.socket as Socket | undefined
  }

  /** True once END_STREAM was seen and the whole body was read. */
  get complete(): boolean {
    return this.#complete
  }

  override _read(): void {
    if (this.#reading) return void this.#stream.resume()
    this.#reading = true
    this.#stream.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length
      if (this.destroyed || !this.push(chunk)) this.#stream.pause()
    })
  }

  /**
   * Stops the upload of a client that has the whole response, by a reset without an error (RFC 9113 §8.1). Otherwise the
   * stream would stay open, and the request to the origin with it, because nothing reads the rest.
   */
  endUpload(): void {
    const stream = this.#stream
    if (stream.readableEnded || stream.destroyed) return
    this.destroy(new Error('the response ended before the request body'))
    stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /**
   * Node also ends the body in order if the stream was reset or the connection lost, so an aborted upload would seem
   * complete. A body that ended by END_STREAM (§8.1) leaves the stream open until the response ends.
   */
  #end(): void {
    const { aborted, rstCode, readableEnded } = this.#stream
    if (!readableEnded || aborted || rstCode !== constants.NGHTTP2_NO_ERROR) this.destroy(new Error('the client reset the stream'))
    else {
      this.#complete = true
      this.push(null)
    }
  }
}

function http1Lines(given: FieldLines, bodiless: boolean): string[] {
  const lines: string[] = []
  const cookies: string[] = []
  const authority = fieldValue(given, ':authority')
  // An authority beside another Host would be read in two ways; `validateRequest` sees both, and refuses.
  if (authority !== undefined && fieldValue(given, 'host') !== authority) lines.push('host', authority)
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i] as string
    if (name === 'cookie') cookies.push(given[i + 1] as string)
    else if (!name.startsWith(':')) lines.push(name, given[i + 1] as string)
  }
  if (cookies.length > 0) lines.push('cookie', cookies.join('; '))
  if (!bodiless && fieldValue(given, 'content-length') === undefined) lines.push('transfer-encoding', 'chunked')
  return lines
}
