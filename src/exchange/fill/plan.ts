// What a fill works with, and what is decided before it begins.
import type { Clock } from '../../clock.ts'
import type { RangeAsked } from '../../policy/combine.ts'
import type { ForwardReason } from '../../policy/reasons.ts'
import type { LogPosition } from '../../policy/stored.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { CacheRequest } from '../../policy/request.ts'
import type { Fetch } from '../coalesce/coalescer.ts'
import type { DeliverParts } from '../deliver/deliver.ts'
import type { HitForMiss } from '../coalesce/hit-for-miss.ts'

export interface FillParts extends DeliverParts {
  readonly clock: Clock
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly hitForMiss: HitForMiss
  /** How long those who wait for a fetch bear with a client that holds it up, in milliseconds. */
  readonly slowClientMs: number
}

/** Why the origin is asked, and what follows from its answer. */
export interface FillPlan {
  readonly reason: ForwardReason
  /** The purge log's place when the decision was made. */
  readonly stamp: LogPosition
  /** Validated by this request; a 304 confirms it. */
  readonly validating: Stored | undefined
  /** May be served if the origin fails. */
  readonly staleFallback: Stored | undefined
  /** A stored part of the same: what comes is combined with it, or takes its place. */
  readonly part: Stored | undefined
  /**
   * The Range that the origin is asked with: the client's, or one for what `part` lacks, which it then completes for a client
   * that wants the whole. undefined: the whole is asked for.
   */
  readonly range: RangeAsked | undefined
  /** Whether the answer may become an entry: it is to a GET. */
  readonly mayStore: boolean
  /** Whether the client's own preconditions are taken off, so that they do not shape what is stored; else it goes as the client made it. */
  readonly unconditional: boolean
  /** false: nobody is waiting; a background refresh. */
  readonly answering: boolean
  readonly lead: Fetch | undefined
  /** Whether the client had waited for another's fetch before, which was of no use to it. */
  readonly waited: boolean
}

/** True if the origin is asked with a condition that a 304 or 412 responds to: this cache's or, if the request goes as the client made it, the client's. */
export function isConditional({ validating, unconditional }: FillPlan, { ifNoneMatch, ifModifiedSince }: CacheRequest): boolean {
  return validating !== undefined || (!unconditional && (ifNoneMatch !== undefined || ifModifiedSince !== undefined))
}
