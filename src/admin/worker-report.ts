// The numbers that one worker reports to the others.
import type { CountersSnapshot } from '../exchange/counters.ts'
import type { StoreStats } from '../store/store.ts'
import type { Registry } from 'prom-client'

/** What one process tells of itself. */
export interface Stats extends CountersSnapshot {
  readonly version: string
  readonly pid: number
  readonly uptimeMs: number
  /** Of all requests that were decided on; null before the first. */
  readonly hitRatio: number | null
  readonly store: StoreStats
  readonly purgeLog: { readonly applied: string, readonly revision: number, readonly current: boolean }
  /** Only where others share the store. */
  readonly configuration?: Comparison['own'] & Pick<Comparison, 'differing'>
}

/** Digests of the configuration, and the replicas with the same store whose configuration is another. */
export interface Comparison {
  readonly own: { readonly routes: string, readonly origins: string }
  readonly differing: readonly { readonly replica: string, readonly differs: readonly string[] }[]
}

/** One metric with its values, as one worker tells another. */
export type MetricObject = Awaited<ReturnType<Registry['getMetricsAsJSON']>>[number]
