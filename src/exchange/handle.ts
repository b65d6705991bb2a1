// THE PAGE: one client request from key to last byte.
import { setTimeout as delay } from 'node:timers/promises'
import { SpringhouseError, unreachable } from '../errors.ts'
import { collapsedStatus, refusedStatus } from '../policy/cache-status.ts'
import { decide, passReason, type Decision } from '../policy/decide.ts'
import type { Leases } from '../store/lease.ts'
import type { Stored } from '../store/store.ts'
import { sendProblem } from './client/problem.ts'
import type { BackgroundParts } from './background-fetch.ts'
import type { ClientExchange, RoutedExchange } from './client/exchange.ts'
import type { Identities } from './client/identities.ts'
import { Coalescer } from './coalesce/coalescer.ts'
import { firstAttempt, maxWaits, rangeToFetch, takeFetchTurn, type Attempt, type FetchDecision, type FetchTurn, type FetchTurnParts } from './coalesce/fetch-turn.ts'
import { continuation } from './continuation.ts'
import { deliverStored, type DeliverParts } from './deliver/deliver.ts'
import { Fills } from './fill/fills.ts'
import type { FillParts } from './fill/plan.ts'
import { lookup, lookupLocal, purgeStateBy } from './lookup.ts'
import { Pass, type PassParts } from './pass/pass.ts'
import { refresh } from './refresh.ts'
import { staleFallback } from './stale-fallback.ts'
import { routeRequest, type Fault } from './routed-request.ts'
import type { Route } from './routing/route.ts'

export interface HandlerParts extends Omit<FillParts, 'continuation'>, PassParts {
  /** Read at each request, so that a reload shows at the next one. */
  routes(): readonly Route[]
  readonly viaName: string
  /** True if requests for one key wait for one fetch. */
  readonly coalesce: boolean
  /** Shares fetches with the processes that share the store; undefined: this process is alone. */
  readonly leases: Leases | undefined
  /** How long a request waits for another's fetch before a follower fetches too, in milliseconds. */
  readonly coalesceWaitMs: number
  /** Identifies the senders of requests; undefined: they are not identified. */
  readonly identities?: Identities | undefined
}

/** The cache has responded: the response is written, or will be. */
export interface Handled {
  readonly kind: 'handled'
}

/** The one value of its type: a hit allocates none. */
export const handled: Handled = Object.freeze({ kind: 'handled' })

type ServeDecision = Decision<Stored> & { action: 'serve' | 'serve-stale' }

/** Responds to client requests from the store, and fills it. */
export class Handler {
  readonly #parts: HandlerParts & DeliverParts
  readonly #turns: FetchTurnParts
  readonly #background: BackgroundParts
  readonly #fills: Fills
  readonly #purgeState: ReturnType<typeof purgeStateBy>

  constructor(parts: HandlerParts) {
    const coalescer = new Coalescer(parts.purgeLog, parts.coalesceWaitMs)
    this.#parts = { ...parts, continuation: (exchange, lost, from) => continuation({ ...parts, ...this.#background }, exchange, lost, from) }
    this.#fills = new Fills(this.#parts)
    this.#purgeState = purgeStateBy(parts.purgeLog)
    this.#turns = { ...parts, coalescer, purgeState: this.#purgeState }
    this.#background = { ...parts, coalescer, fills: this.#fills }
  }

  /** Fetches in flight. A shutdown waits for them. */
  get filling(): number {
    return this.#fills.count
  }

  /** Responds to a request, or returns the pass with which it goes to its origin. A pass leaves the response untouched. */
  handle(exchange: ClientExchange): Handled | Pass | Promise<Handled | Pass> {
    const routed = this.#route(exchange)
    if (typeof routed === 'string') return this.#refuse(exchange, routed)
    const identifying = this.#parts.identities?.identify(routed)
    return identifying === undefined ? this.#begin(routed) : identifying.then(() => this.#begin(routed))
  }

