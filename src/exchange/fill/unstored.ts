// A response that is not stored: it is reported, and the followers wait for it no longer.
import { unstoredOutcome } from '../coalesce/outcome.ts'
import type { ServedFill } from './serve-stored.ts'

/** Reports why a response is not stored. */
export function reportUnstored({ exchange, parts, storer }: ServedFill): void {
  const reason = storer.notStored ?? 'store-refused'
  exchange.notStored = reason
  parts.observer.notStored(reason)
}

/** The same for a response that nobody may wait for. @param provesWhole false if it says nothing about the response that followers want */
export function releaseFollowers(fill: ServedFill, status: number, provesWhole: boolean): void {
  const { exchange, parts, plan: { lead, mayStore }, storer } = fill
  reportUnstored(fill)
  lead?.settle(unstoredOutcome(parts, exchange.routed, storer.notStored ?? 'store-refused', status, mayStore && provesWhole))
}
