// A fill whose client is served from the store after all: after a 304, for a completed response, or in place of a failing origin.
import { SpringhouseError } from '../../errors.ts'
import { currentAgeMs } from '../../policy/freshness.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import type { ReceivedHead } from '../../policy/storable.ts'
import type { Outcome } from '../../store/lease.ts'
import type { Stored } from '../../store/store.ts'
import { sendProblem } from '../client/problem.ts'
import { storedOutcome } from '../coalesce/outcome.ts'
import { deliverStored, type Occasion } from '../deliver/deliver.ts'
import { verdictNow } from '../lookup.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import type { FillClient } from './fill-client.ts'
import { freshenFrom304 } from './freshen.ts'
import type { StaleFallback } from '../stale-fallback.ts'
import type { FillParts, FillPlan } from './plan.ts'
import type { ResponseStorer } from './response-storer.ts'

/** The fill, as serving from the store uses it. */
export interface ServedFill {
  readonly parts: FillParts
  readonly exchange: RoutedExchange
  readonly plan: FillPlan
  readonly storer: ResponseStorer
  readonly client: FillClient
  /** Ends the fill. Followers are released with this outcome, unless they have been before. */
  settle(outcome?: Outcome): void
  /** Fetches again, for the client's own request. */
  refetch(): void
  /** No client receives it any more. */
  abandon(): void
  /** Fetches for the client's own request, while this fill goes on without its client. */
  fetchBeside(): void
}

/** RFC 9111 §4.3.4: the origin confirmed the stored response, which is freshened and served. Never rejects. */
export async function serveConfirmed(fill: ServedFill, validated: Stored, head: ReceivedHead): Promise<void> {
  const { parts, exchange: { routed }, plan, storer } = fill
  // A purge during the validation: the 304 confirms a response that must not be served any more.
  const freshening = verdictNow(parts.purgeLog, validated.meta) === 'dead' ? undefined : freshenFrom304(routed, validated.meta, head)
  if (freshening === undefined) return fill.refetch()
  const { meta, notStored } = freshening
  const kept = await storer.keep(freshening, validated.meta)
  fill.exchange.outcome = 'revalidated'
  // Followers do not wait for this client to read its response.
  plan.lead?.settle(kept ? storedOutcome(parts, routed, meta, true) : 'failed')
  return serveStored(fill, { meta, body: validated.body }, 304, notStored)
}

/** The whole is stored now, from a stored part and the received rest (RFC 9111 §3.3) or for a client that wants a part. Never rejects. */
export async function serveCompleted(fill: ServedFill, outcome: Outcome): Promise<void> {
  const complete = isStored(outcome) && fill.client.waits ? await fill.storer.stored() : undefined
  if (!fill.client.waits) return fill.settle(outcome)
  if (complete === undefined) return fill.refetch()
  fill.plan.lead?.settle(outcome)
  return serveStored(fill, complete, fill.plan.range === undefined ? 200 : 206, undefined)
}

/** Serves the client of a fill a part of the response that is still arriving. The fill goes on without its client. Never rejects. */
export async function serveArriving(fill: ServedFill, arriving: Stored): Promise<void> {
  const { exchange, parts, plan, client } = fill
  const nowMs = parts.clock.now()
  const occasion = { reason: plan.reason, ageMs: currentAgeMs(arriving.meta, nowMs), nowMs, cacheStatus: client.cacheStatus(200, undefined) }
  client.release()
  if (await deliver(fill, arriving, occasion) || exchange.response.hasLeft) exchange.end()
  else fill.fetchBeside()
}

/** Serves what the origin has confirmed. Fetches again if its body is lost. Never rejects. */
async function serveStored(fill: ServedFill, stored: Stored, status: number, notStored: NotStoredReason | undefined): Promise<void> {
  if (!fill.client.waits) return fill.settle()
  const nowMs = fill.parts.clock.now()
  const occasion = { reason: fill.plan.reason, ageMs: currentAgeMs(stored.meta, nowMs), nowMs, cacheStatus: fill.client.cacheStatus(status, notStored) }
  const delivered = await deliver(fill, stored, occasion)
  if (!delivered && fill.client.waits) return fill.refetch()
  fill.client.served()
  fill.settle()
}

/** Serves a stale response in place of the origin's. Never rejects. */
export async function serveStale(fill: ServedFill, { stored, occasion }: StaleFallback): Promise<void> {
  if (!fill.client.waits) return fill.settle()
  fill.plan.lead?.settle('failed')
  fill.exchange.outcome = 'stale'
  const delivered = await deliver(fill, stored, occasion)
  if (!delivered && fill.client.waits) sendProblem(fill.exchange, new SpringhouseError('ORIGIN_UNREACHABLE'), fill.client.cacheStatus(undefined, undefined))
  fill.client.served()
  fill.settle()
}

/** Serves a stale response while the fill goes on without its client. Never rejects. */
export async function serveStaleMeanwhile(fill: ServedFill, { stored, occasion }: StaleFallback): Promise<void> {
  fill.client.release()
  fill.exchange.outcome = 'stale'
  const delivered = await deliver(fill, stored, occasion)
  if (!delivered) sendProblem(fill.exchange, new SpringhouseError('ORIGIN_UNREACHABLE'), fill.client.cacheStatus(undefined, undefined))
  fill.exchange.end()
}

/** false: the body was lost before anything was sent. Never rejects. */
async function deliver({ exchange, parts }: ServedFill, stored: Stored, occasion: Occasion): Promise<boolean> {
  try {
    return await deliverStored(exchange, stored, occasion, parts)
  } catch {
    exchange.response.cut()
    return true
  }
}

/** Returns true if followers find a response that they can share. */
export function isStored(outcome: Outcome): boolean {
  return outcome !== 'failed' && outcome !== 'refused'
}
