// The public listener: the cache first, and @fastify/http-proxy for what is not the cache's.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fastify from 'fastify'
import type { BaseLogger } from 'pino'
import { SpringhouseError } from '../errors.ts'
import { hasBody } from '../exchange/client/body.ts'
import { endConnection, isBehindTheEnd } from '../exchange/client/connection.ts'
import { onUnsendable, sendHead } from '../exchange/client/sending.ts'
import { upstreamOf } from '../origin/request/dispatcher.ts'
import type { Origins } from '../origin/origin.ts'
import type { PassReason } from '../policy/reasons.ts'
import { trustedProxyMatcher } from '../forwarding/trusted-proxies.ts'
import { validateRequest } from './admission/admission.ts'
import { allow, passedMethods } from './admission/methods.ts'
import { IncomingClient } from './client.ts'
import { openHttp2, type Http2Listener } from './listener/http2.ts'
import { keepsBody, readBody } from './pass/buffered-body.ts'
import { createListener, lastAnswers, onClientError, sortUpgrades } from './listener/http1.ts'
import type { ProxyOptions } from './listener/options.ts'
import { findPass, passFor, passOf, requestHeaders, sendPassed, setPass, type Destination } from './pass/pass.ts'
import { countPipelined } from './listener/pipelining.ts'
import { writeProblem } from './problem.ts'
import { watchStalled } from './listener/stalled-clients.ts'
import { watchUploads } from './pass/upload-timeout.ts'
import { relayWebSocket, type WebSocketParts } from './pass/websocket.ts'
import type { RequestContext } from '../forwarding/request-context.ts'

export interface ProxyParts {
  /**
   * Answers from the cache machinery. true: it took the request, and `response` is or will be written by it; a reason: the
   * request falls through to http-proxy. A hit answers synchronously. Must not touch the response before it gives a reason.
   */
  handle(request: IncomingMessage, response: ServerResponse, client: RequestContext): true | PassReason | Promise<true | PassReason>
  /** Where a request goes that fell through: asked before it is sent. @throws SpringhouseError NO_ROUTE, BAD_REQUEST */
  destination(request: IncomingMessage, client: RequestContext): Destination
  readonly origins: Origins
  /** Counts a response that Node would not send. */
  unsendable?(): void
  /** Whether the proxy is about to stop: then a connection is closed behind its next answer. */
  leaving?(): boolean
  readonly logger: BaseLogger
  readonly options: ProxyOptions
}

/**
 * The proxy, ready to listen.
 *
 * A request meets `handle` before it meets Fastify: what the cache answers pays for no routing, no header object, no log
 * line. Only what falls through is routed, and routed as `/`, because a router decodes, and so refuses or changes, targets
 * that are the origin's to judge; the exact bytes travel beside it.
 */
