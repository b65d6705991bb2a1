// One connection to one server: an undici Client, and what its socket must be made to admit.
import type { Socket } from 'node:net'
import type { buildConnector, Dispatcher } from 'undici'
import { Client } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { hasField, type FieldLines } from '../../http/fields.ts'
import type { Transport } from './transport.ts'
import type { OriginTimeouts } from '../config.ts'
import { guardResponseHeads, type ResponseParserState } from './http1-response-guard.ts'

export interface Http1ConnectionOptions {
  readonly timeouts: OriginTimeouts
  /** The name to ask for and to verify in TLS; undefined: the address that is dialled. */
  readonly servername: string | undefined
  /** Where to connect to, in place of the URL's host. */
  readonly address: string | undefined
}

/** Whom it is given back to. */
interface Home {
  release(connection: Http1Connection): void
  discard(connection: Http1Connection): void
}

const none: Buffer = Buffer.alloc(0)

/** A connection that carries one request at a time. It opens its socket when first used, and again after it closed. */
export class Http1Connection implements Transport, ResponseParserState {
  readonly client: Client
  atHead = false
  receivedAny = false
  isHttp10 = false
  last = none
  /** Whether who has it now has a body to send. */
  uploading = false
  /** When it was last given back, by the monotonic clock. */
  idleSinceMs = 0
  readonly #home: Home
  /** Responses that the present socket has brought to their end. 0: it is new, and cannot have gone stale. */
  #served = 0
  /** Whether the present socket came to its end by a reset that the system reported as an orderly end. */
  #cut = false
  /** Of the response whose body is coming. */
  #current: Dispatcher.DispatchController | undefined
  #socket: Socket | undefined
  /** Whether undici has given bytes back to the socket that it will not read. */
  #leftOver = false

  constructor(home: Home, url: string, connector: buildConnector.connector, { timeouts, servername, address }: Http1ConnectionOptions) {
    this.#home = home
    this.client = new Client(url, {
      pipelining: 1,
      headersTimeout: timeouts.headersMs,
      // See body-timeout.ts.
      bodyTimeout: 0,
      connect: (options, callback) => {
        // undici would take the name to verify from the Host that the client sent; it is the configuration's to say.
        const { servername: _fromHost, ...rest } = options
        const where = address === undefined ? rest : { ...rest, hostname: address }
        connector(servername === undefined ? where : { ...where, servername }, (...result) => {
          if (result[0] !== null) return callback(...result)
          const socket = result[1]
          this.#served = 0
          this.#cut = false
          this.#socket = socket
          this.#leftOver = false
          guardResponseHeads(socket, this)
          this.#watchLeftOver(socket)
          socket.on('error', admitReset)
          socket.on('end', () => {
            this.#cut = wasReset(socket)
            // undici fails an assertion, which nobody catches, when a socket ends whose parser is paused (client-h1.js,
            // onHttpSocketEnd), and it loses a message that was whole by then. There is no more to come that a pause could
            // hold back, but the end itself; whoever paused must be able to take that.
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

  /** A socket that had served before: the server may have closed it just as it was chosen. */
  get stale(): boolean {
    return this.#served > 0
  }

  answering(controller: Dispatcher.DispatchController | undefined): void {
    this.#current = controller
  }

  /** From here on `#surplus` speaks of what stands behind the message that has just come to its end. */
  messageEnded(): void {
    this.#leftOver = false
  }

  settle(byLength: boolean, trailers: FieldLines): SpringhouseError | undefined {
    // RFC 9110 §6.5.1: none of these is a trailer. The parser takes them for the head's all the same, and refuses whatever comes
    // next on the connection; the answer was whole, and whoever asks next is not to blame.
    if (hasField(trailers, 'connection') || hasField(trailers, 'transfer-encoding')) this.#socket?.destroy()
    this.#served++
    this.#current = undefined
    // Only a body that the end of the connection delimits ends after the socket did.
    if (this.#cut) return new SpringhouseError('ORIGIN_TRUNCATED')
    // Where one message ends and another begins the two sides do not agree: then neither can be believed (RFC 9112 §11.1). But a
    // length that is met is the end (§6.3), and what stands behind it and is no answer is an origin that cannot count.
    const surplus = this.#surplus
    // An idle connection keeps no bytes alive.
    this.last = none
    if (surplus === 'answer' || (surplus === 'bytes' && !byLength)) return new SpringhouseError('ORIGIN_MALFORMED', { detail: 'bytes behind the message' })
    return undefined
  }

  release(): void {
    this.#home.release(this)
  }

  discard(): void {
    this.#home.discard(this)
  }

  /**
   * Whether more came with the end of a message than the message, and whether that is an answer by the look of it: told when undici's parser is through with what it was given.
   * On a connection that stays it goes on with the rest, and takes no answer that nobody asked for; on one that is to be closed
   * it gives the rest back.
   */
  get #surplus(): 'answer' | 'bytes' | undefined {
    const error = this.#socket?.errored
    if (!this.#leftOver && !(error instanceof Error && (error.name === 'HTTPParserError' || error.message === 'bad response'))) return undefined
    return this.last.includes('HTTP/') ? 'answer' : 'bytes'
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
 * Comes before undici's own listener. undici takes ECONNRESET for the end of a body that has neither a length nor chunks,
 * and so counts a response that was cut off as complete (client-h1.js, onHttpSocketError); while that response is paused it
 * even fails an assertion that nobody catches. Under another code a reset is what it is: the failure of whatever request
 * was under way. UND_ERR_SOCKET, because then a request that waits for the connection is not failed with it but sent over
 * a new one.
 */
function admitReset(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'UND_ERR_SOCKET'
}

/**
 * Whether a socket that reports an orderly end was in fact reset. libuv takes a hang-up that follows a short read for the
 * end of the stream, and never reads the error behind it (uv__stream_io); so a body without a length would look whole. The
 * system still knows: a reset connection has no peer, while one whose peer has only finished sending has. The answer is
 * asked for once, here: Node keeps the first address that it was told.
 */
function wasReset(socket: Socket): boolean {
  return socket.remoteAddress === undefined
}
