// The client of a fill: it gets the origin's response as it arrives, for as long as it waits for it.
import type { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import { clientFields, clientTrailers } from '../../forwarding/response-fields.ts'
import { forwardStatus } from '../../policy/cache-status.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import { isNotModified, notModifiedFields } from '../../policy/validation.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import { sendInterim } from '../client/interim.ts'
import { sendProblem } from '../client/problem.ts'
import { sendHead, sendHeadAlone, sendTrailers } from '../client/sending.ts'
import type { FillParts, FillPlan } from './plan.ts'

/** Events of the client. */
export interface FillClientListener {
  onLeft(): void
  onDrained(): void
  /** The client waits for this fill no longer. */
  onReleased(): void
}

/** Sends the response of a fill to its client. */
export class FillClient {
  readonly #parts: FillParts
  readonly #exchange: RoutedExchange
  readonly #plan: FillPlan
  readonly #listener: FillClientListener
  /** True while the client waits for bytes of this fill: not after a 304, after it left, or in a background refresh. */
  #waits: boolean
  /** True once it was blocked. Most clients never are, and need no listener. */
  #awaitsDrain = false

  constructor(parts: FillParts, exchange: RoutedExchange, plan: FillPlan, listener: FillClientListener) {
    this.#parts = parts
    this.#exchange = exchange
    this.#plan = plan
    this.#listener = listener
    this.#waits = plan.answering
  }

  get waits(): boolean {
    return this.#waits
  }

  /** Begins to watch the client. */
  begin(): void {
    if (!this.#waits) return
    const { response } = this.#exchange
    this.#exchange.outcome = 'miss'
    this.#exchange.reason = this.#plan.reason
    response.onClose(this.#left)
  }

  interim(status: number, fields: FieldLines): void {
    if (this.#waits) sendInterim(this.#exchange.response, status, fields, this.#exchange.routed.cacheOnly)
  }

  /** Sends the head, or a 304 in its place. False if Node would not send it: then the exchange has ended. */
  head(status: number, fields: FieldLines, notStored: NotStoredReason | undefined): boolean {
    const { routed: { request, cacheOnly }, response } = this.#exchange
    const head = clientFields(fields, cacheOnly, this.#parts.via, this.cacheStatus(status, notStored))
    // The request to the origin had no conditions. The client's request had one (RFC 9110 §13.2.2).
    if (this.#plan.unconditional && isNotModified(request, status, fields, this.#parts.clock.now())) {
      if (sendHead(this.#exchange, 304, notModifiedFields(head))) response.end()
      this.served()
      return true
    }
    if (sendHead(this.#exchange, status, head)) return true
    this.served()
    return false
  }

  /** Sends the head now, without a part of the body. */
  headAlone(): void {
    if (this.#waits && this.#exchange.response.headersSent) sendHeadAlone(this.#exchange)
  }

  cacheStatus(status: number | undefined, notStored: NotStoredReason | undefined): string {
    return forwardStatus({ reason: this.#plan.reason, status, notStored, waited: this.#plan.waited })
  }

  /** Sends bytes of the body. Returns false if the client takes no more for now. */
  write(chunk: Buffer): boolean {
    const { response } = this.#exchange
    this.#exchange.bodyBytes += chunk.length
    if (response.write(chunk)) return true
    if (!this.#awaitsDrain) response.onDrain(this.#drained)
    this.#awaitsDrain = true
    return false
  }

  trailers(fields: FieldLines): void {
    if (fields.length > 0 && this.#waits) sendTrailers(this.#exchange, clientTrailers(fields, this.#exchange.routed.cacheOnly))
  }

  end(last: Buffer | undefined): void {
    if (!this.#waits) return
    this.#exchange.bodyBytes += last?.length ?? 0
    this.#exchange.response.end(last)
    this.served()
  }

  /** Ends a response that cannot be completed. After the head only truncation is honest: an incomplete response must not seem complete. */
  fail(error: SpringhouseError): void {
    if (!this.#waits) return
    if (this.#exchange.response.headersSent) this.#exchange.response.cut()
    else sendProblem(this.#exchange, error, this.cacheStatus(undefined, undefined))
    this.served()
  }

  /** The client has its response, or has left. */
  served(): void {
    this.release()
    this.#exchange.end()
  }

  /** The client waits for this fill no longer. */
  release(): void {
    this.#waits = false
    this.#exchange.response.offClose(this.#left)
    if (this.#awaitsDrain) this.#exchange.response.offDrain(this.#drained)
    this.#awaitsDrain = false
    this.#listener.onReleased()
  }

  readonly #left = (): void => {
    if (this.#waits) this.#listener.onLeft()
  }

  readonly #drained = (): void => this.#listener.onDrained()
}
