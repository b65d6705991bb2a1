// An HTTP/1.1 connection to a server: an undici Client, with checks on its socket that undici lacks.
import type { Socket } from 'node:net'
import type { buildConnector, Dispatcher } from 'undici'
import { Client } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { hasField, type FieldLines } from '../../http/fields.ts'
import type { Transport, MessageEnd } from './transport.ts'
import type { OriginTimeouts } from '../config.ts'
import { guardResponseHeads, type ResponseParserState } from './http1-response-guard.ts'

export interface Http1ConnectionOptions {
  readonly timeouts: OriginTimeouts
  /** Name for SNI and for the certificate check; undefined: the dialled address. */
  readonly servername: string | undefined
  /** Address to connect to, in place of the URL's host. */
  readonly address: string | undefined
  /** See OriginConfig. */
  readonly maxHeaderBytes: number
}

/** The pool that takes a connection back. */
interface Home {
  leave(connection: Http1Connection): void
  release(connection: Http1Connection): void
  discard(connection: Http1Connection): void
}

const none: Buffer = Buffer.alloc(0)

/** A connection for one request at a time. It opens its socket at first use, and again after the socket closed. */
export class Http1Connection implements Transport, ResponseParserState {
  readonly client: Client
  atHead = false
  receivedAny = false
  readonly isHttp2 = false
  readonly endsAtHead = false
  isHttp10 = false
  last = none
  /** True if the current request has a body. */
  uploading = false
  /** When it was created, by the monotonic clock. */
  readonly createdMs: number
  /** When it was last released, by the monotonic clock. */
  idleSinceMs = 0
  readonly #home: Home
  /** Complete responses on the present socket. 0: the socket is new, so the server cannot have closed it as idle. */
  #served = 0
  /** True if the present socket ended by a reset that the system reported as an orderly end. */
  #cut = false
  /** The controller of the response whose body is arriving. */
  #current: Dispatcher.DispatchController | undefined
  #socket: Socket | undefined
  /** True if its socket must carry no request after the current one. */
  #servesNoOther = false
  /** True if undici returned unread bytes to the socket. */
  #leftOver = false

  constructor(home: Home, url: string, connector: buildConnector.connector, { timeouts, servername, address, maxHeaderBytes }: Http1ConnectionOptions, createdMs: number) {
    this.#home = home
    this.createdMs = createdMs
    this.client = new Client(url, {
      pipelining: 1,
      headersTimeout: timeouts.headersMs,
      maxHeaderSize: maxHeaderBytes,
      // See body-timeout.ts.
      bodyTimeout: 0,
      connect: (options, callback) => {
        // undici would verify the name in the client's Host. The configuration decides the name.
        const { servername: _fromHost, ...rest } = options
        const where = address === undefined ? rest : { ...rest, hostname: address }
        connector(servername === undefined ? where : { ...where, servername }, (...result) => {
          if (result[0] !== null) return callback(...result)
          const socket = result[1]
          this.#served = 0
          this.#cut = false
          this.#socket = socket
          this.#leftOver = false
          guardResponseHeads(socket, this, maxHeaderBytes)
          this.#watchLeftOver(socket)
          socket.on('error', admitReset)
          socket.on('end', () => {
            this.#cut = wasReset(socket)
            // If a socket ends while its parser is paused, undici fails an uncaught assertion (client-h1.js, onHttpSocketEnd)
            // and loses a message that was complete. So the body is resumed: only the end is left, and a handler that paused
            // must accept it.
            this.#current?.resume()
          })
          return callback(...result)
        })
      },
    })
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.atHead = true
    this.receivedAny = false
    this.client.dispatch(options, handler)
  }

  /** True if the socket had served before, so that the server may have closed it just as it was chosen. */
  get stale(): boolean {
    return this.#served > 0
  }

  answering(controller: Dispatcher.DispatchController | undefined): void {
    this.#current = controller
  }

  /** Resets the flag, so that `#surplus` refers to the bytes after the message that has just ended. */
  messageEnded(): void {
    this.#leftOver = false
  }

  settle(messageEnd: MessageEnd, trailers: FieldLines): SpringhouseError | undefined {
    // RFC 9110 §6.5.1: none of these may be a trailer. The parser treats them as fields of the head and would refuse the next
    // response on this connection. The current response is complete, so only the socket is closed.
    if (this.#servesNoOther || hasField(trailers, 'connection') || hasField(trailers, 'transfer-encoding')) this.#socket?.destroy()
    this.#servesNoOther = false
    this.#served++
    this.#current = undefined
    // Only a close-delimited body ends after its socket.
    if (this.#cut) return new SpringhouseError('ORIGIN_TRUNCATED')
    // If there are surplus bytes, proxy and origin disagree where the message ends, so neither can be trusted (RFC 9112 §11.1).
    // But a Content-Length that is reached is the end (§6.3). If the bytes after it are no response, the origin miscounted.
    const surplus = this.#surplus
    // An idle connection holds no buffer.
    this.last = none
    // A response to HEAD is complete at its empty line (§6.3): a body behind it is dropped with the connection.
    if (messageEnd !== 'head' && (surplus === 'answer' || (surplus === 'bytes' && messageEnd !== 'length')))
      return new SpringhouseError('ORIGIN_MALFORMED', { detail: 'bytes behind the message' })
    return undefined
  }

  serveNoOther(): void {
    this.#servesNoOther = true
  }

  leavePool(): void {
    this.#home.leave(this)
  }

  release(): void {
    this.#home.release(this)
  }

  discard(): void {
    this.#home.discard(this)
  }

  /**
   * The kind of bytes after the end of the message: `answer` if they look like a response. Valid after undici's parser has
   * processed its input. On a persistent connection the parser reads the surplus and refuses an unsolicited response; on a
   * connection that is to be closed it returns the surplus to the socket.
   */
  get #surplus(): 'answer' | 'bytes' | undefined {
    const error = this.#socket?.errored
    if (!this.#leftOver && !(error instanceof Error && (error.name === 'HTTPParserError' || error.message === 'bad response'))) return undefined
    return this.last.includes('HTTP/') ? 'answer' : 'bytes'
  }

  /** True if it has a socket that is not closed. */
  get isOpen(): boolean {
    return this.#socket?.destroyed === false
  }

  get broken(): boolean {
    return this.#socket?.errored instanceof Error
  }

  #watchLeftOver(socket: Socket): void {
    const unshift = socket.unshift.bind(socket)
    socket.unshift = (chunk: Buffer) => {
      this.#leftOver = chunk.length > 0
      unshift(chunk)
    }
  }
}

/**
 * Runs before undici's own listener and changes the code of a reset. undici treats ECONNRESET as the end of a close-delimited
 * body, and so accepts a truncated response as complete (client-h1.js, onHttpSocketError). If that response is paused, undici
 * even fails an uncaught assertion. With another code, the reset fails the request in flight. The code is UND_ERR_SOCKET because
 * undici then sends a waiting request over a new connection instead of failing it.
 */
function admitReset(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'UND_ERR_SOCKET'
}

/**
 * Returns whether a socket that reports an orderly end was in fact reset. If a hang-up follows a short read, libuv reports the end
 * of the stream and never reads the error (uv__stream_io), so a body without a length would seem complete. The system still
 * knows: a reset connection has no peer address, while a half-closed one has. The address is read only here, because Node caches
 * the first one that it gets.
 */
function wasReset(socket: Socket): boolean {
  return socket.remoteAddress === undefined
}
