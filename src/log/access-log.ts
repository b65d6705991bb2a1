// The access log: which requests get a line, and where it goes.
import type { LogConfig } from '../config/schema.ts'
import { accessLine, isErrorStatus, type AccessRecord } from './access-line.ts'
import { targetMask, type TargetMask } from './masking.ts'
import type { LineSink } from './sink.ts'

/** The parts through which lines reach the log; `format` changes a line for people. */
export interface AccessLogParts {
  readonly sink: Pick<LineSink, 'append'>
  readonly format: (line: string) => string
  /** A number from 0 up to 1, as Math.random gives. */
  readonly random?: () => number
}

/**
 * Writes a line for the requests that `log.access` names. A request without a line costs one call of `wants`. Lines are
 * written once per turn of the event loop, and never waited for: see LineSink.
 */
export class AccessLog {
  readonly #access: LogConfig['access']
  readonly #sampleOneIn: number
  readonly #slowMs: number
  readonly #mask: TargetMask
  readonly #parts: AccessLogParts
  readonly #random: () => number

  constructor({ access, sampleOneIn, slowMs, query }: LogConfig, parts: AccessLogParts) {
    this.#access = access
    this.#sampleOneIn = sampleOneIn
    this.#slowMs = slowMs
    this.#mask = targetMask(query)
    this.#parts = parts
    this.#random = parts.random ?? Math.random
  }

  /**
   * Returns true if a request gets a line. Call it once per request: `sampled` chooses at random.
   * @param status the status of the final response
   * @param isError true if the response is the proxy's own problem document
   * @param ms how long the request took
   */
  wants(status: number, isError: boolean, ms: number): boolean {
    switch (this.#access) {
      case 'off':
        return false
      case 'all':
        return true
      case 'errors':
        return isErrorStatus(status, isError)
      case 'sampled':
        return isErrorStatus(status, isError) || ms >= this.#slowMs || this.#random() * this.#sampleOneIn < 1
    }
  }

  /** Writes the line of a request, whether or not it was wanted. */
  write(record: AccessRecord): void {
    this.#parts.sink.append(this.#parts.format(accessLine(record, this.#mask)))
  }
}
