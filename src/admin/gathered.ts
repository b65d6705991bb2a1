// Collects the reports that endpoints show: of this process, or of it and its workers.
import type { StepData } from '../observe/history.ts'
import type { TailBatch } from '../observe/tail.ts'
import type { TopData } from '../observe/top.ts'
import { AdminProblem } from './problems.ts'
import type { AdminParts } from './parts.ts'
import type { ReportDetail } from './workers.ts'
import type { ProcessReport } from './worker-report.ts'

/** The reports of this process, as it gives them to its workers. */
export interface OwnReports {
  numbers(): ProcessReport
  history(): StepData
  top(detail: ReportDetail['top']): TopData
  tail(detail: ReportDetail['tail']): TailBatch
}

/** The reports of this process alone, or of all workers. */
export class Gathered {
  readonly #parts: AdminParts
  readonly #own: OwnReports

  constructor(parts: AdminParts, own: OwnReports) {
    this.#parts = parts
    this.#own = own
  }

  async numbers(): Promise<readonly ProcessReport[]> {
    return this.#parts.workers === undefined ? [this.#own.numbers()] : this.#parts.workers.collect('numbers', undefined)
  }

  async history(): Promise<readonly StepData[]> {
    return this.#parts.workers === undefined ? [this.#own.history()] : this.#parts.workers.collect('history', undefined)
  }

  async tail(detail: ReportDetail['tail']): Promise<readonly TailBatch[]> {
    return this.#parts.workers === undefined ? [this.#own.tail(detail)] : this.#parts.workers.collect('tail', detail)
  }

  async top(detail: ReportDetail['top']): Promise<readonly TopData[]> {
    return this.#parts.workers === undefined ? [this.#own.top(detail)] : this.#parts.workers.collect('top', detail)
  }
}

/** The problem of a request for numbers that are not counted. */
export function notObserved(): AdminProblem {
  return new AdminProblem('NOT_FOUND', { detail: 'These numbers are not counted, because `observe.enabled` is false.' })
}