export function createProxy(parts: ProxyParts): FastifyInstance {
  const { options, origins, logger } = parts
  const trusts = trustedProxyMatcher(options.trustProxy)
  const via = `1.1 ${options.viaName}`
  const uploads = watchUploads(options.timeouts.requestMs)
  let closing = false
  let http2: Http2Listener | undefined
  let tellLast: () => void
  let route: (request: IncomingMessage, response: ServerResponse) => void

  function report(error: SpringhouseError, detail?: object): void {
    const level = error.source === 'client' ? 'debug' : error.source === 'internal' ? 'error' : 'warn'
    logger[level]({ err: error.cause ?? error, code: error.code, detail: error.detail, ...detail }, error.message)
  }

  function fail(response: ServerResponse, cause: unknown, detail?: object): void {
    const error = cause instanceof SpringhouseError ? cause : new SpringhouseError('INTERNAL', { cause })
    report(error, detail)
    writeProblem(response, error, error.code === 'METHOD_NOT_ALLOWED' ? ['Allow', allow] : [])
  }

  function receive(request: IncomingMessage, response: ServerResponse): void {
    // Never answered: the connection is closed behind the answer before it.
    if (isBehindTheEnd(request)) return
    if (response.socket === null) countPipelined(request, response)
    if (closing || parts.leaving?.() === true) response.shouldKeepAlive = false
    try {
      if (validateRequest(request, options) === 'answer-locally') {
        // What it may have brought along is not read: see writeProblem.
        const unread = hasBody(request)
        if (unread) endConnection(request)
        if (sendHead(response, 204, ['Allow', allow, ...(unread ? ['Connection', 'close'] : [])])) response.end()
        return
      }
      const client = new IncomingClient(request, trusts)
      const taken = parts.handle(request, response, client)
      if (taken === true) return
      if (typeof taken === 'string') fallThrough(request, response, client, taken)
      else taken.then((took) => (took === true ? undefined : fallThrough(request, response, client, took))).catch((error: unknown) => fail(response, error))
    } catch (error) {
      fail(response, error)
    }
  }

  function fallThrough(request: IncomingMessage, response: ServerResponse, client: RequestContext, reason: PassReason): void {
    setPass(request, passFor(client, reason, response))
    if (hasBody(request)) uploads.watch(request, () => fail(response, new SpringhouseError('REQUEST_TIMEOUT', { detail: 'the body' })))
    route(request, response)
  }

  const webSockets: WebSocketParts = {
    origins,
    viaName: options.viaName,
    destination: parts.destination,
    admit: (request) => {
      validateRequest(request, options)
      return new IncomingClient(request, trusts)
    },
    failed: (error, request) => report(error, { target: request.url }),
  }

  const app = fastify({
    serverFactory: (handler) => {
      route = handler
      const server = createListener(options, receive)
      if (options.tls?.http2 === true) http2 = openHttp2(server as TlsServer, options, receive, stream => stalls.watchStream(stream))
      // After it, which takes over the connections.
      tellLast = lastAnswers(server)
      onUnsendable(server, (error, request) => {
        report(error, { target: request.url })
        parts.unsendable?.()
      })
      const stalls = watchStalled(server, options.timeouts.stalledMs)
      return server
    },
    clientErrorHandler: onClientError,
    // See above: Fastify keeps the target in `originalUrl`, and the hook below puts it back.
    rewriteUrl: () => '/',
    // What is under way when the proxy closes is answered; new connections are not accepted anyhow.
    return503OnClosing: false,
    genReqId: () => '',
    frameworkErrors: (error, _request, reply) => failReply(reply, new SpringhouseError('BAD_REQUEST', { cause: error })),
  })

  function failReply(reply: FastifyReply, cause: unknown): void {
    const refused = !(cause instanceof SpringhouseError) && (cause as { statusCode?: unknown } | null)?.statusCode === 400
    reply.hijack()
    fail(reply.raw, refused ? new SpringhouseError('BAD_REQUEST', { cause }) : cause, { target: reply.request.raw.url })
  }

  for (const method of passedMethods) {
    // Without a body, as far as Fastify is concerned: it would parse, limit and judge it by its type. See `handler`.
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  }

  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request
    raw.url = (raw as IncomingMessage & { originalUrl: string }).originalUrl
    const pass = findPass(raw)
    if (pass === undefined) {
      // Not from the listener: Fastify's inject. Everything is asked of it all the same.
      reply.hijack()
      receive(raw, reply.raw)
      return
    }
    try {
      pass.to = parts.destination(raw, pass.client)
    } catch (error) {
      failReply(reply, error)
      return
    }
    done()
  })
  app.addHook('preClose', (done) => {
    closing = true
    tellLast()
    http2?.close()
    done()
  })
  app.addHook('onClose', (_app, done) => {
    uploads.close()
    done()
  })
  app.setErrorHandler((error, _request, reply) => failReply(reply, error))
  app.setNotFoundHandler((_request, reply) => failReply(reply, new SpringhouseError('NO_ROUTE')))

  app.register(httpProxy, {
    upstream: '',
    undici: origins.dispatcher,
    httpMethods: passedMethods,
    routes: ['/'],
    proxyPayloads: false,
    internalRewriteLocationHeader: false,
    preRewrite: () => '/',
    handler: (request, reply, dest, replyOptions) => {
      const { raw } = request
      // As a POST, for reply-from forbids a GET its body; the dispatcher sends the method that it is told beside it.
      const send = (): void => void reply.from(dest, { ...replyOptions, method: 'POST' })
      if (!hasBody(raw)) return send()
      if (!keepsBody(raw)) {
        // The raw stream, whatever its type and length.
        request.body = raw
        return send()
      }
      readBody(raw).then((body) => {
        if (body === undefined) return
        passOf(raw).body = body
        send()
      }).catch((error: unknown) => failReply(reply, error))
    },
    replyOptions: {
      getUpstream: (request) => upstreamOf(passOf(request.raw).to.origin),
      // Failover is the dispatcher's; nothing is repeated because of what was answered.
      retryDelay: () => null,
      rewriteRequestHeaders: (request) => {
        return requestHeaders(request.raw as IncomingMessage, passOf(request.raw), options.viaName) as unknown as IncomingHttpHeaders
      },
      // The fields go to the client as they came: see sendPassed.
      rewriteHeaders: () => ({}),
      onResponse: (request, reply, answer) => {
        const pass = passOf(request.raw)
        const { to, status, fields } = pass
        const { stream } = answer
        const send = (copy?: Duplex | void): void => {
          reply.hijack()
          sendPassed(pass, stream, copy ?? undefined, via)
        }
        const refuse = (error: unknown): void => {
          stream.on('error', () => undefined)
          stream.destroy()
          failReply(reply as FastifyReply, error)
        }
        try {
          const done = to.answered?.(status, fields)
          if (done === undefined) send()
          else done.then(send, refuse)
        } catch (error) {
          refuse(error)
        }
      },
      onError: (reply, { error }) => failReply(reply as FastifyReply, error.cause ?? error),
    },
  })
  app.addHook('onReady', (done) => {
    sortUpgrades(app.server, receive, (request, socket, head) => relayWebSocket(webSockets, request, socket, head))
    done()
  })
  return app
}
