// One answer of the origin on its way to client and store at once; RFC 9111 §3 and §4.3.
import { SpringhouseError } from '../errors.ts'
import { linePairs, type FieldLines } from '../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../origin/origin.ts'
import { forwardStatus } from '../policy/cache-status.ts'
import { isFailureStatus, mayStandIn, type OriginFailure } from '../policy/decide.ts'
import { currentAgeMs } from '../policy/freshness.ts'
import type { NotStoredReason } from '../policy/reasons.ts'
import { assessResponse, type ReceivedHead } from '../policy/storable.ts'
import type { Metadata } from '../policy/stored.ts'
import { isNotModified, notModifiedFields } from '../policy/validation.ts'
import type { Outcome } from '../store/lease.ts'
import type { Verdict } from '../store/purge-log.ts'
import type { Awaitable, Stored, Writer } from '../store/store.ts'
import { BackPressure } from './back-pressure.ts'
import type { ClientExchange } from './client.ts'
import { cut, offLeaving, onLeaving } from './connection.ts'
import { confirm, type Confirmation } from './confirm.ts'
import { deliverStored, type Occasion } from './deliver.ts'
import type { FillParts, FillPlan } from './fill-plan.ts'
import { updateByHead } from './head-update.ts'
import { sendInterim } from './interim.ts'
import { announcedLength, clientFields, clientTrailers, wholeRequestFields } from './message-fields.ts'
import { storedOutcome, unstoredOutcome } from './outcome.ts'
import { sendProblem } from './problem.ts'

/** A fill in progress. It runs to its end when the client leaves, if what it brings may be stored. */
export class Fill implements ResponseSink {
  readonly #parts: FillParts
  readonly #exchange: ClientExchange
  readonly #plan: FillPlan
  readonly #done: () => void
  readonly #requestTimeMs: number
  readonly #pressure: BackPressure
  #origin: OriginExchange | undefined
  #writer: Writer | undefined
  #meta: Metadata | undefined
  #notStored: NotStoredReason | undefined = 'incomplete'
  /** Whether the client still wants the body: false after 304, when it left, and for a background refresh. */
  #toClient: boolean
  #headSeen = false
  /** Whether the store answers in the origin's place, after a 304 or a failure: then nothing that the origin still says counts. */
  #fromStore = false
  #storedBytes = 0
  #announcedBytes = -1
  /** What a HEAD makes of what is stored. The client's answer waits for it. */
  #updating: Promise<void> | undefined
  /** The last chunk, kept back until the entry is committed: who has the whole answer will find it stored. */
  #last: Buffer | undefined

  /** @param done called once, when nothing of the fill is left to do */
  constructor(parts: FillParts, exchange: ClientExchange, plan: FillPlan, done: () => void) {
    this.#parts = parts
    this.#exchange = exchange
    this.#plan = plan
    this.#done = done
    this.#toClient = plan.answering
    this.#requestTimeMs = parts.clock.now()
    // Those who wait wait for the origin. A client that reads slowly, or not at all, must not stand for it: after a bounded
    // time another of them asks, while this goes on at its client's pace. Whichever comes in first, the store keeps the
    // one that was asked for last.
    this.#pressure = new BackPressure(parts.slowClientMs, () => plan.lead?.settle('failed'))
  }

