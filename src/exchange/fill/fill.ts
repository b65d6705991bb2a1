// A fill: one response of the origin goes to client and store at once; RFC 9111 §3 and §4.3.
import { SpringhouseError } from '../../errors.ts'
import { type FieldLines, announcedLength } from '../../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../../origin/origin.ts'
import { forwardStatus } from '../../policy/cache-status.ts'
import { isFailureStatus, type OriginFailure } from '../../policy/decide.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import type { ReceivedHead } from '../../policy/storable.ts'
import { isNotModified, notModifiedFields } from '../../policy/validation.ts'
import type { Outcome } from '../../store/lease.ts'
import { BackPressure } from './back-pressure.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import { isConditional, type FillParts, type FillPlan } from './plan.ts'
import { freshenByHead } from './freshen-by-head.ts'
import { sendInterim } from '../client/interim.ts'
import { originFields } from './message-fields.ts'
import { unstoredOutcome } from '../coalesce/outcome.ts'
import { sendProblem } from '../client/problem.ts'
import { sendHead, sendHeadAlone, sendTrailers } from '../client/sending.ts'
import { ResponseStorer } from './response-storer.ts'
import { supersede } from './supersede.ts'
import { isStored, serveCompleted, serveConfirmed, serveStale, serveStaleMeanwhile, type ServedFill } from './serve-stored.ts'
import { staleFallback } from '../stale-fallback.ts'
import { clientFields, clientTrailers } from '../../forwarding/response-fields.ts'

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
export class Fill implements ResponseSink, ServedFill {
  readonly parts: FillParts
  readonly exchange: RoutedExchange
  readonly plan: FillPlan
  readonly storer: ResponseStorer
  readonly #done: () => void
  readonly #requestTimeMs: number
  readonly #pressure: BackPressure
  /** True if the fill requests the missing rest of an incomplete response, for a client that wants the whole. */
  readonly #forRest: boolean
  #state: State = 'requesting'
  #origin: OriginExchange | undefined
  #slowTimer: NodeJS.Timeout | undefined
  /** True while the client waits for bytes: not after a 304, after it left, or in a background refresh. */
  #clientWaits: boolean
  #receivedBytes = 0
  #announcedBytes = -1
  /** Events of the origin that wait until something is done with its head (`holdUntil`); undefined: none waits. */
  #waiting: (() => void)[] | undefined
  /** The update of stored responses by a HEAD. The end of the client's response waits for it. */
  #freshening: Promise<void> | undefined
  /** The last chunk, held back until the entry is committed: a client that has the whole response finds it stored. */
  #last: Buffer | undefined

  /** @param done called once, when the fill has ended */
  constructor(parts: FillParts, exchange: RoutedExchange, plan: FillPlan, done: () => void) {
    this.parts = parts
    this.exchange = exchange
    this.plan = plan
    this.#done = done
    this.storer = new ResponseStorer(parts, exchange.routed, plan)
    this.#forRest = plan.range !== undefined && exchange.routed.request.range === undefined
    this.#clientWaits = plan.answering
    this.#requestTimeMs = parts.clock.now()
    // Followers wait for the origin, not for this client. If the client blocks the fill for `slowClientMs`, the lead is released
    // and a follower may fetch. The store keeps the response that was requested last.
    this.#pressure = new BackPressure(parts.slowClientMs, () => plan.lead?.settle('failed'))
  }

