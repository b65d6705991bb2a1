// THE PAGE: one client request from key to last byte.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { SpringhouseError, unreachable } from '../errors.ts'
import type { ClientConnection } from '../origin/forward.ts'
import { refusedStatus } from '../policy/cache-status.ts'
import type { RangeAsked } from '../policy/combine.ts'
import { decide, passReason, type Decision } from '../policy/decide.ts'
import type { PassReason } from '../policy/reasons.ts'
import type { CacheRequest } from '../policy/request.ts'
import type { Stored } from '../store/store.ts'
import { receive, type ClientExchange, type Fault } from './client.ts'
import { Coalescer, type Lead } from './coalesce.ts'
import { hasLeft } from './connection.ts'
import { deliverStored } from './deliver.ts'
import { Fill } from './fill.ts'
import type { FillParts, FillPlan } from './fill-plan.ts'
import { glance, lookup, softnessBy } from './lookup.ts'
import { sendProblem } from './problem.ts'
import type { Route } from './routes.ts'
import { memoryKey } from './uncacheable.ts'

export interface HandlerParts extends FillParts {
  /** Read at each request, so that a reload shows at the next one. */
  routes(): readonly Route[]
  readonly viaName: string
  /** Whether requests for one thing wait for one fetch. */
  readonly coalesce: boolean
}

type ToAsk = Decision<Stored> & { action: 'validate' | 'fetch' | 'complete' }

/** true: answered, the response is or will be written here. Otherwise the request is the proxy's, for this reason. */
export type Handled = true | PassReason

// A look may end in waiting for another's fetch. After the second the request goes alone: nobody waits for ever.
const maxLooks = 2

/** Answers client requests out of the store, and fills it. */
export class Handler {
  readonly #parts: HandlerParts
  readonly #coalescer: Coalescer
  readonly #softness: ReturnType<typeof softnessBy>
  // A number, not a Set: the tables that a Set outgrows hold on to what was in them until the old generation is collected,
  // and with a fill added and taken away at every miss that kept whole requests alive long after they were answered.
  #filling = 0

  constructor(parts: HandlerParts) {
    this.#parts = parts
    this.#coalescer = new Coalescer(parts.purgeLog)
    this.#softness = softnessBy(parts.purgeLog)
  }

  /** Fetches under way; what a shutdown waits for. */
  get filling(): number {
    return this.#filling
  }

