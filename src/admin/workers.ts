// The processes that answer behind the same listeners, each of which tells for all.
import type { Stats, MetricObject } from './worker-report.ts'

/** What each can be asked for. */
export interface Told {
  readonly metrics: readonly MetricObject[]
  readonly stats: Stats
}

/** How one of several workers hears of the others. A process that is alone has none. */
export interface Crew {
  /** What tells this worker from the others: the value of the label `worker`. */
  readonly worker: string
  /** What this one tells of itself whenever any of them is asked. Called once. */
  offer(tell: { readonly [What in keyof Told]: () => Told[What] | Promise<Told[What]> }): void
  /** What all of them tell, this one among them; one that does not answer in time is left out. */
  gather<What extends keyof Told>(what: What): Promise<readonly Told[What][]>
}
