// The right of a follower to read a response that is still arriving: it has it if the stored response could serve it.
import type { Clock } from '../../clock.ts'
import { decide, type Decision, type PurgeState } from '../../policy/decide.ts'
import { selectRanges } from '../../policy/part.ts'
import type { Stored } from '../../store/store.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import type { SharedResponse } from './shared-response.ts'

export interface MayReadParts {
  readonly clock: Clock
  /** Returns `stale` for a response that any purge since its fetch began matches. */
  readonly purgeState: (entry: Stored) => PurgeState
}

/** A response that is still arriving, and the decision to serve it. */
export interface Reading {
  readonly shared: SharedResponse
  readonly decision: Decision<Stored> & { readonly action: 'serve' }
  readonly nowMs: number
}

/**
 * Returns how a follower is served a response whose end has not come; undefined if it must wait. The policy decides as if it were
 * stored: by Vary, credentials, freshness and the request's own directives. A purge since its fetch began makes it stale at least,
 * also for requests that are older.
 */
export function readingOf({ clock, purgeState }: MayReadParts, { routed }: RoutedExchange, shared: SharedResponse): Reading | undefined {
  const nowMs = clock.now()
  const { request, requestField, route: { rules } } = routed
  const decision = decide(request, [shared], purgeState, requestField, nowMs, rules, () => true)
  return decision.action === 'serve' && holdsFirstByte(routed, shared, nowMs) ? { shared, decision, nowMs } : undefined
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
