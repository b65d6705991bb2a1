// When this process last prolonged each session: a session is prolonged now and then, not at each request.
import type { Clock } from '../clock.ts'

/** Sessions that are remembered. A forgotten one is prolonged once too often. */
const mostSessions = 50_000
const longestPeriodMs = 60_000

/** Returns how often a session is prolonged: its end may come a tenth of its idle time too soon. */
export function touchPeriodMs(idleMs: number): number {
  return Math.min(longestPeriodMs, Math.floor(idleMs / 10))
}

export class Touches {
  readonly #clock: Clock
  #younger = new Map<string, number>()
  #older = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True if a session is to be prolonged now. Then it is not again within its period. */
  isDue(sid: string, periodMs: number): boolean {
    const nowMs = this.#clock.monotonic()
    const lastMs = this.#younger.get(sid) ?? this.#older.get(sid)
    if (lastMs !== undefined && nowMs - lastMs < periodMs) return false
    if (this.#younger.size >= mostSessions / 2) {
      this.#older = this.#younger
      this.#younger = new Map()
    }
    this.#younger.set(sid, nowMs)
    return true
  }
}
