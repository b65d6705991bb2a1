// Keys whose responses were lately found not to be storable: their requests do not queue behind one another.
import { hash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Outcome } from '../../store/lease.ts'
import type { RoutedRequest } from '../routed-request.ts'

const rememberMs = 60_000
/** Half of what is remembered at the most. */
const mostOfAGeneration = 25_000

/**
 * A bounded memory of keys. Forgetting a key costs a short queue, never a wrong response; so does a key that has another's digest,
 * whose requests go alone for a minute.
 *
 * Keys hold what clients wrote, 8 KiB of target and more, so their digests are kept in their place: some 150 bytes each, 8 MB at
 * the most. There are two generations, of which the older goes as a whole: once all in it are out of date, or the younger is full.
 */
export class HitForMiss {
  #younger = new Map<string, number>()
  #older = new Map<string, number>()
  /** Until when the last key of each generation is remembered. */
  #youngerUntil = -Infinity
  #youngerSince = 0
  #olderUntil = -Infinity
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Keys that are kept, those among them that are out of date. */
  get size(): number {
    return this.#younger.size + this.#older.size
  }

  has(key: string): boolean {
    if (this.size === 0) return false
    const nowMs = this.#clock.monotonic()
    this.#sweep(nowMs)
    return this.size > 0 && this.#until(digest(key)) > nowMs
  }

  remember(key: string): void {
    const nowMs = this.#clock.monotonic()
    this.#sweep(nowMs)
    const name = digest(key)
    // Known well enough: a key that is requested all the time is recorded now and then, not each time.
    if (this.#until(name) - nowMs > rememberMs / 2) return
    if (this.#younger.size >= mostOfAGeneration) this.#age()
    if (this.#younger.size === 0) this.#youngerSince = nowMs
    this.#youngerUntil = nowMs + rememberMs
    this.#younger.set(name, this.#youngerUntil)
  }

  /** Remembers what another process found out about what is requested; most outcomes say nothing of the next. */
  record(asked: RoutedRequest, outcome: Outcome): void {
    if (outcome === 'uncacheable' || outcome === 'uncacheable-with-credentials') this.remember(keyFor(asked, outcome))
  }

  forget(key: string): void {
    if (this.size === 0) return
    const name = digest(key)
    this.#younger.delete(name)
    this.#older.delete(name)
  }

  #until(name: string): number {
    return this.#younger.get(name) ?? this.#older.get(name) ?? -Infinity
  }

  #sweep(nowMs: number): void {
    if (this.#youngerUntil <= nowMs) {
      if (this.size === 0) return
      this.#younger = new Map()
      this.#older = new Map()
    } else if (this.#olderUntil <= nowMs && nowMs - this.#youngerSince >= rememberMs) this.#age()
  }

  // The older generation is let go. Where there was room for it, it is out of date by now.
  #age(): void {
    this.#older = this.#younger
    this.#olderUntil = this.#youngerUntil
    this.#younger = new Map()
  }
}

function digest(key: string): string {
  return hash('sha256', key, 'base64url')
}

/**
 * Returns the name under which a request's key is remembered. A request with credentials has a name of its own. That its
 * response is not for others says nothing about responses without credentials. It is one name for all
 * variants, because with `Vary: Cookie` each client has its own.
 */
export function hitForMissKey(asked: RoutedRequest): string {
  return keyFor(asked, uncacheableOutcome(asked))
}

function keyFor({ key, fetchKey, fetchesPart }: RoutedRequest, outcome: Outcome): string {
  if (outcome === 'uncacheable') return fetchKey
  // A range says nothing about the whole.
  return withCredentials(fetchesPart ? fetchKey : key)
}

/** Returns the outcome that followers get if the response cannot be shared. */
export function uncacheableOutcome({ request }: RoutedRequest): Outcome {
  return request.hasAuthorization || request.hasCookie ? 'uncacheable-with-credentials' : 'uncacheable'
}

function withCredentials(key: string): string {
  return `${key} credentials`
}
