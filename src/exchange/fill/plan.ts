// The parts that a fill works with, and the decisions made before it begins.
import type { Clock } from '../../clock.ts'
import type { RangeAsked } from '../../policy/combine.ts'
import type { ForwardReason } from '../../policy/reasons.ts'
import type { LogPosition } from '../../policy/stored.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { UnstoredLog } from '../../store/unstored.ts'
import type { CacheRequest } from '../../policy/request.ts'
import type { Fetch } from '../coalesce/coalescer.ts'
import type { DeliverParts } from '../deliver/deliver.ts'
import type { HitForMiss } from '../coalesce/hit-for-miss.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import type { WindowBudget } from './window-budget.ts'

export interface FillParts extends DeliverParts {
  readonly clock: Clock
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly hitForMiss: HitForMiss
  /** The last responses that were not stored, for explain. */
  readonly unstored: UnstoredLog
}

/** The reason of the request to the origin, and the consequences of its response. */
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
   * The Range of the request to the origin: the client's, or the range that `part` lacks, for a client that wants the whole.
   * undefined: the whole is requested.
   */
  readonly range: RangeAsked | undefined
  /** True if the response may become an entry: it is to a GET. */
  readonly mayStore: boolean
  /**
   * True if the client's own preconditions are removed, so that they do not shape the stored response; else the request goes
   * as the client made it.
   */
  readonly unconditional: boolean
  /** false: nobody is waiting; a background refresh. */
  readonly answering: boolean
  readonly lead: Fetch | undefined
  /** True if the client had waited for another's fetch before, which was of no use to it. */
  readonly waited: boolean
}

/** True if the request to the origin has a condition that a 304 or 412 responds to: this cache's or, if the request goes as the client made it, the client's. */
export function isConditional({ validating, unconditional }: FillPlan, { ifNoneMatch, ifModifiedSince }: CacheRequest): boolean {
  return validating !== undefined || (!unconditional && (ifNoneMatch !== undefined || ifModifiedSince !== undefined))
}

/** The common part of all fills. */
export interface FillOwner {
  readonly windows: WindowBudget
  /** Begins another fill. */
  start(exchange: RoutedExchange, plan: FillPlan): void
  /** Called once, when a fill has ended. */
  ended(): void
}

/** Returns the plan of another fetch for the same request, with nothing stored to start from. @param range to request; undefined: the whole */
export function planAgain(plan: FillPlan, stamp: LogPosition, range: RangeAsked | undefined): FillPlan {
  return { ...plan, stamp, validating: undefined, staleFallback: undefined, part: undefined, range }
}
