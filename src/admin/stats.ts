// GET /v1/stats: the counters and store sizes of a process, or of all workers together.
import { totalOf, type CountersSnapshot } from '../exchange/counters.ts'
import { degraded } from './degraded.ts'
import type { AdminParts } from './parts.ts'
import type { Stats } from './worker-report.ts'

export function statsOf(parts: AdminParts, startedMs: number): Stats {
  const { version, clock, counters, store, purgeLog, fingerprints } = parts
  const counted = counters.snapshot()
  return {
    version,
    pid: process.pid,
    uptimeMs: Math.round(clock.monotonic() - startedMs),
    ...counted,
    hitRatio: hitRatio(counted),
    store: { ...store.stats(), degraded: degraded(parts) },
    purgeLog: { applied: purgeLog.applied, revision: purgeLog.revision, current: purgeLog.isCaughtUp() },
    ...(fingerprints !== undefined && { configuration: { ...fingerprints.own, differing: fingerprints.differing } }),
  }
}

/** A worker's share of the totals. */
type Share = Pick<Stats, 'pid' | 'uptimeMs' | 'requests' | 'hits'>

/** Sums the counters and memory of all workers. Process, uptime and purge log position are those of `own`. */
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

/** The share of hits and stale responses among the requests that are not passed; null if all are passed. */
export function hitRatio({ requests, outcomes: { hit, stale, pass } }: CountersSnapshot): number | null {
  return requests === pass ? null : (hit + stale) / (requests - pass)
}

/** Sums a value over all workers; undefined if a worker does not know it. */
function sum(all: readonly Stats[], read: (stats: Stats) => number | undefined): number | undefined {
  return all.reduce<number | undefined>((total, stats) => {
    const value = read(stats)
    return total === undefined || value === undefined ? undefined : total + value
  }, 0)
}
