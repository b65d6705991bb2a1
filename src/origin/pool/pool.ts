// The servers of one origin, and the choice between them.
import type { BaseLogger } from 'pino'
import type { Clock } from '../../clock.ts'
import { readServerAddress, type ServerAddress } from '../../server-address.ts'
import { isResolved, plainHost, watchAddresses, type ResolveHost, type DnsWatcher } from '../dns.ts'
import type { OriginConfig } from '../config.ts'
import type { SocketBudget } from '../transport/socket-budget.ts'
import { RetryBudget } from './retry-budget.ts'
import { OriginServer, type Kind } from './server.ts'
import { weightedRoundRobin } from './round-robin.ts'

const none: readonly OriginServer[] = []

export interface OriginPoolParts {
  readonly clock: Clock
  readonly logger: BaseLogger
  readonly resolve: ResolveHost
  readonly resolveEveryMs: number
  /** Shared by all origins of the process. */
  readonly sockets: SocketBudget
}

/**
 * A pool in which every address of a configured server is a server of its own, for balancing, failover and ejection. All
 * addresses of a URL get the same Host and TLS name. Until a name is first resolved, the name itself is the server.
 */
export class OriginPool {
  readonly config: OriginConfig
  readonly clock: Clock
  closed = false
  readonly retryBudget: RetryBudget
  readonly #origin: string
  readonly #addresses: readonly ServerAddress[]
  readonly #parts: OriginPoolParts
  /** The servers (addresses) of each configured URL. */
  readonly #members: (readonly OriginServer[])[]
  #servers: readonly OriginServer[]
  /** Servers whose address is no longer in DNS and that still have requests in flight. */
  readonly #leaving = new Set<OriginServer>()
  readonly #names: DnsWatcher[] = []

  constructor(origin: string, config: OriginConfig, parts: OriginPoolParts) {
    this.config = config
    this.clock = parts.clock
    this.#origin = origin
    this.#parts = parts
    // The check of the configuration lets nothing pass that cannot be read.
    this.#addresses = config.servers.map((server) => readServerAddress(server) ?? { url: server, weight: 1 })
    this.#members = config.servers.map((_, member) => [this.#open(member, undefined)])
    this.#servers = this.#members.flat()
    this.retryBudget = new RetryBudget(config.maxConnections)
    for (const [member, { url }] of this.#addresses.entries()) if (isResolved(plainHost(url))) this.#names.push(this.#watch(member, url))
  }

  get servers(): readonly OriginServer[] {
    return this.#servers
  }

  #open(member: number, address: string | undefined): OriginServer {
    const { url, weight } = this.#addresses[member] as ServerAddress
    const { clock, logger, sockets } = this.#parts
    return new OriginServer({ origin: this.#origin, url, weight, address, config: this.config, clock, logger, sockets })
  }

  #watch(member: number, url: string): DnsWatcher {
    const { clock, logger, resolve, resolveEveryMs } = this.#parts
    const details = { origin: this.#origin, server: url }
    return watchAddresses(plainHost(url), {
      resolve,
      clock,
      everyMs: resolveEveryMs,
      resolved: (addresses) => this.#take(member, url, addresses),
      failed: (error) => logger.warn({ ...details, err: error }, 'the name of an origin server cannot be resolved; its known addresses are kept'),
    })
  }

  /** Replaces the addresses of a name. An address that remains keeps its connections and its failure count. */
  #take(member: number, url: string, addresses: readonly string[]): void {
    const before = this.#members[member] ?? []
    const known = new Map(before.map((server) => [server.address, server]))
    if (before.length === addresses.length && addresses.every((address) => known.has(address))) return
    this.#members[member] = addresses.map((address) => known.get(address) ?? this.#open(member, address))
    this.#servers = this.#members.flat()
    for (const server of this.#leaving) if (server.pending === 0) this.#leaving.delete(server)
    for (const server of before) {
      if (this.#servers.includes(server)) continue
      server.retire()
      this.#leaving.add(server)
    }
    this.#parts.logger.info({ origin: this.#origin, server: url, addresses }, 'the addresses of an origin server changed')
  }

  /**
   * Returns the server for the next request; undefined if every server is full. If all are ejected, all are tried: they may be
   * ejected wrongly, and refusing the request helps no client.
   */
  choose(kind: Kind = 'request'): OriginServer | undefined {
    return this.#choose(none, kind)
  }

  /** Returns a server other than those that failed; undefined if there is none. */
  another(than: readonly OriginServer[], kind: Kind = 'request'): OriginServer | undefined {
    return this.#choose(than, kind)
  }

  /** Re-resolves the names now: a failed server may have been removed from DNS. */
  refreshAddressesSoon(): void {
    for (const name of this.#names) name.refreshSoon()
  }

  #choose(avoid: readonly OriginServer[], kind: Kind): OriginServer | undefined {
    const servers = this.#servers
    let anyHealthy = false
    let least = Infinity
    for (const server of servers) {
      if (!server.healthy || avoid.includes(server)) continue
      anyHealthy = true
      if (server.hasRoom(kind)) least = Math.min(least, this.#loadOf(server))
    }
    // If the healthy servers are full, requests do not overflow to ejected servers.
    return this.#trial(avoid, kind)
      ?? (anyHealthy ?
        weightedRoundRobin(servers, (server) => server.healthy && server.hasRoom(kind) && !avoid.includes(server) && this.#loadOf(server) <= least)
        : weightedRoundRobin(servers, (server) => server.hasRoom(kind) && !avoid.includes(server)))
  }

  /** Returns the load that delays a server's turn: requests in flight and streams per weight, or 0 for round-robin. */
  #loadOf(server: OriginServer): number {
    return this.config.balance === 'least-pending' ? (server.pending + server.streams) / server.weight : 0
  }

  /** Returns an ejected server whose ejection time is over. It gets this request as its trial. */
  #trial(avoid: readonly OriginServer[], kind: Kind): OriginServer | undefined {
    for (const server of this.#servers) {
      if (!server.healthy && !avoid.includes(server) && server.hasRoom(kind) && server.admits()) return server
    }
    return undefined
  }

  async close(): Promise<void> {
    this.closed = true
    for (const name of this.#names) name.stop()
    await Promise.all([...this.#servers, ...this.#leaving].map((server) => server.close()))
  }
}
