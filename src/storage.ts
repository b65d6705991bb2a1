// Which store and which purge log a configuration asks for.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Config, RedisConfig } from './config/schema.ts'
import { createLocalPurgeLog } from './store/local-log.ts'
import { createMemoryStore } from './store/memory.ts'
import type { PurgeLog } from './store/purge-log.ts'
import { connectRedis } from './store/redis/connection.ts'
import { createRedisStore } from './store/redis/store.ts'
import { createStreamPurgeLog } from './store/redis/stream-log.ts'
import type { Store } from './store/store.ts'

export interface Storage {
  readonly store: Store
  readonly purgeLog: PurgeLog
  close(): Promise<void>
}

/** Opens them. Redis out of reach is no error: it starts degraded, and takes Redis up when it comes. */
export function openStorage(config: Config, clock: Clock, logger: Logger): Storage {
  return config.redis === undefined ? embedded(config, clock) : shared(config, config.redis, clock, logger)
}

function embedded(config: Config, clock: Clock): Storage {
  const { cache, coherence } = config
  const { maxBytes, maxEntryBytes } = cache.memory
  const store = createMemoryStore({ maxBytes, maxEntryBytes: Math.min(maxEntryBytes, cache.maxEntryBytes), maxVariants: cache.maxVariants, clock })
  return together(store, createLocalPurgeLog({
    clock, maxRecords: coherence.maxLogRecords, maxChars: coherence.maxLogBytes, maxKeepMs: longestKeepMs(config),
  }))
}

function shared(config: Config, redis: RedisConfig, clock: Clock, logger: Logger): Storage {
  const { cache, coherence } = config
  const connections = connectRedis({ ...redis, clock, logger })
  const common = { redis: connections, prefix: redis.keyPrefix, clock, logger }
  const store = createRedisStore({ ...common, maxEntryBytes: cache.maxEntryBytes, maxVariants: cache.maxVariants })
  // A process is a replica: no two may share a name, not even over a restart within the same second.
  const replica = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`
  const purgeLog = createStreamPurgeLog({
    ...common,
    replica,
    maxLagMs: coherence.maxLagMs,
    maxKeepMs: longestKeepMs(config),
    maxRecords: coherence.maxLogRecords,
    maxBytes: coherence.maxLogBytes,
    // Nothing is kept in this process: what a lost log leaves in Redis is dead by its stamp.
    onReset: () => logger.warn('the purge log was lost and begun anew: everything stored before is a miss'),
  })
  return together(store, purgeLog, connections)
}

function together(store: Store, purgeLog: PurgeLog, connections?: { close(): void }): Storage {
  return {
    store,
    purgeLog,
    async close() {
      await purgeLog.close()
      await store.close()
      connections?.close()
    },
  }
}

// A purge must be remembered for as long as anything that it could match is kept: a lifetime and a stale allowance, each
// bounded by maxTtl, or keepStale in place of the latter.
function longestKeepMs({ routes, cache }: Config): number {
  return Math.max(...routes.map(route => route.cache.maxTtl * 2)) + cache.keepStale
}
