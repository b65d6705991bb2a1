// A request whose response goes to a sink, with back-pressure and abort.
import type { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import type { OriginExchange, OriginPlace, RequestForOrigin, ResponseSink } from '../origin.ts'
import type { OriginPool } from '../pool/pool.ts'
import type { ResponseControl } from '../transport/transport.ts'
import { OriginRequest } from './origin-request.ts'

/** See Origins.request. */
export class SinkRequest extends OriginRequest implements OriginExchange {
  readonly #request: RequestForOrigin
  readonly #sink: ResponseSink
  #body: ResponseControl | undefined
  #paused = false
  /** A chunk that arrived after the sink paused. HTTP/1.1 delivers one at most. */
  #held: Buffer | undefined
  /** The trailers, if the end arrived while the sink was paused. */
  #trailers: FieldLines | undefined

  constructor(pool: OriginPool, request: RequestForOrigin, sink: ResponseSink) {
    const { method, target, fields, body = null, retryOn, acceptsTrailers } = request
    super(pool, { method, target, fields, body, retryOn, acceptsTrailers })
    this.#request = request
    this.#sink = sink
  }

  pause(): void {
    this.#paused = true
    this.#body?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    // Runs after the caller, which may be a call of the sink.
    queueMicrotask(() => this.#flow())
  }

  abort(): void {
    this.#held = undefined
    this.#trailers = undefined
    this.abandon()
  }

  #flow(): void {
    if (this.#paused) return
    const held = this.#held
    if (held !== undefined) {
      this.#held = undefined
      this.#sink.onData(held)
    }
    // The sink may have paused again, or aborted, on the chunk.
    if (this.#paused) return
    const trailers = this.#trailers
    if (trailers === undefined) {
      this.resumed()
      return this.#body?.resume()
    }
    this.#trailers = undefined
    this.#sink.onEnd(trailers)
  }

  protected override senderFailed(): boolean {
    return this.#request.senderGone?.() ?? false
  }

  protected override tried({ url, address }: OriginPlace): void {
    this.#sink.onTry?.(url, address)
  }

  protected override tryFailed({ url, address }: OriginPlace, code: string): void {
    this.#sink.onTryFailed?.(url, address, code)
  }

  protected override interim(status: number, fields: FieldLines): void {
    this.#sink.onInterim?.(status, fields)
  }

  protected override head(control: ResponseControl, status: number, fields: FieldLines): void {
    // Nobody is left to send the response to.
    if (this.senderFailed()) return this.abandon()
    this.#body = control
    if (this.#paused) control.pause()
    this.#sink.onHead(status, fields, this.endsAtHead)
  }

  protected override alone(): void {
    this.#sink.onHeadAlone?.()
  }

  protected override data(control: ResponseControl, chunk: Buffer): void {
    if (this.#paused || this.#held !== undefined) {
      control.pause()
      this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk])
    } else {
      this.#sink.onData(chunk)
    }
  }

  protected override end(trailers: FieldLines): void {
    this.#body = undefined
    if (this.#paused || this.#held !== undefined) this.#trailers = trailers
    else this.#sink.onEnd(trailers)
  }

  protected override get takesWhole(): boolean {
    return this.#sink.onWhole !== undefined && !this.#paused
  }

  protected override whole(status: number, fields: FieldLines, body: Buffer): void {
    // As in `head`.
    if (!this.senderFailed()) this.#sink.onWhole?.(status, fields, body)
  }

  protected override failed(error: SpringhouseError, headSeen: boolean): void {
    this.#body = undefined
    this.#held = undefined
    this.#sink.onError(error, headSeen)
  }
}
