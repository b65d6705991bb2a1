// The adapter for @fastify/http-proxy: takes a pass by way of Fastify's router and reply-from to its origin, and its response back.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { sendInterim } from '../../exchange/client/interim.ts'
import { sendHeadAlone, sendTrailers } from '../../exchange/client/sending.ts'
import type { ClientResponse } from '../../exchange/client/response.ts'
import type { Clock } from '../../clock.ts'
import type { Pass } from '../../exchange/pass/pass.ts'
import { acceptsTrailers } from '../../forwarding/request-fields.ts'
import { clientTrailers } from '../../forwarding/response-fields.ts'
import type { FieldLines } from '../../http/fields.ts'
import { exactRequest, upstreamOf, type ExactHeaders } from '../../origin/request/dispatcher.ts'
import type { Origins } from '../../origin/origin.ts'
import { hasBody } from '../admission/framing.ts'
import type { ClientRequest } from '../listener/client-request.ts'
import { Http2Request } from '../listener/http2-request.ts'
import { keepsBody, readBody } from './buffered-body.ts'
import { relayResponse } from './relay-response.ts'

/** Fastify's router, as its server factory receives it. */
export type FastifyRouter = (request: IncomingMessage, response: ServerResponse) => void

/**
 * A pass as Fastify and reply-from see it: a bare `GET /`. A router decodes targets, and so refuses or changes some that the
 * origin must judge. A URL and an object of fields would change the request. So neither sees anything of the request, which
 * travels beside them as it is (origin/request/dispatcher.ts).
 */
class PassedMessage {
  readonly method = 'GET'
  readonly url = '/'
  readonly headers: IncomingHttpHeaders = {}
  readonly httpVersionMajor = 1
  readonly complete = true
  readonly aborted = false
  readonly pass: Pass
  readonly request: ClientRequest
  /** The request's body, if it was read before the request is sent. */
  readonly kept: Buffer | undefined
  readonly done: () => void
  readonly failed: (cause: unknown) => void
  /** Sends the request once more, in place of relaying the response. */
  readonly again: () => void
  /** The head of the origin's response, once it has been received. */
  status = 0
  fields: FieldLines = []
  /** True if none of the body came with the head. */
  headAlone = false
  /** True if the head is all of the response. */
  endsAtHead = false

