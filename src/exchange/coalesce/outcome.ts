// The outcome of a fetch for its followers, and its effect on hit-for-miss.
import type { Clock } from '../../clock.ts'
import { servesUnasked } from '../../policy/freshness.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import type { Metadata } from '../../policy/stored.ts'
import type { Outcome } from '../../store/lease.ts'
import type { RoutedRequest } from '../routed-request.ts'
import { hitForMissKey, uncacheableOutcome, type HitForMiss } from './hit-for-miss.ts'

interface Memory {
  readonly clock: Clock
  readonly hitForMiss: HitForMiss
}

/** Returns the outcome of a response that was to be stored. @param taken true if the store accepted it */
export function storedOutcome({ clock, hitForMiss }: Memory, asked: RoutedRequest, meta: Metadata, taken: boolean): Outcome {
  if (!taken) return 'refused'
  if (servesUnasked(meta, clock.now())) {
    hitForMiss.forget(hitForMissKey(asked))
    return 'stored'
  }
  // Fresh when it was requested, it serves the followers, however long the origin took. If it came stale, the next may not: they
  // coalesce again. So they do after an error, which says nothing about the next response.
  if (meta.status >= 400 || (meta.lifetimeMs > 0 && !meta.alwaysValidate)) return 'stored'
  // Each request has to validate: if they waited for one another, they would form a queue.
  hitForMiss.remember(hitForMissKey(asked))
  return uncacheableOutcome(asked)
}

/** Returns the outcome of a response that is not stored. `status`: the origin's; `mayStore`: true if the response to this request could be stored. */
export function unstoredOutcome({ hitForMiss }: Memory, asked: RoutedRequest, reason: NotStoredReason, status: number, mayStore: boolean): Outcome {
  if (reason === 'store-refused') return 'refused'
  // The reason may lie in this request. A 304 to the client's own precondition does not show whether the whole may be stored.
  // And an error says nothing about the next response: if it marked the key, requests would not coalesce for a minute.
  if (!mayStore || reason === 'request-no-store' || status === 304 || status >= 400) return 'failed'
  hitForMiss.remember(hitForMissKey(asked))
  return uncacheableOutcome(asked)
}
