// One server of a pool: what is under way to it, and whether it is thought to be alive.
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { BaseLogger } from 'pino'
import type { Clock } from '../../clock.ts'
import { plainHost } from '../dns.ts'
import type { Transport, TransportPool, PoolWaiter } from '../transport/transport.ts'
import type { OriginConfig } from '../config.ts'
import { Http1Pool } from '../transport/http1-pool.ts'
import { watchHealth } from './health-check.ts'
import type { OriginServerStatus } from '../origin.ts'
import { Http2Pool } from '../transport/http2-pool.ts'
import type { Weighted } from './round-robin.ts'

/** Failed connections in a row that take a server out. */
const failuresToEject = 3
const firstEjectionMs = 1_000
const longestEjectionMs = 60_000
/** Failed health checks in a row that take a server out. One passed check brings it back. */
const failedChecksToEject = 2

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
  /** Requests that have a transport or wait for one. */
  pending = 0
  /** What gives up those under way that nobody waits for any more. */
  readonly #unwanted = new Set<() => void>()
  /** Connections that failed in a row, with no response between them. */
  failures = 0
  #outUntilMs: number | undefined
  #ejectionMs = firstEjectionMs
  #onTrial = false
  #failedChecks = 0
  #lastFailure: Error | undefined
  readonly #config: OriginConfig
  readonly #clock: Clock
  readonly #logger: BaseLogger
  readonly #connector: buildConnector.connector
  readonly #servername: string | undefined
  readonly #lines: TransportPool
  readonly #tunnels = new Set<Socket>()
  readonly #health: { stop(): Promise<void> } | undefined

  constructor({ origin, url, weight, address, config, clock, logger }: OriginServerParts) {
    const host = plainHost(url)
    this.origin = origin
    this.url = new URL(url).origin
    this.weight = weight
    this.address = address
    this.#config = config
    this.#clock = clock
    this.#logger = logger
    // SNI has no addresses (RFC 6066 §3); the certificate is then held against the address that was dialled.
    this.#servername = config.tls?.servername ?? (isIP(host) === 0 ? host : undefined)
    this.#connector = buildConnector({
      timeout: config.timeouts.connectMs,
      rejectUnauthorized: config.tls?.rejectUnauthorized ?? true,
      ...(config.tls?.ca === undefined ? {} : { ca: config.tls.ca }),
    })
    this.#lines = this.lines(config.maxConnections)
    this.#health = config.health === undefined ? undefined : watchHealth(this, config.health)
  }

  /** Ways to it, for so many requests at a time. */
  lines(most: number): TransportPool {
    const { http2 = false, tls, timeouts, reuse } = this.#config
    const options = { url: this.url, connector: this.#connector, clock: this.#clock, timeouts, servername: this.#servername, address: this.address, reuse, most }
    return http2 ? new Http2Pool({ ...options, tls }) : new Http1Pool(options)
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

  /** Whether one more request would find neither a transport nor room to wait for one. */
  get full(): boolean {
    return this.pending >= this.#config.maxConnections + this.#config.maxQueue
  }

  /** Gives the waiter a transport: now, or when one is free. The caller has looked at `full`. */
  acquire(waiter: PoolWaiter): void {
    if (this.pending >= this.#config.maxConnections) this.#makeRoom()
    this.pending++
    this.#lines.acquire(waiter)
  }

  /** Nobody waits for the answer to a request under way: it gives way to those who wait for its place, or will. */
  unwanted(giveUp: () => void): void {
    if (this.pending > this.#config.maxConnections) giveUp()
    else this.#unwanted.add(giveUp)
  }

  /** It has come to its end. */
  over(giveUp: () => void): void {
    this.#unwanted.delete(giveUp)
  }

  /** Whoever is about to wait takes the place of the oldest of them. */
  #makeRoom(): void {
    const [giveUp] = this.#unwanted
    if (giveUp === undefined) return
    this.#unwanted.delete(giveUp)
    giveUp()
  }

  /** Takes back a transport: see Transport. */
  release(transport: Transport): void {
    this.pending--
    transport.release()
  }

  discard(transport: Transport): void {
    this.pending--
    transport.discard()
  }

  /** A waiter has been told that there is no transport for it. */
  unserved(): void {
    this.pending--
  }

  /** Stops waiting. False: it has a transport already. */
  cancel(waiter: PoolWaiter): boolean {
    if (!this.#lines.cancel(waiter)) return false
    this.pending--
    return true
  }

  /** Its address has vanished: nothing new is sent to it, and what is idle is closed. */
  retire(): void {
    this.retired = true
    void this.#health?.stop()
    this.#lines.retire()
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
    this.#lastFailure = undefined
    if (this.#outUntilMs === undefined) return
    this.#outUntilMs = undefined
    this.#onTrial = false
    this.#ejectionMs = firstEjectionMs
    this.#logger.info(this.#named(), 'origin server is back')
  }

  /** A connection to it could not be made, or was reset before an answer: once, however many requests were on it. */
  failed(error: Error): void {
    if (error === this.#lastFailure) return
    this.#lastFailure = error
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
    await this.#lines.close()
  }
}