  start(): void {
    const { routed: { request, route, forwarded }, response } = this.exchange
    if (this.#clientWaits) {
      this.exchange.outcome = 'miss'
      this.exchange.reason = this.plan.reason
      response.onClose(this.#clientLeft)
      response.onDrain(this.#clientDrained)
    }
    if (this.#clientWaits && this.plan.staleFallback !== undefined && route.rules.staleIfSlowMs !== undefined) {
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

  get clientWaits(): boolean {
    return this.#clientWaits
  }

  onTry(server: string): void {
    this.exchange.tried(server, this.parts.clock.monotonic())
  }

  onInterim(status: number, fields: FieldLines): void {
    if (this.#clientWaits) sendInterim(this.exchange.response, status, fields, this.exchange.routed.cacheOnly)
  }

  onHead(status: number, fields: FieldLines): void {
    clearTimeout(this.#slowTimer)
    // Nothing of the response is stored or sent before the identity of a waiting client has acted on it.
    const acting = this.#clientWaits ? this.exchange.identified?.onResponse({ status, fields, position: undefined, repeatable: false }) : undefined
    if (acting === undefined) return this.#takeHead(status, fields)
    let refused: SpringhouseError | undefined
    const acted = acting.then(() => undefined, (error: unknown) => {
      refused = error instanceof SpringhouseError ? error : new SpringhouseError('INTERNAL', { cause: error })
    })
    this.#holdUntil(acted, () => {
      if (refused === undefined) this.#takeHead(status, fields)
      else this.#refuse(refused)
    })
  }

  /** Sends an error in place of a response that the identity of the client refuses. A stale response would hide it. */
  #refuse(error: SpringhouseError): void {
    if (this.#state === 'done') return
    this.#origin?.abort()
    this.parts.observer.failed(error, this.exchange)
    if (this.#clientWaits) sendProblem(this.exchange, error, this.cacheStatus(undefined, undefined))
    this.clientServed()
    this.settle()
  }

  #takeHead(status: number, fields: FieldLines): void {
    const { parts, exchange: { routed }, plan, storer } = this
    if (this.#state !== 'requesting') return
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
    // A client that has this response must not be served the superseded one afterwards, by any replica.
    else
      this.#holdUntil(superseded, () => {
        if (this.#state === 'relaying') this.#relayHead(status, fields)
      })
  }

  /** Holds the origin's next events until `done` has resolved and `act` has run. `act` may hold them again. */
  #holdUntil(done: Promise<void>, act: () => void): void {
    this.#waiting = []
    this.#pressure.hold('store')
    void done.then(() => {
      const waiting = this.#waiting ?? []
      this.#waiting = undefined
      act()
      for (const event of waiting) event()
      if (this.#waiting === undefined) this.#pressure.release('store')
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
    if (!this.#clientWaits) {
      if (!this.storer.open) this.#giveUp()
      return
    }
    const { routed: { request, cacheOnly }, response } = this.exchange
    const head = clientFields(fields, cacheOnly, this.parts.via, this.cacheStatus(status, this.storer.notStored))
    // The request to the origin had no conditions. The client's request had one (RFC 9110 §13.2.2).
    if (this.plan.unconditional && isNotModified(request, status, fields, this.parts.clock.now())) {
      if (sendHead(this.exchange, 304, notModifiedFields(head))) response.end()
      this.clientServed()
      if (!this.storer.open) this.#giveUp()
      return
    }
    if (sendHead(this.exchange, status, head)) return
    // A response that this client cannot be sent is not stored either.
    this.clientServed()
    this.#giveUp()
  }

  // Node holds a head back until there is body to send with it. A stream of events may have none for long.
  onHeadAlone(): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(() => this.onHeadAlone())
      return
    }
    if (this.#clientWaits && this.exchange.response.headersSent) sendHeadAlone(this.exchange)
  }

  cacheStatus(status: number | undefined, notStored: NotStoredReason | undefined): string {
    return forwardStatus({ reason: this.plan.reason, status, notStored, waited: this.plan.waited })
  }

  onData(chunk: Buffer): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(() => this.onData(chunk))
      return
    }
    if (this.#state !== 'relaying' && this.#state !== 'completing') return
    this.#receivedBytes += chunk.length
    this.#store(chunk)
    if (!this.#clientWaits || this.#state !== 'relaying') return
    if (this.storer.open && this.#receivedBytes === this.#announcedBytes) {
      this.#last = chunk
    } else {
      this.exchange.bodyBytes += chunk.length
      if (!this.exchange.response.write(chunk)) this.#pressure.hold('client')
    }
  }

  #store(chunk: Buffer): void {
    const taken = this.storer.write(chunk)
    if (taken === undefined) return
    if (typeof taken === 'string') {
      this.#willNotStore(200)
      void supersede(this.parts, this.exchange.routed, this.plan, 200, taken, undefined)
      if (!this.#clientWaits) this.#giveUp()
      return
    }
    this.#pressure.hold('store')
    void taken.then(() => this.#pressure.release('store'), () => this.#pressure.release('store'))
  }

  onEnd(trailers: FieldLines): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(() => this.onEnd(trailers))
      return
    }
    if (this.#state !== 'relaying' && this.#state !== 'completing') return
    if (trailers.length > 0 && this.#clientWaits && this.#state === 'relaying') sendTrailers(this.exchange, clientTrailers(trailers, this.exchange.routed.cacheOnly))
    const committed = this.#freshening === undefined ? this.storer.commit() : this.#freshening.then((): Outcome => 'failed')
    if (typeof committed === 'string') this.#finish(committed)
    else void committed.then(outcome => this.#finish(outcome), () => this.#finish('refused'))
  }

  #finish(outcome: Outcome): void {
    if (this.storer.open) {
      if (isStored(outcome)) this.parts.observer.count('fillsCommitted')
      else this.#notStored(this.storer.notStored ?? 'store-refused')
    }
    if (this.#state === 'completing') {
      this.#state = 'serving-stored'
      void serveCompleted(this, outcome)
      return
    }
    if (this.#clientWaits) {
      this.exchange.bodyBytes += this.#last?.length ?? 0
      this.exchange.response.end(this.#last)
      this.clientServed()
    }
    this.settle(outcome)
  }

  onError(error: SpringhouseError, headSeen: boolean): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(() => this.onError(error, headSeen))
      return
    }
    if (this.#state === 'serving-stored' || this.#state === 'done') return
    if (this.storer.open) this.parts.observer.count('fillsAborted')
    this.storer.abort()
    this.parts.observer.failed(error, this.exchange)
    if (!headSeen && this.#serveStale('unreachable')) return
    if (this.#clientWaits) {
      // After the head only truncation is honest: an incomplete response must not seem complete.
      if (this.exchange.response.headersSent) this.exchange.response.cut()
      else sendProblem(this.exchange, error, this.cacheStatus(undefined, undefined))
      this.clientServed()
    }
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
    this.#detach()
    const range = this.#forRest ? undefined : this.plan.range
    const plan: FillPlan = { ...this.plan, stamp: this.parts.purgeLog.applied, validating: undefined, staleFallback: undefined, part: undefined, range,
      answering: this.#clientWaits }
    this.#clientWaits = false
    this.#state = 'done'
    this.#pressure.end()
    new Fill(this.parts, this.exchange, plan, this.#done).start()
  }

  readonly #originIsSlow = (): void => {
    if (this.#state !== 'requesting' || !this.#clientWaits) return
    const fallback = staleFallback(this.parts, this.exchange.routed.request, this.plan.staleFallback, 'slow')
    if (fallback !== undefined) void serveStaleMeanwhile(this, fallback)
  }

  readonly #clientDrained = (): void => this.#pressure.release('client')

  // A response that may be stored is fetched to its end, for the next client. It gives way to requests whose clients wait.
  readonly #clientLeft = (): void => {
    if (!this.#clientWaits) return
    this.clientServed()
    // A stored response that is being served ends by itself.
    if (this.#state === 'serving-stored') return
    const mayYetStore = this.#state === 'requesting' ? this.plan.unconditional : this.storer.open
    if (!mayYetStore) return this.#giveUp()
    this.#pressure.release('client')
    if (this.plan.lead?.joined !== true)
      this.#origin?.unwanted(() => {
        if (this.#state !== 'serving-stored' && this.#state !== 'done') this.#giveUp()
      })
  }

  clientServed(): void {
    this.releaseClient()
    this.exchange.end()
  }

  releaseClient(): void {
    clearTimeout(this.#slowTimer)
    this.#clientWaits = false
    this.#detach()
    this.#pressure.release('client')
  }

  #detach(): void {
    this.exchange.response.offClose(this.#clientLeft)
    this.exchange.response.offDrain(this.#clientDrained)
  }

  #giveUp(): void {
    this.#origin?.abort()
    this.storer.abort()
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
