// Redis as the replicas see it: a master, and if configured a standby that can be promoted, each with its own clock.
import { startRedis, type RedisServer } from '../support/redis.ts'
import { ShiftedClock } from './clocks/clock.ts'
import type { Random } from './random.ts'
import { wait } from './random.ts'
import { redisCommand } from './redis-command.ts'
import { Wire } from './wire.ts'

interface Server {
  readonly redis: RedisServer
  readonly clock: ShiftedClock | undefined
  /** Leads to this server, for the other one to replicate it. */
  readonly link: Wire
}

/** The course of a failover. */
export interface Failover {
  /** Runs before it, while nothing reaches the standby any more. */
  readonly behind: () => Promise<unknown> | undefined
  /** killed: the master dies; fenced: it lives on, and nothing reaches it. */
  readonly master: 'killed' | 'fenced'
  /** Between the end of the master and the promotion. */
  readonly withoutMs: number
  /** Between the promotion and the moment at which the last replica can reach the promoted server. */
  readonly spreadMs: number
  /** Called when the first replica can reach it. */
  readonly promoted: () => void
}

export class RedisServers {
  #master: Server
  #standby: Server | undefined

  private constructor(master: Server, standby: Server | undefined) {
    this.#master = master
    this.#standby = standby
  }

  /** @param library shifts clocks; undefined: they are the true ones */
  static async start(library: string | undefined, withStandby: boolean, random: Random): Promise<RedisServers> {
    const server = async (name: string): Promise<Server> => {
      const clock = library === undefined ? undefined : new ShiftedClock(library)
      const redis = await startRedis({ args: ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'], ...(clock === undefined ? {} : { env: clock.env }) })
      const link = new Wire(redis, random.fork(`link ${name}`), 5)
      await link.listen()
      return { redis, clock, link }
    }
    const servers = new RedisServers(await server('one'), withStandby ? await server('two') : undefined)
    await servers.#replicate()
    return servers
  }

  /** The master's. */
  get port(): number {
    return this.#master.redis.port
  }

  get master(): RedisServer {
    return this.#master.redis
  }

  /** The master's. */
  get clock(): ShiftedClock | undefined {
    return this.#master.clock
  }

  get standbyClock(): ShiftedClock | undefined {
    return this.#standby?.clock
  }

  async #replicate(): Promise<void> {
    if (this.#standby === undefined) return
    await redisCommand(this.#standby.redis.port, `REPLICAOF 127.0.0.1 ${this.#master.link.port}`)
    for (let attempt = 0; attempt < 500 && !await this.inSync(); attempt++) await wait(20)
  }

  /**
   * True if the standby has everything that the master had when this was called, and the master counts it as its replica.
   */
  async inSync(): Promise<boolean> {
    const [master, standby] = [this.#master, this.#standby]
    if (standby === undefined) return false
    const told = await redisCommand(master.redis.port, 'INFO replication')
    const offset = Number(/master_repl_offset:(\d+)/.exec(told ?? '')?.[1])
    if (!/slave0:.*state=online/.test(told ?? '')) return false
    for (let attempt = 0; attempt < 50; attempt++) {
      const copied = await redisCommand(standby.redis.port, 'INFO replication')
      if (!/master_link_status:up/.test(copied ?? '')) return false
      if (Number(/slave_repl_offset:(\d+)/.exec(copied ?? '')?.[1]) >= offset) return true
      await wait(10)
    }
    return false
  }

  /**
   * Promotes the standby, which may lack the last writes, and makes a new standby of the master. A master that lives on
   * takes nothing from any client after the promotion: a split brain is another trouble, for which nothing is promised.
   * @param wires the replicas' wires: they lead to the promoted server from now on, the first of them before the others
   * @returns false if no standby has everything that was confirmed
   */
  async failover({ behind, master, withoutMs, spreadMs, promoted }: Failover, wires: readonly Wire[]): Promise<boolean> {
    const [old, next] = [this.#master, this.#standby]
    if (next === undefined || !await this.inSync()) return false
    // Longer than the rest takes: bytes in flight when the master ended must not arrive after all.
    old.link.stall('back', 60_000)
    await behind()
    const held = wires.map((wire) => wire.hold())
    try {
      if (master === 'killed') old.redis.kill('SIGKILL')
      await wait(withoutMs)
      await redisCommand(next.redis.port, 'REPLICAOF NO ONE')
      this.#master = next
      this.#standby = old
    } finally {
      // Not all at once: the first replica that reconnects may know less than others, and may receive a purge.
      for (const [i, release] of held.entries()) setTimeout(release, spreadMs * i / held.length)
    }
    promoted()
    old.link.stall('back', 0)
    old.link.cut()
    if (master === 'killed') await old.redis.restart()
    await this.#replicate()
    return true
  }

  async stop(): Promise<void> {
    for (const server of [this.#master, this.#standby]) {
      if (server === undefined) continue
      await server.link.close()
      await server.redis.stop()
      server.clock?.close()
    }
  }
}
