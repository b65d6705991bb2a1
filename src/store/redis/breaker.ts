// When to stop asking a server that does not answer, and when to try it again.

/** Failures in a row that open it. */
const failuresToOpen = 5
const firstOpenMs = 200
const longestOpenMs = 1000

/**
 * A circuit breaker. Closed, it lets everything through; after five failures in a row it opens, and refuses at once what
 * would only wait for its deadline; then it lets one call through at a time, and closes when one succeeds.
 */
export class Breaker {
  #failures = 0
  #openUntilMs = -Infinity
  #openMs = firstOpenMs
  #probing = false

  get open(): boolean {
    return this.#failures >= failuresToOpen
  }

  /** Whether a call may go out at `nowMs`; one that may must be followed by `succeed` or `fail`. */
  admits(nowMs: number): boolean {
    if (!this.open) return true
    if (this.#probing || nowMs < this.#openUntilMs) return false
    this.#probing = true
    return true
  }

  succeed(): void {
    this.#failures = 0
    this.#openMs = firstOpenMs
    this.#probing = false
  }

  fail(nowMs: number): void {
    this.#failures++
    this.#probing = false
    if (!this.open) return
    this.#openUntilMs = nowMs + this.#openMs
    this.#openMs = Math.min(longestOpenMs, this.#openMs * 2)
  }
}
