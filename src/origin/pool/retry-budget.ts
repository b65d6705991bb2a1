// How many requests may be sent again: a tenth of those that are sent, so that retries never double a load that hurts.

const perRequest = 0.1
const mostSaved = 1_000

/**
 * A reserve that each request adds a tenth to and each retry takes one from. It starts as large as the requests that one
 * server may have under way: they all fail at once when it is killed, and none of them is to be lost.
 */
export class RetryBudget {
  readonly #most: number
  #left: number

  constructor(reserve: number) {
    this.#left = reserve
    this.#most = reserve + mostSaved
  }

  /** A request is sent for the first time. */
  earn(): void {
    this.#left = Math.min(this.#most, this.#left + perRequest)
  }

  /** Whether one more may be sent again; takes it. */
  spend(): boolean {
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
