// A fill: one response of the origin goes to client and store at once; RFC 9111 §3 and §4.3.
import { SpringhouseError } from '../../errors.ts'
import { type FieldLines, announcedLength } from '../../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../../origin/origin.ts'
import { isFailureStatus, type OriginFailure } from '../../policy/decide.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import type { ReceivedHead } from '../../policy/storable.ts'
import type { Outcome } from '../../store/lease.ts'
import { BackPressure } from './back-pressure.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import { isConditional, type FillParts, type FillPlan } from './plan.ts'
import { freshenByHead } from './freshen-by-head.ts'
import { originFields } from './message-fields.ts'
import { deliverRest } from '../deliver/deliver.ts'
import { Tee } from './tee.ts'
import type { WindowBudget } from './window-budget.ts'
import { FillClient, type FillClientListener } from './fill-client.ts'
import { HeldEvents } from './held-events.ts'
import { unstoredOutcome } from '../coalesce/outcome.ts'
import { ResponseStorer } from './response-storer.ts'
import { supersede } from './supersede.ts'
import { isStored, serveCompleted, serveConfirmed, serveStale, serveStaleMeanwhile, type ServedFill } from './serve-stored.ts'
import { staleFallback } from '../stale-fallback.ts'

/**
 * The state of a fill.
 *
 * | state | until | bytes of the origin go to | the client leaves | the origin fails |
 * |---|---|---|---|---|
 * | requesting | the final head comes | | goes on if the response may be stored | a stale response, or a problem document |
 * | relaying | the body ends | client and store | goes on if it is being stored | the response is truncated, visibly |
 * | completing | the rest of a stored part is there | the store; the client is served from it afterwards | goes on | a problem document |
 * | serving-stored | the client has a stored response, or a new fill takes over | nobody | goes on | nothing |
 * | done | | nobody | nothing | nothing |
 */
type State = 'requesting' | 'relaying' | 'completing' | 'serving-stored' | 'done'

/** A fill in progress. It goes on when the client leaves, if the response may be stored. */
export class Fill implements ResponseSink, ServedFill, FillClientListener {
  readonly parts: FillParts
  readonly exchange: RoutedExchange
  readonly plan: FillPlan
  readonly storer: ResponseStorer
  readonly client: FillClient
  readonly #windows: WindowBudget
  readonly #done: () => void
  readonly #requestTimeMs: number
  readonly #pressure: BackPressure
  /** True if the fill requests the missing rest of an incomplete response, for a client that wants the whole. */
  readonly #forRest: boolean
  #state: State = 'requesting'
  #origin: OriginExchange | undefined
  #slowTimer: NodeJS.Timeout | undefined
  #receivedBytes = 0
  #announcedBytes = -1
  /** Events of the origin that wait until the store has removed what the response supersedes. */
  readonly #events = new HeldEvents()
  /** The update of stored responses by a HEAD. The end of the client's response waits for it. */
  #freshening: Promise<void> | undefined
  /** Other clients read the body here; undefined: it is not shared. */
  #tee: Tee | undefined
  /** The last chunk, held back until the entry is committed: a client that has the whole response finds it stored. */
  #last: Buffer | undefined

  /** @param done called once, when the fill has ended */
  constructor(parts: FillParts, exchange: RoutedExchange, plan: FillPlan, windows: WindowBudget, done: () => void) {
    this.parts = parts
    this.exchange = exchange
    this.plan = plan
    this.#windows = windows
    this.#done = done
    this.storer = new ResponseStorer(parts, exchange.routed, plan)
    this.#forRest = plan.range !== undefined && exchange.routed.request.range === undefined
    this.client = new FillClient(parts, exchange, plan, this)
    this.#requestTimeMs = parts.clock.now()
    // Followers wait for the origin, not for this client. If the client blocks the fill for `slowClientMs`, the lead is released
    // and a follower may fetch. The store keeps the response that was requested last.
    this.#pressure = new BackPressure(parts.slowClientMs, () => plan.lead?.settle('failed'))
  }

