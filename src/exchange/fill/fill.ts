// A fill: one response of the origin goes to client and store at once; RFC 9111 §3 and §4.3.
import { SpringhouseError } from '../../errors.ts'
import { type FieldLines, announcedLength } from '../../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../../origin/origin.ts'
import { isFailureStatus, type OriginFailure } from '../../policy/decide.ts'
import type { ReceivedHead } from '../../policy/storable.ts'
import type { Outcome } from '../../store/lease.ts'
import { BackPressure } from './back-pressure.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import { yieldIfHalfClosed } from '../client/half-closed.ts'
import { isConditional, planAgain, type FillOwner, type FillParts, type FillPlan } from './plan.ts'
import { freshenByHead } from './freshen-by-head.ts'
import { originFields } from './message-fields.ts'
import { Sharing } from './sharing.ts'
import { StaleStandIn } from './stale-stand-in.ts'
import type { FillState } from './state.ts'
import { releaseFollowers, reportUnstored } from './unstored.ts'
import { WantedContent } from './wanted-content.ts'
import { FillClient, type FillClientListener } from './fill-client.ts'
import { HeldEvents } from '../held-events.ts'
import { ResponseStorer } from './response-storer.ts'
import { supersede } from './supersede.ts'
import { isStored, serveArriving, serveCompleted, serveConfirmed, serveStale, type ServedFill } from './serve-stored.ts'

const noTrailers: FieldLines = []

/** A fill in progress. It goes on when the client leaves, if the response may be stored. */
export class Fill implements ResponseSink, ServedFill, FillClientListener {
  readonly parts: FillParts
  readonly exchange: RoutedExchange
  readonly plan: FillPlan
  readonly storer: ResponseStorer
  readonly client: FillClient
  readonly #owner: FillOwner
  readonly #requestTimeMs: number
  readonly #pressure = new BackPressure()
  readonly #sharing: Sharing
  readonly #wanted: WantedContent
  readonly #standIn: StaleStandIn
  #state: FillState = 'requesting'
  #origin: OriginExchange | undefined
  #receivedBytes = 0
  #announcedBytes = -1
  /** Events of the origin that wait until something is done with its head (`holdUntil`). */
  readonly #events = new HeldEvents()
  /** The update of stored responses by a HEAD. The end of the client's response waits for it. */
  #freshening: Promise<void> | undefined
  /** The last chunk, held back until the entry is committed: a client that has the whole response finds it stored. */
  #last: Buffer | undefined
  /** True if the response arrived at once: head and body go to the client in one write. */
  #isWhole = false

  constructor(parts: FillParts, exchange: RoutedExchange, plan: FillPlan, owner: FillOwner) {
    this.parts = parts
    this.exchange = exchange
    this.plan = plan
    this.#owner = owner
    this.storer = new ResponseStorer(parts, exchange.routed, plan)
    this.#wanted = new WantedContent(plan, exchange.routed)
    this.client = new FillClient(parts, exchange, plan, this)
    this.#requestTimeMs = parts.clock.now()
    this.#sharing = new Sharing(this, this.#pressure, owner.windows)
    this.#standIn = new StaleStandIn(this)
  }

