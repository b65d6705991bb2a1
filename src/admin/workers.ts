// The worker processes behind the same listeners. Any worker reports for all of them.
import type { StepData } from '../observe/history.ts'
import type { TailBatch, TailFilter } from '../observe/tail.ts'
import type { Measure, Subject, TopData } from '../observe/top.ts'
import type { MetricObject, ProcessReport } from './worker-report.ts'

/** The reports of a worker. */
export interface WorkerReport {
  readonly metrics: readonly MetricObject[]
  readonly numbers: ProcessReport
  readonly history: StepData
  readonly top: TopData
  readonly tail: TailBatch
}

/** The subject of a report; undefined where there is no choice. */
export interface ReportDetail {
  readonly metrics: undefined
  readonly numbers: undefined
  readonly history: undefined
  readonly top: { readonly of: Subject; readonly by: Measure }
  /** A watcher, and the requests that it wants. */
  readonly tail: { readonly id: string; readonly filter: TailFilter }
}

/** The access of a worker to the reports of all workers. A single process has none. */
export interface WorkerGroup {
  /** The identity of this worker: the value of the label `worker`. */
  readonly worker: string
  /** Registers the functions that create this worker's reports. Called once. */
  report(tell: { readonly [What in keyof WorkerReport]: (detail: ReportDetail[What]) => WorkerReport[What] | Promise<WorkerReport[What]> }): void
  /** Collects the reports of all workers, including this one. A worker that does not reply in time is left out. */
  collect<What extends keyof WorkerReport>(what: What, detail: ReportDetail[What]): Promise<readonly WorkerReport[What][]>
}
