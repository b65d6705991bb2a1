// THE PAGE: one client request from key to last byte.
import { SpringhouseError, unreachable } from '../errors.ts'
import { collapsedStatus, refusedStatus } from '../policy/cache-status.ts'
import type { RangeAsked } from '../policy/combine.ts'
import { decide, passReason, type Decision } from '../policy/decide.ts'
import type { ForwardReason } from '../policy/reasons.ts'
import type { CacheRequest } from '../policy/request.ts'
import type { Leases } from '../store/lease.ts'
import type { Stored } from '../store/store.ts'
import { routeRequest, type RoutedRequest, type ClientExchange, type Fault, type RequestHead } from './routed-request.ts'
import { Coalescer, type Fetch } from './coalesce/coalescer.ts'
import type { ClientResponse } from './client/response.ts'
import { acquireLease } from './coalesce/contend.ts'
import { deliverStored } from './deliver/deliver.ts'
import { Fill } from './fill/fill.ts'
import type { FillParts, FillPlan } from './fill/plan.ts'
import { lookupLocal, lookup, purgeStateBy } from './lookup.ts'
import { Pass, type PassParts } from './pass/pass.ts'
import { sendProblem } from './client/problem.ts'
import { hitForMissKey } from './coalesce/hit-for-miss.ts'
import type { RequestContext } from '../forwarding/request-context.ts'
import type { Route } from './routing/route.ts'

export interface HandlerParts extends FillParts, PassParts {
  /** Read at each request, so that a reload shows at the next one. */
  routes(): readonly Route[]
  readonly viaName: string
  /** Whether requests for one thing wait for one fetch. */
  readonly coalesce: boolean
  /** Where processes that share a store share their fetches; undefined: this process is alone. */
  readonly leases: Leases | undefined
}

/** The cache has answered: the response is written, or will be. */
export interface Handled {
  readonly kind: 'handled'
}

/** The one value of its type: a hit allocates none. */
export const handled: Handled = Object.freeze({ kind: 'handled' })

type AskDecision = Decision<Stored> & { action: 'validate' | 'fetch' | 'complete' }
type ServeDecision = Decision<Stored> & { action: 'serve' | 'serve-stale' }

/** What a request has behind it when it looks. */
interface Attempt {
  /** How often it waited, or looked in vain. */
  readonly waits: number
  /** Why it would have gone to the origin, had there not been another's fetch to wait for. */
  readonly reason: ForwardReason | undefined
  /** The lead that it is, and for which others wait. */
  readonly lead: Fetch | undefined
}

// A look may end in waiting for another's fetch. After the second wait the request goes alone: nobody waits for ever.
const maxWaits = 2
const firstAttempt: Attempt = Object.freeze({ waits: 0, reason: undefined, lead: undefined })

/** Answers client requests out of the store, and fills it. */
export class Handler {
  readonly #parts: HandlerParts
  readonly #coalescer: Coalescer
  readonly #softness: ReturnType<typeof purgeStateBy>
  // A number, not a Set: the tables that a Set outgrows hold on to what was in them until the old generation is collected,
  // and with a fill added and taken away at every miss that kept whole requests alive long after they were answered.
  #filling = 0

  constructor(parts: HandlerParts) {
    this.#parts = parts
    this.#coalescer = new Coalescer(parts.purgeLog)
    this.#softness = purgeStateBy(parts.purgeLog)
  }

  /** Fetches under way; what a shutdown waits for. */
  get filling(): number {
    return this.#filling
  }

