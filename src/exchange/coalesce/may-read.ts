// The right of a follower to read a response that is still arriving: it has it if the stored response could serve it.
import type { Clock } from '../../clock.ts'
import { decide, type PurgeState } from '../../policy/decide.ts'
import { selectRanges } from '../../policy/part.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Stored } from '../../store/store.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import { verdictNow } from '../lookup.ts'
import type { SharedResponse } from './coalescer.ts'

export interface MayReadParts {
  readonly clock: Clock
  readonly purgeLog: PurgeLog
  /** Returns whether a soft purge has made a response stale. */
  readonly purgeState: (entry: Stored) => PurgeState
}

/**
 * Returns true if a follower may be served a response whose end has not come. The policy decides as if it were stored: by Vary,
 * credentials, freshness and the request's own directives. A purge since its fetch began ends it, also for requests that are older.
 */
export function mayRead({ clock, purgeLog, purgeState }: MayReadParts, { routed }: RoutedExchange, shared: SharedResponse): boolean {
  if (verdictNow(purgeLog, shared.meta) === 'dead') return false
  const nowMs = clock.now()
  const { request, requestField, route: { rules } } = routed
  const decision = decide(request, [shared], purgeState, requestField, nowMs, rules, () => true, routed.sharing.mark)
  return decision.action === 'serve' && holdsFirstByte(routed, shared, nowMs)
}

// The window may have lost the first bytes that the client wants. Then it waits for the end, for a bounded time.
function holdsFirstByte({ request }: RoutedExchange['routed'], { meta, availableFrom }: SharedResponse, nowMs: number): boolean {
  if (request.range === undefined) return availableFrom === 0
  // Where a range lies may depend on the length.
  if (meta.bodyBytes === Infinity) return false
  const wanted = selectRanges(request, meta, nowMs)
  if (wanted === undefined) return availableFrom === 0
  return typeof wanted === 'string' ? wanted === 'unsatisfiable' : wanted.every(({ start }) => start >= availableFrom)
}
