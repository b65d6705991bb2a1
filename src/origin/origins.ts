// All origins of a configuration, ready to be asked.
import type { BaseLogger } from 'pino'
import type { Clock } from '../clock.ts'
import { SpringhouseError } from '../errors.ts'
import type { OriginConfig } from './config.ts'
import { OriginDispatcher } from './dispatcher.ts'
import { watchHealth } from './health.ts'
import type { Origins } from './origin.ts'
import { OriginPool } from './pool.ts'
import { SinkRequest } from './request.ts'

/** Opens the pools. No connection is made before the first request, or the first health check. */
export function createOrigins(parts: {
  readonly origins: Readonly<Record<string, OriginConfig>>
  readonly clock: Clock
  readonly logger: BaseLogger
}): Origins {
  const pools = new Map<string, OriginPool>()
  const watches: { stop(): Promise<void> }[] = []
  for (const [name, config] of Object.entries(parts.origins)) {
    const pool = new OriginPool(name, config, parts.clock, parts.logger)
    pools.set(name, pool)
    if (config.health !== undefined) for (const server of pool.servers) watches.push(watchHealth(server, config.health))
  }

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
    dispatcher: new OriginDispatcher(pools),
    pick(origin) {
      const server = poolOf(origin).choose()
      if (server === undefined) throw new SpringhouseError('ORIGIN_UNREACHABLE')
      return server.url
    },
    status: () => [...pools.values()].flatMap((pool) => pool.servers.map((server) => server.status())),
    async close() {
      await Promise.all(watches.map((watch) => watch.stop()))
      await Promise.all([...pools.values()].map((pool) => pool.close()))
    },
  }
}
