// The processes that answer behind the same listeners, each of which tells for all.
import type { Stats, MetricObject } from './worker-report.ts'

/** What each can be asked for. */
export interface WorkerReport {
  readonly metrics: readonly MetricObject[]
  readonly stats: Stats
}

/** How one of several workers hears of the others. A process that is alone has none. */
export interface WorkerGroup {
  /** What tells this worker from the others: the value of the label `worker`. */
  readonly worker: string
  /** What this one tells of itself whenever any of them is asked. Called once. */
  report(tell: { readonly [What in keyof WorkerReport]: () => WorkerReport[What] | Promise<WorkerReport[What]> }): void
  /** What all of them tell, this one among them; one that does not answer in time is left out. */
  collect<What extends keyof WorkerReport>(what: What): Promise<readonly WorkerReport[What][]>
}
