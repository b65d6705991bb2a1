// A server of a pool: its connections, its requests in flight, and its ejection and health.
import { isIP, Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { BaseLogger } from 'pino'
import type { Clock } from '../../clock.ts'
import { readServerPlace, type ServerPlace } from '../../server-address.ts'
import type { FieldLines } from '../../http/fields.ts'
import { plainHost } from '../dns.ts'
import type { Transport, TransportPool, PoolWaiter } from '../transport/transport.ts'
import { ownTls, type OriginConfig } from '../config.ts'
import { Http1Pool } from '../transport/http1-pool.ts'
import { watchHealth, type CheckFailure } from './health-check.ts'
import type { OriginServerStatus } from '../origin.ts'
import { Http2Pool } from '../transport/http2-pool.ts'
import { sharedRead } from '../transport/shared-read.ts'
import { withinBudget, type SocketBudget } from '../transport/socket-budget.ts'
import type { TimeoutSweep } from '../transport/timeout-sweep.ts'
import type { Weighted } from './round-robin.ts'

/** Failed connections in a row that eject a server. */
const failuresToEject = 3
const firstEjectionMs = 1_000
const longestEjectionMs = 60_000
/** Failed health checks in a row that make a server unhealthy. A passed check makes it healthy again. */
const failedChecksToEject = 2

/** The use of a place: a request with its response, or a WebSocket or event stream. */
export type Kind = 'request' | 'stream'

export interface OriginServerParts {
  /** Name of the pool. */
  readonly origin: string
  readonly url: string
  /** Its share of the pool's requests, relative to the other servers. */
  readonly weight: number
  /** Address to connect to, in place of the URL's host; undefined: the host is resolved at each connection. */
  readonly address: string | undefined
  readonly config: OriginConfig
  readonly clock: Clock
  readonly logger: BaseLogger
  /** Shared by all origins of the process. */
  readonly sockets: SocketBudget
  /** Shared as well. */
  readonly sweep: TimeoutSweep
}

export class OriginServer implements Weighted {
  readonly origin: string
  readonly url: string
  readonly weight: number
  credit = 0
  readonly address: string | undefined
  /** True if its address is no longer in DNS: requests in flight finish, and no new ones are sent. */
  retired = false
  /** Requests that have a transport or wait for one, without those whose response is a stream. */
  pending = 0
  /** WebSockets and event streams. They take no places of requests (maxStreams). */
  readonly #streams = new Set<Socket | Transport>()
  /** WebSockets whose connection is being made. */
  #dialling = 0
  /** Callbacks that abort in-flight requests abandoned by their clients. */
  readonly #unwanted = new Set<() => void>()
  /** Connections that failed in a row, with no response between them. */
  failures = 0
  #outUntilMs: number | undefined
  #ejectionMs = firstEjectionMs
  #onTrial = false
  #failedChecks = 0
  #lastFailure: Error | undefined
  readonly #place: ServerPlace
  readonly #config: OriginConfig
  readonly #clock: Clock
  readonly #logger: BaseLogger
  readonly #sockets: SocketBudget
  readonly #sweep: TimeoutSweep
  readonly #connector: buildConnector.connector
  /** The same for HTTP/1.1. */
  readonly #http1Connector: buildConnector.connector
  readonly #servername: string | undefined
  readonly #lines: TransportPool
  readonly #health: { stop(): Promise<void> } | undefined

  constructor({ origin, url, weight, address, config, clock, logger, sockets, sweep }: OriginServerParts) {
    // The check of the configuration lets nothing pass that cannot be read.
    this.#place = readServerPlace(url) ?? { origin: url, base: '', socketPath: undefined }
    const host = plainHost(this.#place.origin)
    this.origin = origin
    this.url = url
    this.weight = weight
    this.address = address
    this.#config = config
    this.#clock = clock
    this.#logger = logger
    // SNI carries no addresses (RFC 6066 §3). The certificate is then checked against the dialled address.
    this.#servername = config.tls?.servername ?? (isIP(host) === 0 ? host : undefined)
    this.#sockets = sockets
    this.#sweep = sweep
    const connect = {
      timeout: config.timeouts.connectMs,
      rejectUnauthorized: config.tls?.rejectUnauthorized ?? true,
      ...(this.#place.socketPath !== undefined && { socketPath: this.#place.socketPath }),
      ...ownTls(config.tls),
    }
    this.#connector = withinBudget(sockets, buildConnector(connect))
    // undici hands every option to net.connect. Its types do not know this one.
    const plain: buildConnector.BuildOptions & { onread: object } = { ...connect, onread: sharedRead }
    this.#http1Connector = this.#place.origin.startsWith('http:') ? withinBudget(sockets, buildConnector(plain)) : this.#connector
    this.#lines = this.lines(config.maxConnections)
    this.#health = config.health === undefined ? undefined : watchHealth(this, config.health)
  }

  /** Returns a target as this server gets it: below its base path. */
  targetOf(target: string): string {
    return this.#place.base + target
  }

  /** Returns fields as this server gets them: with the Host that the configuration names. */
  fieldsOf(fields: FieldLines): FieldLines {
    const host = this.ownHost
    if (host === undefined) return fields
    const own = fields.slice()
    for (let i = 0; i < own.length; i += 2) if (own[i]?.toLowerCase() === 'host') own[i + 1] = host
    return own
  }

  /** The Host of each request; undefined: the client's. */
  get ownHost(): string | undefined {
    const { hostHeader = 'client' } = this.#config
    if (hostHeader === 'client') return undefined
    return hostHeader === 'origin' ? new URL(this.#place.origin).host : hostHeader
  }

  /** Opens a transport pool to the server, for at most `most` requests at a time. */
  lines(most: number): TransportPool {
    const { http2 = false, tls, timeouts, reuse, maxHeaderBytes } = this.#config
    const options = { url: this.#place.origin, socketPath: this.#place.socketPath, connector: this.#http1Connector, clock: this.#clock, timeouts, servername: this.#servername,
      address: this.address, sockets: this.#sockets, sweep: this.#sweep, maxHeaderBytes, reuse, most }
    return http2 ? new Http2Pool({ ...options, tls }) : new Http1Pool(options)
  }

  /**
   * Opens a bare socket to the server for another protocol, verified like its other connections. The socket counts as a request
   * stream until it is closed. The caller has checked `hasRoom`.
   */
  dial(opened: buildConnector.Callback): void {
    const { protocol, port, host } = new URL(this.#place.origin)
    this.#dialling++
    const options = { hostname: this.address ?? plainHost(this.#place.origin), host, protocol, port, ...(this.#servername === undefined ? {} : { servername: this.#servername }) }
    this.#connector(options, (...result) => {
      const [error, socket] = result
      this.#dialling--
      if (error === null) {
        this.#streams.add(socket)
        socket.once('close', () => this.#streams.delete(socket))
      }
      opened(...result)
    })
  }

  /** WebSockets and event streams, those that are being opened included. */
  get streams(): number {
    return this.#streams.size + this.#dialling
  }

  /** True if there is a place for one more: for a request a transport or room in the queue, for a WebSocket a place of a stream. */
  hasRoom(kind: Kind): boolean {
    if (kind === 'stream') return this.streams < (this.#config.maxStreams ?? this.#config.maxConnections)
    return this.pending < this.#config.maxConnections + this.#config.maxQueue
  }

  /**
   * Moves a request whose response is an event stream to a place of a stream, so that it holds up no others. False if all these
   * places are taken.
   */
  becomesStream(transport: Transport): boolean {
    if (!this.hasRoom('stream')) return false
    this.#streams.add(transport)
    this.pending--
    transport.leavePool()
    return true
  }

  /** Gives the waiter a transport, now or when one is free. The caller has checked `hasRoom`. */
  acquire(waiter: PoolWaiter): void {
    if (this.pending >= this.#config.maxConnections) this.#makeRoom()
    this.pending++
    this.#lines.acquire(waiter)
  }

  /** Marks an in-flight request as abandoned by its client. It is aborted when another request needs its slot. */
  unwanted(giveUp: () => void): void {
    if (this.pending > this.#config.maxConnections) giveUp()
    else this.#unwanted.add(giveUp)
  }

  /** Forgets an abandoned request that has ended. */
  over(giveUp: () => void): void {
    this.#unwanted.delete(giveUp)
  }

  /** Aborts the oldest abandoned request, so that a request that would have to wait gets its slot. */
  #makeRoom(): void {
    const [giveUp] = this.#unwanted
    if (giveUp === undefined) return
    this.#unwanted.delete(giveUp)
    giveUp()
  }

  /** Takes back a transport: see Transport. */
  release(transport: Transport): void {
    if (!this.#streams.delete(transport)) this.pending--
    transport.release()
  }

  discard(transport: Transport): void {
    this.pending--
    transport.discard()
  }

  /** Records that a waiter got no transport. */
  unserved(): void {
    this.pending--
  }

  /** Removes a waiter from the queue. False if it already has a transport. */
  cancel(waiter: PoolWaiter): boolean {
    if (!this.#lines.cancel(waiter)) return false
    this.pending--
    return true
  }

  /** Stops new requests to the server and closes its idle connections, because its address is no longer in DNS. */
  retire(): void {
    this.retired = true
    void this.#health?.stop()
    this.#lines.retire()
  }

  /** True if the server is neither ejected nor failing its health checks. */
  get healthy(): boolean {
    return this.#failedChecks < failedChecksToEject && this.#outUntilMs === undefined
  }

  /**
   * Returns whether to send the server a request now. An ejected server whose ejection time is over gets one request as a trial.
   * Until its response, the server counts as ejected again, so that a dead server costs one request per ejection, not all.
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

  /** Records a response: ends an ejection. */
  succeeded(): void {
    this.failures = 0
    this.#lastFailure = undefined
    if (this.#outUntilMs === undefined) return
    this.#outUntilMs = undefined
    this.#onTrial = false
    this.#ejectionMs = firstEjectionMs
    this.#logger.info(this.#named(), 'origin server is back')
  }

  /** Records a connection that failed, or was reset before a response. Counts once, however many requests were on it. */
  failed(error: Error): void {
    if (error === this.#lastFailure) return
    this.#lastFailure = error
    this.failures++
    if (this.retired || this.failures < failuresToEject) return
    if (this.#outUntilMs !== undefined) {
      // Requests that were in flight at the ejection add no information.
      if (!this.#onTrial) return
      // Exponential back-off: each failed trial doubles the next ejection time.
      this.#onTrial = false
      this.#ejectionMs = Math.min(this.#ejectionMs * 2, longestEjectionMs)
    }
    this.#outUntilMs = this.#clock.monotonic() + this.#ejectionMs
    this.#logger.warn({ ...this.#named(), err: error, forMs: this.#ejectionMs }, 'origin server ejected')
  }

  /** Records that the server refused a connection: it is probably being stopped, and its other connections must not keep it. */
  refusedConnection(): void {
    this.#lines.refused()
  }

  /** Takes the result of a health check. */
  checked(failure: CheckFailure | undefined): void {
    if (failure === undefined) {
      if (this.#failedChecks >= failedChecksToEject) this.#logger.info(this.#named(), 'origin server passes its health checks')
      this.#failedChecks = 0
      this.succeeded()
      return
    }
    this.#failedChecks++
    if (this.#failedChecks === failedChecksToEject) {
      const { path, status } = failure
      this.#logger.warn({ ...this.#named(), ...failure }, `origin server fails its health checks: GET ${path} ${status === undefined ? 'gets no response' : `is ${status}`}`)
    }
  }

  status(): OriginServerStatus {
    const { origin, url, address, healthy, pending, streams, failures } = this
    return { origin, url, ...(address === undefined ? {} : { address }), healthy, pending, streams, consecutiveFailures: failures }
  }

  // The fields that identify the server in the log.
  #named(): object {
    return { origin: this.origin, server: this.url, address: this.address }
  }

  async close(): Promise<void> {
    await this.#health?.stop()
    for (const stream of this.#streams) if (stream instanceof Socket) stream.destroy()
    await this.#lines.close()
  }
}
