// An undici Dispatcher for @fastify/http-proxy: the pools' servers, balancing and failover, and exact bytes.
import type { Readable } from 'node:stream'
import { Dispatcher } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { linePairs, type FieldLines } from '../../http/fields.ts'
import type { OriginPool } from '../pool/pool.ts'
import { OriginRequest } from './origin-request.ts'

/**
 * The parts of a request that @fastify/reply-from would change: it passes targets through `new URL()`, which rewrites `/a/./b`,
 * and fields through an object. Under the symbol `exactRequest` in its headers they stay unchanged: reply-from copies headers with
 * Object.assign, which copies symbols.
 */
export interface ExactRequest {
  readonly method: string
  readonly target: string
  readonly fields: FieldLines
  /** True if the client accepts trailers: see Outgoing. */
  readonly acceptsTrailers?: boolean | undefined
  /** The body, if it was read completely and can therefore be sent again. */
  readonly kept?: Buffer | undefined
  /** Statuses after which the request is sent to another server. */
  readonly retryOn?: readonly number[] | undefined
  /** Called before anything is sent, with a function that aborts the request. */
  onAbortable?(abort: () => void): void
  /** True if the client that sends the body has left. Then a truncated body is not the server's failure. */
  senderGone?(): boolean
  /** Called each time that the request is sent, with the server's base URL. */
  onTry?(server: string): void
  /**
   * Called with the response's head, without the fields of the origin connection.
   * @param endsAtHead true if the head is known to be all of the response
   */
  onHead?(status: number, fields: FieldLines, endsAtHead: boolean): void
  /** Called right after onHead if no byte of the body arrived with the head. */
  onHeadAlone?(): void
  /** Called with each interim response other than 100 and 101. */
  onInterim?(status: number, fields: FieldLines): void
  /** Called with the trailers, if there are any, at the end of the body. */
  onTrailers?(trailers: FieldLines): void
}

export const exactRequest: unique symbol = Symbol('springhouse.exact-request')

/** Headers for reply-from that carry the exact request. */
export type ExactHeaders = Record<string, string> & { readonly [exactRequest]: ExactRequest }

const upstreamSuffix = '.origin.invalid'

/** Returns the upstream URL that names a pool. */
export function upstreamOf(origin: string): string {
  return `http://${origin}${upstreamSuffix}`
}

export class OriginDispatcher extends Dispatcher {
  readonly #poolOf: (origin: string) => OriginPool

  /** @param poolOf returns the pool of a name, and throws if there is none */
  constructor(poolOf: (origin: string) => OriginPool) {
    super()
    this.#poolOf = poolOf
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // The names of pools are lower-case, as the host of a URL is.
    const name = String(options.origin).slice('http://'.length, -upstreamSuffix.length)
    const request = new DispatchedRequest(this.#poolOf(name), options, handler)
    request.send()
    return true
  }

  /** Does nothing: Origins.close closes the pools, which the proxy does not own. */
  override close(callback?: () => void): Promise<void> {
    callback?.()
    return Promise.resolve()
  }

  override destroy(...rest: unknown[]): Promise<void> {
    const callback = rest.at(-1)
    if (typeof callback === 'function') callback()
    return Promise.resolve()
  }
}

class DispatchedRequest extends OriginRequest {
  readonly #handler: Dispatcher.DispatchHandler
  readonly #exact: ExactRequest | undefined

  constructor(pool: OriginPool, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    const exact = (options.headers as Partial<ExactHeaders> | undefined)?.[exactRequest]
    const body = exact?.kept ?? (options.body === undefined || options.body === '' ? null : (options.body as Readable | Buffer | string | null))
    super(pool, {
      method: exact?.method ?? options.method,
      target: exact?.target ?? options.path,
      fields: exact?.fields ?? flatFields(options.headers),
      body,
      retryOn: exact?.retryOn,
      acceptsTrailers: exact?.acceptsTrailers,
    })
    this.#exact = exact
    this.#handler = handler
    exact?.onAbortable?.(() => this.abandon())
  }

  // The body does not show it: undici destroys the body after a server's error too.
  protected override senderFailed(): boolean {
    return this.#exact?.senderGone?.() ?? false
  }

  protected override tried(server: string): void {
    this.#exact?.onTry?.(server)
  }

  // reply-from cannot forward interim responses.
  protected override interim(status: number, fields: FieldLines): void {
    this.#exact?.onInterim?.(status, fields)
  }

  // undici's own `request` still uses the older handler interface, so both are supported.
  protected override head(controller: Dispatcher.DispatchController, status: number, fields: FieldLines): void {
    // If the client has left, reply-from would destroy the body, and nothing would handle the resulting error.
    if (this.senderFailed()) return this.abandon()
    this.#exact?.onHead?.(status, fields, this.endsAtHead)
    const handler = this.#handler
    if (handler.onResponseStart !== undefined) {
      handler.onRequestStart?.(controller, null)
      handler.onResponseStart(controller, status, Object.fromEntries(linePairs(fields)), '')
      return
    }
    handler.onConnect?.((reason) => controller.abort(reason ?? new SpringhouseError('CLIENT_GONE')))
    const resume = (): void => {
      this.resumed()
      controller.resume()
    }
    // Typed as buffers. Strings work too and need not be decoded again.
    if (handler.onHeaders?.(status, fields as unknown as Buffer[], resume, '') === false) controller.pause()
  }

  protected override alone(): void {
    this.#exact?.onHeadAlone?.()
  }

  protected override data(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#handler.onResponseData !== undefined) this.#handler.onResponseData(controller, chunk)
    else if (this.#handler.onData?.(chunk) === false) controller.pause()
  }

  protected override end(trailers: FieldLines): void {
    if (trailers.length > 0) this.#exact?.onTrailers?.(trailers)
    if (this.#handler.onResponseEnd !== undefined) this.#handler.onResponseEnd(noController, {})
    else this.#handler.onComplete?.([])
  }

  protected override failed(error: SpringhouseError): void {
    if (this.#handler.onResponseError !== undefined) this.#handler.onResponseError(noController, error)
    else this.#handler.onError?.(error)
  }
}

const noController: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
}

/** Converts the forms of headers that undici accepts to field lines, for callers without `exactRequest`. */
function flatFields(headers: Dispatcher.DispatchOptions['headers']): string[] {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers)) return headers as string[]
  const lines: string[] = []
  const entries = Symbol.iterator in headers ? (headers as Iterable<[string, string | string[] | undefined]>) : Object.entries(headers)
  for (const [name, value] of entries) {
    if (value === undefined) continue
    for (const line of Array.isArray(value) ? value : [value]) lines.push(name.toLowerCase(), String(line))
  }
  return lines
}
