// A background refresh: one fetch after a stale response was served, for all requests that come meanwhile (RFC 5861 §3).
import type { Clock } from '../clock.ts'
import { decide } from '../policy/decide.ts'
import type { Leases } from '../store/lease.ts'
import type { PurgeLog } from '../store/purge/log.ts'
import type { Store, Stored } from '../store/store.ts'
import { acquireLease } from './coalesce/acquire-lease.ts'
import type { Coalescer, Fetch } from './coalesce/coalescer.ts'
import type { Fills } from './fill/fills.ts'
import { lookup, purgeStateBy } from './lookup.ts'
import type { ExchangeObserver, RoutedExchange } from './client/exchange.ts'
import type { RoutedRequest } from './routed-request.ts'

export interface RefreshParts {
  readonly clock: Clock
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly coalescer: Coalescer
  readonly leases: Leases | undefined
  readonly coalesceWaitMs: number
  readonly observer: ExchangeObserver
  readonly fills: Fills
}

/** Refreshes a stale entry with the fields of the client that it was served to, unless a fetch of its variant is in flight. */
export function refresh(parts: RefreshParts, exchange: RoutedExchange, stale: Stored): void {
  const { coalescer, leases, purgeLog } = parts
  if (exchange.routed.request.method !== 'GET') return
  const asked = exchange.routed.forRefreshOf(stale.meta)
  const { fetchKey } = asked
  if (coalescer.joinFetch(fetchKey, asked) !== undefined) return
  const lead = coalescer.beginFetch(fetchKey, purgeLog.applied)
  if (leases === undefined) fill(parts, exchange, stale, lead)
  else void refreshWithLease(parts, exchange, asked, stale, lead, leases)
}

/** Refreshes unless another process does. Until that one has ended, no request here tries again. Never rejects. */
async function refreshWithLease(parts: RefreshParts, exchange: RoutedExchange, routed: RoutedRequest, stale: Stored, lead: Fetch, leases: Leases): Promise<void> {
  const { clock, store, purgeLog, observer, coalesceWaitMs } = parts
  const turn = await acquireLease({ leases, purgeLog, observer, coalesceWaitMs }, routed, lead)
  if (turn === 'fetch') return fill(parts, exchange, stale, lead)
  if (turn !== 'look') return lead.settle(turn === 'left' ? 'failed' : turn)
  const variants = await lookup(store, purgeLog, routed.key)
  routed.learn(variants)
  const decision = decide(routed.request, variants, purgeStateBy(purgeLog), routed.requestField, clock.now(), routed.route.rules)
  if (decision.action === 'serve') lead.settle('stored')
  else fill(parts, exchange, decision.action === 'refuse' ? stale : decision.entry, lead)
}

function fill({ observer, fills, purgeLog }: RefreshParts, client: RoutedExchange, entry: Stored | undefined, lead: Fetch): void {
  const { routed } = client
  const exchange = client.inBackground(entry === undefined ? routed : routed.forRefreshOf(entry.meta))
  observer.count('backgroundRefreshes')
  const canBeValidated = entry !== undefined && (entry.meta.etag !== undefined || entry.meta.lastModified !== undefined)
  fills.start(exchange, {
    reason: 'stale',
    stamp: purgeLog.applied,
    validating: canBeValidated ? entry : undefined,
    staleFallback: entry,
    part: undefined,
    range: undefined,
    mayStore: true,
    unconditional: true,
    answering: false,
    lead,
    waited: false,
  })
}