  handle(message: IncomingMessage, response: ServerResponse, client: ClientConnection): Handled | Promise<Handled> {
    const asked = receive(this.#parts.routes(), message, client, this.#parts.viaName)
    if (typeof asked === 'string') return this.#refuse(response, asked)
    const pass = passReason(asked.request, asked.route.rules)
    if (pass !== undefined) {
      this.#parts.counters.count(pass)
      return pass
    }
    return this.#look({ asked, response }, 1)
  }

  /** Where a request goes that is the proxy's. @throws SpringhouseError BAD_REQUEST, NO_ROUTE */
  destination(message: IncomingMessage, client: ClientConnection): { readonly origin: string; readonly retryOn: readonly number[] } {
    const asked = receive(this.#parts.routes(), message, client, this.#parts.viaName)
    if (typeof asked === 'string') throw faultError(asked)
    const { origin, forwarding } = asked.route
    return { origin, retryOn: forwarding.retryOn }
  }

  #look(exchange: ClientExchange, looks: number): Handled | Promise<Handled> {
    return this.#glance(exchange, looks) ?? this.#lookFurther(exchange, looks)
  }

  /** A plain fresh answer from what is at hand. Of anything else there may be a later one where all replicas look. */
  #glance(exchange: ClientExchange, looks: number): Handled | Promise<Handled> | undefined {
    const variants = glance(this.#parts.store, this.#parts.purgeLog, exchange.asked.key)
    if (variants.length === 0) return undefined
    const nowMs = this.#parts.clock.now()
    const decision = decide(exchange.asked.request, variants, this.#softness, exchange.asked.requestField, nowMs)
    return decision.reason === 'fresh' ? this.#serve(exchange, decision, decision.entry, nowMs, looks) : undefined
  }

  #lookFurther(exchange: ClientExchange, looks: number): Handled | Promise<Handled> {
    const variants = lookup(this.#parts.store, this.#parts.purgeLog, exchange.asked.key)
    return variants instanceof Promise ? variants.then(found => this.#act(exchange, found, looks)) : this.#act(exchange, variants, looks)
  }

  #act(exchange: ClientExchange, variants: readonly Stored[], looks: number): Handled | Promise<Handled> {
    const nowMs = this.#parts.clock.now()
    const decision = decide(exchange.asked.request, variants, this.#softness, exchange.asked.requestField, nowMs)
    switch (decision.action) {
      case 'serve':
        return this.#serve(exchange, decision, this.#nearer(exchange, decision.entry), nowMs, looks)
      case 'serve-stale':
        this.#refresh(exchange, decision.entry)
        return this.#serve(exchange, decision, decision.entry, nowMs, looks)
      case 'validate':
      case 'fetch':
      case 'complete':
        return this.#ask(exchange, decision, looks)
      case 'refuse':
        this.#parts.counters.count(decision.reason)
        sendProblem(exchange.response, new SpringhouseError('NOT_CACHED'), refusedStatus(decision.reason))
        return true
      default:
        return unreachable(decision)
    }
  }

  /** What was found further away and is used comes nearer. */
  #nearer(exchange: ClientExchange, entry: Stored): Stored {
    const { near } = this.#parts.store
    return near === undefined ? entry : near.keep(exchange.asked.key, entry)
  }

  #serve(exchange: ClientExchange, decision: Decision<Stored> & { action: 'serve' | 'serve-stale' }, entry: Stored, nowMs: number, looks: number): Handled | Promise<Handled> {
    this.#parts.counters.count(decision.reason)
    const delivered = deliverStored(exchange, entry, { reason: decision.reason, ageMs: decision.ageMs, nowMs }, this.#parts.via)
    if (delivered === true) {
      this.#parts.counters.hits++
      return true
    }
    return this.#served(exchange, delivered, looks)
  }

  async #served(exchange: ClientExchange, delivered: false | Promise<boolean>, looks: number): Promise<Handled> {
    if (await delivered) {
      this.#parts.counters.hits++
      return true
    }
    // The body was gone: a miss. The store has noticed, so the next look will not find it.
    return looks < maxLooks ? this.#look(exchange, looks + 1) : this.#ask(exchange, { action: 'fetch', reason: 'uri-miss', entry: undefined }, maxLooks)
  }

  /** Asks the origin, or waits for the one who is asking already. */
  #ask(exchange: ClientExchange, decision: ToAsk, looks: number): Handled | Promise<Handled> {
    // While it waited, for the store or for another's fetch, the client may have left: nobody wants an answer.
    if (hasLeft(exchange.response)) return true
    const { request, key } = exchange.asked
    const { coalesce, counters, purgeLog, uncacheable } = this.#parts
    // What was lately found uncacheable does not queue, and goes as the client made it: its own validators save the body.
    const alone = uncacheable.has(memoryKey(exchange.asked)) || request.directives.noStore
    const mayStore = request.method === 'GET'
    // A part that one client asks for is of no use to another who waits for the whole.
    const shared = mayStore && request.range === undefined && !alone && coalesce
    if (shared && looks < maxLooks && mayFollow(decision)) {
      const lead = this.#coalescer.join(key, request.authority, request.target)
      if (lead !== undefined) return this.#follow(exchange, lead, looks)
    }
    counters.count(decision.reason)
    // The stamp is read before the origin is asked: a purge that comes after it will match what the fetch brings.
    const stamp = purgeLog.applied
    const validating = mayStore && decision.action === 'validate' ? decision.entry : undefined
    this.#fill(exchange, {
      reason: decision.reason,
      stamp,
      validating,
      standIn: decision.entry,
      part: decision.part,
      range: rangeAsked(request, decision, alone),
      mayStore,
      unconditional: mayStore && (validating !== undefined || !alone),
      answering: true,
      lead: shared ? this.#coalescer.begin(key, stamp) : undefined,
      waited: looks > 1,
    })
    return true
  }

  async #follow(exchange: ClientExchange, lead: Lead, looks: number): Promise<Handled> {
    this.#parts.counters.coalesced++
    await lead.settled
    return this.#look(exchange, looks + 1)
  }

  /** RFC 5861 §3: one fetch in the background, with the fields of the client whose request brought it about. */
  #refresh(exchange: ClientExchange, entry: Stored): void {
    const { request, key } = exchange.asked
    if (request.method !== 'GET' || this.#coalescer.join(key, request.authority, request.target) !== undefined) return
    const stamp = this.#parts.purgeLog.applied
    this.#parts.counters.backgroundRefreshes++
    const validatable = entry.meta.etag !== undefined || entry.meta.lastModified !== undefined
    this.#fill(exchange, {
      reason: 'stale', stamp, validating: validatable ? entry : undefined, standIn: entry, part: undefined, range: undefined, mayStore: true, unconditional: true,
      answering: false, lead: this.#coalescer.begin(key, stamp), waited: false,
    })
  }

  #fill(exchange: ClientExchange, plan: FillPlan): void {
    this.#filling++
    new Fill(this.#parts, exchange, plan, this.#filled).start()
  }

  readonly #filled = (): void => { this.#filling-- }

  #refuse(response: ServerResponse, fault: Fault): Handled {
    sendProblem(response, faultError(fault), `springhouse; detail=${fault}`)
    return true
  }
}

function faultError(fault: Fault): SpringhouseError {
  return new SpringhouseError(fault === 'no-route' ? 'NO_ROUTE' : 'BAD_REQUEST', { detail: fault })
}

// RFC 9111 §3.3: the rest of a part is asked for only where the whole that comes of it may be stored.
function rangeAsked({ range, ifRange }: CacheRequest, decision: ToAsk, alone: boolean): RangeAsked | undefined {
  if (range !== undefined) return { range, ifRange }
  return decision.action === 'complete' && !alone ? decision.rest : undefined
}

// A client that asks for a newer response than there is does not take one that was asked for before it came.
function mayFollow(decision: ToAsk): boolean {
  return decision.reason !== 'request-no-cache' && decision.reason !== 'request-max-age' && decision.reason !== 'request-min-fresh'
}
