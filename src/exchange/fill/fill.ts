// One answer of the origin on its way to client and store at once; RFC 9111 §3 and §4.3.
import { SpringhouseError } from '../../errors.ts'
import { type FieldLines, announcedLength } from '../../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../../origin/origin.ts'
import { forwardStatus } from '../../policy/cache-status.ts'
import { isFailureStatus, mayServeStaleOnError, type OriginFailure } from '../../policy/decide.ts'
import { currentAgeMs } from '../../policy/freshness.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import type { ReceivedHead } from '../../policy/storable.ts'
import { isNotModified, notModifiedFields } from '../../policy/validation.ts'
import type { Outcome } from '../../store/lease.ts'
import type { Stored } from '../../store/store.ts'
import { BackPressure } from './back-pressure.ts'
import type { ClientExchange } from '../routed-request.ts'
import { freshenFrom304 } from './freshen.ts'
import { deliverStored, type Occasion } from '../deliver/deliver.ts'
import type { FillParts, FillPlan } from './plan.ts'
import { freshenByHead } from './freshen-by-head.ts'
import { sendInterim } from '../client/interim.ts'
import { verdictNow } from '../lookup.ts'
import { originFields } from './message-fields.ts'
import { storedOutcome, unstoredOutcome } from '../coalesce/outcome.ts'
import { sendProblem } from '../client/problem.ts'
import { sendHead, sendHeadAlone, sendTrailers } from '../client/sending.ts'
import { ResponseStorer } from './response-storer.ts'
import { clientFields, clientTrailers } from '../../forwarding/response-fields.ts'

