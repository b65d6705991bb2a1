// Creates the pools of all origins of a configuration.
import type { BaseLogger } from 'pino'
import type { Clock } from '../clock.ts'
import { SpringhouseError } from '../errors.ts'
import { resolveEveryMs, systemResolve, type ResolveHost } from './dns.ts'
import type { OriginConfig } from './config.ts'
import type { Origins } from './origin.ts'
import { OriginPool } from './pool/pool.ts'
import { SinkRequest } from './request/sink-request.ts'
import { SocketBudget } from './transport/socket-budget.ts'
import { TimeoutSweep } from './transport/timeout-sweep.ts'
import { UpgradeTrip } from './request/upgrade.ts'

/** Opens the pools and resolves their host names. The first request, or health check, makes the first connection. */
export function createOrigins(parts: {
  readonly origins: Readonly<Record<string, OriginConfig>>
  readonly clock: Clock
  readonly logger: BaseLogger
  /** Resolves host names; the system's resolver unless given. */
  readonly resolve?: ResolveHost
  readonly resolveEveryMs?: number
  /** Most sockets to all servers together; no bound unless given. */
  readonly maxSockets?: number
}): Origins {
  const sockets = new SocketBudget(parts.maxSockets ?? Infinity)
  const sweep = new TimeoutSweep()
  const pools = new Map<string, OriginPool>()
  const open = (name: string, config: OriginConfig): void => {
    pools.set(name, new OriginPool(name, config, { resolve: systemResolve, resolveEveryMs, sockets, sweep, ...parts }))
  }
  for (const [name, config] of Object.entries(parts.origins)) open(name, config)

  function poolOf(origin: string): OriginPool {
    const pool = pools.get(origin)
    if (pool === undefined) throw new SpringhouseError('INTERNAL', { detail: `no origin ${origin}` })
    return pool
  }

  return {
    request(request, sink) {
      const trip = new SinkRequest(poolOf(request.origin), request, sink)
      trip.send()
      return trip
    },
    upgrade(request, sink) {
      const trip = new UpgradeTrip(poolOf(request.origin), request, sink)
      trip.start()
      return trip
    },
    status: () => [...pools.values()].filter((pool) => !pool.removed).flatMap((pool) => pool.servers.map((server) => server.status())),
    reload(configs) {
      for (const [name, config] of Object.entries(configs)) {
        const pool = pools.get(name)
        if (pool === undefined) open(name, config)
        else pool.reconfigure(config)
      }
      for (const [name, pool] of pools) {
        if (Object.hasOwn(configs, name)) continue
        // It stays for the requests that were routed to it before.
        if (!pool.removed) pool.remove()
        else if (pool.forgotten) {
          pools.delete(name)
          void pool.close()
        }
      }
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.close()))
    },
  }
}
