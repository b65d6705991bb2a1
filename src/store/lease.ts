// A lease decides which of the processes that share a cache fetches a variant of a key, and lets the others wait for it.
import type { LogPosition } from '../policy/stored.ts'
import type { StoreKey } from './store.ts'

/**
 * The outcome of a fetch, for its followers.
 * - stored: the store has it; look it up again.
 * - uncacheable, uncacheable-with-credentials: the response cannot serve other requests, without or with credentials.
 *   Followers fetch for themselves, and so do later requests for a short time.
 * - refused: the store did not take it, and would not take it from another process either. Followers fetch for themselves.
 * - failed: there was no response. A follower fetches instead.
 */
export type Outcome = 'stored' | 'uncacheable' | 'uncacheable-with-credentials' | 'refused' | 'failed'

/** The right to fetch, and the duty to report the outcome. It ends soon after the process that holds it. */
export interface Lease {
  /**
   * True if the store had an entry under the key when the lease was taken. It may be newer than the holder's last lookup.
   */
  readonly hasEntry: boolean
  /** Identifies this holding, for a later fetch of the same process that takes its place. */
  readonly token: string
  /** Calls `listener` once, when another process waits for this lease, or at once if one does already. Never after the release. */
  whenAwaited(listener: () => void): void
  /** Releases the lease and wakes the followers. Later calls do nothing. */
  release(outcome: Outcome): void
}

/** The result of an attempt to take a lease. */
export type LeaseResult =
  | { readonly kind: 'acquired'; readonly lease: Lease }
  /** The lease was released a moment ago with an outcome that this process accepts: the outcome holds for it too. */
  | { readonly kind: 'knownUncacheable' }
  /** There is no lease, and nothing to wait for: fetch without one. */
  | { readonly kind: 'unavailable' }
  | HeldElsewhere

/** Another fetch holds the lease. Call `ended` or `leave`; `leave` also ends a pending `ended`, as expired. */
export interface HeldElsewhere {
  readonly kind: 'heldElsewhere'
  /** Identifies this holding: no two are equal. */
  readonly token: string
  /** The purge log's position when that fetch began. */
  readonly stamp: LogPosition
  /** The longest time that `ended` waits: never longer than a lease. */
  readonly waitMs: number
  /**
   * Resolves when the lease is released. Resolves to `expired` when it should have ended, or its release message may have
   * been lost: then take the lease again. Never rejects.
   */
  ended(): Promise<Outcome | 'expired'>
  leave(): void
}

/**
 * Leases, one for each variant of a key, among all processes over one store. Holding one is no proof: a process that is held up for longer
 * than the lease goes on without it, beside the next holder. That costs only a second request to the origin. The store
 * orders commits by the time of their requests, and purges by stamps.
 */
export interface Leases {
  /**
   * Takes a lease, or reports its holder. Ends within the deadline of one command, and never rejects.
   * @param stamp the purge log's position when this fetch began
   * @param acceptsOutcome the kind of uncacheable outcome for which no request would wait for this fetch
   * @param stealFrom the token of a holder that this fetch must not wait for: the lease is taken from it; '': nobody
   * @param variant the variant that is fetched; '': the fields that select one are not known
   */
  take(key: StoreKey, stamp: LogPosition, acceptsOutcome: Outcome, stealFrom?: string, variant?: string): Promise<LeaseResult>
  close(): Promise<void>
}
