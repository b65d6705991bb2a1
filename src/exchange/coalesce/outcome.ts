// What those who wait for a fetch are told of it, and what is remembered of its key.
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

/** Of a response that was to be stored. @param taken whether the store took it */
export function storedOutcome({ clock, hitForMiss }: Memory, asked: RoutedRequest, meta: Metadata, taken: boolean): Outcome {
  if (!taken) return 'refused'
  if (servesUnasked(meta, clock.now())) {
    hitForMiss.forget(hitForMissKey(asked))
    return 'stored'
  }
  // Each has to ask whether it still holds: waiting for one another would only make a line of them.
  hitForMiss.remember(hitForMissKey(asked))
  return uncacheableOutcome(asked)
}

/** Of a response that is not to be stored. `status`: the origin's; `mayStore`: whether the request was for something that could have been. */
export function unstoredOutcome({ hitForMiss }: Memory, asked: RoutedRequest, reason: NotStoredReason, status: number, mayStore: boolean): Outcome {
  if (reason === 'store-refused') return 'refused'
  // The reason may lie in this request. A 304 to the client's own precondition does not tell whether the whole may be stored. And an
  // error says nothing about the next response: if it marked the key, requests would not coalesce for a minute.
  if (!mayStore || reason === 'request-no-store' || status === 304 || status >= 400) return 'failed'
  hitForMiss.remember(hitForMissKey(asked))
  return uncacheableOutcome(asked)
}
