// HTTP/2 on the TLS listener (RFC 9113): each stream as a request and a response of the kind that the rest of the house knows.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { constants, createServer, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Server } from 'node:https'
import type { ReadableOptions } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { fieldLines, fieldValue } from '../../http/fields.ts'
import { isSettled, sectionBytes } from '../../http/field-section.ts'
import type { Dispatch } from './http1.ts'
import type { ProxyOptions } from './options.ts'

const mostStreams = 128
// More fields than fit into the bytes that are allowed: bytes are what is limited.
const mostFields = 4_096
// nghttp2 takes 65,536 bytes, and gives up the whole session for a longer section. It counts what a section may come to at the
// most: its names and values, and 12 bytes for each line (nghttp2_hd_deflate_bound). The status and Date are lines too.
const longestSection = 65_000
const bytesOfLine = 12

/** The sessions of a listener. */
export interface Http2Listener {
  /** No new streams from now on (GOAWAY); a session ends with the last one that it has. */
  close(): void
}

/**
 * Takes over the connections of a TLS server whose client chose `h2` by ALPN (RFC 7301); the others stay with HTTP/1.1. What
 * HTTP/2 says in its own way is brought into the form of HTTP/1.1, in which requests are forwarded: see StreamRequest.
 */
export function openHttp2(server: Server, options: ProxyOptions, dispatch: Dispatch, onStream: (stream: ServerHttp2Stream) => void): Http2Listener {
  const sessions = new Set<{ close(): void }>()
  let closing = false
  // The two are what they stand for, in all that the house asks of them.
  const answer = (request: StreamRequest, response: StreamResponse): void => {
    dispatch(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  }
  const inner = createServer({
    Http2ServerRequest: StreamRequest,
    Http2ServerResponse: StreamResponse,
    maxHeaderListPairs: mostFields,
    settings: { maxConcurrentStreams: mostStreams, maxHeaderListSize: options.maxHeaderBytes, enablePush: false },
  }, answer)
  // As over HTTP/1.1 (http1.ts): an expectation that nobody knows is ignored.
  inner.on('checkExpectation', answer)

  inner.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    // Its own end, and nobody else's.
    session.on('error', () => undefined)
    let open = 0
    session.on('stream', (stream) => {
      open++
      stream.once('close', () => open--)
      onStream(stream)
    })
    session.setTimeout(options.timeouts.keepAliveMs, () => {
      if (open === 0) session.close()
    })
    if (closing) session.close()
  })
  inner.on('sessionError', () => undefined)

  const [http1] = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') inner.emit('connection', socket)
    else http1?.call(server, socket)
  })
  return {
    close: () => {
      closing = true
      for (const session of sessions) session.close()
    },
  }
}

/**
 * A request in the form of HTTP/1.1: the pseudo-fields are gone, `:authority` is Host (RFC 9113 §8.3.1), Cookie is one line
 * (§8.2.3), and content without a length comes in chunks (RFC 9112 §6.1).
 */
class StreamRequest extends Http2ServerRequest {
  /** Of the body, so far: for who waits for it. */
  receivedBytes = 0

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ReadableOptions, rawHeaders: readonly string[]) {
    const lines = http1Lines(rawHeaders, stream.endAfterHeaders)
    super(stream, { ...headers, ...Object.fromEntries(framing.map((name) => [name, fieldValue(lines, name)])) }, options, lines)
    // Whoever reads it hears of it; nobody may be reading yet.
    this.on('error', () => undefined)
    // One turn after the end of the answer, which the reset would overtake.
    if (!stream.endAfterHeaders) stream.once('finish', () => setImmediate(() => this.#endUpload()))
  }

  /**
   * RFC 9113 §8.1: who has been answered in full need not send the rest, and is told so by a reset without an error. Nobody
   * takes it, so the stream would stay, and the request to the origin with it.
   */
  #endUpload(): void {
    const { stream } = this
    if (stream.readableEnded || stream.destroyed) return
    this.destroy(new Error('answered before it had been sent'))
    stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /**
   * Node ends the body in order also when the stream was reset, or its connection lost, and an upload that was cut would look
   * whole. One that came to its end by END_STREAM (§8.1) leaves the stream open until it is answered.
   */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    const { endAfterHeaders, aborted, rstCode } = this.stream
    if (chunk instanceof Buffer) this.receivedBytes += chunk.length
    if (chunk !== null || endAfterHeaders || !(aborted || rstCode !== constants.NGHTTP2_NO_ERROR)) return super.push(chunk, encoding)
    this.destroy(new Error('the client reset the stream'))
    return false
  }
}

const framing = ['host', 'transfer-encoding', 'content-length', 'cookie'] as const

function http1Lines(rawHeaders: readonly string[], bodiless: boolean): string[] {
  const given = fieldLines(rawHeaders)
  const lines: string[] = []
  const cookies: string[] = []
  const authority = fieldValue(given, ':authority')
  // An authority beside another Host would be read in two ways; `admit` sees both, and refuses.
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

/**
 * A response that takes what ServerResponse takes. Heads and trailers go straight to the stream: Node's own class keeps the
 * fields of a head that it refused, and would refuse the next head for them.
 */
class StreamResponse extends Http2ServerResponse<StreamRequest> {
  override writeHead(status: number, fields: unknown = []): this {
    const { stream } = this
    if (stream.destroyed || stream.closed) return this
    const lines = fields as readonly string[]
    if (isTooLong(lines)) throw new TypeError('a head that HTTP/2 cannot carry')
    stream.respond({ ...streamFields(lines), ':status': status }, { waitForTrailers: true })
    return this
  }

  // Broken off: with no error the end of the stream would look like the end of the message.
  override destroy(): this {
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    return this
  }

  /**
   * Takes the pairs that ServerResponse takes as well. Node reads trailers when the body has gone, in a call that nobody could
   * guard, so what it would refuse then is refused here.
   */
  override addTrailers(trailers: OutgoingHttpHeaders | readonly (readonly [string, string])[]): void {
    const lines = (Array.isArray(trailers) ? trailers as readonly (readonly [string, string])[] : Object.entries(trailers as Record<string, string>)).flat()
    if (!isSettled(lines) || isTooLong(lines)) throw new TypeError('trailers that HTTP/2 cannot carry')
    super.addTrailers(streamFields(lines))
  }

  // For a client that has reset its stream already Node's own would throw.
  override writeContinue(): void {
    if (!this.stream.closed && !this.stream.destroyed) super.writeContinue()
  }

  override writeEarlyHints(hints: Record<string, string | string[]>): void {
    if (isTooLong(Object.entries(hints).flatMap(([name, value]) => [name, [value].flat().join(', ')]))) throw new TypeError('hints that HTTP/2 cannot carry')
    super.writeEarlyHints(hints)
  }

  writeProcessing(): void {
    if (!this.stream.headersSent && !this.stream.destroyed) this.stream.additionalHeaders({ ':status': 102 })
  }
}

function isTooLong(lines: readonly string[]): boolean {
  return sectionBytes(lines) + bytesOfLine * (lines.length / 2) > longestSection
}

// Fields of the connection, which there are none of (§8.2.2): Node would refuse the head for them.
const ofConnection: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te'])

/** Field lines as node:http2 takes them: an array for a name that has several lines. */
function streamFields(lines: readonly string[]): OutgoingHttpHeaders {
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

// What Node leaves out. Its types have it, as a property, which a getter must not override in a class.
Object.defineProperty(StreamResponse.prototype, 'destroyed', { get(this: StreamResponse) { return this.stream.destroyed } })
