// A passed request on its way to its origin, and the response on its way back: exact fields, the body at the pace of the slower side.
import type { Duplex, Readable } from 'node:stream'
import type { SpringhouseError } from '../../errors.ts'
import { acceptsTrailers } from '../../forwarding/request-fields.ts'
import { clientFields, clientTrailers } from '../../forwarding/response-fields.ts'
import type { FieldLines } from '../../http/fields.ts'
import type { OriginExchange, Origins, ResponseSink } from '../../origin/origin.ts'
import { passStatus } from '../../policy/cache-status.ts'
import { yieldIfHalfClosed } from '../client/half-closed.ts'
import { sendInterim } from '../client/interim.ts'
import { relayBody } from '../client/relay-body.ts'
import { sendHead, sendHeadAlone, sendTrailers } from '../client/sending.ts'
import { HeldEvents } from '../held-events.ts'
import type { Pass } from './pass.ts'

export interface PassRelayParts {
  readonly origins: Origins
  readonly clock: { monotonic(): number }
  /** The name of this hop in Via. */
  readonly viaName: string
}

/** The body of a passed request. A Buffer was read before, and can be sent again. */
export interface PassedBody {
  readonly body: Readable | Buffer | null
  /** True if the client that sends the body has left. Then a truncated body is not the server's failure. */
  senderGone(): boolean
}

/** Sends a passed request and relays its response. */
export class PassRelay implements ResponseSink {
  readonly #parts: PassRelayParts
  readonly #pass: Pass
  readonly #failed: (error: unknown) => void
  /** Events of the origin that wait until an invalidation is recorded. */
  readonly #events = new HeldEvents()
  #origin: OriginExchange | undefined
  /** The response is stored from here while it goes to the client. */
  #copy: Duplex | undefined
  #isOver = false

  /** @param failed called once, if the client gets no response or a truncated one, with the reason */
  constructor(parts: PassRelayParts, pass: Pass, failed: (error: unknown) => void) {
    this.#parts = parts
    this.#pass = pass
    this.#failed = failed
  }

  start({ body, senderGone }: PassedBody): void {
    const { exchange, routed } = this.#pass
    const { response } = exchange
    if (response.hasLeft) return this.#left()
    response.onClose(this.#left)
    const { origin, forwarding } = routed.route
    const { method, target } = routed.request
    const headers = exchange.head.rawHeaders
    try {
      this.#origin = this.#parts.origins.request(
        { origin, method, target, fields: routed.allFields(), acceptsTrailers: acceptsTrailers(headers), body, senderGone, retryOn: forwarding.retryOn },
        this,
      )
    } catch (error) {
      this.#refuse(error)
    }
  }

  onTry(server: string): void {
    const { exchange } = this.#pass
    exchange.tried(server, this.#parts.clock.monotonic())
    // After this call, which may precede the return of `request`.
    queueMicrotask(() => yieldIfHalfClosed(exchange.response, (giveUp) => this.#origin?.unwanted(giveUp)))
  }

  onInterim(status: number, fields: FieldLines): void {
    const { exchange, routed } = this.#pass
    sendInterim(exchange.response, status, fields, routed.cacheOnly)
  }

  onHead(status: number, fields: FieldLines, endsAtHead: boolean): void {
    const pass = this.#pass
    pass.exchange.responded(this.#parts.clock.monotonic())
    const refused = pass.refused(status)
    if (refused !== undefined) return this.#refuse(refused)
    try {
      const acted = pass.onResponse(status, fields)
      if (acted === undefined) return this.#relayHead(status, fields, endsAtHead)
      this.#origin?.pause()
      const recorded = acted.then(copy => {
        this.#copy = copy
      })
      this.#events.holdUntil(recorded, () => this.#relayHead(status, fields, endsAtHead)).then(() => this.#origin?.resume()).catch((error: unknown) => this.#refuse(error))
    } catch (error) {
      this.#refuse(error)
    }
  }

  #relayHead(status: number, fields: FieldLines, endsAtHead: boolean): void {
    if (this.#isOver) return
    const { exchange, routed: { cacheOnly }, reason } = this.#pass
    const { response } = exchange
    const copy = this.#copy
    const head = clientFields(fields, cacheOnly, `1.1 ${this.#parts.viaName}`, passStatus(reason, copy !== undefined))
    // Over HTTP/1.1 the rest of the request's body would be taken for the next request.
    if (response.hasUnreadBody) head.push('connection', 'close')
    if (endsAtHead) response.endAtHead()
    if (!sendHead(exchange, status, head)) return this.#giveUp()
    const resume = (): void => this.#origin?.resume()
    if (copy === undefined) return response.onDrain(resume)
    copy.on('drain', resume)
    copy.on('error', () => response.cut())
    relayBody(copy, exchange, () => response.end())
  }

  onHeadAlone(): void {
    if (!this.#events.keep(() => this.onHeadAlone()) && !this.#isOver) sendHeadAlone(this.#pass.exchange)
  }

  onData(chunk: Buffer): void {
    if (this.#events.keep(() => this.onData(chunk)) || this.#isOver) return
    const { exchange } = this.#pass
    if (this.#copy !== undefined) {
      if (!this.#copy.write(chunk)) this.#origin?.pause()
      return
    }
    exchange.bodyBytes += chunk.length
    if (!exchange.response.write(chunk)) this.#origin?.pause()
  }

  onEnd(trailers: FieldLines): void {
    if (this.#events.keep(() => this.onEnd(trailers)) || this.#isOver) return
    const { exchange, routed } = this.#pass
    if (trailers.length > 0) sendTrailers(exchange, clientTrailers(trailers, routed.cacheOnly))
    this.#origin = undefined
    if (this.#copy === undefined) exchange.response.end()
    else this.#copy.end()
  }

  onError(error: SpringhouseError): void {
    if (this.#events.keep(() => this.onError(error)) || this.#isOver) return
    this.#isOver = true
    this.#copy?.destroy()
    this.#failed(error)
  }

  #refuse(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#origin?.abort()
    this.#failed(error)
  }

  // The response is complete, or its client needs none any more, and the origin need not go on.
  readonly #left = (): void => {
    this.#giveUp()
    this.#pass.exchange.end()
  }

  #giveUp(): void {
    this.#isOver = true
    this.#origin?.abort()
    this.#copy?.destroy()
  }
}
