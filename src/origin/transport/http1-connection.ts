// An HTTP/1.1 connection to a server: one request at a time over a socket that undici's connector opens.
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { SpringhouseError, type ErrorCode } from '../../errors.ts'
import { hasField, type FieldLines } from '../../http/fields.ts'
import type { OriginTimeouts } from '../config.ts'
import { beginAfterPoll } from './after-poll.ts'
import type { Http1Head } from './http1-head.ts'
import { Http1Reader, type Http1ReaderSink, type Surplus } from './http1-reader.ts'
import { renderRequest, Upload, writeWhole, type UploadListener } from './http1-request.ts'
import { link, own, unlink, type ReadsBytes } from './shared-read.ts'
import type { SocketBudget } from './socket-budget.ts'
import type { Sweepable, TimeoutSweep } from './timeout-sweep.ts'
import type { ResponseControl, ResponseHandler, Transport, TransportRequest } from './transport.ts'

export interface Http1ConnectionOptions {
  /** The base URL of the server. */
  readonly url: string
  readonly timeouts: OriginTimeouts
  /** Name for SNI and for the certificate check; undefined: the dialled address. */
  readonly servername: string | undefined
  /** Address to connect to, in place of the URL's host. */
  readonly address: string | undefined
  /** The path of a socket, in place of host and port. */
  readonly socketPath?: string | undefined
  /** See OriginConfig. */
  readonly maxHeaderBytes: number
  readonly sockets: SocketBudget
  readonly sweep: TimeoutSweep
}

/** The pool that takes a connection back. */
interface Home {
  leave(connection: Http1Connection): void
  release(connection: Http1Connection): void
  discard(connection: Http1Connection): void
  /** The socket of an idle connection was closed. */
  closed(connection: Http1Connection): void
}

/** How long an idle connection is kept if its server announces nothing: less than the five seconds of common servers. */
const idleMs = 4_000
/** How much earlier than announced an idle connection is closed. A request must not cross the server's close. */
const marginMs = 2_000
const longestIdleMs = 600_000

/** A connection for one request at a time. It opens its socket at first use, and again if the socket closed before a request was sent. */
export class Http1Connection implements Transport, ResponseControl, Http1ReaderSink, UploadListener, ReadsBytes, Sweepable {
  paused = false
  receivedAny = false
  readonly isHttp2 = false
  readonly endsAtHead = false
  isHttp10 = false
  deadline = Infinity
  /** True if the current request has a body. */
  uploading = false
  /** When it was created, by the monotonic clock. */
  readonly createdMs: number
  /** When it was last released, by the monotonic clock. */
  idleSinceMs = 0
  readonly #home: Home
  readonly #connector: buildConnector.connector
  readonly #options: Http1ConnectionOptions
  readonly #url: URL
  readonly #reader: Http1Reader
  #socket: Socket | undefined
  /** Complete responses on the present socket. 0: the socket is new, so the server cannot have closed it as idle. */
  #served = 0
  /** The request in flight. Its handler is undefined once the end was reported. */
  #request: TransportRequest | undefined
  #handler: ResponseHandler | undefined
  /** True once a byte of the request may have been written. */
  #sent = false
  #upload: Upload | undefined
  /** True if the socket may carry another request after the current one. */
  #persists = true
  /** True if the socket must carry no other, because of a login. */
  #servesNoOther = false
  /** How long the socket may be idle. */
  #idleMs = idleMs
  /** True while a timeout for the head applies: until the final one has been received. */
  #awaitsHead = false
  #destroyed = false

  constructor(home: Home, connector: buildConnector.connector, options: Http1ConnectionOptions, createdMs: number) {
    this.#home = home
    this.#connector = connector
    this.#options = options
    this.#url = new URL(options.url)
    this.#reader = new Http1Reader(this, options.maxHeaderBytes)
    this.createdMs = createdMs
  }

