// The public listener, put together: servers for HTTP/1.1 and HTTP/2, the dispatcher, and the adapter for @fastify/http-proxy.
import type { Server as TlsServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import fastify from 'fastify'
import type { BaseLogger } from 'pino'
import { trustedProxyMatcher } from '../forwarding/trusted-proxies.ts'
import type { Origins } from '../origin/origin.ts'
import { RequestDispatcher, type RequestHandler } from './dispatch.ts'
import { createListener, closeAfterResponses, onClientError, sortUpgrades } from './listener/http1.ts'
import { onUnsendable, type UnsendableListener } from './listener/http1-response.ts'
import { openHttp2, type Http2Listener } from './listener/http2.ts'
import type { ProxyOptions } from './listener/options.ts'
import { watchStalled } from './listener/stalled-clients.ts'
import { HttpProxy } from './pass/http-proxy.ts'
import { watchUploads } from './pass/upload-timeout.ts'

export interface ProxyParts extends RequestHandler {
  readonly origins: Origins
  /** Counts a response that Node would not send. */
  unsendable?(): void
  /** True once the proxy is about to stop: then a connection is closed behind its next response. */
  leaving?(): boolean
  readonly logger: BaseLogger
  readonly options: ProxyOptions
}

/** The proxy, ready to listen. */
export function createProxy(parts: ProxyParts): FastifyInstance {
  const { options, origins, logger } = parts
  const uploads = watchUploads(options.timeouts.requestMs)
  const httpProxy = new HttpProxy({ origins, viaName: options.viaName })
  const dispatcher = new RequestDispatcher({
    handler: parts, origins, limits: options, uploads, logger,
    trusts: trustedProxyMatcher(options.trustProxy),
    passThrough: (pass, request, response) => httpProxy.passThrough(pass, request, response),
  })
  let closing = false
  let http2: Http2Listener | undefined
  let closeLast: () => void
  const unsendable: UnsendableListener = (error, target) => {
    dispatcher.report(error, target)
    parts.unsendable?.()
  }
  const isLast = (): boolean => closing || parts.leaving?.() === true

  const app = fastify({
    serverFactory: (router) => {
      httpProxy.routeBy(router)
      const server = createListener(options, isLast, dispatcher.dispatch)
      if (options.tls?.http2 === true) http2 = openHttp2(server as TlsServer, options, { dispatch: dispatcher.dispatch, unsendable, onStream: stream => stalls.watchStream(stream) })
      // After `openHttp2`, which takes over the connections.
      closeLast = closeAfterResponses(server)
      onUnsendable(server, unsendable)
      sortUpgrades(server, dispatcher)
      const stalls = watchStalled(server, options.timeouts.stalledMs)
      return server
    },
    clientErrorHandler: onClientError,
    // Requests in flight get their responses while the proxy closes. New connections are not accepted.
    return503OnClosing: false,
    genReqId: () => '',
  })
  httpProxy.register(app)
  app.addHook('preClose', (done) => {
    closing = true
    closeLast()
    http2?.close()
    done()
  })
  app.addHook('onClose', (_app, done) => {
    uploads.close()
    done()
  })
  return app
}
