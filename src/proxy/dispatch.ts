// The dispatcher: each request is validated, then handled by the cache or passed to its origin; each error ends here.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { SpringhouseError } from '../errors.ts'
import { ClientExchange, type ExchangeObserver } from '../exchange/client/exchange.ts'
import type { ClientResponse } from '../exchange/client/response.ts'
import { sendHead } from '../exchange/client/sending.ts'
import type { Handled } from '../exchange/handle.ts'
import type { Pass } from '../exchange/pass/pass.ts'
import type { Origins } from '../origin/origin.ts'
import { validateRequest, type AdmissionLimits } from './admission/admission.ts'
import { hasBody } from './admission/framing.ts'
import type { ListenerLoad } from './admission/load.ts'
import { allow } from './admission/methods.ts'
import { IncomingClient } from './client.ts'
import type { ClientRequest } from './listener/client-request.ts'
import type { UploadWatch } from './pass/upload-timeout.ts'
import { responseOn, relayWebSocket } from './pass/websocket.ts'
import { writeProblem } from './problem.ts'

/** The cache, as the dispatcher calls it. */
export interface RequestHandler {
  /**
   * Responds to a request, or returns the pass with which it goes to its origin. A hit is served synchronously. Must not touch the
   * response before it returns a pass. Ends the exchange, unless it returns a pass.
   */
  handle(exchange: ClientExchange): Handled | Pass | Promise<Handled | Pass>
  /** Returns the pass of a WebSocket handshake. @throws SpringhouseError NO_ROUTE, BAD_REQUEST */
  passUpgrade(exchange: ClientExchange): Pass
}

export interface DispatcherParts {
  readonly handler: RequestHandler
  readonly origins: Origins
  readonly limits: AdmissionLimits
  /** True if a peer's X-Forwarded-* and Forwarded are believed. */
  readonly trusts: (address: string) => boolean
  readonly uploads: UploadWatch
  readonly load: ListenerLoad
  readonly observer: ExchangeObserver
  readonly clock: Clock
  /** The path to which the proxy itself responds. */
  readonly healthPath: string | undefined
  /** True once the proxy is about to stop. */
  leaving(): boolean
  /** Sends a request to its origin and relays the response. Ends the exchange, or calls `failed` with why there is no whole response. */
  passThrough(pass: Pass, request: ClientRequest, failed: (error: unknown) => void): void
}

/** Calls `handle` before Fastify sees a request. A hit therefore costs no routing, no header object and no log line. */
export class RequestDispatcher {
  readonly #parts: DispatcherParts

  constructor(parts: DispatcherParts) {
    this.#parts = parts
  }

  /** Sees a request through to its response. Never throws. */
  readonly dispatch = (request: ClientRequest, response: ClientResponse): void => {
    const exchange = this.#exchange(request, response)
    const { handler, limits, load } = this.#parts
    const refused = load.begin(request.socket)
    if (refused !== undefined) return refuse(refused, exchange, load.isBeyond(request.socket))
    try {
      if (validateRequest(request, limits) === 'answer-locally') return answerLocally(exchange)
      if (isHealthCheck(request, this.#parts.healthPath)) return answerHealthCheck(exchange, request, !this.#parts.leaving())
      const result = handler.handle(exchange)
      if (!(result instanceof Promise)) this.#proceed(result, request, exchange)
      else result.then((settled) => this.#proceed(settled, request, exchange)).catch((error: unknown) => fail(error, exchange))
    } catch (error) {
      fail(error, exchange)
    }
  }

  #exchange(request: ClientRequest, response: ClientResponse): ClientExchange {
    const { trusts, observer, clock } = this.#parts
    return new ClientExchange(request, response, new IncomingClient(request, trusts), observer, clock.monotonic())
  }

  #proceed(result: Handled | Pass, request: ClientRequest, exchange: ClientExchange): void {
    if (result.kind === 'handled') return
    const { uploads, passThrough } = this.#parts
    if (hasBody(request)) uploads.watch(request, exchange.response, () => fail(new SpringhouseError('REQUEST_TIMEOUT', { detail: 'the body' }), exchange))
    passThrough(result, request, (error) => fail(error, exchange))
  }

  /** Relays a WebSocket. `head`: bytes that the client sent behind its handshake. Never throws. */
  readonly dispatchUpgrade = (request: IncomingMessage, client: Socket, head: Buffer): void => {
    const { handler, origins, limits, clock, load } = this.#parts
    const exchange = this.#exchange(request, responseOn(request, client))
    const refused = load.begin(client)
    if (refused !== undefined) return refuse(refused, exchange, true)
    try {
      validateRequest(request, limits)
      const pass = handler.passUpgrade(exchange)
      relayWebSocket({ origins, clock, viaName: limits.viaName, pass, client, head, failed: (cause) => fail(cause, exchange) })
    } catch (error) {
      fail(error, exchange)
    }
  }
}

/** Reports an error, sends it as the response, and ends the exchange. */
function fail(cause: unknown, exchange: ClientExchange, extra: readonly string[] = []): void {
  const error = cause instanceof SpringhouseError ? cause : new SpringhouseError('INTERNAL', { cause })
  exchange.observer.failed(error, exchange)
  writeProblem(exchange, error, error.code === 'METHOD_NOT_ALLOWED' ? ['Allow', allow] : extra)
  exchange.end()
}

/** Refuses a request that the proxy has no room for. `isLast`: its connection is closed behind the response, to make room. */
function refuse(error: SpringhouseError, exchange: ClientExchange, isLast: boolean): void {
  const { response } = exchange
  if (isLast) response.endConnection()
  // Otherwise sendProblem adds the field.
  fail(error, exchange, isLast && !response.hasUnreadBody ? ['connection', 'close'] : [])
}

function isHealthCheck({ method, url = '' }: ClientRequest, path: string | undefined): boolean {
  return path !== undefined && (method === 'GET' || method === 'HEAD') && (url === path || (url.startsWith(path) && url.charCodeAt(path.length) === 0x3f))
}

/** Responds to a load balancer for the proxy itself. */
function answerHealthCheck(exchange: ClientExchange, { method }: ClientRequest, isReady: boolean): void {
  const { response } = exchange
  exchange.outcome = 'pass'
  exchange.reason = 'health-path'
  const unread = response.hasUnreadBody
  if (unread) response.endConnection()
  const text = isReady ? 'ok\n' : 'stopping\n'
  const fields = ['content-type', 'text/plain', 'content-length', String(text.length), 'cache-control', 'no-store']
  if (sendHead(exchange, isReady ? 200 : 503, [...fields, ...(unread ? ['connection', 'close'] : [])])) response.end(method === 'HEAD' ? undefined : text)
  exchange.end()
}

/** Responds to a request about the proxy itself. Its body is not read, so the connection ends as in sendProblem. */
function answerLocally(exchange: ClientExchange): void {
  const { response } = exchange
  exchange.outcome = 'pass'
  exchange.reason = 'options'
  const unread = response.hasUnreadBody
  if (unread) response.endConnection()
  if (sendHead(exchange, 204, ['Allow', allow, ...(unread ? ['Connection', 'close'] : [])])) response.end()
  exchange.end()
}
