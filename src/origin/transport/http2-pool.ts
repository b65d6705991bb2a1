// The HTTP/2 connections to one server, with HTTP/1.1 if the server does not choose HTTP/2.
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { plainHost } from '../dns.ts'
import type { TransportPool, PoolWaiter } from './transport.ts'
import type { IdleHolder } from './socket-budget.ts'
import { ownTls, type OriginTls } from '../config.ts'
import { Http1Pool, uploadsAmong, type Http1PoolOptions } from './http1-pool.ts'
import { Http2Connection } from './http2-connection.ts'
import { Http2StreamTransport } from './http2-stream.ts'

/** How long HTTP/1.1 is used after a server chose it. */
const http1ForMs = 60_000
/** How long a session may have been idle. After that a middlebox may have dropped it silently. */
const longestIdleMs = 60_000

export interface Http2PoolOptions extends Http1PoolOptions {
  readonly tls: OriginTls | undefined
}

/**
 * Negotiates HTTP/2 by ALPN (RFC 7301); without TLS it uses HTTP/2 from the first byte (RFC 9113 §3.3). A session is used once
 * the server's SETTINGS arrived, so that no request goes to a server without HTTP/2, and no more than the server allows.
 * Another session is opened only if the existing ones have no room.
 */
export class Http2Pool implements TransportPool, IdleHolder {
  readonly #options: Http2PoolOptions
  readonly #http1: Http1Pool
  #http1UntilMs = -Infinity
  readonly #sessions = new Set<Http2Connection>()
  readonly #waiting = new Set<PoolWaiter>()
  /** Streams in flight. */
  #busy = 0
  /** Streams in flight whose request has a body. */
  #uploads = 0
  #dialling: Dial | undefined
  #retired = false
  #closed = false

  constructor(options: Http2PoolOptions) {
    this.#options = options
    this.#http1 = new Http1Pool(options)
    options.sockets.join(this)
  }