  start(): void {
    const { routed: { request, route, forwarded } } = this.exchange
    this.client.begin()
    this.#standIn.begin()
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
    // After this call, which may precede the return of `request`.
    if (this.client.waits) queueMicrotask(() => yieldIfHalfClosed(this.exchange.response, (giveUp) => this.#origin?.unwanted(giveUp)))
  }

  onInterim(status: number, fields: FieldLines): void {
    this.client.interim(status, fields)
  }

  onHead(status: number, fields: FieldLines): void {
    this.#standIn.end()
    // Nothing of the response is stored or sent before the identity of the client has acted on it, whether the client has left or not.
    const acting = this.exchange.identified?.onResponse({ status, fields, position: undefined, repeatable: false })
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
    this.client.fail(error)
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
    this.exchange.tags = storer.tags
    if (this.#wanted.wholeForRest && this.#takeRest(status)) return
    if (!storer.open) releaseFollowers(this, status, this.#wanted.provesWhole)
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
    this.#events.hold()
    this.#pressure.hold('store')
    void done.then(() => {
      this.#events.release(act)
      if (!this.#events.isHolding) this.#pressure.release('store')
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

  #relayHead(status: number, fields: FieldLines): void {
    if (this.#wanted.partOfWhole && status === 200 && this.client.waits) {
      this.#state = 'completing'
      if (this.storer.open) return
      // The whole is of no use to others, and perhaps much longer than the part.
      this.#origin?.abort()
      return this.refetch()
    }
    // A response that this client cannot be sent is not stored either.
    const sent = !this.client.waits || this.client.head(status, fields, this.storer.notStored)
    if (!sent || (!this.client.waits && !this.storer.open)) this.#giveUp()
  }

  onWhole(status: number, fields: FieldLines, body: Buffer): void {
    this.#isWhole = true
    this.onHead(status, fields)
    if (body.length > 0) this.onData(body)
    this.onEnd(noTrailers)
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
    const isLast = this.#isWhole || (this.storer.open && this.#receivedBytes === this.#announcedBytes)
    // A body that arrives in one piece is stored a moment later.
    if (this.#receivedBytes === chunk.length && !isLast) this.#sharing.begin(this.#announcedBytes)
    if (isLast) this.#last = chunk
    else this.#relay(chunk)
  }

  #relay(chunk: Buffer): void {
    this.#sharing.push(chunk)
    if (this.client.waits) {
      if (this.#state === 'relaying' && !this.client.write(chunk)) this.#pressure.hold('client')
      // Where a part lies may depend on the length.
      const arriving = this.#state === 'completing' && this.storer.arrivesWhole && this.#announcedBytes >= 0 ? this.#sharing.open() : undefined
      if (arriving !== undefined) void serveArriving(this, arriving)
    }
    this.#sharing.setPace()
  }

  #store(chunk: Buffer): void {
    const taken = this.storer.write(chunk)
    if (taken === undefined) return
    if (typeof taken === 'string') {
      releaseFollowers(this, 200, this.#wanted.provesWhole)
      void supersede(this.parts, this.exchange.routed, this.plan, 200, taken, undefined)
      this.#sharing.notStored()
      if (!this.client.waits && !this.#sharing.isRead) this.#giveUp()
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
      else reportUnstored(this)
    }
    this.#sharing.complete(this.#last)
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
    this.#sharing.break()
    this.parts.observer.failed(error, this.exchange)
    if (!headSeen && this.#serveStale('unreachable')) return
    this.client.fail(error)
    this.settle()
  }

  #serveStale(failure: OriginFailure): boolean {
    const fallback = this.#standIn.inPlaceOf(failure)
    if (fallback === undefined) return false
    this.#state = 'serving-stored'
    void serveStale(this, fallback)
    return true
  }

  refetch(): void {
    const plan = { ...this.#planAgain, answering: this.client.waits }
    this.client.release()
    this.#state = 'done'
    this.exchange.notStored = undefined
    new Fill(this.parts, this.exchange, plan, this.#owner).start()
  }

  fetchBeside(): void {
    this.#owner.start(this.exchange, { ...this.#planAgain, lead: undefined, answering: true })
  }

  get #planAgain(): FillPlan {
    return planAgain(this.plan, this.parts.purgeLog.applied, this.#wanted.rangeAgain)
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
    if (!mayYetStore && !this.#sharing.isRead) return this.#giveUp()
    this.#sharing.setPace()
    if (!this.#sharing.isRead) this.abandon()
  }

  abandon(): void {
    if (this.#state === 'serving-stored' || this.#state === 'done') return
    if (this.#state !== 'requesting' && !this.storer.open) return this.#giveUp()
    if (this.plan.lead?.joined === true) return
    this.#origin?.unwanted(() => {
      if (this.#state !== 'serving-stored' && this.#state !== 'done') this.#giveUp()
    })
  }

  onReleased(): void {
    this.#standIn.end()
    this.#pressure.release('client')
  }

  #giveUp(): void {
    this.#origin?.abort()
    this.storer.abort()
    this.#sharing.break()
    this.settle()
  }

  settle(outcome: Outcome = 'failed'): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    this.plan.lead?.settle(outcome)
    this.#owner.ended()
  }
}
