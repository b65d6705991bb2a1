// The continuation of bodies that were lost while clients read them: one fetch for all of these clients.
import { decide } from '../policy/decide.ts'
import type { Metadata } from '../policy/stored.ts'
import type { Stored } from '../store/store.ts'
import { fetchInBackground, type BackgroundParts } from './background-fetch.ts'
import type { RoutedExchange } from './client/exchange.ts'
import type { Fetch, Waited } from './coalesce/coalescer.ts'
import { maxWaits } from './coalesce/fetch-turn.ts'
import { hitForMissKey, type HitForMiss } from './coalesce/hit-for-miss.ts'
import type { Reading } from './coalesce/reading.ts'
import type { SharedResponse } from './coalesce/shared-response.ts'
import { isSameResponse, type Continuation } from './deliver/resumed-body.ts'
import { lookup, purgeStateBy } from './lookup.ts'
import type { RoutedRequest } from './routed-request.ts'

export interface ContinuationParts extends BackgroundParts {
  readonly coalesce: boolean
  readonly hitForMiss: HitForMiss
}

/** Finds where a lost body goes on: see DeliverParts.continuation. Its fetch is that of any request for the same response. Never rejects. */
export async function continuation(parts: ContinuationParts, exchange: RoutedExchange, lost: Metadata, from: number): ReturnType<Continuation['shared']> {
  const { coalesce, purgeLog, hitForMiss, coalescer } = parts
  const asked = lost.part === undefined ? exchange.routed.forRefreshOf(lost) : exchange.routed
  const judge = (shared: SharedResponse): Reading | undefined => readingFrom(parts, exchange, shared, lost, from)
  for (let waits = 0; waits < maxWaits; waits++) {
    if (exchange.response.hasLeft) return 'gone'
    // A response that may not be shared is fetched by each client that it is for.
    if (!coalesce || !purgeLog.isCaughtUp() || hitForMiss.has(hitForMissKey(asked)) || asked.request.directives.noStore) return 'alone'
    const waited = await endOf(parts, exchange, asked, coalescer.joinFetch(asked.fetchKey, asked), judge)
    const found = waited.kind === 'reads' ? waited.reading.shared : waited.kind === 'ended' && waited.outcome === 'stored' ? await storedNow(parts, exchange) : undefined
    if (found !== undefined) return isSameResponse(lost, found.meta) ? found : 'gone'
    if (waited.kind !== 'ended' || waited.outcome !== 'failed') return 'alone'
  }
  return 'gone'
}

/** Waits for a fetch, which begins here if there is none; and for its successor, if it takes too long. */
async function endOf(parts: ContinuationParts, exchange: RoutedExchange, asked: RoutedRequest, joined: Fetch | undefined,
  judge: (shared: SharedResponse) => Reading | undefined): Promise<Waited> {
  const lead = joined ?? parts.coalescer.beginFetch(asked.fetchKey, parts.purgeLog.applied)
  const following = lead.follow(exchange.response, judge)
  if (joined === undefined) fetchInBackground(parts, { exchange, asked, lead, reason: 'uri-miss' })
  const waited = await following
  if (waited.kind !== 'leads') return waited
  const successor = waited.lead.follow(exchange.response, judge)
  fetchInBackground(parts, { exchange, asked, lead: waited.lead, reason: 'uri-miss', stealFrom: waited.stealFrom })
  const again = await successor
  if (again.kind === 'leads') again.lead.settle('failed')
  return again
}

/** Returns how this client reads a response that is arriving; undefined if it must wait for the end. */
function readingFrom({ clock, purgeLog }: ContinuationParts, { routed }: RoutedExchange, shared: SharedResponse, lost: Metadata, from: number): Reading | undefined {
  // Its length must be known, because the client knows the length of the lost response.
  if (shared.availableFrom > from || (lost.bodyBytes !== Infinity && shared.meta.bodyBytes === Infinity)) return undefined
  const nowMs = clock.now()
  const { request, requestField, route: { rules }, sharing: { mark } } = routed
  const decision = decide(request, [shared], purgeStateBy(purgeLog), requestField, nowMs, rules, () => true, mark)
  return decision.action === 'serve' ? { shared, decision, nowMs } : undefined
}

/** Returns the stored response that serves this client. Never rejects. */
async function storedNow({ clock, store, purgeLog }: ContinuationParts, { routed }: RoutedExchange): Promise<Stored | undefined> {
  const { key, request, requestField, route: { rules }, sharing: { mark } } = routed
  try {
    const decision = decide(request, await lookup(store, purgeLog, key), purgeStateBy(purgeLog), requestField, clock.now(), rules, () => true, mark)
    return decision.action === 'serve' ? decision.entry : undefined
  } catch {
    return undefined
  }
}
