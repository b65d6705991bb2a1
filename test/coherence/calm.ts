// Whether anything goes wrong at the moment, and since when not: some promises are for calm times only.

// Replicas that come back read on, connect again and are registered within this.
const recoveryMs = 5_000

export class Calm {
  #troubles = 0
  #endedMs = -Infinity

  /** Notes a trouble until the function that it gives is called. */
  begin(): () => void {
    this.#troubles++
    return () => {
      this.#troubles--
      this.#endedMs = performance.now()
    }
  }

  /** Since when all has been well, the time to recover left out; undefined: it is not. */
  get sinceMs(): number | undefined {
    const sinceMs = this.#endedMs + recoveryMs
    return this.#troubles > 0 || sinceMs > performance.now() ? undefined : sinceMs
  }
}
