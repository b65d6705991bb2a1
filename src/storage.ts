// The store and the purge log that a configuration calls for.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { CacheConfig, Config, RedisConfig } from './config/schema.ts'
import { configurationFingerprint } from './exchange/routing/sharing.ts'
import type { Leases } from './store/lease.ts'
import { createLocalPurgeLog, ownReplica } from './store/purge/local-log.ts'
import { createMemoryStore } from './store/memory/store.ts'
import type { PurgeLog, PurgeTimings } from './store/purge/log.ts'
import { connectRedis, type RedisConnections } from './store/redis/connect/connections.ts'
import { Fingerprints } from './store/redis/purge-log/fingerprints.ts'
import type { ReplicaMessages } from './store/redis/purge-log/replicas.ts'
import { createRedisLeases } from './store/redis/leases/leases.ts'
import { createRedisStore, type SharedStore } from './store/redis/entries/store.ts'
import { createStreamPurgeLog, type SharedPurgeLog } from './store/redis/purge-log/log.ts'
import { unfitForSessions } from './session/open.ts'
import { SharedUnstored } from './store/redis/unstored/log.ts'
import { OwnUnstored, type UnstoredLog } from './store/unstored.ts'
import type { Store } from './store/store.ts'
import { createTieredStore } from './store/tiered/store.ts'
import { redisTls } from './tls.ts'

export interface Storage {
  readonly store: Store
  readonly purgeLog: PurgeLog
  /** undefined if no other process shares the store. */
  readonly leases: Leases | undefined
  /** The last responses that were not stored, by this process or by any with the same store. */
  readonly unstored: UnstoredLog
  /** The connections to the shared store; undefined if no other process shares it. */
  readonly redis: RedisConnections | undefined
  /** Compares the configurations of the processes that share the store. undefined if no other process shares it. */
  readonly fingerprints: Fingerprints | undefined
  /** The name of this process among those that share the store, and messages to them; undefined if there are none. */
  readonly replicas: { readonly own: string; readonly messages: ReplicaMessages } | undefined
  /** True if Redis is in use now; undefined without Redis. */
  readonly reached: boolean | undefined
  /** Resolves when the store keeps what it receives, or when waiting for that is pointless; within a bounded time. */
  opened(): Promise<void>
  /** Uses these settings for every new connection to Redis. They are for the same servers. */
  renewUsers(redis: RedisConfig): void
  close(): Promise<void>
}

/** Opens store and log. Redis out of reach is no error: the process starts degraded, and uses Redis once it is reachable. */
export function openStorage(config: Config, clock: Clock, logger: Logger, timings?: PurgeTimings): Storage {
  return config.redis === undefined ? embedded(config, clock, timings) : shared(config, config.redis, clock, logger, timings)
}

function embedded(config: Config, clock: Clock, timings: PurgeTimings | undefined): Storage {
  const { cache, coherence } = config
  const purgeLog = createLocalPurgeLog({
    clock,
    timings,
    maxRecords: coherence.maxLogRecords,
    maxChars: coherence.maxLogBytes,
    maxKeepMs: longestKeepMs(config),
  })
  return together({ store: createMemoryStore({ ...memoryBounds(cache), clock }), purgeLog, leases: undefined, unstored: new OwnUnstored(ownReplica), fingerprints: undefined,
    replicas: undefined, opened: async () => {} })
}

function memoryBounds({ memory, maxEntryBytes, maxVariants }: CacheConfig): { maxBytes: number; maxEntryBytes: number; maxVariants: number } {
  return { maxBytes: memory.maxBytes, maxEntryBytes: Math.min(memory.maxEntryBytes, maxEntryBytes), maxVariants }
}

/** The Redis of sessions: their own, or the cache's. `close` closes only their own. */
export interface SessionRedis {
  readonly connections: RedisConnections
  readonly prefix: string
  readonly connectTimeoutMs: number
  readonly own: boolean
  close(): void
}

