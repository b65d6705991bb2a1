// The dispatcher: each request is validated, then handled by the cache or passed to its origin; each error ends here.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { BaseLogger } from 'pino'
import { SpringhouseError } from '../errors.ts'
import type { ClientResponse } from '../exchange/client/response.ts'
import { sendHead } from '../exchange/client/sending.ts'
import type { Handled } from '../exchange/handle.ts'
import type { Pass } from '../exchange/pass/pass.ts'
import type { RequestHead } from '../exchange/routed-request.ts'
import type { RequestContext } from '../forwarding/request-context.ts'
import type { Origins } from '../origin/origin.ts'
import { validateRequest, type AdmissionLimits } from './admission/admission.ts'
import { hasBody } from './admission/framing.ts'
import { allow } from './admission/methods.ts'
import { IncomingClient } from './client.ts'
import type { ClientRequest } from './listener/client-request.ts'
import type { UploadWatch } from './pass/upload-timeout.ts'
import { relayWebSocket } from './pass/websocket.ts'
import { writeProblem, writeRawProblem } from './problem.ts'

/** The cache, as the dispatcher calls it. */
export interface RequestHandler {
  /**
   * Sends the response to a request, or returns the pass with which it goes to its origin. A hit is sent synchronously. Must
   * not touch the response before it returns a pass.
   */
  handle(request: RequestHead, response: ClientResponse, context: RequestContext): Handled | Pass | Promise<Handled | Pass>
  /** Returns the pass of a WebSocket handshake. @throws SpringhouseError NO_ROUTE, BAD_REQUEST */
  passUpgrade(request: RequestHead, context: RequestContext): Pass
}

export interface DispatcherParts {
  readonly handler: RequestHandler
  readonly origins: Origins
  readonly limits: AdmissionLimits
  /** True if a peer's X-Forwarded-* and Forwarded are believed. */
  readonly trusts: (address: string) => boolean
  readonly uploads: UploadWatch
  readonly logger: BaseLogger
  /** Sends a request to its origin and relays the response. Rejects with the error if there is none. */
  passThrough(pass: Pass, request: ClientRequest, response: ClientResponse): Promise<void>
}

/** Calls `handle` before Fastify sees a request. A hit therefore costs no routing, no header object and no log line. */
export class RequestDispatcher {
  readonly #parts: DispatcherParts

  constructor(parts: DispatcherParts) {
    this.#parts = parts
  }

  /** Sees a request through to its response. Never throws. */
  readonly dispatch = (request: ClientRequest, response: ClientResponse): void => {
    try {
      const { handler, limits, trusts } = this.#parts
      if (validateRequest(request, limits) === 'answer-locally') return answerLocally(response)
      const outcome = handler.handle(request, response, new IncomingClient(request, trusts))
      if (!(outcome instanceof Promise)) this.#proceed(outcome, request, response)
      else outcome.then((settled) => this.#proceed(settled, request, response)).catch((error: unknown) => this.fail(error, request, response))
    } catch (error) {
      this.fail(error, request, response)
    }
  }

  #proceed(outcome: Handled | Pass, request: ClientRequest, response: ClientResponse): void {
    if (outcome.kind === 'handled') return
    const { uploads, passThrough } = this.#parts
    if (hasBody(request)) uploads.watch(request, () => this.fail(new SpringhouseError('REQUEST_TIMEOUT', { detail: 'the body' }), request, response))
    passThrough(outcome, request, response).catch((error: unknown) => this.fail(error, request, response))
  }

  /** Relays a WebSocket. `head`: bytes that the client sent behind its handshake. Never throws. */
  readonly dispatchUpgrade = (request: IncomingMessage, client: Socket, head: Buffer): void => {
    const { handler, origins, limits, trusts } = this.#parts
    const failed = (cause: unknown): void => writeRawProblem(client, this.report(cause, request.url))
    try {
      validateRequest(request, limits)
      const pass = handler.passUpgrade(request, new IncomingClient(request, trusts))
      relayWebSocket({ origins, viaName: limits.viaName, pass, request, client, head, failed })
    } catch (error) {
      failed(error)
    }
  }

  /** Logs an error and sends it as the response. */
  fail(cause: unknown, request: ClientRequest, response: ClientResponse): void {
    const error = this.report(cause, request.url)
    writeProblem(response, error, error.code === 'METHOD_NOT_ALLOWED' ? ['Allow', allow] : [])
  }

  /** Logs an error in the one form of this log, and returns it as one of the catalogue. */
  report(cause: unknown, target: string | undefined): SpringhouseError {
    const error = cause instanceof SpringhouseError ? cause : new SpringhouseError('INTERNAL', { cause })
    const level = error.source === 'client' ? 'debug' : error.source === 'internal' ? 'error' : 'warn'
    this.#parts.logger[level]({ err: error.cause ?? error, code: error.code, detail: error.detail, target }, error.message)
    return error
  }
}

/** Sends the response to a request about the proxy itself. The body of the request is not read, so the connection ends as in sendProblem. */
function answerLocally(response: ClientResponse): void {
  const unread = response.hasUnreadBody
  if (unread) response.endConnection()
  if (sendHead(response, 204, ['Allow', allow, ...(unread ? ['Connection', 'close'] : [])])) response.end()
}
