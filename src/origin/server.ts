// One server of a pool: its connections, the queue before them, and whether it is thought to be alive.
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { BaseLogger } from 'pino'
import type { Clock } from '../clock.ts'
import { plainHost } from './addresses.ts'
import type { OriginConfig } from './config.ts'
import { Connection } from './connection.ts'
import { watchHealth } from './health.ts'
import type { OriginServerStatus } from './origin.ts'
import type { Weighted } from './turns.ts'

/** Who waits for a connection. */
export interface Waiter {
  /** Whether it may be sent twice, should its connection turn out to be gone: then any idle one will do. */
  readonly repeatable: boolean
  /** Whether it has a body, which comes as slowly as its sender likes, and the connection is held for as long. */
  readonly uploads: boolean
  /** The connection is the waiter's until it is released. Not called within `acquire` of a full server. */
  start(connection: Connection): void
}

/** Failed connections in a row that take a server out. */
const failuresToEject = 3
const firstEjectionMs = 1_000
const longestEjectionMs = 60_000
/** Failed health checks in a row that take a server out. One passed check brings it back. */
const failedChecksToEject = 2

/** The share of the connections that uploads may hold, so that many slow senders do not keep everybody else waiting. */
const uploadsShare = 0.75

/** How long a connection may have been idle for a request that must not be sent twice, where the pool reuses for those too. */
const surelyOpenMs = 500

export interface OriginServerParts {
  /** Name of the pool. */
  readonly origin: string
  readonly url: string
  /** Its share of the pool's requests, against the others'. */
  readonly weight: number
  /** Where to connect to, in place of the URL's host; undefined: as the host resolves at each connection. */
  readonly address: string | undefined
  readonly config: OriginConfig
  readonly clock: Clock
  readonly logger: BaseLogger
}

export class OriginServer implements Weighted {
  readonly origin: string
  readonly url: string
  readonly weight: number
  credit = 0
  readonly address: string | undefined
  /** Whether its address has vanished: it finishes what is under way, and is given nothing new. */
  retired = false
  /** Requests that have a connection or wait for one. */
  pending = 0
  /** Connections that failed in a row, with no response between them. */
  failures = 0
  #outUntilMs: number | undefined
  #ejectionMs = firstEjectionMs
  #onTrial = false
  #failedChecks = 0
  readonly #config: OriginConfig
  readonly #clock: Clock
  readonly #logger: BaseLogger
  readonly #connector: buildConnector.connector
  readonly #servername: string | undefined
  readonly #connections = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #waiting = new Set<Waiter>()
  readonly #mostUploads: number
  #uploads = 0
  readonly #tunnels = new Set<Socket>()
  readonly #health: { stop(): Promise<void> } | undefined