  dispatch(request: TransportRequest, handler: ResponseHandler): void {
    this.#request = request
    this.#handler = handler
    this.receivedAny = false
    this.isHttp10 = false
    this.#sent = false
    this.#persists = true
    this.#servesNoOther = false
    this.deadline = Infinity
    // An idle connection may have been closed, or may hold bytes that nobody requested (GHSA-35p6-xmwp-9g52). Both have been read by then.
    if (this.#socket === undefined) this.#connect()
    else beginAfterPoll(this)
  }

  /** Sends the request, over a new socket if the present one was closed meanwhile. Nothing was sent over that one. */
  begin(): void {
    if (this.#handler === undefined) return
    if (this.#socket === undefined) this.#connect()
    else this.#send(this.#socket)
  }

  #connect(): void {
    const { address, servername } = this.#options
    const { protocol, port, hostname, host } = this.#url
    // undici would verify the name in the URL. The configuration decides the name.
    const target = { hostname: address ?? hostname.replace(/^\[|\]$/g, ''), host, protocol, port, ...(servername === undefined ? {} : { servername }) }
    try {
      this.#connector(target, (...result) => {
        const [error, socket] = result
        if (error !== null) return this.#fail(error)
        if (this.#destroyed) return void socket.destroy()
        this.#adopt(socket)
        this.begin()
      })
    } catch (error) {
      // Node rejected the TLS options. Runs after the caller.
      queueMicrotask(() => this.#fail(error as Error))
    }
  }

  #adopt(socket: Socket): void {
    this.#socket = socket
    this.#served = 0
    this.#idleMs = idleMs
    this.#options.sweep.join(this)
    link(socket, this)
    socket.on('error', (error) => this.#lost(socket, error))
    socket.on('end', () => this.#ended(socket))
    socket.on('close', () => this.#lost(socket, undefined))
    // Without a reader the end of the connection would not be reported.
    socket.resume()
  }

  #send(socket: Socket): void {
    const handler = this.#handler as ResponseHandler
    const request = this.#request as TransportRequest
    const rendered = renderRequest(request, this.#url.host)
    if (rendered === undefined) return this.#fail(new SpringhouseError('BAD_REQUEST', { detail: 'a request that no server may be sent' }))
    handler.onRequestStart(this)
    // It may have been aborted.
    if (this.#handler !== handler) return
    this.#sent = true
    this.#awaitsHead = true
    this.#persists = rendered.persists
    this.#reader.begin(request.method)
    if (rendered.body === null || Buffer.isBuffer(rendered.body)) {
      this.deadline = this.#headDeadline
      return writeWhole(socket, rendered)
    }
    this.#upload = new Upload(socket, rendered, this)
    this.#upload.start()
  }

  get #headDeadline(): number {
    return this.#options.sweep.after(this.#options.timeouts.headersMs)
  }

  // The time for the head begins when the request has been sent. Until then the server is late only if it takes no more bytes.
  onUploadMoved(blocked: boolean): void {
    if (this.#awaitsHead) this.deadline = blocked ? this.#headDeadline : Infinity
  }

  onUploaded(): void {
    this.#upload = undefined
    if (this.#awaitsHead) this.deadline = this.#headDeadline
  }

  onUploadFailed(error: Error): void {
    this.#fail(error)
  }

  expired(): void {
    if (this.#handler === undefined) this.#drop()
    else this.#fail(new SpringhouseError('ORIGIN_TIMEOUT'))
  }

  received(bytes: Buffer): void {
    // Nobody requested anything. A later request must not take this for its response.
    if (this.#reader.isIdle) return this.#drop()
    this.receivedAny = true
    this.#reader.read(bytes)
  }

  interim({ status, lines }: Http1Head): void {
    if (this.deadline !== Infinity) this.deadline = this.#headDeadline
    this.#handler?.onResponseStart(this, status, lines)
  }

  head(head: Http1Head): void {
    this.#takeHead(head)
    this.#handler?.onResponseStart(this, head.status, head.lines)
  }

  data(pieces: readonly Buffer[]): void {
    this.#handler?.onResponseData(this, own(pieces))
  }

  end(trailers: FieldLines, surplus: Surplus): void {
    const handler = this.#handler as ResponseHandler
    // RFC 9110 §6.5.1: none of these may be a trailer. A server that sends one may treat its connection as it says.
    if (hasField(trailers, 'connection') || hasField(trailers, 'transfer-encoding')) this.#persists = false
    if (surplus === 'fault') return this.#fail(surplusFault())
    this.#finish(surplus)
    handler.onResponseEnd(this, trailers)
  }

  whole(head: Http1Head, body: Buffer, surplus: Surplus): void {
    const handler = this.#handler as ResponseHandler
    this.#takeHead(head)
    if (surplus === 'fault') return this.#fail(surplusFault())
    // The end of the response ends an upload that the server does not want, so the head is reported before.
    if (this.#upload === undefined && handler.acceptsWhole?.(head.status, head.lines) === true) {
      this.#finish(surplus)
      return handler.onResponseWhole?.(head.status, body.length === 0 ? body : own([body]))
    }
    handler.onResponseStart(this, head.status, head.lines)
    if (body.length > 0 && this.#handler === handler) handler.onResponseData(this, own([body]))
    if (this.#handler !== handler) return
    this.#finish(surplus)
    handler.onResponseEnd(this, none)
  }

  malformed(code: ErrorCode, detail: string): void {
    this.#fail(new SpringhouseError(code, { detail }))
  }

  #takeHead({ isHttp10, persists, keepAliveMs }: Http1Head): void {
    this.#awaitsHead = false
    this.deadline = Infinity
    this.isHttp10 = isHttp10
    this.#idleMs = keepAliveMs === undefined ? idleMs : Math.min(keepAliveMs - marginMs, longestIdleMs)
    if (!persists || this.#idleMs <= 0) this.#persists = false
  }

  /** Ends a request whose response is complete. */
  #finish(surplus: Surplus): void {
    // A response before the end of its request: the server does not want the rest of the body, and would take it for a request.
    const isWhole = this.#upload === undefined
    this.#forget()
    this.#served++
    if (surplus !== 'none' || !isWhole || !this.#persists || this.#servesNoOther) return this.#drop()
    this.deadline = this.#options.sweep.after(this.#idleMs)
    // A body may end while it is paused. The next response must be read, and the end of the connection.
    this.resume()
  }

  /** Ends the request in flight with an error; without one, closes the socket. */
  #fail(error: Error): void {
    const handler = this.#handler
    this.#forget()
    // Before anything was sent, the socket is as it was.
    if (handler === undefined || this.#sent) this.#drop()
    else this.deadline = this.#options.sweep.after(this.#idleMs)
    handler?.onResponseError(this, error)
  }

  #forget(): void {
    this.#upload?.stop()
    this.#upload = undefined
    this.#request = undefined
    this.#handler = undefined
    this.#reader.stop()
  }

  /** Closes the socket. */
  #drop(): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#socket = undefined
    this.paused = false
    unlink(socket)
    this.#options.sweep.leave(this)
    socket.destroy()
    this.#options.sockets.destroyed(socket)
    if (this.#handler === undefined) this.#home.closed(this)
  }

  #ended(socket: Socket): void {
    if (socket !== this.#socket) return
    if (!this.#reader.endsWithConnection) return this.#lost(socket, undefined)
    this.#persists = false
    if (this.#wasReset(socket)) this.#fail(new SpringhouseError('ORIGIN_TRUNCATED'))
    else this.#reader.finish()
  }

  /**
   * Returns whether a socket that reports an orderly end was in fact reset. If a hang-up follows a short read, libuv reports the end
   * of the stream and never reads the error (uv__stream_io), so a body without a length would seem complete. The system still
   * knows: a reset connection has no peer address, while a half-closed one has. The address is read only here, because Node caches
   * the first one that it gets. A local socket has no address.
   */
  #wasReset(socket: Socket): boolean {
    return this.#options.socketPath === undefined && socket.remoteAddress === undefined
  }

  #lost(socket: Socket, error: Error | undefined): void {
    if (socket !== this.#socket) return
    // A request that has not been sent goes over a new socket.
    if (!this.#sent || this.#handler === undefined) return this.#drop()
    this.#fail(error ?? Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
  }

  pause(): void {
    if (this.paused || this.#handler === undefined) return
    this.paused = true
    this.#socket?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#socket?.resume()
  }

  abort(reason: Error): void {
    if (this.#handler !== undefined) this.#fail(reason)
  }

  /** True if its socket had served before, so that the server may have closed it just as it was chosen. */
  get stale(): boolean {
    return this.#served > 0
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

  /** True if it has a socket that is not closed. */
  get isOpen(): boolean {
    return this.#socket !== undefined
  }

  /** Closes the socket, and fails the request in flight. Resolves when the socket is closed. */
  destroy(): Promise<void> {
    this.#destroyed = true
    const socket = this.#socket
    const closed = socket === undefined || socket.destroyed ? Promise.resolve() : new Promise<void>((resolve) => socket.once('close', resolve))
    this.#sent = true
    this.#fail(Object.assign(new Error('the connection was destroyed'), { code: 'UND_ERR_DESTROYED' }))
    return closed
  }
}

const none: FieldLines = []

function surplusFault(): SpringhouseError {
  return new SpringhouseError('ORIGIN_MALFORMED', { detail: 'bytes behind the message' })
}