  /** Answers a request, or returns the pass with which it goes to its origin. A pass leaves the response untouched. */
  handle(head: RequestHead, response: ClientResponse, context: RequestContext): Handled | Pass | Promise<Handled> {
    const routed = this.#route(head, context)
    if (typeof routed === 'string') return this.#refuse(response, routed)
    const reason = passReason(routed.request, routed.route.rules)
    if (reason === undefined) return this.#look({ routed, response }, firstAttempt)
    this.#parts.counters.count(reason)
    return new Pass(this.#parts, routed, reason)
  }

  /** Returns the pass of a WebSocket handshake, which is not counted. @throws SpringhouseError BAD_REQUEST, NO_ROUTE */
  passUpgrade(head: RequestHead, context: RequestContext): Pass {
    const routed = this.#route(head, context)
    if (typeof routed === 'string') throw faultError(routed)
    return new Pass(this.#parts, routed, 'upgrade')
  }

  #route(head: RequestHead, context: RequestContext): RoutedRequest | Fault {
    return routeRequest(this.#parts.routes(), head, context, this.#parts.viaName)
  }

  #look(exchange: ClientExchange, past: Attempt): Handled | Promise<Handled> {
    return this.#glance(exchange, past) ?? this.#lookFurther(exchange, past)
  }

  /** A plain fresh answer from what is at hand. Of anything else there may be a later one where all replicas look. */
  #glance(exchange: ClientExchange, past: Attempt): Handled | Promise<Handled> | undefined {
    const variants = lookupLocal(this.#parts.store, this.#parts.purgeLog, exchange.routed.key)
    if (variants.length === 0) return undefined
    const nowMs = this.#parts.clock.now()
    const decision = this.#decide(exchange, variants, nowMs)
    if (decision.reason !== 'fresh') return undefined
    past.lead?.settle('stored')
    return this.#serve(exchange, decision, decision.entry, nowMs, past)
  }

  #lookFurther(exchange: ClientExchange, past: Attempt): Handled | Promise<Handled> {
    const variants = lookup(this.#parts.store, this.#parts.purgeLog, exchange.routed.key)
    return variants instanceof Promise ? variants.then(found => this.#act(exchange, found, past)) : this.#act(exchange, variants, past)
  }

  #decide({ routed }: ClientExchange, variants: readonly Stored[], nowMs: number): Decision<Stored> {
    return decide(routed.request, variants, this.#softness, routed.requestField, nowMs)
  }

  #act(exchange: ClientExchange, variants: readonly Stored[], past: Attempt): Handled | Promise<Handled> {
    const nowMs = this.#parts.clock.now()
    const decision = this.#decide(exchange, variants, nowMs)
    switch (decision.action) {
      case 'serve':
        past.lead?.settle('stored')
        return this.#serve(exchange, decision, this.#nearer(exchange, decision.entry), nowMs, past)
      case 'serve-stale':
        past.lead?.settle('stored')
        this.#refresh(exchange, decision.entry)
        // However long it waited for another: a stale answer says itself why it is given (RFC 9211 §2.1, §2.7).
        return this.#serve(exchange, decision, decision.entry, nowMs, { waits: past.waits, reason: undefined, lead: undefined })
      case 'validate':
      case 'fetch':
      case 'complete':
        return past.lead === undefined ? this.#ask(exchange, decision, past) : this.#fetch(exchange, decision, past.lead, past)
      case 'refuse':
        past.lead?.settle('failed')
        this.#parts.counters.count(decision.reason)
        sendProblem(exchange.response, new SpringhouseError('NOT_CACHED'), refusedStatus(decision.reason))
        return handled
      default:
        return unreachable(decision)
    }
  }

  /** What was found further away and is used comes nearer. */
  #nearer(exchange: ClientExchange, entry: Stored): Stored {
    const { local } = this.#parts.store
    return local === undefined ? entry : local.promote(exchange.routed.key, entry)
  }

  #serve(exchange: ClientExchange, { reason, ageMs }: ServeDecision, entry: Stored, nowMs: number, past: Attempt): Handled | Promise<Handled> {
    // What it waited for answers it: RFC 9211 §2.6 has that forwarded, together with another, and not a hit.
    const occasion = past.reason === undefined
      ? { reason, ageMs, nowMs }
      : { reason: past.reason, ageMs, nowMs, cacheStatus: collapsedStatus(past.reason, entry.meta.lifetimeMs - ageMs) }
    this.#parts.counters.count(occasion.reason)
    const delivered = deliverStored(exchange, entry, occasion, this.#parts)
    if (delivered !== true) return this.#served(exchange, delivered, past)
    this.#countServed(past)
    return handled
  }

