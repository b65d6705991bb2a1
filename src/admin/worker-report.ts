// The statistics that a worker reports to the others.
import type { CountersSnapshot } from '../exchange/counters.ts'
import type { ProcessNumbers } from '../observe/observation.ts'
import type { StoreStats } from '../store/store.ts'
import type { Registry } from 'prom-client'

/** The statistics of one process. */
export interface Stats extends CountersSnapshot {
  readonly version: string
  readonly pid: number
  readonly uptimeMs: number
  /** (hit + stale) / (requests - pass); null if that divides by 0. */
  readonly hitRatio: number | null
  readonly store: StoreStats
  readonly purgeLog: { readonly applied: string; readonly revision: number; readonly current: boolean }
  /** Present only if other processes share the store. */
  readonly configuration?: Comparison['own'] & Pick<Comparison, 'differing'>
}

/** All numbers of one process. */
export interface ProcessReport {
  readonly stats: Stats
  /** undefined if `observe.enabled` is false. */
  readonly observed: ProcessNumbers | undefined
}

/** Digests of the configuration, and the replicas with the same store whose configuration is another. */
export interface Comparison {
  readonly own: { readonly routes: string; readonly origins: string }
  readonly differing: readonly { readonly replica: string; readonly differs: readonly string[] }[]
}

/** A metric with its values, as workers exchange it. */
export type MetricObject = Awaited<ReturnType<Registry['getMetricsAsJSON']>>[number]