  start(): void {
    const { asked, response } = this.#exchange
    const { request, route } = asked
    if (this.#toClient) {
      onLeaving(response, this.#clientLeft)
      response.on('drain', this.#clientDrained)
    }
    this.#parts.counters.fillsBegun++
    try {
      this.#origin = this.#parts.origins.request(
        { origin: route.origin, method: request.method === 'HEAD' ? 'HEAD' : 'GET', target: request.target, fields: this.#plan.whole ? wholeRequestFields(asked.forwarded, this.#plan.validating?.meta) : asked.forwarded, retryOn: route.forwarding.retryOn },
        this,
      )
      this.#pressure.on(this.#origin)
    } catch (cause) {
      // Nobody else would wake those who wait for this lead.
      this.onError(cause instanceof SpringhouseError ? cause : new SpringhouseError('INTERNAL', { cause }), false)
    }
  }

  onInterim(status: number, fields: FieldLines): void {
    if (this.#toClient) sendInterim(this.#exchange.response, status, fields)
  }

  onHead(status: number, fields: FieldLines): void {
    this.#headSeen = true
    const plan = this.#plan
    const head: ReceivedHead = { status, fields, requestTimeMs: this.#requestTimeMs, responseTimeMs: this.#parts.clock.now(), stamp: plan.stamp }
    if (plan.validating !== undefined && status === 304) {
      this.#fromStore = true
      void this.#confirmed(plan.validating, head)
      return
    }
    if (isFailureStatus(status) && this.#standIn('5xx')) {
      this.#origin?.abort()
      return
    }
    const { asked } = this.#exchange
    if (asked.request.method === 'HEAD') this.#updating = updateByHead(this.#parts.store, this.#parts.purgeLog, asked, head)
    const verdict = plan.mayStore ? assessResponse(asked.request, asked.requestField, head, asked.route.rules) : undefined
    this.#announcedBytes = announcedLength(fields)
    if (verdict === undefined) this.#notStored = asked.request.method === 'HEAD' ? 'request-method' : 'partial'
    else if (!verdict.store) this.#notStored = verdict.reason
    else if (this.#announcedBytes > asked.route.rules.maxEntryBytes) this.#notStored = 'too-large'
    // Out of touch with the purge log: whatever is stored now would be dead when it is looked up.
    else if (!this.#parts.purgeLog.current()) this.#notStored = 'store-refused'
    else {
      this.#notStored = undefined
      this.#meta = verdict.meta
      this.#writer = this.#parts.store.write(asked.key, verdict.meta)
    }
    if (this.#notStored !== undefined) this.#willNotStore(status, this.#notStored)
    this.#answerHead(status, fields)
  }

  // Those who wait for this lead have nothing to wait for any more.
  #willNotStore(status: number, reason: NotStoredReason): void {
    this.#parts.counters.notStored(reason)
    this.#plan.lead?.settle(unstoredOutcome(this.#parts, this.#exchange.asked, reason, status, this.#plan.mayStore))
  }

  #answerHead(status: number, fields: FieldLines): void {
    if (!this.#toClient) {
      if (this.#writer === undefined) this.#giveUp()
      return
    }
    const { asked: { request }, response } = this.#exchange
    const head = clientFields(fields, this.#parts.via, this.#cacheStatus(status))
    // The origin was asked for the whole; the client asked whether it has changed (RFC 9110 §13.2.2).
    if (this.#plan.whole && isNotModified(request, status, fields, this.#parts.clock.now())) {
      response.writeHead(304, notModifiedFields(head))
      response.end()
      this.#clientServed()
      if (this.#writer === undefined) this.#giveUp()
      return
    }
    response.writeHead(status, head)
  }

  #cacheStatus(status: number): string {
    return forwardStatus({ reason: this.#plan.reason, status, notStored: this.#notStored, waited: this.#plan.waited })
  }

  #failedStatus(): string {
    return forwardStatus({ reason: this.#plan.reason, status: undefined, notStored: undefined, waited: this.#plan.waited })
  }

  onData(chunk: Buffer): void {
    if (this.#fromStore) return
    this.#storedBytes += chunk.length
    if (this.#writer !== undefined) this.#store(this.#writer, chunk)
    if (!this.#toClient) return
    if (this.#writer !== undefined && this.#storedBytes === this.#announcedBytes) {
      this.#last = chunk
    } else if (!this.#exchange.response.write(chunk)) {
      this.#pressure.hold('client')
    }
  }

  #store(writer: Writer, chunk: Buffer): void {
    if (this.#storedBytes > this.#exchange.asked.route.rules.maxEntryBytes) {
      writer.abort()
      this.#writer = undefined
      this.#notStored = 'too-large'
      this.#willNotStore(200, 'too-large')
      if (!this.#toClient) this.#giveUp()
      return
    }
    const taken = writer.write(chunk)
    if (taken === undefined) return
    this.#pressure.hold('store')
    void taken.then(() => this.#pressure.release('store'), () => this.#pressure.release('store'))
  }

  onEnd(trailers: FieldLines): void {
    if (this.#fromStore) return
    const { response } = this.#exchange
    if (trailers.length > 0 && this.#toClient) response.addTrailers(linePairs(clientTrailers(trailers)))
    const committed = this.#commit()
    if (typeof committed === 'string') this.#finish(committed)
    else void committed.then(outcome => this.#finish(outcome), () => this.#finish('refused'))
  }

  #commit(): Awaitable<Outcome> {
    if (this.#updating !== undefined) return this.#updating.then(() => 'failed')
    const [writer, meta] = [this.#writer, this.#meta]
    if (writer === undefined || meta === undefined) return 'failed'
    // A purge came while it was on its way. It would be found dead at every look; what may have been stored since is not.
    if (this.#parts.purgeLog.judge(meta) === 'dead') {
      writer.abort()
      return 'failed'
    }
    const committed = writer.commit()
    const outcome = (taken: boolean): Outcome => storedOutcome(this.#parts, this.#exchange.asked, meta, taken)
    return typeof committed === 'boolean' ? outcome(committed) : committed.then(outcome)
  }

  #finish(outcome: Outcome): void {
    const { counters } = this.#parts
    if (this.#writer !== undefined) {
      if (outcome === 'failed' || outcome === 'refused') counters.notStored('store-refused')
      else counters.fillsCommitted++
    }
    if (this.#toClient) {
      this.#exchange.response.end(this.#last)
      this.#clientServed()
    }
    this.#settle(outcome)
  }

  onError(error: SpringhouseError, headSeen: boolean): void {
    if (this.#fromStore) return
    this.#writer?.abort()
    if (this.#writer !== undefined) this.#parts.counters.fillsAborted++
    this.#parts.counters.originError(error.code)
    this.#parts.originFailed(error, this.#exchange)
    if (!headSeen && this.#standIn('unreachable')) return
    if (this.#toClient) {
      // After the head, a cut connection is the only honest end: nothing may look complete that is not.
      if (this.#exchange.response.headersSent) cut(this.#exchange.response)
      else sendProblem(this.#exchange.response, error, this.#failedStatus())
      this.#clientServed()
    }
    this.#settle()
  }

  /** RFC 9111 §4.3.4: the stored response is what the origin still has. Never rejects. */
  async #confirmed(validated: Stored, head: ReceivedHead): Promise<void> {
    // Purged while it was being validated: the 304 confirms something that must not be served any more.
    const confirmation = this.#verdict(validated.meta) === 'dead' ? undefined : confirm(this.#exchange.asked, validated.meta, head)
    if (confirmation === undefined) return this.#again()
    const { meta, notStored } = confirmation
    const kept = await this.#keep(confirmation, validated.meta)
    // Those who wait do not wait for this client to read it.
    this.#plan.lead?.settle(kept ? storedOutcome(this.#parts, this.#exchange.asked, meta, true) : 'failed')
    if (!this.#toClient) return this.#settle()
    const cacheStatus = forwardStatus({ reason: this.#plan.reason, status: 304, notStored, waited: this.#plan.waited })
    const nowMs = this.#parts.clock.now()
    const occasion = { reason: this.#plan.reason, ageMs: currentAgeMs(meta, nowMs), nowMs, cacheStatus }
    const delivered = await this.#deliver({ meta, body: validated.body }, occasion)
    if (!delivered && this.#toClient) return this.#again()
    this.#clientServed()
    this.#settle()
  }

  /** What purges say now of what was looked up before the origin was asked. Where they may not be known, the worst counts. */
  #verdict(meta: Metadata): Verdict {
    const { purgeLog } = this.#parts
    return purgeLog.current() ? purgeLog.judge(meta) : 'dead'
  }

  /** Whether the entry is renewed. A store that fails costs the next request a look at the origin, and this one nothing. */
  async #keep({ keep, meta }: Confirmation, was: Metadata): Promise<boolean> {
    const { store } = this.#parts
    const { key } = this.#exchange.asked
    try {
      if (keep === 'merged') return await store.refresh(key, was, meta)
      if (keep === 'nothing') await store.remove(key, meta.variant)
    } catch { /* see above */ }
    return false
  }

  /** false: the body was gone before anything was sent. Never rejects. */
  async #deliver(stored: Stored, occasion: Occasion): Promise<boolean> {
    try {
      return await deliverStored(this.#exchange, stored, occasion, this.#parts.via)
    } catch {
      cut(this.#exchange.response)
      return true
    }
  }

  /** Asks once more, for the whole: the 304 was of no use. */
  #again(): void {
    this.#detach()
    const plan: FillPlan = { ...this.#plan, stamp: this.#parts.purgeLog.applied, validating: undefined, standIn: undefined, answering: this.#toClient }
    this.#toClient = false
    new Fill(this.#parts, this.#exchange, plan, this.#done).start()
  }

  /** Whether a stored response answers in place of an origin that failed. */
  #standIn(failure: OriginFailure): boolean {
    const { standIn } = this.#plan
    const verdict = standIn === undefined ? 'dead' : this.#verdict(standIn.meta)
    if (standIn === undefined || verdict === 'dead') return false
    const nowMs = this.#parts.clock.now()
    const reason = mayStandIn(this.#exchange.asked.request, standIn.meta, verdict, failure, nowMs)
    if (reason === undefined) return false
    this.#fromStore = true
    if (this.#toClient) void this.#deliverStandIn(standIn, { reason, ageMs: currentAgeMs(standIn.meta, nowMs), nowMs })
    else this.#settle()
    return true
  }

  async #deliverStandIn(standIn: Stored, occasion: Occasion): Promise<void> {
    this.#plan.lead?.settle('failed')
    this.#parts.counters.count(occasion.reason)
    const delivered = await this.#deliver(standIn, occasion)
    if (!delivered && this.#toClient) sendProblem(this.#exchange.response, new SpringhouseError('ORIGIN_UNREACHABLE'), this.#failedStatus())
    this.#clientServed()
    this.#settle()
  }

  readonly #clientDrained = (): void => this.#pressure.release('client')

  // The client left. What may be stored is fetched to its end: the next one will want it. The rest is not.
  readonly #clientLeft = (): void => {
    if (!this.#toClient) return
    this.#clientServed()
    // What is being read from the store ends by itself.
    if (this.#fromStore) return
    const mayYetStore = this.#headSeen ? this.#writer !== undefined : this.#plan.whole
    if (mayYetStore) this.#pressure.release('client')
    else this.#giveUp()
  }

  #clientServed(): void {
    this.#toClient = false
    this.#detach()
    this.#pressure.release('client')
  }

  #detach(): void {
    offLeaving(this.#exchange.response, this.#clientLeft)
    this.#exchange.response.off('drain', this.#clientDrained)
  }

  #giveUp(): void {
    this.#origin?.abort()
    this.#writer?.abort()
    this.#settle()
  }

  #settle(outcome: Outcome = 'failed'): void {
    this.#pressure.end()
    this.#plan.lead?.settle(outcome)
    this.#done()
  }
}