/** A fill in progress. It runs to its end when the client leaves, if what it brings may be stored. */
export class Fill implements ResponseSink {
  readonly #parts: FillParts
  readonly #exchange: ClientExchange
  readonly #plan: FillPlan
  readonly #done: () => void
  readonly #requestTimeMs: number
  readonly #pressure: BackPressure
  #origin: OriginExchange | undefined
  readonly #storing: ResponseStorer
  /** Whether the origin is asked for what a stored part lacks, for a client that wants the whole. */
  readonly #forRest: boolean
  /** Whether the client still wants the body: false after 304, when it left, and for a background refresh. */
  #toClient: boolean
  #headSeen = false
  /** Whether the store answers in the origin's place, after a 304 or a failure: then nothing that the origin still says counts. */
  #fromStore = false
  /** Whether what arrives completes a stored part, for a client that is answered when the whole is stored. */
  #completing = false
  #receivedBytes = 0
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
    this.#storing = new ResponseStorer(parts, exchange.routed, plan)
    this.#forRest = plan.range !== undefined && exchange.routed.request.range === undefined
    this.#toClient = plan.answering
    this.#requestTimeMs = parts.clock.now()
    // Those who wait wait for the origin. A client that reads slowly, or not at all, must not stand for it: after a bounded
    // time another of them asks, while this goes on at its client's pace. Whichever comes in first, the store keeps the
    // one that was asked for last.
    this.#pressure = new BackPressure(parts.slowClientMs, () => plan.lead?.settle('failed'))
  }

  start(): void {
    const { routed, response } = this.#exchange
    const { request, route } = routed
    if (this.#toClient) {
      response.onClose(this.#clientLeft)
      response.onDrain(this.#clientDrained)
    }
    this.#parts.counters.fillsBegun++
    try {
      this.#origin = this.#parts.origins.request(
        { origin: route.origin, method: request.method === 'HEAD' ? 'HEAD' : 'GET', target: request.target, fields: originFields(routed.forwarded, this.#plan), retryOn: route.forwarding.retryOn },
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
    const { routed } = this.#exchange
    if (routed.request.method === 'HEAD') this.#updating = freshenByHead(this.#parts.store, this.#parts.purgeLog, routed, head)
    this.#announcedBytes = announcedLength(fields)
    this.#storing.begin(head, this.#announcedBytes)
    if (this.#forRest) {
      // Nobody asked for a part. What does not make the whole of it is of no use, but a 200, or an error that would come again.
      if (status === 206 && this.#storing.whole) {
        this.#completing = true
        return
      }
      if (status !== 200 && !isFailureStatus(status)) {
        this.#fromStore = true
        this.#origin?.abort()
        void this.#storing.dropPart().then(() => this.#again())
        return
      }
    }
    if (!this.#storing.open) this.#willNotStore(status)
    this.#answerHead(status, fields)
  }

  // Those who wait for this lead have nothing to wait for any more.
  #willNotStore(status: number): void {
    const reason = this.#storing.notStored ?? 'incomplete'
    const { mayStore, range, lead } = this.#plan
    this.#parts.counters.notStored(reason)
    // What a Range brought says nothing of whether the whole might be stored.
    lead?.settle(unstoredOutcome(this.#parts, this.#exchange.routed, reason, status, mayStore && range === undefined))
  }

  #answerHead(status: number, fields: FieldLines): void {
    if (!this.#toClient) {
      if (!this.#storing.open) this.#giveUp()
      return
    }
    const { routed: { request }, response } = this.#exchange
    const head = clientFields(fields, this.#parts.via, this.#cacheStatus(status, this.#storing.notStored))
    // The origin was asked without conditions; the client asked whether it has changed (RFC 9110 §13.2.2).
    if (this.#plan.unconditional && isNotModified(request, status, fields, this.#parts.clock.now())) {
      if (sendHead(response, 304, notModifiedFields(head))) response.end()
      this.#clientServed()
      if (!this.#storing.open) this.#giveUp()
      return
    }
    if (sendHead(response, status, head)) return
    // A response that this client cannot be sent is not stored either.
    this.#clientServed()
    this.#giveUp()
  }

  // Node keeps a head back until there is something of the body to send with it, which a stream of events may not have for long.
  onHeadAlone(): void {
    const { response } = this.#exchange
    if (this.#toClient && response.headersSent) sendHeadAlone(response)
  }

  #cacheStatus(status: number | undefined, notStored: NotStoredReason | undefined): string {
    return forwardStatus({ reason: this.#plan.reason, status, notStored, waited: this.#plan.waited })
  }

  onData(chunk: Buffer): void {
    if (this.#fromStore) return
    this.#receivedBytes += chunk.length
    this.#store(chunk)
    if (!this.#toClient || this.#completing) return
    if (this.#storing.open && this.#receivedBytes === this.#announcedBytes) {
      this.#last = chunk
    } else if (!this.#exchange.response.write(chunk)) {
      this.#pressure.hold('client')
    }
  }

  #store(chunk: Buffer): void {
    const taken = this.#storing.write(chunk)
    if (taken === undefined) return
    if (typeof taken === 'string') {
      this.#willNotStore(200)
      if (!this.#toClient) this.#giveUp()
      return
    }
    this.#pressure.hold('store')
    void taken.then(() => this.#pressure.release('store'), () => this.#pressure.release('store'))
  }

  onEnd(trailers: FieldLines): void {
    if (this.#fromStore) return
    const { response } = this.#exchange
    if (trailers.length > 0 && this.#toClient && !this.#completing) sendTrailers(response, clientTrailers(trailers))
    const committed = this.#updating === undefined ? this.#storing.commit() : this.#updating.then((): Outcome => 'failed')
    if (typeof committed === 'string') this.#finish(committed)
    else void committed.then(outcome => this.#finish(outcome), () => this.#finish('refused'))
  }

  #finish(outcome: Outcome): void {
    const { counters } = this.#parts
    if (this.#storing.open) {
      if (isStored(outcome)) counters.fillsCommitted++
      else counters.notStored(this.#storing.notStored ?? 'store-refused')
    }
    if (this.#completing) {
      void this.#completed(outcome)
      return
    }
    if (this.#toClient) {
      this.#exchange.response.end(this.#last)
      this.#clientServed()
    }
    this.#settle(outcome)
  }

  onError(error: SpringhouseError, headSeen: boolean): void {
    if (this.#fromStore) return
    if (this.#storing.open) this.#parts.counters.fillsAborted++
    this.#storing.abort()
    this.#parts.counters.originError(error.code)
    this.#parts.originFailed(error, this.#exchange)
    if (!headSeen && this.#standIn('unreachable')) return
    if (this.#toClient) {
      // After the head, a cut connection is the only honest end: nothing may look complete that is not.
      if (this.#exchange.response.headersSent) this.#exchange.response.cut()
      else sendProblem(this.#exchange.response, error, this.#cacheStatus(undefined, undefined))
      this.#clientServed()
    }
    this.#settle()
  }

  /** RFC 9111 §4.3.4: the stored response is what the origin still has. Never rejects. */
  async #confirmed(validated: Stored, head: ReceivedHead): Promise<void> {
    // Purged while it was being validated: the 304 confirms something that must not be served any more.
    const confirmation = verdictNow(this.#parts.purgeLog, validated.meta) === 'dead' ? undefined : freshenFrom304(this.#exchange.routed, validated.meta, head)
    if (confirmation === undefined) return this.#again()
    const { meta, notStored } = confirmation
    const kept = await this.#storing.keep(confirmation, validated.meta)
    // Those who wait do not wait for this client to read it.
    this.#plan.lead?.settle(kept ? storedOutcome(this.#parts, this.#exchange.routed, meta, true) : 'failed')
    return this.#answerFrom({ meta, body: validated.body }, 304, notStored)
  }

  /** RFC 9111 §3.3: a stored part and what has come are the whole, which answers from where it is now. Never rejects. */
  async #completed(outcome: Outcome): Promise<void> {
    const whole = isStored(outcome) && this.#toClient ? await this.#storing.stored() : undefined
    if (!this.#toClient) return this.#settle(outcome)
    if (whole !== undefined) this.#plan.lead?.settle(outcome)
    return whole === undefined ? this.#again() : this.#answerFrom(whole, 206, undefined)
  }

  /** Answers with what is stored now that the origin has said that it holds; asks once more if it is gone. Never rejects. */
  async #answerFrom(stored: Stored, status: number, notStored: NotStoredReason | undefined): Promise<void> {
    this.#fromStore = true
    if (!this.#toClient) return this.#settle()
    const nowMs = this.#parts.clock.now()
    const occasion = { reason: this.#plan.reason, ageMs: currentAgeMs(stored.meta, nowMs), nowMs, cacheStatus: this.#cacheStatus(status, notStored) }
    const delivered = await this.#deliver(stored, occasion)
    if (!delivered && this.#toClient) return this.#again()
    this.#clientServed()
    this.#settle()
  }

  /** false: the body was gone before anything was sent. Never rejects. */
  async #deliver(stored: Stored, occasion: Occasion): Promise<boolean> {
    try {
      return await deliverStored(this.#exchange, stored, occasion, this.#parts)
    } catch {
      this.#exchange.response.cut()
      return true
    }
  }

  /** Asks once more, for what the client asked for: what was stored was of no use. */
  #again(): void {
    this.#detach()
    const range = this.#forRest ? undefined : this.#plan.range
    const plan: FillPlan = { ...this.#plan, stamp: this.#parts.purgeLog.applied, validating: undefined, staleFallback: undefined, part: undefined, range, answering: this.#toClient }
    this.#toClient = false
    new Fill(this.#parts, this.#exchange, plan, this.#done).start()
  }

  /** Whether a stored response answers in place of an origin that failed. */
  #standIn(failure: OriginFailure): boolean {
    const { staleFallback } = this.#plan
    const verdict = staleFallback === undefined ? 'dead' : verdictNow(this.#parts.purgeLog, staleFallback.meta)
    if (staleFallback === undefined || verdict === 'dead') return false
    const nowMs = this.#parts.clock.now()
    const reason = mayServeStaleOnError(this.#exchange.routed.request, staleFallback.meta, verdict, failure, nowMs)
    if (reason === undefined) return false
    this.#fromStore = true
    if (this.#toClient) void this.#deliverStandIn(staleFallback, { reason, ageMs: currentAgeMs(staleFallback.meta, nowMs), nowMs })
    else this.#settle()
    return true
  }

  async #deliverStandIn(standIn: Stored, occasion: Occasion): Promise<void> {
    this.#plan.lead?.settle('failed')
    this.#parts.counters.count(occasion.reason)
    const delivered = await this.#deliver(standIn, occasion)
    if (!delivered && this.#toClient) sendProblem(this.#exchange.response, new SpringhouseError('ORIGIN_UNREACHABLE'), this.#cacheStatus(undefined, undefined))
    this.#clientServed()
    this.#settle()
  }

  readonly #clientDrained = (): void => this.#pressure.release('client')

  // The client left. What may be stored is fetched to its end, for the next one will want it, but not in anybody's way. The rest
  // is not.
  readonly #clientLeft = (): void => {
    if (!this.#toClient) return
    this.#clientServed()
    // What is being read from the store ends by itself.
    if (this.#fromStore) return
    const mayYetStore = this.#headSeen ? this.#storing.open : this.#plan.unconditional
    if (!mayYetStore) return this.#giveUp()
    this.#pressure.release('client')
    if (this.#plan.lead?.joined !== true) this.#origin?.unwanted(() => { if (!this.#fromStore) this.#giveUp() })
  }

  #clientServed(): void {
    this.#toClient = false
    this.#detach()
    this.#pressure.release('client')
  }

  #detach(): void {
    this.#exchange.response.offClose(this.#clientLeft)
    this.#exchange.response.offDrain(this.#clientDrained)
  }

  #giveUp(): void {
    this.#origin?.abort()
    this.#storing.abort()
    this.#settle()
  }

  #settle(outcome: Outcome = 'failed'): void {
    this.#pressure.end()
    this.#plan.lead?.settle(outcome)
    this.#done()
  }
}

function isStored(outcome: Outcome): boolean {
  return outcome !== 'failed' && outcome !== 'refused'
}