  async #served(exchange: ClientExchange, delivered: false | Promise<boolean>, past: Attempt): Promise<Handled> {
    if (await delivered) {
      this.#countServed(past)
      return handled
    }
    // The body was gone: a miss. The store has noticed, so the next look will not find it.
    const next: Attempt = { waits: past.waits + 1, reason: past.reason, lead: undefined }
    return next.waits <= maxWaits ? this.#look(exchange, next) : this.#ask(exchange, { action: 'fetch', reason: 'uri-miss', entry: undefined }, next)
  }

  #countServed(past: Attempt): void {
    if (past.reason === undefined) this.#parts.counters.hits++
    else this.#parts.counters.coalesced++
  }

  /** Asks the origin, or waits for the one who is asking already. */
  #ask(exchange: ClientExchange, decision: AskDecision, past: Attempt): Handled | Promise<Handled> {
    const { request, key } = exchange.routed
    const { coalesce, leases, purgeLog, uncacheable } = this.#parts
    // What was lately found uncacheable does not queue, and goes as the client made it: its own validators save the body.
    const alone = uncacheable.has(hitForMissKey(exchange.routed)) || request.directives.noStore
    // Without a word on purges nothing that another brings could be used, nor kept.
    if (!mayShare(exchange) || alone || !coalesce || !purgeLog.isCaughtUp()) return this.#fetch(exchange, decision, undefined, past, alone)
    const mayWait = past.waits < maxWaits && mayFollow(decision)
    const other = mayWait ? this.#coalescer.joinFetch(key, request.authority, request.target) : undefined
    // While it looked the client may have left: then nobody wants an answer, and nobody else is to wait for one.
    if (exchange.response.hasLeft) return handled
    if (other !== undefined) return this.#follow(exchange, decision, other, past)
    const lead = this.#coalescer.beginFetch(key, purgeLog.applied)
    return leases === undefined || !mayWait ? this.#fetch(exchange, decision, lead, past) : this.#contend(exchange, decision, lead, leases, past)
  }

  async #follow(exchange: ClientExchange, decision: AskDecision, lead: Fetch, { waits }: Attempt): Promise<Handled> {
    this.#parts.counters.waits++
    const outcome = await lead.settled
    return this.#look(exchange, { waits: outcome === 'refused' ? maxWaits : waits + 1, reason: decision.reason, lead: undefined })
  }

  /** Finds out whether it is this process's turn to ask; while it does, others here wait for the lead. */
  async #contend(exchange: ClientExchange, decision: AskDecision, lead: Fetch, leases: Leases, past: Attempt): Promise<Handled> {
    const { routed } = exchange
    const { purgeLog, counters, uncacheable } = this.#parts
    const { reason } = decision
    for (let waits = past.waits; ; waits++) {
      const turn = await acquireLease({ leases, purgeLog, counters }, routed, lead, exchange.response)
      if (turn === 'left') {
        lead.settle('failed')
        return handled
      }
      if (turn === 'look') return this.#look(exchange, { waits, reason, lead })
      if (turn === 'ask') return this.#fetch(exchange, decision, lead, { waits, reason, lead })
      if (turn === 'failed' && waits + 1 < maxWaits) continue
      uncacheable.record(routed.key, turn)
      lead.settle(turn)
      return this.#look(exchange, { waits: turn === 'refused' ? maxWaits : waits + 1, reason, lead: undefined })
    }
  }

  #fetch(exchange: ClientExchange, decision: AskDecision, lead: Fetch | undefined, past: Attempt, asClientMade = false): Handled {
    // While it waited, for the store or for another's fetch, the client may have left: nobody wants an answer.
    if (exchange.response.hasLeft) {
      lead?.settle('failed')
      return handled
    }
    this.#parts.counters.count(decision.reason)
    const { request } = exchange.routed
    const mayStore = request.method === 'GET'
    const validating = mayStore && decision.action === 'validate' ? decision.entry : undefined
    this.#fill(exchange, {
      reason: decision.reason,
      // Read before the origin is asked: a purge that comes after it will match what the fetch brings.
      stamp: this.#parts.purgeLog.applied,
      validating,
      staleFallback: decision.entry,
      part: decision.part,
      range: rangeAsked(request, decision, asClientMade),
      mayStore,
      unconditional: mayStore && (validating !== undefined || !asClientMade),
      answering: true,
      lead,
      waited: past.waits > 0 && past.reason !== undefined,
    })
    return handled
  }

  /** RFC 5861 §3: one fetch in the background, with the fields of the client whose request brought it about. */
  #refresh(exchange: ClientExchange, entry: Stored): void {
    const { routed: { request, key } } = exchange
    const { leases, purgeLog } = this.#parts
    if (request.method !== 'GET' || this.#coalescer.joinFetch(key, request.authority, request.target) !== undefined) return
    const lead = this.#coalescer.beginFetch(key, purgeLog.applied)
    if (leases === undefined) this.#refill(exchange, entry, lead)
    else void this.#contendToRefresh(exchange, entry, lead, leases)
  }

  /** Refreshes unless another process does; until that one has, no request here tries again. */
  async #contendToRefresh(exchange: ClientExchange, entry: Stored, lead: Fetch, leases: Leases): Promise<void> {
    const { clock, store, purgeLog, counters } = this.#parts
    const turn = await acquireLease({ leases, purgeLog, counters }, exchange.routed, lead)
    if (turn === 'ask') return this.#refill(exchange, entry, lead)
    if (turn !== 'look') return lead.settle(turn === 'left' ? 'failed' : turn)
    const decision = this.#decide(exchange, await lookup(store, purgeLog, exchange.routed.key), clock.now())
    if (decision.action === 'serve') lead.settle('stored')
    else this.#refill(exchange, decision.action === 'refuse' ? entry : decision.entry, lead)
  }

  #refill(exchange: ClientExchange, entry: Stored | undefined, lead: Fetch): void {
    this.#parts.counters.backgroundRefreshes++
    const validatable = entry !== undefined && (entry.meta.etag !== undefined || entry.meta.lastModified !== undefined)
    this.#fill(exchange, {
      reason: 'stale', stamp: this.#parts.purgeLog.applied, validating: validatable ? entry : undefined, staleFallback: entry,
      part: undefined, range: undefined, mayStore: true, unconditional: true, answering: false, lead, waited: false,
    })
  }

  #fill(exchange: ClientExchange, plan: FillPlan): void {
    this.#filling++
    new Fill(this.#parts, exchange, plan, this.#filled).start()
  }

  readonly #filled = (): void => { this.#filling-- }

  #refuse(response: ClientResponse, fault: Fault): Handled {
    sendProblem(response, faultError(fault), `springhouse; detail=${fault}`)
    return handled
  }
}

function faultError(fault: Fault): SpringhouseError {
  return new SpringhouseError(fault === 'no-route' ? 'NO_ROUTE' : 'BAD_REQUEST', { detail: fault })
}

// RFC 9111 §3.3: the rest of a part is asked for only where the whole that comes of it may be stored.
function rangeAsked({ range, ifRange }: CacheRequest, decision: AskDecision, alone: boolean): RangeAsked | undefined {
  if (range !== undefined) return { range, ifRange }
  return decision.action === 'complete' && !alone ? decision.rest : undefined
}

// A client that asks for a newer response than there is does not take one that was asked for before it came.
function mayFollow(decision: AskDecision): boolean {
  return decision.reason !== 'request-no-cache' && decision.reason !== 'request-max-age' && decision.reason !== 'request-min-fresh'
}

// Whether others may wait for what this one brings: it is a GET, and not for a part, which is of no use to who wants the whole.
function mayShare({ routed: { request } }: ClientExchange): boolean {
  return request.method === 'GET' && request.range === undefined
}
