// Replicas over a Redis that a test is about to harm, and the promises that must hold whatever happens.
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { eventually } from './log.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { json, startReplicas, well, type Load, type Site } from './site.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

// The worst delay that Redis may cause a response, by the default deadlines: 100 ms for a lookup and as much for a commit. For
// a body in chunks, reading may take 500 ms and writing as much. If the read fails, another lookup follows.
const deadlinesMs = { small: 200, large: 1300 }
// The assertions allow ten times that: enough for two slow cores that others use as well.
const generous = 10

export interface Scene {
  readonly redis: RedisServer
  /** The TCP proxy between the replicas and Redis. */
  readonly line: TcpProxy
  /** A connection that is not the replicas', past the proxy. */
  readonly raw: Redis
  readonly site: Site
}

export async function startUnderLoad(t: Test,
  { before, config }: { before?: (redis: RedisServer) => Promise<void>; config?: Readonly<Record<string, unknown>> } = {}): Promise<Scene> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  await before?.(redis)
  const line = await startTcpProxy(redis)
  const raw = new Redis(redis.url, { retryStrategy: () => 20 })
  raw.on('error', () => {})
  t.teardown(() => raw.disconnect())
  t.teardown(() => line.close())
  const site = await startReplicas(t, `redis://127.0.0.1:${line.port}`, config)
  if (redis.pid !== undefined) await eventually(async () => await allWell(site))
  return { redis, line, raw, site }
}

async function allWell({ replicas }: Site): Promise<boolean> {
  for (const replica of replicas) if (!await well(replica, '/well')) return false
  return true
}

/** Until all is well again: how long that took. */
export async function recovered(t: Test, site: Site): Promise<void> {
  const began = systemClock.monotonic()
  await eventually(() => allWell(site))
  const tookMs = systemClock.monotonic() - began
  t.comment(`well again after ${Math.round(tookMs)} ms (target: 2000)`)
  t.ok(tookMs < 20_000, 'recovery is by itself')
  await eventually(async () => (await json<{ replicas: unknown[] }>(site.replicas[0].admin('/v1/replicas'))).replicas.length === 2)
  for (const replica of site.replicas) {
    site.publish()
    // After the list of replicas is lost, a purge waits for unknown replicas until their lag bound has passed.
    for (let i = 0; await site.purge(replica) !== 200; i++) if (i === 20) t.fail('a purge is not acknowledged again')
    t.same((await json<{ store: { degraded: string[] } }>(replica.admin('/v1/stats'))).store.degraded, [])
  }
}

/** Purges at both replicas in turn, after a new version each time. Returns the statuses. */
export async function purges(t: Test, site: Site, count: number): Promise<Set<number>> {
  const answered = new Set<number>()
  for (let i = 0; i < count; i++) {
    site.publish()
    const began = systemClock.monotonic()
    answered.add(await site.purge(site.replicas[i % 2 as 0 | 1]))
    const tookMs = systemClock.monotonic() - began
    // Recorded within 4 s or not at all, then waited for for 2 s more.
    t.ok(tookMs < 15_000, `a purge responds within its deadline: ${Math.round(tookMs)} ms`)
  }
  return answered
}

/** Reports the times of the responses since the last call, and holds them to the deadlines. */
export function settled(t: Test, load: Load, label: string): void {
  const times = load.times()
  for (const size of ['small', 'large'] as const) {
    const { count, median, p99, most } = times[size]
    t.comment(`${label}, ${size}: ${count} answers, median ${median} ms, p99 ${p99} ms, slowest ${most} ms (deadlines: ${deadlinesMs[size]} ms)`)
    t.ok(p99 < generous * deadlinesMs[size], `${label}, ${size}: p99 of ${p99} ms`)
  }
}

/** Stops the load. Every response was right. No more large ones were truncated than lost their body while the origin had a newer version. */
export async function ends(t: Test, load: Load, mostCut: number): Promise<void> {
  const { wrong, cut } = await load.stop()
  t.same(wrong, [], 'every response was right')
  t.comment(`large bodies that were truncated on their way out of Redis: ${cut}`)
  t.ok(cut <= mostCut, `${cut} were cut`)
}

/** The paths of a load. A large response costs as much as many small ones, so few are large. */
export const paths = [...Array.from({ length: 12 }, (_, i) => `/small/${i + 1}`), '/large/1', '/large/2']

/** Redis alone: everything that is stored comes out of it. */
export const withoutMemory = { cache: { memory: { maxBytes: 0 } } }
