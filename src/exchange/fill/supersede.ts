// Stale entries that a newer response has superseded (RFC 9111 §4.3.3): they are never again used stale, on any replica.
import { currentAgeMs } from '../../policy/freshness.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import { concernsOneRequest } from '../../policy/storable.ts'
import type { Awaitable, Stored } from '../../store/store.ts'
import { verdictNow } from '../lookup.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { FillParts, FillPlan } from './plan.ts'

/**
 * Removes the entry that was selected for a request, if a final response to that request supersedes it.
 *
 * A fresh entry stays: otherwise one client could evict it, by a request that the origin refuses. A response that concerns this
 * request alone supersedes nothing, nor does one that is not stored only because the request carried credentials.
 * @param storedAs the variant under which the response is being stored, which replaces an entry of that name; undefined: it is not
 * @returns a promise if the store takes its time: no client may have the response before every replica can know. Never rejects
 */
export function supersede(parts: FillParts, { key }: RoutedRequest, plan: FillPlan, status: number, notStored: NotStoredReason | undefined,
  storedAs: string | undefined): Awaitable<void> {
  const entry = plan.staleFallback
  if (entry === undefined || entry.meta.part !== undefined || entry.meta.variant === storedAs || plan.range !== undefined) return
  // An error of the origin supersedes no page, which may stand in for it. But a stored error never stands in for another.
  if ((status >= 500 && entry.meta.status < 400) || concernsOneRequest(status) || notStored === 'authorization' || notStored === 'cookie' || notStored === 'store-refused') return
  // A 200 to HEAD is compared with the stored response instead (freshen-by-head.ts).
  if ((!plan.mayStore && status === 200) || !isStale(parts, entry)) return
  try {
    const removed = parts.store.remove(key, entry.meta.variant)
    return removed instanceof Promise ? removed.catch(() => undefined) : removed
  } catch { /* A store that is out of reach: the entry is not used stale by other replicas while they cannot read it either. */ }
}

function isStale({ purgeLog, clock }: FillParts, { meta }: Stored): boolean {
  return currentAgeMs(meta, clock.now()) >= meta.lifetimeMs || verdictNow(purgeLog, meta) !== 'valid'
}
