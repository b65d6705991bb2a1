// Keys whose answers were lately found not to be storable: their requests do not queue behind one another.
import type { Clock } from '../clock.ts'
import type { Outcome } from '../store/lease.ts'
import type { Asked } from './client.ts'

const rememberMs = 60_000
const maxKeys = 50_000

/** A bounded memory of keys. Forgetting one costs a short queue, never a wrong answer. */
export class UncacheableKeys {
  // Insertion order is age order, since every key is remembered for the same time from when it was put in.
  readonly #until = new Map<string, number>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(key: string): boolean {
    if (this.#until.size === 0) return false
    const until = this.#until.get(key)
    if (until === undefined) return false
    if (until > this.#clock.monotonic()) return true
    this.#until.delete(key)
    return false
  }

  remember(key: string): void {
    const nowMs = this.#clock.monotonic()
    // Known well enough: what is asked for all the time is put at the end of the line now and then, not each time.
    if ((this.#until.get(key) ?? 0) - nowMs > rememberMs / 2) return
    this.#until.delete(key)
    this.#until.set(key, nowMs + rememberMs)
    if (this.#until.size > maxKeys) {
      const oldest = this.#until.keys().next()
      if (oldest.done !== true) this.#until.delete(oldest.value)
    }
  }

  /** Remembers what another process found out of a cache key; most outcomes say nothing of the next. */
  learn(key: string, outcome: Outcome): void {
    if (outcome === 'uncacheable') this.remember(key)
    else if (outcome === 'uncacheable-with-credentials') this.remember(withCredentials(key))
  }

  forget(key: string): void {
    if (this.#until.size > 0) this.#until.delete(key)
  }
}

/**
 * Under which name a request's key is remembered. With credentials it is a name of its own: that an answer is not for
 * others says nothing of what those without credentials are given.
 */
export function memoryKey({ key, request }: Asked): string {
  return request.hasAuthorization || request.hasCookie ? withCredentials(key) : key
}

/** What others are told of a request whose answer is of no use to anyone else. */
export function uncacheableOutcome({ request }: Asked): Outcome {
  return request.hasAuthorization || request.hasCookie ? 'uncacheable-with-credentials' : 'uncacheable'
}

function withCredentials(key: string): string {
  return `${key} credentials`
}
