// A single timer for all timeouts on connections to origins, in place of a timer for each request.

/** Something that ends when its time is up. */
export interface Sweepable {
  /** A value of `after`; Infinity while it has all the time. */
  deadline: number
  /** Called at each sweep from the deadline on, until it sets another one or leaves. */
  expired(): void
}

/** The time between two sweeps. A timeout comes up to two of these late, and never early. */
const sweepMs = 100

/**
 * Watches deadlines. To set a deadline costs an assignment, and no timer. Time is counted in sweeps: while the process is stopped, or does
 * not come to its sockets, no time passes, and bytes that have arrived are read before a timeout is noticed.
 */
export class TimeoutSweep {
  readonly #members = new Set<Sweepable>()
  #sweeps = 0
  #timer: NodeJS.Timeout | undefined

  /** Returns the deadline that is so many milliseconds away. 0: none. */
  after(ms: number): number {
    // The present interval has begun already.
    return ms > 0 ? this.#sweeps + Math.ceil(ms / sweepMs) + 1 : Infinity
  }

  join(member: Sweepable): void {
    this.#members.add(member)
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs).unref()
  }

  leave(member: Sweepable): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    this.#sweeps++
    for (const member of this.#members) if (member.deadline <= this.#sweeps) member.expired()
  }
}
