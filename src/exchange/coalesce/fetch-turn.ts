// The turn of a request: it fetches now, or waits for another fetch of its variant in this process or another.
import type { RangeAsked } from '../../policy/combine.ts'
import type { Decision } from '../../policy/decide.ts'
import type { ForwardReason } from '../../policy/reasons.ts'
import type { Leases } from '../../store/lease.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Stored } from '../../store/store.ts'
import type { ExchangeObserver, RoutedExchange } from '../client/exchange.ts'
import { acquireLease } from './acquire-lease.ts'
import type { Coalescer, Fetch } from './coalescer.ts'
import { hitForMissKey, type HitForMiss } from './hit-for-miss.ts'
import { readingOf, type MayReadParts, type Reading } from './reading.ts'

/** A decision that needs the origin. */
export type FetchDecision = Decision<Stored> & { action: 'validate' | 'fetch' | 'complete' }

/** The history of a request at a lookup. */
export interface Attempt {
  /** How often it waited, or found nothing where a body had been. */
  readonly waits: number
  /** The reason for its own fetch, had there been no other to wait for. */
  readonly reason: ForwardReason | undefined
  /** The fetch that it leads, and that others wait for. */
  readonly lead: Fetch | undefined
}

export const firstAttempt: Attempt = Object.freeze({ waits: 0, reason: undefined, lead: undefined })

/** A look-up may end in a wait. After the second wait a request fetches alone, so that none waits for ever. */
export const maxWaits = 2

/**
 * - `fetch`: it fetches, and leads if its attempt says so. `asClientMade`: with the client's own preconditions and Range.
 * - `look-again`: a fetch that it waited for has ended, or an entry may be newer than its last look-up.
 * - `read`: the response to the fetch that it waited for is arriving, and may serve it.
 * - `handled`: its client has left. Nothing is to be done.
 */
export type FetchTurn =
  | { readonly kind: 'fetch'; readonly attempt: Attempt; readonly asClientMade: boolean }
  | { readonly kind: 'look-again'; readonly attempt: Attempt }
  | { readonly kind: 'read'; readonly attempt: Attempt; readonly reading: Reading }
  | { readonly kind: 'handled' }

export interface FetchTurnParts extends MayReadParts {
  readonly coalescer: Coalescer
  /** True if requests for one variant wait for one fetch. */
  readonly coalesce: boolean
  /** How long a request waits for another's fetch before a follower fetches too, in milliseconds. */
  readonly coalesceWaitMs: number
  /** Shares fetches with the processes that share the store; undefined: this process is alone. */
  readonly leases: Leases | undefined
  readonly purgeLog: PurgeLog
  readonly hitForMiss: HitForMiss
  readonly observer: ExchangeObserver
}

const handled: FetchTurn = Object.freeze({ kind: 'handled' })

/** Finds out whose turn a fetch is. Waits for other fetches if it must. Never rejects. */
export function takeFetchTurn(parts: FetchTurnParts, exchange: RoutedExchange, decision: FetchDecision, attempt: Attempt): FetchTurn | Promise<FetchTurn> {
  const { routed: { request, fetchKey } } = exchange
  const { coalescer, coalesce, leases, purgeLog, hitForMiss } = parts
  if (attempt.lead !== undefined) return { kind: 'fetch', attempt, asClientMade: false }
  // A key that was lately uncacheable does not queue. Its request goes as the client made it: its own validators save the body.
  const alone = hitForMiss.has(hitForMissKey(exchange.routed)) || request.directives.noStore
  // While purges may have been missed, nothing that another fetch brings could be used, nor kept.
  if (!mayShare(exchange) || alone || !coalesce || !purgeLog.isCaughtUp()) return { kind: 'fetch', attempt, asClientMade: alone }
  const mayWait = attempt.waits < maxWaits && mayFollow(decision)
  const other = mayWait ? coalescer.joinFetch(fetchKey, exchange.routed) : undefined
  // The client may have left during the look-up. Then it needs no response, and no follower must wait for its fetch.
  if (exchange.response.hasLeft) return handled
  if (other !== undefined) return waitForLeader(parts, exchange, decision, other, attempt)
  const lead = coalescer.beginFetch(fetchKey, purgeLog.applied)
  return leases === undefined || !mayWait
    ? { kind: 'fetch', attempt: { ...attempt, lead }, asClientMade: false }
    : waitForLease(parts, exchange, decision, lead, leases, attempt, '')
}

async function waitForLeader(parts: FetchTurnParts, exchange: RoutedExchange, decision: FetchDecision, fetch: Fetch, attempt: Attempt): Promise<FetchTurn> {
  const { observer, leases } = parts
  const { reason } = decision
  const waits = attempt.waits + 1
  observer.count('waits')
  const waited = await fetch.follow(exchange.response, shared => readingOf(parts, exchange, shared))
  if (waited.kind === 'reads') return { kind: 'read', attempt: { waits, reason, lead: undefined }, reading: waited.reading }
  if (waited.kind === 'ended') return { kind: 'look-again', attempt: { waits: waited.outcome === 'refused' ? maxWaits : waits, reason, lead: undefined } }
  const { lead, stealFrom } = waited
  return leases === undefined
    ? { kind: 'look-again', attempt: { waits, reason, lead } }
    : waitForLease(parts, exchange, decision, lead, leases, { ...attempt, waits }, stealFrom)
}

/**
 * Competes for the lease with other processes; meanwhile requests of this process wait for `lead`.
 * @param stealFrom the token of a holder that has been waited for long enough; '': nobody
 */
async function waitForLease(parts: FetchTurnParts, { routed, response }: RoutedExchange, { reason }: FetchDecision, lead: Fetch, leases: Leases, attempt: Attempt,
  stealFrom: string): Promise<FetchTurn> {
  const { purgeLog, observer, hitForMiss, coalesceWaitMs } = parts
  for (let waits = attempt.waits;; waits++) {
    const turn = await acquireLease({ leases, purgeLog, observer, coalesceWaitMs }, routed, lead, { response, stealFrom })
    if (turn === 'left') {
      lead.settle('failed')
      return handled
    }
    if (turn === 'look') return { kind: 'look-again', attempt: { waits, reason, lead } }
    if (turn === 'fetch') return { kind: 'fetch', attempt: { waits, reason, lead }, asClientMade: false }
    if (turn === 'failed' && waits + 1 < maxWaits) continue
    hitForMiss.record(routed, turn)
    lead.settle(turn)
    return { kind: 'look-again', attempt: { waits: turn === 'refused' ? maxWaits : waits + 1, reason, lead: undefined } }
  }
}

/** The Range of the request to the origin: the client's, or the rest of a stored part if the whole may be stored (RFC 9111 §3.3). */
export function rangeToFetch({ routed: { request: { range, ifRange }, fetchesWhole } }: RoutedExchange, decision: FetchDecision, asClientMade: boolean):
  | RangeAsked
  | undefined {
  if (range !== undefined) return fetchesWhole && !asClientMade ? undefined : { range, ifRange }
  return decision.action === 'complete' && !asClientMade ? decision.rest : undefined
}

// A client that wants a newer response than the stored one does not take one that was requested before it came.
function mayFollow({ reason }: FetchDecision): boolean {
  return reason !== 'request-no-cache' && reason !== 'request-max-age' && reason !== 'request-min-fresh'
}

// Followers want the response to a GET: the whole, or the same range.
function mayShare({ routed: { request } }: RoutedExchange): boolean {
  return request.method === 'GET'
}