  constructor({ origin, url, weight, address, config, clock, logger }: OriginServerParts) {
    const host = plainHost(url)
    this.origin = origin
    this.url = new URL(url).origin
    this.weight = weight
    this.address = address
    this.#config = config
    this.#mostUploads = Math.max(1, Math.floor(config.maxConnections * uploadsShare))
    this.#clock = clock
    this.#logger = logger
    // SNI has no addresses (RFC 6066 §3); the certificate is then held against the address that was dialled.
    this.#servername = config.tls?.servername ?? (isIP(host) === 0 ? host : undefined)
    this.#connector = buildConnector({
      timeout: config.timeouts.connectMs,
      rejectUnauthorized: config.tls?.rejectUnauthorized ?? true,
      ...(config.tls?.ca === undefined ? {} : { ca: config.tls.ca }),
    })
    this.#health = config.health === undefined ? undefined : watchHealth(this, config.health)
  }

  /** Another connection to it, outside the counted ones: for health checks. */
  connect(): Connection {
    return new Connection(this.url, this.#connector, { timeouts: this.#config.timeouts, servername: this.#servername, address: this.address })
  }

  /**
   * A bare socket to it, verified as its connections are, for a protocol that is not HTTP. It counts as a request under way
   * until it is closed.
   */
  dial(opened: buildConnector.Callback): void {
    const { protocol, port, host } = new URL(this.url)
    this.pending++
    const options = { hostname: this.address ?? plainHost(this.url), host, protocol, port, ...(this.#servername === undefined ? {} : { servername: this.#servername }) }
    this.#connector(options, (...result) => {
      const [error, socket] = result
      if (error !== null) this.pending--
      else {
        this.#tunnels.add(socket)
        socket.once('close', () => {
          this.pending--
          this.#tunnels.delete(socket)
        })
      }
      opened(...result)
    })
  }

  /** Whether one more request would find neither a connection nor room to wait for one. */
  get full(): boolean {
    return this.pending >= this.#config.maxConnections + this.#config.maxQueue
  }

  /** Gives the waiter a connection: now, or when one is free. The caller has looked at `full`. */
  acquire(waiter: Waiter): void {
    this.pending++
    if (!this.#hasRoomFor(waiter)) {
      this.#waiting.add(waiter)
      return
    }
    // The connection that was used last is the least likely to have been closed meanwhile.
    const idle = this.#idle.pop()
    if (idle !== undefined && (waiter.repeatable || this.#isSurelyOpen(idle))) return this.#start(waiter, idle)
    if (idle !== undefined) this.#part(idle)
    if (this.#connections.size < this.#config.maxConnections) this.#start(waiter, this.#open())
    else this.#waiting.add(waiter)
  }

  #hasRoomFor(waiter: Waiter): boolean {
    return !waiter.uploads || this.#uploads < this.#mostUploads
  }

  #start(waiter: Waiter, connection: Connection): void {
    this.#lend(waiter, connection)
    waiter.start(connection)
  }

  #lend(waiter: Waiter, connection: Connection): void {
    connection.uploading = waiter.uploads
    if (waiter.uploads) this.#uploads++
  }

  #takeBack(connection: Connection): void {
    this.pending--
    if (connection.uploading) this.#uploads--
    connection.uploading = false
  }

  #isSurelyOpen(idle: Connection): boolean {
    return this.#config.reuse === 'always' && this.#clock.monotonic() - idle.idleSinceMs <= surelyOpenMs
  }

  /** Takes back a connection. After a failure, not from within undici's own call: it must have put the client in order. */
  release(connection: Connection): void {
    this.#takeBack(connection)
    const waiter = this.#nextWaiting()
    if (waiter !== undefined) {
      this.#lend(waiter, connection)
      queueMicrotask(() => waiter.start(connection))
    } else if (this.retired) queueMicrotask(() => this.#part(connection))
    else {
      connection.idleSinceMs = this.#clock.monotonic()
      this.#idle.push(connection)
    }
  }

  /** Its address has vanished: nothing new is sent to it, and what is idle is closed. */
  retire(): void {
    this.retired = true
    void this.#health?.stop()
    for (const connection of this.#idle.splice(0)) this.#part(connection)
  }

  #part(connection: Connection): void {
    this.#connections.delete(connection)
    void connection.client.destroy()
  }

  /**
   * Takes back a connection that could not be made. A Client is not used again after that: some failed handshakes leave it
   * counting a request that is gone, and it would never send another.
   */
  discard(connection: Connection): void {
    this.#takeBack(connection)
    this.#part(connection)
    const waiter = this.#nextWaiting()
    if (waiter !== undefined) this.#start(waiter, this.#open())
  }

  #nextWaiting(): Waiter | undefined {
    for (const waiter of this.#waiting) {
      if (!this.#hasRoomFor(waiter)) continue
      this.#waiting.delete(waiter)
      return waiter
    }
    return undefined
  }

  #open(): Connection {
    const connection = this.connect()
    this.#connections.add(connection)
    return connection
  }

  /** Stops waiting. False: it has a connection already. */
  cancel(waiter: Waiter): boolean {
    if (!this.#waiting.delete(waiter)) return false
    this.pending--
    return true
  }

  /** Whether it is in use: not ejected, and not failing its health checks. */
  get healthy(): boolean {
    return this.#failedChecks < failedChecksToEject && this.#outUntilMs === undefined
  }

  /**
   * Whether to send it a request now. An ejected server whose time is over gets one, as a trial; until that one is
   * answered it counts as ejected anew, so that a dead server costs one request per term and not all of them.
   */
  admits(): boolean {
    if (this.#failedChecks >= failedChecksToEject) return false
    if (this.#outUntilMs === undefined) return true
    const nowMs = this.#clock.monotonic()
    if (nowMs < this.#outUntilMs) return false
    this.#outUntilMs = nowMs + this.#ejectionMs
    this.#onTrial = true
    return true
  }

  /** It answered. */
  succeeded(): void {
    this.failures = 0
    if (this.#outUntilMs === undefined) return
    this.#outUntilMs = undefined
    this.#onTrial = false
    this.#ejectionMs = firstEjectionMs
    this.#logger.info(this.#named(), 'origin server is back')
  }

  /** A connection to it could not be made, or was reset before an answer. */
  failed(error: Error): void {
    this.failures++
    if (this.retired || this.failures < failuresToEject) return
    if (this.#outUntilMs !== undefined) {
      // Of those that were under way when it was taken out: nothing new.
      if (!this.#onTrial) return
      // Exponential: each failed trial doubles the next term.
      this.#onTrial = false
      this.#ejectionMs = Math.min(this.#ejectionMs * 2, longestEjectionMs)
    }
    this.#outUntilMs = this.#clock.monotonic() + this.#ejectionMs
    this.#logger.warn({ ...this.#named(), err: error, forMs: this.#ejectionMs }, 'origin server taken out')
  }

  /** What a health check found. */
  checked(passed: boolean): void {
    if (passed) {
      if (this.#failedChecks >= failedChecksToEject) this.#logger.info(this.#named(), 'origin server passes its health checks')
      this.#failedChecks = 0
      this.succeeded()
      return
    }
    this.#failedChecks++
    if (this.#failedChecks === failedChecksToEject) this.#logger.warn(this.#named(), 'origin server fails its health checks')
  }

  status(): OriginServerStatus {
    const { origin, url, address, healthy, pending, failures } = this
    return { origin, url, ...(address === undefined ? {} : { address }), healthy, pending, consecutiveFailures: failures }
  }

  // As the log names it.
  #named(): object {
    return { origin: this.origin, server: this.url, address: this.address }
  }

  async close(): Promise<void> {
    await this.#health?.stop()
    for (const socket of this.#tunnels) socket.destroy()
    await Promise.all(Array.from(this.#connections, (connection) => connection.client.destroy()))
  }
}
