// The body of GET /v1/stats: the counters and store sizes of a process, or of several together.
import { totalOf, type CountersSnapshot } from '../exchange/counters.ts'
import type { ProcessNumbers } from '../observe/observation.ts'
import { hitRatio, latencySummaries, mergedTraffic, noTraffic } from '../observe/traffic.ts'
import type { StoreStats } from '../store/store.ts'
import { degraded } from './degraded.ts'
import type { Reporting } from './fleet.ts'
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
    hitRatio: hitRatio(counted.outcomes),
    store: { ...store.stats(), degraded: degraded(parts) },
    purgeLog: { applied: purgeLog.applied, revision: purgeLog.revision, current: purgeLog.isCaughtUp() },
    ...(fingerprints !== undefined && { configuration: { ...fingerprints.own, differing: fingerprints.differing } }),
  }
}

/** A worker's share of the totals. */
export type Share = Pick<Stats, 'pid' | 'uptimeMs' | 'requests' | 'hits'>

export const shareOf = ({ pid, uptimeMs, requests, hits }: Stats): Share => ({ pid, uptimeMs, requests, hits })

/** Sums the counters and memory of several processes. Process, uptime and purge log position are those of `own`. */
export function statsOfAll(own: Stats, all: readonly (Partial<CountersSnapshot> & { readonly store: StoreStats })[]): Stats {
  const counted = totalOf(all)
  return {
    ...own,
    ...counted,
    hitRatio: hitRatio(counted.outcomes),
    store: {
      kind: own.store.kind,
      entries: sum(all, ({ store }) => store.entries),
      bytes: sum(all, ({ store }) => store.bytes),
      maxBytes: sum(all, ({ store }) => store.maxBytes),
      evictions: sum(all, ({ store }) => store.evictions) ?? 0,
      degraded: [...new Set(all.flatMap(({ store }) => store.degraded))],
    },
  }
}

/** The bytes and latencies of several processes together; null where a process does not count them. */
export function observedOfAll(all: readonly (Pick<ProcessNumbers, 'traffic' | 'bytesFromOrigins'> | undefined)[]): { readonly bytes: unknown; readonly latencyMs: unknown } {
  const known = all.filter(each => each !== undefined)
  if (known.length < all.length || all.length === 0) return { bytes: null, latencyMs: null }
  const { bytesToClients, bytesSaved, latency } = mergedTraffic(known.map(({ traffic }) => traffic))
  const fromOrigins = known.reduce((total, { bytesFromOrigins }) => total + bytesFromOrigins, 0)
  return { bytes: { toClients: bytesToClients, fromOrigins, saved: bytesSaved }, latencyMs: latencySummaries(latency) }
}

/** The numbers of all replicas. Process, uptime and purge log position are those of `own`. */
export function fleetStats(own: Stats, { reports, live }: Reporting): Record<string, unknown> {
  const observed = reports.map(({ traffic, counters }) => traffic && { bytesFromOrigins: traffic.bytesFromOrigins, traffic: { ...noTraffic, ...traffic, ...counters.outcomes } })
  return {
    scope: 'fleet',
    replicas: { live, reporting: reports.length },
    ...statsOfAll(own, reports.map(({ counters, store }) => ({ ...counters, store }))),
    // A replica that does not count is left out, as one that does not report.
    ...observedOfAll(observed.filter(each => each !== undefined)),
  }
}

/** Sums a value over all processes; undefined if one does not know it. */
function sum<Each>(all: readonly Each[], read: (each: Each) => number | undefined): number | undefined {
  return all.reduce<number | undefined>((total, each) => {
    const value = read(each)
    return total === undefined || value === undefined ? undefined : total + value
  }, 0)
}
