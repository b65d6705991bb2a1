// GET /v1/stats: what a process has counted and what it holds; of several workers, what all of them have.
import { totalOf, type CountersSnapshot } from '../exchange/counters.ts'
import { degraded } from './degraded.ts'
import type { AdminParts } from './parts.ts'
import type { Stats } from './worker-report.ts'

export function statsOf({ version, clock, counters, store, purgeLog, fingerprints }: AdminParts, startedMs: number): Stats {
  const counted = counters.snapshot()
  return {
    version,
    pid: process.pid,
    uptimeMs: Math.round(clock.monotonic() - startedMs),
    ...counted,
    hitRatio: hitRatio(counted),
    store: { ...store.stats(), degraded: degraded({ store, purgeLog }) },
    purgeLog: { applied: purgeLog.applied, revision: purgeLog.revision, current: purgeLog.isCaughtUp() },
    ...(fingerprints !== undefined && { configuration: { ...fingerprints.own, differing: fingerprints.differing } }),
  }
}

/** One worker's part in what all of them tell. */
type Share = Pick<Stats, 'pid' | 'uptimeMs' | 'requests' | 'hits'>

/** What all workers have counted and hold in memory. The process, its uptime and its place in the purge log are those of `own`. */
export function statsOfAll(own: Stats, all: readonly Stats[]): Stats & { readonly workers: readonly Share[] } {
  const counted = totalOf(all)
  return {
    ...own,
    ...counted,
    hitRatio: hitRatio(counted),
    store: {
      kind: own.store.kind,
      entries: sum(all, ({ store }) => store.entries),
      bytes: sum(all, ({ store }) => store.bytes),
      maxBytes: sum(all, ({ store }) => store.maxBytes),
      evictions: sum(all, ({ store }) => store.evictions) ?? 0,
      degraded: [...new Set(all.flatMap(({ store }) => store.degraded))],
    },
    workers: all.map(({ pid, uptimeMs, requests, hits }) => ({ pid, uptimeMs, requests, hits })),
  }
}

export function hitRatio({ requests, hits }: CountersSnapshot): number | null {
  return requests === 0 ? null : hits / requests
}

/** undefined where one of them cannot tell. */
function sum(all: readonly Stats[], read: (stats: Stats) => number | undefined): number | undefined {
  return all.reduce<number | undefined>((total, stats) => {
    const value = read(stats)
    return total === undefined || value === undefined ? undefined : total + value
  }, 0)
}
