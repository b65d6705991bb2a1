// The adapter for @fastify/http-proxy: a pass enters its route, and its handler gives the request to our own relay.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'
import type { ClientResponse } from '../../exchange/client/response.ts'
import type { Pass } from '../../exchange/pass/pass.ts'
import { PassRelay, type PassRelayParts } from '../../exchange/pass/relay.ts'
import { hasBody } from '../admission/framing.ts'
import type { ClientRequest } from '../listener/client-request.ts'
import { Http2Request } from '../listener/http2-request.ts'
import { keepsBody, readBody } from './buffered-body.ts'

/** Fastify's router, as its server factory receives it. */
export type FastifyRouter = (request: IncomingMessage, response: ServerResponse) => void

/**
 * A pass as Fastify sees it: a bare `GET /`. A router decodes targets, and so refuses or changes some that the origin must judge.
 * So it sees nothing of the request, which travels beside it as it is.
 */
class PassedMessage {
  readonly method = 'GET'
  readonly url = '/'
  readonly headers: IncomingHttpHeaders = {}
  readonly httpVersionMajor = 1
  readonly complete = true
  readonly aborted = false
  /** Sends the request to its origin. */
  readonly relay: () => void
  readonly failed: (cause: unknown) => void

  constructor(relay: () => void, failed: (cause: unknown) => void) {
    this.relay = relay
    this.failed = failed
  }
}

/** The response to a PassedMessage. Nothing writes to it: `hijack` takes each reply over before Fastify sends it. */
class PassedReply {
  statusCode = 200
  readonly #response: ClientResponse

  constructor(response: ClientResponse) {
    this.#response = response
  }

  get writableEnded(): boolean {
    return this.#response.writableEnded
  }

  /** Fastify would set Connection while it closes; the listener does. */
  setHeader(): void {}
}

/** Takes passes through @fastify/http-proxy. */
export class HttpProxy {
  readonly #parts: PassRelayParts
  #router: FastifyRouter | undefined

  constructor(parts: PassRelayParts) {
    this.#parts = parts
  }

  /**
   * Sends a request to its origin and relays the response. The exchange ends with the response.
   * @param failed called once, if the client gets no response or a truncated one, with the reason
   */
  passThrough(pass: Pass, request: ClientRequest, failed: (cause: unknown) => void): void {
    if (!hasBody(request)) return this.#send(pass, request, null, failed)
    if (!keepsBody(request, pass.exchange.identified?.mayRepeat === true)) return this.#send(pass, request, request, failed)
    void readBody(request).then((body) => {
      if (body !== undefined) this.#send(pass, request, body, failed)
      // The client left while it sent the body.
      else pass.exchange.end()
    })
  }

  #send(pass: Pass, request: ClientRequest, body: ClientRequest | Buffer | null, failed: (cause: unknown) => void): void {
    const { response } = pass.exchange
    const connection = request instanceof Http2Request ? undefined : request.socket
    const senderGone = (): boolean => connection?.destroyed === true || response.hasLeft
    const message = new PassedMessage(() => new PassRelay(this.#parts, pass, failed).start({ body, senderGone }), failed)
    // These two have every property that Fastify reads or sets.
    this.#router?.(message as unknown as IncomingMessage, new PassedReply(response) as unknown as ServerResponse)
  }

  /** Takes Fastify's router; then `register` with the app that it belongs to. */
  routeBy(router: FastifyRouter): void {
    this.#router = router
  }

  register(app: FastifyInstance): void {
    // Fastify's inject bypasses the listener, and so validation: it must reach nothing.
    app.addHook('onRequest', ({ raw }, reply, done) => {
      if ((raw as unknown) instanceof PassedMessage) done()
      else reply.code(404).send()
    })
    app.setErrorHandler((error, { raw }, reply) => {
      reply.hijack()
      messageOf(raw).failed(error)
    })
    app.register(httpProxy, {
      // Only names the route: the relay chooses the pool.
      upstream: 'http://origin.invalid',
      httpMethods: ['GET'],
      routes: ['/'],
      handler: ({ raw }, reply) => {
        reply.hijack()
        messageOf(raw).relay()
      },
    })
  }
}

function messageOf(raw: IncomingMessage): PassedMessage {
  return raw as unknown as PassedMessage
}
