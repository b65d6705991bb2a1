// A lease: which of the processes that share a cache asks the origin for a key, and how the others wait for it.
import type { LogPosition } from '../policy/stored.ts'
import type { StoreKey } from './store.ts'

/**
 * What became of a fetch, for those who waited for it.
 *
 * - stored: the store has it; look again.
 * - uncacheable, uncacheable-with-credentials: what it brought is of no use to anyone else, to a request without or with
 *   credentials. Who waited asks for itself, and so does whoever comes soon after.
 * - refused: the store did not take it, and would not take it from another. Who waited asks for itself.
 * - failed: it brought nothing. One of those who waited asks in its place.
 */
export type Outcome = 'stored' | 'uncacheable' | 'uncacheable-with-credentials' | 'refused' | 'failed'

/** The right to ask, and the duty to say what came of it. It ends with the process that holds it, a little later. */
export interface Lease {
  /** Whether the store had something under the key when the lease was taken: perhaps stored since the taker last looked. */
  readonly hasEntry: boolean
  /** Gives it back, and wakes those who wait. Once; later calls do nothing. */
  release(outcome: Outcome): void
}

/** What an attempt to take a lease came to. */
export type LeaseResult =
  | { readonly kind: 'acquired'; readonly lease: Lease }
  /** It was given back a moment ago with the outcome that this taker acceptsOutcome: what those who waited were told holds for it. */
  | { readonly kind: 'knownUncacheable' }
  /** There is no lease to be had, nor anything to wait for: ask without. */
  | { readonly kind: 'unavailable' }
  | HeldElsewhere

/** Another fetch holds it. `over` or `leave` must be called; `leave` also ends an `over` that is waited for, as lapsed. */
export interface HeldElsewhere {
  readonly kind: 'heldElsewhere'
  /** Names that one holding: no two have the same. */
  readonly token: string
  /** The purge log's place when that fetch began. */
  readonly stamp: LogPosition
  /** How long `over` waits at the most: never longer than a lease. */
  readonly waitMs: number
  /** Resolves when it was given back; or with `lapsed`, when it should have ended or word of its end may have been lost: take again. Never rejects. */
  ended(): Promise<Outcome | 'expired'>
  leave(): void
}

/**
 * One lease for each key, among all processes over one store. Holding one is no proof: whoever is held up for longer than
 * a lease lasts goes on without it, beside the next. That costs a second request to the origin and nothing else, since the
 * store orders what is committed by when it was asked for, and purges by stamps.
 */
export interface Leases {
  /**
   * Takes the lease of a key, or tells who has it; within the deadline of one command, and never rejects.
   * @param stamp the purge log's place when this fetch began
   * @param acceptsOutcome which way of being uncacheable would make this fetch one that nobody waits for
   * @param stealFrom token of a holder for which this fetch may not wait: the lease is taken from that one
   */
  take(key: StoreKey, stamp: LogPosition, acceptsOutcome: Outcome, stealFrom?: string): Promise<LeaseResult>
  close(): Promise<void>
}
