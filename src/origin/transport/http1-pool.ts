// The HTTP/1.1 connections to one server, and the queue of waiters.
import type { buildConnector } from 'undici'
import type { Clock } from '../../clock.ts'
import type { TransportPool, PoolWaiter } from './transport.ts'
import type { IdleHolder } from './socket-budget.ts'
import { Http1Connection, type Http1ConnectionOptions } from './http1-connection.ts'

/**
 * How long ago the last response on a connection may have ended, for a request that must not be sent twice. `safe`: no server
 * closes a connection so soon. The connection is read once more before the request is sent, and another socket is opened if anything
 * has arrived.
 */
const surelyOpenMs = { safe: 10, always: 500 } as const

/**
 * How often a new connection is opened although an idle one is at hand. A server that is being stopped takes no new connections, and
 * may serve its old ones for as long as they are used: Node's does.
 */
const confirmEveryMs = 1_000

/** Returns how many of `most` concurrent requests may be uploads, so that slow senders cannot block all other requests. */
export function uploadsAmong(most: number): number {
  return Math.max(1, Math.floor(most * 0.75))
}

export interface Http1PoolOptions extends Http1ConnectionOptions {
  readonly connector: buildConnector.connector
  readonly clock: Clock
  /** See OriginConfig. */
  readonly reuse: 'safe' | 'always'
  /** Most connections. */
  readonly most: number
}

export class Http1Pool implements TransportPool, IdleHolder {
  readonly #options: Http1PoolOptions
  readonly #all = new Set<Http1Connection>()
  /** Connections that have left their place, because they carry a stream. */
  readonly #streams = new Set<Http1Connection>()
  readonly #idle: Http1Connection[] = []
  readonly #waiting = new Set<PoolWaiter>()
  readonly #mostUploads: number
  #uploads = 0
  #retired = false
  /** When a connection was last opened, and when the server last refused one. */
  #openedMs = -Infinity
  #refusedMs = -Infinity

  constructor(options: Http1PoolOptions) {
    this.#options = options
    this.#mostUploads = uploadsAmong(options.most)
    options.sockets.join(this)
  }

  acquire(waiter: PoolWaiter): void {
    if (!this.#hasRoomFor(waiter)) {
      this.#waiting.add(waiter)
      return
    }
    // The most recently used connection is the least likely to have been closed.
    const last = this.#idle.at(-1)
    const nowMs = this.#options.clock.monotonic()
    if (last !== undefined && nowMs - this.#openedMs < confirmEveryMs && (waiter.repeatable || this.#isSurelyOpen(last, nowMs))) {
      this.#idle.pop()
      return this.#start(waiter, last)
    }
    if (this.#all.size >= this.#options.most) {
      // Only at the limit an idle connection is closed for the new one.
      const oldest = this.#idle.shift()
      if (oldest === undefined) return void this.#waiting.add(waiter)
      this.#part(oldest)
    }
    this.#start(waiter, this.#open(this.#options.connector))
  }

  #hasRoomFor(waiter: PoolWaiter): boolean {
    return !waiter.uploads || this.#uploads < this.#mostUploads
  }

  #start(waiter: PoolWaiter, connection: Http1Connection): void {
    this.#lend(waiter, connection)
    waiter.start(connection)
  }

  #lend(waiter: PoolWaiter, connection: Http1Connection): void {
    connection.uploading = waiter.uploads
    if (waiter.uploads) this.#uploads++
  }

  #takeBack(connection: Http1Connection): void {
    if (connection.uploading) this.#uploads--
    connection.uploading = false
  }

  /** Gives the waiter a connection over the socket that the connector has already opened. */
  adopt(opened: buildConnector.connector, waiter: PoolWaiter): void {
    this.#start(waiter, this.#open(opened))
  }

  #isSurelyOpen(idle: Http1Connection, nowMs: number): boolean {
    return nowMs - idle.idleSinceMs <= surelyOpenMs[this.#options.reuse]
  }

  /** Lets a connection leave its place: see Transport. It closes when its stream has ended. */
  leave(connection: Http1Connection): void {
    this.#takeBack(connection)
    this.#all.delete(connection)
    this.#streams.add(connection)
    this.#openForNext()
  }

  /** Takes back a connection: see Transport. */
  release(connection: Http1Connection): void {
    if (this.#streams.delete(connection)) return void connection.destroy()
    this.#takeBack(connection)
    // It carried its last request.
    if (!connection.isOpen) {
      this.#all.delete(connection)
      return this.#openForNext()
    }
    const waiter = this.#nextWaiting()
    if (waiter !== undefined) {
      this.#lend(waiter, connection)
      queueMicrotask(() => waiter.start(connection))
    } else if (this.#retired || connection.createdMs < this.#refusedMs) this.#part(connection)
    else {
      connection.idleSinceMs = this.#options.clock.monotonic()
      this.#idle.push(connection)
    }
  }

  /** Takes back a connection that could not be made. */
  discard(connection: Http1Connection): void {
    this.#takeBack(connection)
    this.#part(connection)
    this.#openForNext()
  }

  /** Opens a connection for the next waiter, because there is room for one more. */
  #openForNext(): void {
    const waiter = this.#nextWaiting()
    if (waiter !== undefined) this.#start(waiter, this.#open(this.#options.connector))
  }

  /** Forgets an idle connection whose socket was closed. */
  closed(connection: Http1Connection): void {
    const at = this.#idle.indexOf(connection)
    if (at < 0) return
    this.#idle.splice(at, 1)
    this.#all.delete(connection)
  }

  #nextWaiting(): PoolWaiter | undefined {
    for (const waiter of this.#waiting) {
      if (!this.#hasRoomFor(waiter)) continue
      this.#waiting.delete(waiter)
      return waiter
    }
    return undefined
  }

  refused(): void {
    this.#refusedMs = this.#options.clock.monotonic()
    for (const connection of this.#idle.splice(0)) this.#part(connection)
  }

  #open(connector: buildConnector.connector): Http1Connection {
    this.#openedMs = this.#options.clock.monotonic()
    const connection = new Http1Connection(this, connector, this.#options, this.#openedMs)
    this.#all.add(connection)
    return connection
  }

  #part(connection: Http1Connection): void {
    this.#all.delete(connection)
    void connection.destroy()
  }

  cancel(waiter: PoolWaiter): boolean {
    return this.#waiting.delete(waiter)
  }

  closeIdle(): boolean {
    const oldest = this.#idle.shift()
    if (oldest === undefined) return false
    this.#part(oldest)
    return true
  }

  retire(): void {
    this.#retired = true
    this.#options.sockets.leave(this)
    for (const connection of this.#idle.splice(0)) this.#part(connection)
  }

  async close(): Promise<void> {
    this.#options.sockets.leave(this)
    const refused = [...this.#waiting]
    this.#waiting.clear()
    for (const waiter of refused) waiter.onConnectError(Object.assign(new Error('the pool is closed'), { code: 'UND_ERR_DESTROYED' }))
    await Promise.all([...this.#all, ...this.#streams].map((connection) => connection.destroy()))
  }
}