/** Connects to the Redis of sessions; undefined if they are kept in this process. */
export function openSessionRedis({ redis, sessions }: Config, storage: Storage, clock: Clock, logger: Logger): SessionRedis | undefined {
  if (sessions.redis !== undefined) {
    const connections = connectRedis({ ...sessions.redis, tls: redisTls(sessions.redis), unfitMemory: unfitForSessions, clock, logger })
    return { connections, prefix: sessions.redis.keyPrefix, connectTimeoutMs: sessions.redis.connectTimeoutMs, own: true, close: () => connections.close() }
  }
  return redis === undefined || storage.redis === undefined
    ? undefined
    : { connections: storage.redis, prefix: redis.keyPrefix, connectTimeoutMs: redis.connectTimeoutMs, own: false, close: () => undefined }
}

/** Puts memory in front of the shared store, unless memory is turned off. `clear` empties the memory. */
function tiered(redis: SharedStore, cache: CacheConfig, clock: Clock): { store: Store; clear(): void } {
  const bounds = memoryBounds(cache)
  if (bounds.maxBytes === 0) return { store: redis, clear: () => {} }
  const store = createTieredStore({ ...bounds, clock, memory: createMemoryStore({ ...bounds, clock }), shared: redis })
  return { store, clear: () => store.clear() }
}

function shared(config: Config, redis: RedisConfig, clock: Clock, logger: Logger, timings: PurgeTimings | undefined): Storage {
  const { cache, coherence } = config
  const connections = connectRedis({ ...redis, tls: redisTls(redis), clock, logger })
  const common = { redis: connections, prefix: redis.keyPrefix, clock, logger }
  const { store, clear } = tiered(createRedisStore({ ...common, maxEntryBytes: cache.maxEntryBytes, maxVariants: cache.maxVariants }), cache, clock)
  // A process is a replica: no two may share a name, even after a restart within the same second.
  const replica = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`
  const purgeLog = createStreamPurgeLog({
    ...common,
    replica,
    timings,
    maxLagMs: coherence.maxLagMs,
    maxKeepMs: longestKeepMs(config),
    maxRecords: coherence.maxLogRecords,
    maxBytes: coherence.maxLogBytes,
    // After a lost log, entries in Redis are dead by their stamps. So are those in memory, which frees its space at once.
    onReset: clear,
  })
  const leases = cache.coalesce ? createRedisLeases({ redis: connections, prefix: redis.keyPrefix, process: replica, leaseMs: coherence.leaseMs, logger }) : undefined
  const fingerprints = new Fingerprints({ ...common, replica, fingerprint: configurationFingerprint(config) })
  const unstored = new SharedUnstored({ ...common, replica })
  return together({ store, purgeLog, leases, unstored, fingerprints, replicas: { own: replica, messages: purgeLog.messages },
    opened: () => untilShared(connections, purgeLog, redis.connectTimeoutMs) }, connections)
}

// Waits until the shared store is in use, because responses before that would not be stored. Does not wait if Redis is out
// of reach, or if it hangs for longer than a connection may take.
async function untilShared(connections: RedisConnections, purgeLog: SharedPurgeLog, patienceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs)
  })
  const outOfReach = new Promise<void>((resolve) => {
    if (connections.degraded) resolve()
    connections.whenDegraded(resolve)
  })
  await Promise.race([late, outOfReach, Promise.all([connections.ready(), purgeLog.caughtUp()])])
  clearTimeout(timer)
}

function together(parts: Omit<Storage, 'close' | 'renewUsers' | 'reached' | 'redis'>, connections?: RedisConnections): Storage {
  const { store, purgeLog, leases, unstored, fingerprints } = parts
  return {
    ...parts,
    redis: connections,
    get reached() {
      return connections?.reached
    },
    renewUsers: redis => connections?.renewUsers(redis),
    async close() {
      unstored.close()
      await leases?.close()
      await fingerprints?.close()
      await purgeLog.close()
      await store.close()
      connections?.close()
    },
  }
}

// A purge must be kept for as long as any entry that it could match. That is a lifetime plus a stale allowance, each bounded
// by ttl.max, or keepStale instead of the allowance.
function longestKeepMs({ routes, cache }: Config): number {
  return Math.max(...routes.map(route => route.cache.ttl.max * 2)) + cache.keepStale
}
