// A background refresh: one fetch after a stale response was served, for all requests that come meanwhile (RFC 5861 §3).
import type { Stored } from '../store/store.ts'
import { fetchInBackground, type BackgroundParts } from './background-fetch.ts'
import type { RoutedExchange } from './client/exchange.ts'

/** Refreshes a stale entry with the fields of the client that it was served to, unless a fetch of its variant is in flight. */
export function refresh(parts: BackgroundParts, exchange: RoutedExchange, stale: Stored): void {
  const { coalescer, purgeLog, observer } = parts
  if (exchange.routed.request.method !== 'GET') return
  const asked = exchange.routed.forRefreshOf(stale.meta)
  const { fetchKey } = asked
  if (coalescer.isFetched(fetchKey, asked)) return
  const lead = coalescer.beginFetch(fetchKey, purgeLog.applied)
  fetchInBackground(parts, { exchange, asked, lead, entry: stale, reason: 'stale', begun: () => observer.count('backgroundRefreshes') })
}
