// One server of a pool: its connections, the queue before them, and whether it is thought to be alive.
import { isIP } from 'node:net'
import { buildConnector } from 'undici'
import type { BaseLogger } from 'pino'
import type { Clock } from '../clock.ts'
import type { OriginConfig } from './config.ts'
import { Connection } from './connection.ts'
import type { OriginServerStatus } from './origin.ts'

/** Who waits for a connection. */
export interface Waiter {
  /** The connection is the waiter's until it is released. Not called within `acquire` of a full server. */
  start(connection: Connection): void
}

/** Failed connections in a row that take a server out. */
const failuresToEject = 3
const firstEjectionMs = 1_000
const longestEjectionMs = 60_000
/** Failed health checks in a row that take a server out. One passed check brings it back. */
const failedChecksToEject = 2

export class OriginServer {
  readonly origin: string
  readonly url: string
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

  constructor(origin: string, url: string, config: OriginConfig, clock: Clock, logger: BaseLogger) {
    const { origin: base, hostname } = new URL(url)
    this.origin = origin
    this.url = base
    this.#config = config
    this.#clock = clock
    this.#logger = logger
    // SNI has no addresses (RFC 6066 §3); the certificate is then held against the address that was dialled.
    this.#servername = config.tls?.servername ?? (isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined)
    this.#connector = buildConnector({
      timeout: config.timeouts.connectMs,
      rejectUnauthorized: config.tls?.rejectUnauthorized ?? true,
      ...(config.tls?.ca === undefined ? {} : { ca: config.tls.ca }),
    })
  }

  /** Another connection to it, outside the counted ones: for health checks. */
  connect(): Connection {
    return new Connection(this.url, this.#connector, this.#config.timeouts, this.#servername)
  }

  /** Whether one more request would find neither a connection nor room to wait for one. */
  get full(): boolean {
    return this.pending >= this.#config.maxConnections + this.#config.maxQueue
  }

  /** Gives the waiter a connection: now, or when one is free. The caller has looked at `full`. */
  acquire(waiter: Waiter): void {
    this.pending++
    // The connection that was used last is the least likely to have been closed meanwhile.
    const idle = this.#idle.pop()
    if (idle !== undefined) return waiter.start(idle)
    if (this.#connections.size < this.#config.maxConnections) waiter.start(this.#open())
    else this.#waiting.add(waiter)
  }

  /** Takes back a connection. After a failure, not from within undici's own call: it must have put the client in order. */
  release(connection: Connection): void {
    this.pending--
    const waiter = this.#nextWaiting()
    if (waiter === undefined) this.#idle.push(connection)
    else queueMicrotask(() => waiter.start(connection))
  }

  /**
   * Takes back a connection that could not be made. A Client is not used again after that: some failed handshakes leave it
   * counting a request that is gone, and it would never send another.
   */
  discard(connection: Connection): void {
    this.pending--
    this.#connections.delete(connection)
    void connection.client.destroy()
    const waiter = this.#nextWaiting()
    if (waiter !== undefined) waiter.start(this.#open())
  }

  #nextWaiting(): Waiter | undefined {
    for (const waiter of this.#waiting) {
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
    this.#logger.info({ origin: this.origin, server: this.url }, 'origin server is back')
  }

  /** A connection to it could not be made, or was reset before an answer. */
  failed(error: Error): void {
    this.failures++
    if (this.failures < failuresToEject) return
    if (this.#outUntilMs !== undefined) {
      // Of those that were under way when it was taken out: nothing new.
      if (!this.#onTrial) return
      // Exponential: each failed trial doubles the next term.
      this.#onTrial = false
      this.#ejectionMs = Math.min(this.#ejectionMs * 2, longestEjectionMs)
    }
    this.#outUntilMs = this.#clock.monotonic() + this.#ejectionMs
    this.#logger.warn({ origin: this.origin, server: this.url, err: error, forMs: this.#ejectionMs }, 'origin server taken out')
  }

  /** What a health check found. */
  checked(passed: boolean): void {
    if (passed) {
      if (this.#failedChecks >= failedChecksToEject) this.#logger.info({ origin: this.origin, server: this.url }, 'origin server passes its health checks')
      this.#failedChecks = 0
      this.succeeded()
      return
    }
    this.#failedChecks++
    if (this.#failedChecks === failedChecksToEject) this.#logger.warn({ origin: this.origin, server: this.url }, 'origin server fails its health checks')
  }

  status(): OriginServerStatus {
    return { origin: this.origin, url: this.url, healthy: this.healthy, pending: this.pending, consecutiveFailures: this.failures }
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#connections, (connection) => connection.client.destroy()))
  }
}