  acquire(waiter: PoolWaiter): void {
    if (this.#options.clock.monotonic() < this.#http1UntilMs) return this.#http1.acquire(waiter)
    this.#waiting.add(waiter)
    this.#serve()
  }

  cancel(waiter: PoolWaiter): boolean {
    return this.#waiting.delete(waiter) || this.#http1.cancel(waiter)
  }

  /** Starts waiters on sessions with room, and dials another session if waiters are left. */
  #serve(): void {
    for (const waiter of this.#waiting) {
      if (waiter.uploads && this.#uploads >= uploadsAmong(this.#options.most)) continue
      const session = this.#withRoom()
      if (session === undefined) return this.#dial()
      this.#waiting.delete(waiter)
      waiter.start(this.#streamOf(session, waiter.uploads))
    }
  }

  #withRoom(): Http2Connection | undefined {
    if (this.#busy >= this.#options.most) return undefined
    const nowMs = this.#options.clock.monotonic()
    for (const session of this.#sessions) {
      if (session.idle && nowMs - session.idleSinceMs > longestIdleMs) session.end()
      else if (session.room) return session
    }
    return undefined
  }

  #streamOf(session: Http2Connection, uploads: boolean): Http2StreamTransport {
    this.#busy++
    if (uploads) this.#uploads++
    session.take()
    let counted = true
    const leave = (): void => {
      if (!counted) return
      counted = false
      this.#busy--
      if (uploads) this.#uploads--
    }
    return new Http2StreamTransport(session, () => {
      leave()
      this.#serve()
    }, () => {
      leave()
      session.giveBack(this.#options.clock.monotonic())
      if (this.#retired && session.idle) session.end()
      this.#serve()
    })
  }

  #dial(): void {
    if (this.#dialling !== undefined || this.#closed || this.#busy >= this.#options.most) return
    let usable = 0
    for (const session of this.#sessions) if (session.usable) usable++
    if (usable >= this.#options.most) return
    try {
      this.#dialling = this.#begin()
    } catch (error) {
      // No socket is left, or Node rejected the TLS options. Runs after the caller.
      queueMicrotask(() => this.#notMade(error as Error))
    }
  }

  #begin(): Dial {
    return new Dial(this.#options, {
      session: (session) => {
        this.#dialling = undefined
        session.idleSinceMs = this.#options.clock.monotonic()
        this.#sessions.add(session)
        this.#serve()
        if (this.#retired && session.idle) session.end()
      },
      changed: () => this.#serve(),
      lost: (session) => {
        this.#sessions.delete(session)
        this.#serve()
      },
      http1: (socket) => {
        this.#dialling = undefined
        this.#useHttp1(socket)
      },
      failed: (error) => {
        this.#dialling = undefined
        this.#notMade(error)
      },
    })
  }

  /** Refuses the waiters, unless another session is usable: then they wait for it. */
  #notMade(error: Error): void {
    for (const session of this.#sessions) if (session.usable) return
    this.#refuse(error)
  }

  closeIdle(): boolean {
    for (const session of this.#sessions) {
      if (!session.idle || !session.usable) continue
      session.end()
      return true
    }
    return false
  }

  #useHttp1(socket: Socket): void {
    this.#http1UntilMs = this.#options.clock.monotonic() + http1ForMs
    const [first, ...others] = this.#waiting
    this.#waiting.clear()
    if (first === undefined) return void socket.destroy()
    this.#http1.adopt(opened(socket, this.#options.connector), first)
    for (const waiter of others) this.#http1.acquire(waiter)
  }

  #refuse(error: Error): void {
    const refused = [...this.#waiting]
    this.#waiting.clear()
    for (const waiter of refused) waiter.onConnectError(error)
  }

  refused(): void {
    for (const session of this.#sessions) session.end()
    this.#http1.refused()
  }

  retire(): void {
    this.#retired = true
    this.#options.sockets.leave(this)
    for (const session of this.#sessions) session.end()
    this.#http1.retire()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#options.sockets.leave(this)
    const error = Object.assign(new Error('the pool is closed'), { code: 'UND_ERR_DESTROYED' })
    this.#dialling?.giveUp(error)
    this.#refuse(error)
    await Promise.all([...Array.from(this.#sessions, (session) => session.destroy(error)), this.#http1.close()])
  }
}

interface Dialled {
  session(session: Http2Connection): void
  changed(): void
  lost(session: Http2Connection): void
  http1(socket: Socket): void
  failed(error: Error): void
}

/** A connection being made: TCP, TLS, and the server's SETTINGS, all within `connectMs`. */
class Dial {
  readonly #tell: Dialled
  readonly #socket: Socket
  readonly #deadline: NodeJS.Timeout
  #over = false

  /** @throws SpringhouseError PROXY_EXHAUSTED */
  constructor(options: Http2PoolOptions, tell: Dialled) {
    const { url, address, servername, socketPath, tls, timeouts, sockets } = options
    this.#tell = tell
    sockets.take()
    const { protocol, port } = new URL(url)
    const host = address ?? plainHost(url)
    const secure = protocol === 'https:'
    const common = { host, port: port === '' ? (secure ? 443 : 80) : Number(port) }
    let socket: Socket
    try {
      socket = secure
        ? connectTls({
          ...common,
          ALPNProtocols: ['h2', 'http/1.1'],
          rejectUnauthorized: tls?.rejectUnauthorized ?? true,
          ...(servername === undefined ? {} : { servername }),
          ...ownTls(tls),
        })
        : connectPlain(socketPath === undefined ? common : { path: socketPath })
    } catch (error) {
      sockets.giveBack()
      throw error
    }
    this.#socket = socket
    sockets.giveBackAfter(socket)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 60_000)
    this.#deadline = setTimeout(() => this.giveUp(new SpringhouseError('ORIGIN_CONNECT_TIMEOUT')), timeouts.connectMs)
    // Later errors belong to the session, or to the HTTP/1.1 connection.
    socket.on('error', (error) => this.giveUp(error))
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      if (this.#over) return
      if (secure && (socket as TLSSocket).alpnProtocol !== 'h2') this.#done(() => tell.http1(socket))
      else this.#begin(options)
    })
    socket.once('close', () => this.giveUp(Object.assign(new Error('closed before the connection was made'), { code: 'ECONNRESET' })))
  }

  #begin(options: Http2PoolOptions): void {
    let made = false
    const session: Http2Connection = new Http2Connection(this.#socket, options.url, options, {
      ready: () => {
        made = !this.#over
        this.#done(() => this.#tell.session(session))
      },
      room: () => this.#tell.changed(),
      closing: () => this.#tell.changed(),
      lost: (error) => {
        if (made) this.#tell.lost(session)
        else this.giveUp(error)
      },
    })
  }

  /** Fails the dial. Nothing was sent, so every failure counts as a connection that could not be made. */
  giveUp(error: Error): void {
    this.#done(() => {
      this.#socket.destroy()
      const malformed = error instanceof SpringhouseError && error.code === 'ORIGIN_MALFORMED'
      this.#tell.failed(malformed ? new SpringhouseError('ORIGIN_UNREACHABLE', { cause: error, detail: 'the server does not speak HTTP/2' }) : error)
    })
  }

  #done(then: () => void): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#deadline)
    then()
  }
}

/** Returns a connector that gives an existing socket first, and new ones afterwards. */
function opened(socket: Socket, connector: buildConnector.connector): buildConnector.connector {
  let first: Socket | undefined = socket
  return (options, callback) => {
    const given = first
    first = undefined
    if (given === undefined || given.destroyed) connector(options, callback)
    // Runs after the caller, as a connection that has to be made does.
    else queueMicrotask(() => callback(null, given as TLSSocket))
  }
}
