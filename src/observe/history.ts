// The numbers of the last hour in steps of ten seconds, of a process or of several together.
import type { Clock } from '../clock.ts'
import { requestOutcomes, type RequestOutcome } from '../exchange/client/outcome.ts'
import { addEncoded, bucketCount, encodeCounts, quantileOf } from './buckets.ts'

export const stepMs = 10_000

/** The sums of a step, in this order; behind them the counts of all durations by bucket. */
export const sums = [...requestOutcomes, 'bytesToClients', 'bytesFromOrigins', 'savedOriginMs', 'originErrors'] as const
export type SumName = typeof sums[number]
export const rowLength = sums.length + bucketCount

/** Steps as processes exchange them: number of the step, its sums, and its counts by bucket. */
export type StepData = readonly (readonly [step: number, sums: readonly number[], counts: string])[]

/** A row per step; a step that is missing is unknown. */
export type Rows = ReadonlyMap<number, Float64Array>

/** The names of the series that are not sums. */
const quantiles = { p50: 0.5, p99: 0.99 } as const

export interface Series extends Readonly<Record<SumName, readonly (number | null)[]>>, Readonly<Record<keyof typeof quantiles, readonly (number | null)[]>> {}

/** Returns the number of the step that a time belongs to. */
export function stepAt(nowMs: number): number {
  return Math.floor(nowMs / stepMs)
}

/** A ring of steps, filled with the differences between readings of counters that only go up. */
export class History {
  readonly #clock: Clock
  readonly #read: (into: Float64Array) => void
  readonly #ring: { step: number; readonly row: Float64Array }[]
  #last = new Float64Array(rowLength)
  #now = new Float64Array(rowLength)
  #step = -1
  readonly #closed: (step: number, row: Float64Array) => void

  /**
   * @param keepMs how long steps are kept
   * @param read writes the counters, as they are now, in the order of a row
   * @param closed called with each step that is over
   */
  constructor(clock: Clock, keepMs: number, read: (into: Float64Array) => void, closed: (step: number, row: Float64Array) => void = () => {}) {
    this.#clock = clock
    this.#read = read
    this.#closed = closed
    this.#ring = Array.from({ length: Math.ceil(keepMs / stepMs) }, () => ({ step: -1, row: new Float64Array(rowLength) }))
    this.tick()
  }

  /** Adds the counts since the last call to the current step. Called once a second, and before each reading. */
  tick(): void {
    const step = stepAt(this.#clock.now())
    this.#read(this.#now)
    // A wall clock that was set back far begins a new history; after a short one the current step goes on.
    const isBack = step < this.#step - 1
    if (isBack) { for (const slot of this.#ring) slot.step = -1 }
    if (step > this.#step || isBack) {
      const before = this.#step
      this.#step = step
      const slot = this.#slot(step)
      slot.step = step
      if (before >= 0 && !isBack) this.#closed(before, this.#slot(before).row)
      slot.row.fill(0)
    }
    const { row } = this.#slot(this.#step)
    for (let i = 0; i < rowLength; i++) row[i] = (row[i] as number) + (this.#now[i] as number) - (this.#last[i] as number)
    ;[this.#last, this.#now] = [this.#now, this.#last]
  }

  /** Reports the current step as over. */
  end(): void {
    this.tick()
    this.#closed(this.#step, this.current)
  }

  /** The number of the current step. */
  get step(): number {
    return this.#step
  }

  /** The row of the current step. */
  get current(): Float64Array {
    return this.#slot(this.#step).row
  }

  rows(): Rows {
    this.tick()
    return new Map(this.#ring.filter(({ step }) => step > this.#step - this.#ring.length && step <= this.#step).map(({ step, row }) => [step, row]))
  }

  data(): StepData {
    return Array.from(this.rows(), ([step, row]) => [step, ...rowData(row)] as const)
  }

  #slot(step: number): { step: number; readonly row: Float64Array } {
    return this.#ring[step % this.#ring.length] as { step: number; readonly row: Float64Array }
  }
}

/** A row as text and numbers, for another process. */
export function rowData(row: Float64Array): [sums: number[], counts: string] {
  return [Array.from(row.subarray(0, sums.length), Math.round), encodeCounts(row.subarray(sums.length))]
}

/** Adds a row of another process. Returns false, and adds nothing, if it cannot be read. */
export function addRowData(values: readonly number[], counts: string, into: Float64Array): boolean {
  if (values.length !== sums.length || !values.every(value => Number.isSafeInteger(value) && value >= 0)) return false
  if (!addEncoded(counts, into.subarray(sums.length))) return false
  for (const [i, value] of values.entries()) into[i] = (into[i] as number) + value
  return true
}

/** The steps of several processes together. A step is known if any process knows it. */
export function mergedRows(all: readonly StepData[]): Rows {
  const merged = new Map<number, Float64Array>()
  for (const [step, values, counts] of all.flat()) {
    const row = merged.get(step) ?? new Float64Array(rowLength)
    if (addRowData(values, counts, row)) merged.set(step, row)
  }
  return merged
}

/** The steps of a window that ends with the current step, as series of equal length: null where a step is unknown. */
export function seriesOf(rows: Rows, windowMs: number, nowMs: number): { readonly fromMs: number; readonly stepMs: number; readonly series: Series } {
  const length = windowMs / stepMs
  const first = stepAt(nowMs) - length + 1
  const window = Array.from({ length }, (_, i) => rows.get(first + i))
  const series = (read: (row: Float64Array) => number | null): (number | null)[] => window.map(row => (row === undefined ? null : read(row)))
  return {
    fromMs: first * stepMs,
    stepMs,
    series: {
      ...Object.fromEntries(sums.map((name, i) => [name, series(row => Math.round(row[i] as number))])) as Record<SumName, (number | null)[]>,
      ...Object.fromEntries(Object.entries(quantiles).map(([name, quantile]) => [name, series(row => quantileOf(row.subarray(sums.length), quantile))])) as Record<
        keyof typeof quantiles,
        (number | null)[]
      >,
    },
  }
}

/** Requests of a row, its hit ratio, and the 99th percentile of all its requests. */
export function rowSummary(row: Float64Array): { readonly requests: number; readonly outcomes: Readonly<Record<RequestOutcome, number>>; readonly p99: number | null } {
  const outcomes = Object.fromEntries(requestOutcomes.map((outcome, i) => [outcome, row[i]])) as Record<RequestOutcome, number>
  return { requests: Object.values(outcomes).reduce((sum, count) => sum + count), outcomes, p99: quantileOf(row.subarray(sums.length), 0.99) }
}
