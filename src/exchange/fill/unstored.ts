// A response that is not stored: it is reported, and the followers wait for it no longer.
import { decidingField } from '../../policy/deciding-field.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import { unstoredOutcome } from '../coalesce/outcome.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { FillParts } from './plan.ts'
import type { ResponseStorer } from './response-storer.ts'
import type { ServedFill } from './serve-stored.ts'

/** Reports why a response is not stored. */
export function reportUnstored({ exchange, parts, storer }: ServedFill): void {
  const reason = storer.notStored ?? 'store-refused'
  exchange.notStored = reason
  parts.observer.notStored(reason)
  note(exchange.routed, parts, storer, reason)
}

/** Notes the response for explain. HEAD has the key of GET, and its responses are never stored: they say nothing about that key. */
function note({ key, request, requestField, route }: RoutedRequest, { unstored, clock }: FillParts, { head }: ResponseStorer, reason: NotStoredReason): void {
  if (head === undefined || request.method !== 'GET') return
  const deciding = decidingField(reason, requestField, head.fields, route.rules.tags.fields.map(({ name }) => name))
  unstored.note(key, { atMs: clock.now(), status: head.status, reason, deciding })
}

/** The same for a response that nobody may wait for. @param provesWhole false if it says nothing about the response that followers want */
export function releaseFollowers(fill: ServedFill, status: number, provesWhole: boolean): void {
  const { exchange, parts, plan: { lead, mayStore }, storer } = fill
  reportUnstored(fill)
  lead?.settle(unstoredOutcome(parts, exchange.routed, storer.notStored ?? 'store-refused', status, mayStore && provesWhole))
}
