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

const noTrailers: FieldLines = []

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
  #passed: PassedBody | undefined
  #isOver = false
  /** True if the response arrived at once: head and body go to the client in one write. */
  #isWhole = false
  #last: Buffer | undefined
  #awaitsDrain = false

  /** @param failed called once, if the client gets no response or a truncated one, with the reason */
  constructor(parts: PassRelayParts, pass: Pass, failed: (error: unknown) => void) {
    this.#parts = parts
    this.#pass = pass
    this.#failed = failed
  }

  start(passed: PassedBody): void {
    const { body, senderGone } = passed
    const { exchange, routed } = this.#pass
    this.#passed = passed
    this.#pass.repeatable = body === null || Buffer.isBuffer(body)
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
      this.#events.hold()
      this.#origin?.pause()
      acted.then(copy => {
        if (copy === 'again') return this.#again()
        this.#copy = copy
        this.#events.release(() => this.#relayHead(status, fields, endsAtHead))
        this.#origin?.resume()
      }).catch((error: unknown) => this.#refuse(error))
    } catch (error) {
      this.#refuse(error)
    }
  }

  /** Sends the request once more, in place of relaying the response: its session has changed, and the origin requests that (`retry`). */
  #again(): void {
    if (this.#isOver || this.#passed === undefined) return
    this.#pass.exchange.response.offClose(this.#left)
    this.#giveUp()
    new PassRelay(this.#parts, this.#pass, this.#failed).start(this.#passed)
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
    if (copy === undefined) return
    copy.on('drain', this.#resume)
    copy.on('error', () => response.cut())
    relayBody(copy, exchange, () => response.end())
  }

  onWhole(status: number, fields: FieldLines, body: Buffer): void {
    this.#isWhole = true
    this.onHead(status, fields, false)
    if (body.length > 0) this.onData(body)
    this.onEnd(noTrailers)
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
    if (this.#isWhole) this.#last = chunk
    else if (!exchange.response.write(chunk)) this.#pause()
  }

  #pause(): void {
    this.#origin?.pause()
    // Most clients are never blocked, and need no listener.
    if (!this.#awaitsDrain) this.#pass.exchange.response.onDrain(this.#resume)
    this.#awaitsDrain = true
  }

  onEnd(trailers: FieldLines): void {
    if (this.#events.keep(() => this.onEnd(trailers)) || this.#isOver) return
    const { exchange, routed } = this.#pass
    if (trailers.length > 0) sendTrailers(exchange, clientTrailers(trailers, routed.cacheOnly))
    this.#origin = undefined
    if (this.#copy === undefined) exchange.response.end(this.#last)
    else this.#copy.end()
  }

  onError(error: SpringhouseError): void {
    if (this.#events.keep(() => this.onError(error)) || this.#isOver) return
    this.#isOver = true
    this.#copy?.destroy()
    this.#failed(error)
  }

  readonly #resume = (): void => this.#origin?.resume()

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