  start(): void {
    const { routed: { request, route, forwarded } } = this.exchange
    this.client.begin()
    if (this.client.waits && this.plan.staleFallback !== undefined && route.rules.staleIfSlowMs !== undefined) {
      this.#slowTimer = setTimeout(this.#originIsSlow, route.rules.staleIfSlowMs)
    }
    this.parts.observer.count('fillsBegun')
    try {
      this.#origin = this.parts.origins.request(
        { origin: route.origin, method: request.method === 'HEAD' ? 'HEAD' : 'GET', target: request.target, fields: originFields(forwarded, this.plan),
          retryOn: route.forwarding.retryOn },
        this,
      )
      this.#pressure.on(this.#origin)
    } catch (cause) {
      // Nothing else would release the followers of this lead.
      this.onError(cause instanceof SpringhouseError ? cause : new SpringhouseError('INTERNAL', { cause }), false)
    }
  }

  onTry(server: string): void {
    this.exchange.tried(server, this.parts.clock.monotonic())
  }

  onInterim(status: number, fields: FieldLines): void {
    this.client.interim(status, fields)
  }

  onHead(status: number, fields: FieldLines): void {
    const { parts, exchange: { routed }, plan, storer } = this
    clearTimeout(this.#slowTimer)
    this.exchange.responded(parts.clock.monotonic())
    const head: ReceivedHead = { status, fields, requestTimeMs: this.#requestTimeMs, responseTimeMs: parts.clock.now(), stamp: plan.stamp }
    if (plan.validating !== undefined && status === 304) {
      this.#state = 'serving-stored'
      void serveConfirmed(this, plan.validating, head)
      return
    }
    if (status === 304 && !isConditional(plan, routed.request)) {
      this.#origin?.abort()
      this.onError(new SpringhouseError('ORIGIN_MALFORMED', { detail: 'a 304 to a request without conditions' }), false)
      return
    }
    if (isFailureStatus(status) && this.#serveStale('5xx')) {
      this.#origin?.abort()
      return
    }
    this.#state = 'relaying'
    if (routed.request.method === 'HEAD') this.#freshening = freshenByHead(parts.store, parts.purgeLog, routed, head)
    this.#announcedBytes = announcedLength(fields)
    storer.begin(head, this.#announcedBytes)
    if (this.#forRest && this.#takeRest(status)) return
    if (!storer.open) this.#willNotStore(status)
    const superseded = supersede(parts, routed, plan, status, storer.notStored, storer.variant)
    if (superseded === undefined) this.#relayHead(status, fields)
    else this.#relayAfter(superseded, status, fields)
  }

  // A client that has this response must not be served the superseded one afterwards, by any replica.
  #relayAfter(superseded: Promise<void>, status: number, fields: FieldLines): void {
    this.#events.hold()
    this.#pressure.hold('store')
    void superseded.then(() => {
      this.#events.release(() => {
        if (this.#state === 'relaying') this.#relayHead(status, fields)
      })
      this.#pressure.release('store')
    })
  }

  /** Returns true if the response to a request for the rest of a part does not go to the client, which did not request a part. */
  #takeRest(status: number): boolean {
    if (status === 206 && this.storer.whole) {
      this.#state = 'completing'
      return true
    }
    // A 200 is the whole anyhow, and an error would come again.
    if (status === 200 || isFailureStatus(status)) return false
    this.#state = 'serving-stored'
    this.#origin?.abort()
    void this.storer.dropPart().then(() => this.refetch())
    return true
  }

  /** Releases the followers: there is nothing to wait for. */
  #willNotStore(status: number): void {
    const reason = this.storer.notStored ?? 'incomplete'
    const { mayStore, lead } = this.plan
    this.#notStored(reason)
    // The rest of a part says nothing about whether the whole may be stored.
    lead?.settle(unstoredOutcome(this.parts, this.exchange.routed, reason, status, mayStore && !this.#forRest))
  }

  #notStored(reason: NotStoredReason): void {
    this.exchange.notStored = reason
    this.parts.observer.notStored(reason)
  }

  #relayHead(status: number, fields: FieldLines): void {
    // A response that this client cannot be sent is not stored either.
    const sent = !this.client.waits || this.client.head(status, fields, this.storer.notStored)
    if (!sent || (!this.client.waits && !this.storer.open)) this.#giveUp()
  }

  // Node holds a head back until there is body to send with it. A stream of events may have none for long.
  onHeadAlone(): void {
    if (!this.#events.keep(() => this.onHeadAlone())) this.client.headAlone()
  }

  onData(chunk: Buffer): void {
    if (this.#events.keep(() => this.onData(chunk))) return
    if (this.#state !== 'relaying' && this.#state !== 'completing') return
    this.#receivedBytes += chunk.length
    this.#store(chunk)
    if (this.#receivedBytes === chunk.length) this.#openTee()
    if (this.storer.open && this.#receivedBytes === this.#announcedBytes) {
      this.#last = chunk
      return
    }
    this.#tee?.push(chunk)
    if (this.#state === 'relaying' && this.client.waits && !this.client.write(chunk)) this.#pressure.hold('client')
    this.#shared()
  }

  // A body that has arrived in one piece is stored a moment later.
  #openTee(): void {
    const { lead } = this.plan
    const meta = this.storer.arriving
    if (lead === undefined || meta === undefined || this.#receivedBytes === this.#announcedBytes) return
    this.#tee = new Tee({ ...meta, bodyBytes: this.#announcedBytes < 0 ? Infinity : this.#announcedBytes }, this.#windows, this.#shared)
    lead.share(this.#tee)
  }

  /** Sets the pace: that of the store and of the fastest client. */
  readonly #shared = (): void => {
    const tee = this.#tee
    if (tee === undefined || this.#state === 'done') return
    if (tee.isShared && this.#pressure.isHeldBy('client')) this.#handOver(tee)
    if (!this.client.waits && !this.storer.open && !tee.isRead) this.#giveUp()
    else if (!this.client.waits && tee.isAhead) this.#pressure.hold('readers')
    else this.#pressure.release('readers')
  }

  /** The client of this fill is slower than others: it reads the tee from now on, as they do. */
  #handOver(tee: Tee): void {
    this.client.release()
    void deliverRest(this.exchange, tee, tee.arrived, this.parts).then(() => this.exchange.end())
  }

  #store(chunk: Buffer): void {
    const taken = this.storer.write(chunk)
    if (taken === undefined) return
    if (typeof taken === 'string') {
      this.#willNotStore(200)
      void supersede(this.parts, this.exchange.routed, this.plan, 200, taken, undefined)
      this.#tee?.notStored()
      if (!this.client.waits && this.#tee?.isRead !== true) this.#giveUp()
      return
    }
    this.#pressure.hold('store')
    void taken.then(() => this.#pressure.release('store'), () => this.#pressure.release('store'))
  }

  onEnd(trailers: FieldLines): void {
    if (this.#events.keep(() => this.onEnd(trailers))) return
    if (this.#state !== 'relaying' && this.#state !== 'completing') return
    if (this.#state === 'relaying') this.client.trailers(trailers)
    const committed = this.#freshening === undefined ? this.storer.commit() : this.#freshening.then((): Outcome => 'failed')
    if (typeof committed === 'string') this.#finish(committed)
    else void committed.then(outcome => this.#finish(outcome), () => this.#finish('refused'))
  }

  #finish(outcome: Outcome): void {
    if (this.storer.open) {
      if (isStored(outcome)) this.parts.observer.count('fillsCommitted')
      else this.#notStored(this.storer.notStored ?? 'store-refused')
    }
    if (this.#last !== undefined) this.#tee?.push(this.#last)
    this.#tee?.complete(() => this.storer.stored())
    if (this.#state === 'completing') {
      this.#state = 'serving-stored'
      void serveCompleted(this, outcome)
      return
    }
    this.client.end(this.#last)
    this.settle(outcome)
  }

  onError(error: SpringhouseError, headSeen: boolean): void {
    if (this.#events.keep(() => this.onError(error, headSeen))) return
    if (this.#state === 'serving-stored' || this.#state === 'done') return
    if (this.storer.open) this.parts.observer.count('fillsAborted')
    this.storer.abort()
    this.#tee?.break()
    this.parts.observer.failed(error, this.exchange)
    if (!headSeen && this.#serveStale('unreachable')) return
    this.client.fail(error)
    this.settle()
  }

  /** Serves a stale response in place of a failing origin's, if there is one that may be. */
  #serveStale(failure: OriginFailure): boolean {
    const fallback = staleFallback(this.parts, this.exchange.routed.request, this.plan.staleFallback, failure)
    if (fallback === undefined) return false
    this.#state = 'serving-stored'
    void serveStale(this, fallback)
    return true
  }

  refetch(): void {
    const range = this.#forRest ? undefined : this.plan.range
    const plan: FillPlan = { ...this.plan, stamp: this.parts.purgeLog.applied, validating: undefined, staleFallback: undefined, part: undefined, range,
      answering: this.client.waits }
    this.client.release()
    this.#state = 'done'
    this.#pressure.end()
    new Fill(this.parts, this.exchange, plan, this.#windows, this.#done).start()
  }

  readonly #originIsSlow = (): void => {
    if (this.#state !== 'requesting' || !this.client.waits) return
    const fallback = staleFallback(this.parts, this.exchange.routed.request, this.plan.staleFallback, 'slow')
    if (fallback !== undefined) void serveStaleMeanwhile(this, fallback)
  }

  onDrained(): void {
    this.#pressure.release('client')
  }

  // A response that may be stored is fetched to its end, for the next client. It gives way to requests whose clients wait.
  onLeft(): void {
    this.client.served()
    // A stored response that is being served ends by itself.
    if (this.#state === 'serving-stored') return
    const mayYetStore = this.#state === 'requesting' ? this.plan.unconditional : this.storer.open
    if (!mayYetStore && this.#tee?.isRead !== true) return this.#giveUp()
    this.#shared()
    if (this.plan.lead?.joined !== true)
      this.#origin?.unwanted(() => {
        if (this.#state !== 'serving-stored' && this.#state !== 'done') this.#giveUp()
      })
  }

  onReleased(): void {
    clearTimeout(this.#slowTimer)
    this.#pressure.clientGone()
  }

  #giveUp(): void {
    this.#origin?.abort()
    this.storer.abort()
    this.#tee?.break()
    this.settle()
  }

  settle(outcome: Outcome = 'failed'): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    this.#pressure.end()
    this.plan.lead?.settle(outcome)
    this.#done()
  }
}