  #begin(routed: RoutedExchange): Handled | Pass | Promise<Handled> {
    const reason = passReason(routed.routed.request, routed.routed.route.rules) ?? routed.routed.sharing.privateBecause
    return reason === undefined ? this.#look(routed, firstAttempt) : new Pass(this.#parts, routed, reason)
  }

  /** Returns the pass of a WebSocket handshake. @throws SpringhouseError BAD_REQUEST, NO_ROUTE, and as identify does */
  passUpgrade(exchange: ClientExchange): Pass | Promise<Pass> {
    const routed = this.#route(exchange)
    if (typeof routed === 'string') throw faultError(routed)
    const identifying = this.#parts.identities?.identify(routed)
    const pass = (): Pass => new Pass(this.#parts, routed, 'upgrade')
    return identifying === undefined ? pass() : identifying.then(pass)
  }

  #route(exchange: ClientExchange): RoutedExchange | Fault {
    const routed = routeRequest(this.#parts.routes(), exchange.head, exchange.context, this.#parts.viaName)
    if (typeof routed === 'string') return routed
    exchange.routed = routed
    // Safe: the line above.
    return exchange as RoutedExchange
  }

  #look(exchange: RoutedExchange, attempt: Attempt): Handled | Promise<Handled> {
    return this.#serveLocal(exchange, attempt) ?? this.#lookFurther(exchange, attempt)
  }

  /** Serves a plain fresh response of the local tier. For anything else the shared tier may hold a later one. */
  #serveLocal(exchange: RoutedExchange, attempt: Attempt): Handled | Promise<Handled> | undefined {
    const variants = lookupLocal(this.#parts.store, this.#parts.purgeLog, exchange.routed.key)
    if (variants.length === 0) return undefined
    const nowMs = this.#parts.clock.now()
    const decision = this.#decide(exchange, variants, nowMs, attempt)
    if (decision.reason !== 'fresh') return undefined
    attempt.lead?.settle('stored')
    return this.#serve(exchange, decision, decision.entry, nowMs, attempt)
  }

  #lookFurther(exchange: RoutedExchange, attempt: Attempt): Handled | Promise<Handled> {
    const variants = lookup(this.#parts.store, this.#parts.purgeLog, exchange.routed.key)
    return variants instanceof Promise ? variants.then(found => this.#act(exchange, found, attempt)) : this.#act(exchange, variants, attempt)
  }

  #decide({ routed }: RoutedExchange, variants: readonly Stored[], nowMs: number, { reason }: Attempt): Decision<Stored> {
    const isAwaited = reason === undefined ? undefined : (entry: Stored) => routed.arrivedSince(entry)
    return decide(routed.request, variants, this.#purgeState, routed.requestField, nowMs, routed.route.rules, isAwaited, routed.sharing.mark)
  }

  #act(exchange: RoutedExchange, variants: readonly Stored[], attempt: Attempt): Handled | Promise<Handled> {
    const nowMs = this.#parts.clock.now()
    const decision = this.#decide(exchange, variants, nowMs, attempt)
    switch (decision.action) {
      case 'serve':
        attempt.lead?.settle('stored')
        return this.#serve(exchange, decision, this.#promote(exchange, decision.entry), nowMs, attempt)
      case 'serve-stale':
        attempt.lead?.settle('stored')
        exchange.routed.learn(variants)
        refresh(this.#background, exchange, decision.entry)
        // A stale response gives its own reason, however long the request waited (RFC 9211 §2.1, §2.7).
        return this.#serve(exchange, decision, decision.entry, nowMs, { waits: attempt.waits, reason: undefined, lead: undefined })
      case 'validate':
      case 'fetch':
      case 'complete':
        exchange.routed.learn(variants)
        return this.#fetchInTurn(exchange, decision, attempt)
      case 'refuse':
        attempt.lead?.settle('failed')
        exchange.reason = decision.reason
        sendProblem(exchange, new SpringhouseError('NOT_CACHED'), refusedStatus(decision.reason))
        exchange.end()
        return handled
      default:
        return unreachable(decision)
    }
  }

  /** Copies an entry of the shared tier that is in use into the local one. */
  #promote(exchange: RoutedExchange, entry: Stored): Stored {
    const { local } = this.#parts.store
    return local === undefined ? entry : local.promote(exchange.routed.key, entry)
  }

  #serve(exchange: RoutedExchange, { action, reason, ageMs }: ServeDecision, entry: Stored, nowMs: number, attempt: Attempt): Handled | Promise<Handled> {
    // RFC 9211 §2.6: a request that waited was forwarded, collapsed with another, and is no hit.
    const occasion = attempt.reason === undefined
      ? { reason, ageMs, nowMs }
      : { reason: attempt.reason, ageMs, nowMs, cacheStatus: collapsedStatus(attempt.reason, entry.meta.lifetimeMs - ageMs) }
    entry.used?.(nowMs)
    exchange.outcome = attempt.reason !== undefined ? 'coalesced' : action === 'serve' ? 'hit' : 'stale'
    const delivered = deliverStored(exchange, entry, occasion, this.#parts)
    if (delivered !== true) return this.#served(exchange, delivered, attempt)
    return this.#ended(exchange)
  }

  #ended(exchange: RoutedExchange): Handled {
    exchange.end()
    return handled
  }

  async #served(exchange: RoutedExchange, delivered: false | Promise<boolean>, attempt: Attempt): Promise<Handled> {
    if (await delivered) return this.#ended(exchange)
    // The body was lost: a miss. The store has noticed, so the next look-up will not find it.
    const next: Attempt = { waits: attempt.waits + 1, reason: attempt.reason, lead: undefined }
    return next.waits <= maxWaits ? this.#look(exchange, next) : this.#fetchInTurn(exchange, { action: 'fetch', reason: 'uri-miss', entry: undefined }, next)
  }

  #fetchInTurn(exchange: RoutedExchange, decision: FetchDecision, attempt: Attempt): Handled | Promise<Handled> {
    const turn = takeFetchTurn(this.#turns, exchange, decision, attempt)
    if (!(turn instanceof Promise)) return this.#onTurn(exchange, decision, turn)
    const { staleIfSlowMs } = exchange.routed.route.rules
    if (staleIfSlowMs !== undefined && decision.entry !== undefined) return this.#waitOrServeStale(exchange, decision, turn, staleIfSlowMs)
    return turn.then(known => this.#onTurn(exchange, decision, known))
  }

  /** Waits for the turn, and serves a stale response instead if that takes too long. */
  async #waitOrServeStale(exchange: RoutedExchange, decision: FetchDecision, turn: Promise<FetchTurn>, staleIfSlowMs: number): Promise<Handled> {
    const waited = new AbortController()
    const slow = delay(staleIfSlowMs, undefined, { signal: waited.signal }).catch(() => undefined)
    const first = await Promise.race([turn, slow])
    waited.abort()
    const fallback = first === undefined ? staleFallback(this.#parts, exchange.routed.request, decision.entry, 'slow') : undefined
    if (fallback === undefined) return this.#onTurn(exchange, decision, first ?? await turn)
    // If this request should lead after all, another one may instead.
    void turn.then(known => {
      if (known.kind !== 'handled') known.attempt.lead?.settle('failed')
    })
    exchange.outcome = 'stale'
    const delivered = deliverStored(exchange, fallback.stored, fallback.occasion, this.#parts)
    return delivered === true ? this.#ended(exchange) : this.#served(exchange, delivered, firstAttempt)
  }

  #onTurn(exchange: RoutedExchange, decision: FetchDecision, turn: FetchTurn): Handled | Promise<Handled> {
    switch (turn.kind) {
      case 'fetch':
        return this.#fetch(exchange, decision, turn.attempt, turn.asClientMade)
      case 'look-again':
        return this.#look(exchange, turn.attempt)
      case 'read':
        return this.#serve(exchange, turn.reading.decision, turn.reading.shared, turn.reading.nowMs, turn.attempt)
      case 'handled':
        return this.#left(exchange, decision)
      default:
        return unreachable(turn)
    }
  }

  #left(exchange: RoutedExchange, { reason }: FetchDecision): Handled {
    exchange.outcome = 'miss'
    exchange.reason = reason
    return this.#ended(exchange)
  }

  #fetch(exchange: RoutedExchange, decision: FetchDecision, { lead, waits, reason }: Attempt, asClientMade: boolean): Handled {
    // The client may have left while it waited. Then it needs no response.
    if (exchange.response.hasLeft) {
      lead?.settle('failed')
      return this.#left(exchange, decision)
    }
    const mayStore = exchange.routed.request.method === 'GET'
    const validating = mayStore && decision.action === 'validate' ? decision.entry : undefined
    this.#fills.start(exchange, {
      reason: decision.reason,
      // Read before the origin is contacted: a later purge matches the response of the fetch.
      stamp: this.#parts.purgeLog.applied,
      validating,
      staleFallback: decision.entry,
      part: decision.part,
      // Nothing can be stored while purges may have been missed.
      range: rangeToFetch(exchange, decision, asClientMade || !this.#parts.purgeLog.isCaughtUp()),
      mayStore,
      unconditional: mayStore && (validating !== undefined || !asClientMade),
      answering: true,
      lead,
      waited: waits > 0 && reason !== undefined,
    })
    return handled
  }

  #refuse(exchange: ClientExchange, fault: Fault): Handled {
    sendProblem(exchange, faultError(fault), `springhouse; detail=${fault}`)
    exchange.end()
    return handled
  }
}

function faultError(fault: Fault): SpringhouseError {
  return new SpringhouseError(fault === 'no-route' ? 'NO_ROUTE' : 'BAD_REQUEST', { detail: fault })
}
