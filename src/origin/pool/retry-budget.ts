// Limits retries to a tenth of the requests, so that retries never double the load on an overloaded origin.

const perRequest = 0.1
const mostSaved = 1_000

/**
 * A reserve to which each request adds a tenth and from which each retry takes one. It starts with as many retries as one
 * server may have requests in flight: if that server is killed, they all fail at once, and none of them is lost.
 */
export class RetryBudget {
  readonly #most: number
  #left: number

  constructor(reserve: number) {
    this.#left = reserve
    this.#most = reserve + mostSaved
  }

  /** Records the first try of a request. */
  earn(): void {
    this.#left = Math.min(this.#most, this.#left + perRequest)
  }

  /** Takes one retry from the reserve. False if there is none. */
  spend(): boolean {
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
