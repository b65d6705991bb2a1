// The limit on anonymous sessions that one client address begins: a bucket for each address.
import type { Clock } from '../clock.ts'

const minuteMs = 60_000
/** Addresses that are remembered; beyond it those whose buckets are fullest are as good as forgotten. */
const mostAddresses = 50_000

interface Bucket {
  left: number
  atMs: number
}

/** Lets each address begin so many sessions at once, and as many again in a minute. */
export class AnonymousLimit {
  readonly #perMinute: number
  readonly #clock: Clock
  #younger = new Map<string, Bucket>()
  #older = new Map<string, Bucket>()

  /** @param perMinute 0: no limit */
  constructor(perMinute: number, clock: Clock) {
    this.#perMinute = perMinute
    this.#clock = clock
  }

  /** Takes one from the bucket of an address. Returns false if it is empty. */
  take(address: string): boolean {
    if (this.#perMinute === 0) return true
    const nowMs = this.#clock.monotonic()
    const before = this.#younger.get(address) ?? this.#older.get(address) ?? { left: this.#perMinute, atMs: nowMs }
    const left = Math.min(this.#perMinute, before.left + (nowMs - before.atMs) / minuteMs * this.#perMinute)
    if (this.#younger.size >= mostAddresses / 2) {
      this.#older = this.#younger
      this.#younger = new Map()
    }
    this.#younger.set(address, { left: left >= 1 ? left - 1 : left, atMs: nowMs })
    return left >= 1
  }
}
