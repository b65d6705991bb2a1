// The worker processes behind the same listeners. Any worker reports for all of them.
import type { Stats, MetricObject } from './worker-report.ts'

/** The reports of a worker. */
export interface WorkerReport {
  readonly metrics: readonly MetricObject[]
  readonly stats: Stats
}

/** The access of a worker to the reports of all workers. A single process has none. */
export interface WorkerGroup {
  /** The identity of this worker: the value of the label `worker`. */
  readonly worker: string
  /** Registers the functions that create this worker's reports. Called once. */
  report(tell: { readonly [What in keyof WorkerReport]: () => WorkerReport[What] | Promise<WorkerReport[What]> }): void
  /** Collects the reports of all workers, including this one. A worker that does not reply in time is left out. */
  collect<What extends keyof WorkerReport>(what: What): Promise<readonly WorkerReport[What][]>
}