  constructor(pass: Pass, request: ClientRequest, kept: Buffer | undefined, next: Pick<PassedMessage, 'done' | 'failed' | 'again'>) {
    this.pass = pass
    this.request = request
    this.kept = kept
    this.done = next.done
    this.failed = next.failed
    this.again = next.again
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

export interface HttpProxyParts {
  readonly origins: Origins
  readonly clock: Clock
  readonly viaName: string
}

/** Takes passes through @fastify/http-proxy. */
export class HttpProxy {
  readonly #parts: HttpProxyParts
  #router: FastifyRouter | undefined

  constructor(parts: HttpProxyParts) {
    this.#parts = parts
  }

  /** Sends a request to its origin and relays the response. Rejects with why there is none. */
  passThrough(pass: Pass, request: ClientRequest): Promise<void> {
    pass.repeatable = !hasBody(request)
    if (pass.repeatable || !keepsBody(request, pass.exchange.identified?.mayRepeat === true)) return this.#send(pass, request, undefined)
    return readBody(request).then((body) => {
      pass.repeatable = body !== undefined
      if (body !== undefined) return this.#send(pass, request, body)
      // The client left while it sent the body.
      pass.exchange.end()
      return undefined
    })
  }

  #send(pass: Pass, request: ClientRequest, kept: Buffer | undefined): Promise<void> {
    return new Promise((done, failed) => {
      const again = (): void => done(this.#send(pass, request, kept))
      const message = new PassedMessage(pass, request, kept, { done, failed, again })
      // These two have every property that Fastify and reply-from read or set.
      this.#router?.(message as unknown as IncomingMessage, new PassedReply(pass.exchange.response) as unknown as ServerResponse)
    })
  }

  /** Takes Fastify's router; then `register` with the app that it belongs to. */
  routeBy(router: FastifyRouter): void {
    this.#router = router
  }

  register(app: FastifyInstance): void {
    const { origins, viaName, clock } = this.#parts
    // Fastify's inject bypasses the listener, and so validation: it must reach nothing.
    app.addHook('onRequest', ({ raw }, reply, done) => {
      if ((raw as unknown) instanceof PassedMessage) done()
      else reply.code(404).send()
    })
    app.setErrorHandler((error, { raw }, reply) => fail(reply, messageOf(raw), error))
    app.register(httpProxy, {
      upstream: '',
      undici: origins.dispatcher,
      httpMethods: ['GET'],
      routes: ['/'],
      internalRewriteLocationHeader: false,
      preRewrite: () => '/',
      handler: (request, reply, dest, options) => {
        const message = messageOf(request.raw)
        if (message.kept === undefined && hasBody(message.request)) request.body = message.request
        // As a POST, because reply-from forbids a body for GET. The actual method travels with the exact request.
        reply.from(dest, { ...options, method: 'POST' })
      },
      replyOptions: {
        getUpstream: ({ raw }) => upstreamOf(messageOf(raw as IncomingMessage).pass.routed.route.origin),
        // The dispatcher of the pools does failover. reply-from must not retry because of a response.
        retryDelay: () => null,
        rewriteRequestHeaders: ({ raw }) => exactHeaders(messageOf(raw as IncomingMessage), clock),
        // relayResponse sends the fields as the origin sent them.
        rewriteHeaders: () => ({}),
        onResponse: ({ raw }, reply, { stream }) => {
          reply.hijack()
          respond(messageOf(raw as IncomingMessage), stream as unknown as Readable, `1.1 ${viaName}`)
        },
        onError: (reply, { error }) => fail(reply as FastifyReply, messageOf(reply.request.raw as IncomingMessage), error.cause ?? error),
      },
    })
  }
}

function messageOf(raw: IncomingMessage): PassedMessage {
  return raw as unknown as PassedMessage
}

function fail(reply: FastifyReply, message: PassedMessage, cause: unknown): void {
  reply.hijack()
  message.failed(cause)
}

/** The headers for reply-from: nothing but the exact request, under the symbol by which the dispatcher finds it. */
function exactHeaders(message: PassedMessage, clock: Clock): ExactHeaders {
  const { pass: { routed, exchange }, request, kept } = message
  const { response } = exchange
  const { cacheOnly } = routed
  // undici takes the socket off a request whose body it breaks off.
  const connection = request instanceof Http2Request ? undefined : request.socket
  return {
    [exactRequest]: {
      method: routed.request.method,
      target: routed.request.target,
      fields: routed.allFields(),
      acceptsTrailers: acceptsTrailers(request.rawHeaders),
      kept,
      retryOn: routed.route.forwarding.retryOn,
      // A client that leaves needs no response, and the origin need not go on.
      onAbortable: (abort) => {
        // An aborted request brings neither a response nor an error, which would end the exchange.
        const leave = (): void => {
          abort()
          exchange.end()
        }
        if (response.hasLeft) leave()
        else response.onClose(leave)
      },
      senderGone: () => connection?.destroyed === true || response.hasLeft,
      onTry: (server) => exchange.tried(server, clock.monotonic()),
      onHead: (status, fields, endsAtHead) => {
        exchange.responded(clock.monotonic())
        message.status = status
        message.fields = fields
        message.endsAtHead = endsAtHead
      },
      onHeadAlone: () => {
        message.headAlone = true
        // This head has been relayed. If `onResponse` still holds it, relayResponse sends it alone.
        if (response.headersSent) sendHeadAlone(exchange)
      },
      onInterim: (status, fields) => sendInterim(response, status, fields, cacheOnly),
      onTrailers: (trailers) => sendTrailers(exchange, clientTrailers(trailers, cacheOnly)),
    },
  } as ExactHeaders
}

/** Acts on the head of the origin's response, then relays it to the client. */
function respond(message: PassedMessage, body: Readable, via: string): void {
  const { pass, status, fields } = message
  const relay = (copy?: Duplex): void => {
    relayResponse(pass.exchange, { status, fields, cacheOnly: pass.routed.cacheOnly, headAlone: message.headAlone, endsAtHead: message.endsAtHead, reason: pass.reason, via }, body,
      copy)
    message.done()
  }
  const discard = (): void => {
    body.on('error', () => undefined)
    body.destroy()
  }
  const refuse = (error: unknown): void => {
    discard()
    message.failed(error)
  }
  const refused = pass.refused(status)
  if (refused !== undefined) return refuse(refused)
  try {
    const acted = pass.onResponse(status, fields)
    if (acted === undefined) relay()
    else
      acted.then((copy) => {
        if (copy !== 'again') return relay(copy)
        discard()
        return message.again()
      }).catch(refuse)
  } catch (error) {
    refuse(error)
  }
}
