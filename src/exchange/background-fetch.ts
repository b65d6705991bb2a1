// A fetch for which no client waits itself: followers may, in this process and in others.
import type { Clock } from '../clock.ts'
import { decide } from '../policy/decide.ts'
import type { ForwardReason } from '../policy/reasons.ts'
import type { Leases } from '../store/lease.ts'
import type { PurgeLog } from '../store/purge/log.ts'
import type { Store, Stored } from '../store/store.ts'
import { acquireLease } from './coalesce/acquire-lease.ts'
import type { Coalescer, Fetch } from './coalesce/coalescer.ts'
import type { Fills } from './fill/fills.ts'
import { lookup, purgeStateBy } from './lookup.ts'
import type { ExchangeObserver, RoutedExchange } from './client/exchange.ts'
import type { RoutedRequest } from './routed-request.ts'

export interface BackgroundParts {
  readonly clock: Clock
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly coalescer: Coalescer
  /** Shares fetches with the processes that share the store; undefined: this process is alone. */
  readonly leases: Leases | undefined
  readonly coalesceWaitMs: number
  readonly observer: ExchangeObserver
  readonly fills: Fills
}

export interface BackgroundFetch {
  /** The exchange that causes it. */
  readonly exchange: RoutedExchange
  /** The request that is sent. */
  readonly asked: RoutedRequest
  /** Settled when it ends. */
  readonly lead: Fetch
  /** A stored response to validate. */
  readonly entry?: Stored | undefined
  readonly reason: ForwardReason
  /** The token of a holder of the lease that has been waited for long enough; '': nobody. */
  readonly stealFrom?: string
  /** Called when the origin is to be contacted. */
  begun?(): void
}

/** Fetches, unless another process does. Until that one has ended, requests here wait for `lead`. */
export function fetchInBackground(parts: BackgroundParts, wanted: BackgroundFetch): void {
  const { leases } = parts
  if (leases === undefined) fill(parts, wanted, wanted.entry)
  else void fetchWithLease(parts, wanted, leases)
}

/** Never rejects. */
async function fetchWithLease(parts: BackgroundParts, wanted: BackgroundFetch, leases: Leases): Promise<void> {
  const { clock, store, purgeLog, observer, coalesceWaitMs } = parts
  const { asked, lead, entry, stealFrom = '' } = wanted
  const turn = await acquireLease({ leases, purgeLog, observer, coalesceWaitMs }, asked, lead, { response: undefined, stealFrom })
  if (turn === 'fetch') return fill(parts, wanted, entry)
  if (turn !== 'look') return lead.settle(turn === 'left' ? 'failed' : turn)
  const variants = await lookup(store, purgeLog, asked.key)
  asked.learn(variants)
  const decision = decide(asked.request, variants, purgeStateBy(purgeLog), asked.requestField, clock.now(), asked.route.rules)
  if (decision.action === 'serve') lead.settle('stored')
  else fill(parts, wanted, decision.action === 'refuse' ? entry : decision.entry)
}

function fill({ fills, purgeLog }: BackgroundParts, { exchange, asked, lead, reason, begun }: BackgroundFetch, entry: Stored | undefined): void {
  const { range, ifRange } = asked.request
  const mayValidate = entry !== undefined && range === undefined && (entry.meta.etag !== undefined || entry.meta.lastModified !== undefined)
  const sent = entry === undefined || range !== undefined ? asked : exchange.routed.forRefreshOf(entry.meta)
  begun?.()
  fills.start(exchange.inBackground(sent), {
    reason,
    stamp: purgeLog.applied,
    validating: mayValidate ? entry : undefined,
    staleFallback: entry,
    part: undefined,
    range: range === undefined ? undefined : { range, ifRange },
    mayStore: true,
    unconditional: true,
    answering: false,
    lead,
    waited: false,
  })
}
