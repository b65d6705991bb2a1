// The public listener, put together: servers for HTTP/1.1 and HTTP/2, the dispatcher, and the adapter for @fastify/http-proxy.
import type { FastifyInstance } from 'fastify'
import fastify from 'fastify'
import type { Clock } from '../clock.ts'
import type { ExchangeObserver } from '../exchange/client/exchange.ts'
import { BothObservers } from '../exchange/client/observer.ts'
import { trustedProxyMatcher } from '../forwarding/trusted-proxies.ts'
import type { Origins } from '../origin/origin.ts'
import { ListenerLoad } from './admission/load.ts'
import { RequestDispatcher, type RequestHandler } from './dispatch.ts'
import type { CertificateChoice } from './listener/certificates.ts'
import { createListener, closeAfterResponses, onClientError, sortUpgrades } from './listener/http1.ts'
import { serveHalfClosed } from './listener/half-closed.ts'
import { openHttp2, type Http2Listener } from './listener/http2.ts'
import type { ProxyOptions } from './listener/options.ts'
import { watchStalled } from './listener/stalled-clients.ts'
import { HttpProxy } from './pass/http-proxy.ts'
import { watchUploads } from './pass/upload-timeout.ts'

export interface ProxyParts {
  readonly handler: RequestHandler
  readonly origins: Origins
  /** True once the proxy is about to stop: then a connection is closed behind its next response. */
  leaving?(): boolean
  readonly observer: ExchangeObserver
  readonly clock: Clock
  readonly options: ProxyOptions
  /** The certificates of `options.tls`, if the caller renews them. */
  readonly certificates?: CertificateChoice | undefined
}

/** The proxy, ready to listen. */
export function createProxy(parts: ProxyParts): FastifyInstance {
  const { options, origins, observer, clock } = parts
  const uploads = watchUploads(options.timeouts.requestMs)
  const httpProxy = new HttpProxy({ origins, clock, viaName: options.viaName })
  const load = new ListenerLoad(options)
  const dispatcher = new RequestDispatcher({
    handler: parts.handler,
    origins,
    limits: options,
    healthPath: options.healthPath,
    leaving: () => isLast(),
    uploads,
    load,
    clock,
    observer: new BothObservers(load, observer),
    trusts: trustedProxyMatcher(options.trustProxy),
    passThrough: (pass, request, failed) => httpProxy.passThrough(pass, request, failed),
  })
  let closing = false
  let http2: Http2Listener | undefined
  let closeLast: () => void
  const isLast = (): boolean => closing || parts.leaving?.() === true

  const app = fastify({
    serverFactory: (router) => {
      httpProxy.routeBy(router)
      const server = createListener(options, isLast, dispatcher.dispatch, parts.certificates)
      if (options.tls === undefined ? options.h2c : options.tls.http2)
        http2 = openHttp2(server, options, { dispatch: dispatcher.dispatch, onStream: stream => stalls.watchStream(stream), isRefused: socket => load.isBeyond(socket) })
      // After it, which takes over the connections.
      load.watch(server)
      closeLast = closeAfterResponses(server)
      sortUpgrades(server, dispatcher)
      serveHalfClosed(server, options.halfClosedMs)
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
