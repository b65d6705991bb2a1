// Very many entries in Redis, as the store writes them, put there in a pipeline: the store itself would take ten times as long.
import type { Redis } from 'ioredis'
import { encodeValue, entryName, fieldName } from '../../src/store/redis/entries/value.ts'
import { metadata } from './metadata.ts'

export interface ManyEntries {
  readonly count: number
  /** The beginning of every key in Redis. */
  readonly prefix: string
  readonly authority: string
  /** The cache key of the first entry, as reported by a replica. */
  readonly firstKey: string
  readonly tags: readonly string[]
  /** The position in the purge log at which the entries were requested. */
  readonly stamp: string
  readonly body: Buffer
  readonly nowMs: number
  /** Called now and then with how many there are. */
  written?(count: number): void
}

/** The target of each: all of one length, which is a part of the key. */
export function targetOf(i: number): string {
  return `/things/${String(i).padStart(8, '0')}`
}

const batch = 2000
const keepMs = 3_600_000

export async function writeEntries(redis: Redis, entries: ManyEntries): Promise<void> {
  const { count, prefix, authority, firstKey, tags, stamp, body, nowMs } = entries
  for (let from = 0; from < count; from += batch) {
    const pipeline = redis.pipeline()
    for (let i = from; i < Math.min(count, from + batch); i++) {
      const target = targetOf(i)
      const key = firstKey.replace(targetOf(0), target)
      const meta = metadata({
        fields: ['content-type', 'application/json; charset=utf-8', 'cache-control', 'public, max-age=3600', 'etag', `"${i}"`, 'date', new Date(nowMs).toUTCString()],
        requestTimeMs: nowMs - 5,
        responseTimeMs: nowMs,
        lifetimeMs: keepMs,
        keepUntilMs: nowMs + keepMs,
        etag: `"${i}"`,
        authority,
        target,
        tags: [...tags],
        stamp,
      })
      const name = entryName(prefix, key)
      pipeline.hset(name, fieldName(''), encodeValue(key, meta, body.length, body))
      pipeline.pexpire(name, keepMs)
    }
    await pipeline.exec()
    entries.written?.(Math.min(count, from + batch))
  }
}

/** Calls of each command since the server started. */
export async function commandCalls(redis: Redis): Promise<Map<string, number>> {
  const stats = await redis.info('commandstats')
  return new Map([...stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name = '', count]) => [name, Number(count)]))
}

/** Returns the commands called since, without those that tests inspect a server with. */
export function callsSince(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Map<string, number> {
  const since = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
  return new Map(since.filter(([name, count]) => count > 0 && !/^(?:info|slowlog|latency|memory|config|dbsize|xlen)\b/.test(name)))
}
