// The servers of one origin, and the choice between them.
import type { BaseLogger } from 'pino'
import type { Clock } from '../../clock.ts'
import { readServerAddress, readServerPlace, type ServerAddress } from '../../server-address.ts'
import { isResolved, plainHost, watchAddresses, type ResolveHost, type DnsWatcher } from '../dns.ts'
import type { OriginConfig } from '../config.ts'
import type { SocketBudget } from '../transport/socket-budget.ts'
import type { TimeoutSweep } from '../transport/timeout-sweep.ts'
import { RetryBudget } from './retry-budget.ts'
import { OriginServer, type Kind } from './server.ts'
import { weightedRoundRobin } from './round-robin.ts'

const none: readonly OriginServer[] = []

/** How long a removed pool is kept: requests that were routed before may still wait for another fetch. */
const forgetAfterMs = 120_000

export interface OriginPoolParts {
  readonly clock: Clock
  readonly logger: BaseLogger
  readonly resolve: ResolveHost
  readonly resolveEveryMs: number
  /** Shared by all origins of the process. */
  readonly sockets: SocketBudget
  /** Shared as well. */
  readonly sweep: TimeoutSweep
}

/** A configured server: its URL, and an OriginServer for each of its addresses. */
interface Member {
  readonly address: ServerAddress
  servers: readonly OriginServer[]
  /** Follows the addresses of a name; undefined: the URL has an address itself. */
  watcher: DnsWatcher | undefined
}

/**
 * A pool in which every address of a configured server is a server of its own, for balancing, failover and ejection. All
 * addresses of a URL get the same Host and TLS name. Until a name is first resolved, the name itself is the server.
 */
export class OriginPool {
  readonly clock: Clock
  /** The timeouts of requests. */
  readonly sweep: TimeoutSweep
  closed = false
  #removedAtMs: number | undefined
  readonly #origin: string
  readonly #parts: OriginPoolParts
  #config: OriginConfig
  #retryBudget: RetryBudget
  #members: readonly Member[]
  #servers: readonly OriginServer[] = none
  /** Servers that have left the pool and still have requests in flight. */
  readonly #leaving = new Set<OriginServer>()

  constructor(origin: string, config: OriginConfig, parts: OriginPoolParts) {
    this.clock = parts.clock
    this.sweep = parts.sweep
    this.#origin = origin
    this.#parts = parts
    this.#config = config
    this.#retryBudget = new RetryBudget(config.maxConnections)
    this.#members = addressesOf(config).map((address) => this.#join(address))
    this.#gather()
  }

  get config(): OriginConfig {
    return this.#config
  }

  get retryBudget(): RetryBudget {
    return this.#retryBudget
  }

  get servers(): readonly OriginServer[] {
    return this.#servers
  }

  /**
   * Takes up another configuration. Servers that remain keep their connections and their failure counts, unless another setting
   * than the servers, the balance and the retries has changed. Servers that leave finish their requests and open no new ones.
   */
  reconfigure(config: OriginConfig): void {
    const before = [...this.#members]
    const remain = !this.removed && sameConnections(this.#config, config)
    if (config.maxConnections !== this.#config.maxConnections) this.#retryBudget = new RetryBudget(config.maxConnections)
    this.#config = config
    this.#removedAtMs = undefined
    this.#members = addressesOf(config).map((address) => {
      const at = remain ? before.findIndex((member) => member.address.url === address.url && member.address.weight === address.weight) : -1
      const [known] = at < 0 ? [] : before.splice(at, 1)
      return known ?? this.#join(address)
    })
    for (const member of before) this.#part(member)
    this.#gather()
  }

  /**
   * Ends the pool, because the configuration no longer has it. Closes idle connections, and stops resolving and health checks.
   * Requests that were routed to it before are still sent.
   */
  remove(): void {
    this.#removedAtMs = this.clock.monotonic()
    for (const { watcher, servers } of this.#members) {
      watcher?.stop()
      for (const server of servers) server.retire()
    }
  }

  /** True if the configuration no longer has this origin. Requests that were routed to it before still finish. */
  get removed(): boolean {
    return this.#removedAtMs !== undefined
  }

  /** True if it was removed so long ago that no request leads to it any more. */
  get forgotten(): boolean {
    if (this.#removedAtMs === undefined || this.clock.monotonic() - this.#removedAtMs < forgetAfterMs) return false
    return [...this.#servers, ...this.#leaving].every((server) => server.pending + server.streams === 0)
  }

  #join(address: ServerAddress): Member {
    const member: Member = { address, servers: [this.#open(address, undefined)], watcher: undefined }
    if (isResolved(hostOf(address))) member.watcher = this.#watch(member)
    return member
  }

  #part({ watcher, servers }: Member): void {
    watcher?.stop()
    for (const server of servers) this.#leave(server)
  }

  #leave(server: OriginServer): void {
    server.retire()
    this.#leaving.add(server)
  }

  #gather(): void {
    this.#servers = this.#members.flatMap(({ servers }) => servers)
    for (const server of this.#leaving) if (server.pending + server.streams === 0) this.#leaving.delete(server)
  }

  #open({ url, weight }: ServerAddress, address: string | undefined): OriginServer {
    const { clock, logger, sockets, sweep } = this.#parts
    return new OriginServer({ origin: this.#origin, url, weight, address, config: this.#config, clock, logger, sockets, sweep })
  }

  #watch(member: Member): DnsWatcher {
    const { clock, logger, resolve, resolveEveryMs } = this.#parts
    const { url } = member.address
    const details = { origin: this.#origin, server: url }
    return watchAddresses(hostOf(member.address), {
      resolve,
      clock,
      everyMs: resolveEveryMs,
      resolved: (addresses) => this.#take(member, addresses),
      failed: (error) => logger.warn({ ...details, err: error }, 'the name of an origin server cannot be resolved; its known addresses are kept'),
    })
  }

  /** Replaces the addresses of a name. An address that remains keeps its connections and its failure count. */
  #take(member: Member, addresses: readonly string[]): void {
    const before = member.servers
    const known = new Map(before.map((server) => [server.address, server]))
    if (before.length === addresses.length && addresses.every((address) => known.has(address))) return
    member.servers = addresses.map((address) => known.get(address) ?? this.#open(member.address, address))
    for (const server of before) if (!member.servers.includes(server)) this.#leave(server)
    this.#gather()
    this.#parts.logger.info({ origin: this.#origin, server: member.address.url, addresses }, 'the addresses of an origin server changed')
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
    for (const { watcher } of this.#members) watcher?.refreshSoon()
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
    for (const { watcher } of this.#members) watcher?.stop()
    await Promise.all([...this.#servers, ...this.#leaving].map((server) => server.close()))
  }
}

/** Returns the host to resolve: a socket of this machine is on localhost. */
function hostOf({ url }: ServerAddress): string {
  return plainHost(readServerPlace(url)?.origin ?? url)
}

// The check of the configuration lets nothing pass that cannot be read.
function addressesOf({ servers }: OriginConfig): ServerAddress[] {
  return servers.map((server) => readServerAddress(server) ?? { url: server, weight: 1 })
}

/** True if connections that were made by one configuration suit the other. */
function sameConnections(a: OriginConfig, b: OriginConfig): boolean {
  return settingsOfConnections(a) === settingsOfConnections(b)
}

function settingsOfConnections({ servers: _servers, balance: _balance, retries: _retries, ...others }: OriginConfig): string {
  return JSON.stringify(others)
}
