// The admin listener: a Fastify instance of its own, so that nothing of it can be reached through the proxy.
import { parse as parseQuery } from 'node:querystring'
import { fastify, LogController, type FastifyInstance, type RouteOptions } from 'fastify'
import { SpringhouseError } from '../errors.ts'
import { requireTokens } from './auth.ts'
import { entriesRoutes } from './entries.ts'
import { explainRoutes } from './explain.ts'
import { takeJsonBodies } from './json-body.ts'
import { metricsRoute } from './metrics.ts'
import { AdminProblem, answerError, answerParserError } from './problems.ts'
import { purgeRoutes } from './purge.ts'
import { refuseOtherSites } from './same-site.ts'
import { statusRoutes } from './status.ts'
import { Turns } from './turns.ts'
import { schemaCompiler, schemaErrors } from './validation.ts'
import type { AdminParts } from './parts.ts'

/** How long a request may take to arrive: nothing that is sent here is large. */
const requestTimeoutMs = 10_000

/** A path that exists answers the methods that it does not take with 405 and Allow (RFC 9110 §15.5.6), not with 404. */
function refuseOtherMethods(app: FastifyInstance, routes: readonly RouteOptions[]): void {
  for (const url of new Set(routes.map((route) => route.url))) {
    const sameUrl = routes.filter((route) => route.url === url)
    const methods = sameUrl.flatMap((route) => route.method)
    const problem = new AdminProblem('METHOD_NOT_ALLOWED', {}, { allow: methods.toSorted().join(', ') })
    app.route({
      method: app.supportedMethods.filter((method) => !methods.includes(method)),
      url,
      config: { scope: sameUrl.some((route) => route.config?.scope === 'open') ? 'open' : 'any' },
      // Before the body is looked at: whether it would be valid does not matter.
      onRequest: async () => {
        throw problem
      },
      handler: async () => undefined,
    })
  }
}

/** Makes the admin listener; `listen` and `close` are the caller's. */
export function createAdmin(parts: AdminParts): FastifyInstance {
  const app = fastify({
    loggerInstance: parts.logger,
    // Scrapes and probes would drown what matters; purges and failures have lines of their own.
    logController: new LogController({ disableRequestLogging: true }),
    // A parameter without a value (`?prefix=&tag=x`) counts as not given.
    routerOptions: { querystringParser: (text) => Object.fromEntries(Object.entries(parseQuery(text)).filter(([, value]) => value !== '')) },
    bodyLimit: 1024 * 1024,
    requestTimeout: requestTimeoutMs,
    // Node looks every 30 s unless told.
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1_000 },
    return503OnClosing: false, // /readyz tells it, in the words of everything else here
    clientErrorHandler: answerParserError,
    frameworkErrors: answerError,
    schemaErrorFormatter: schemaErrors,
  })
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => void routes.push(route))

  app.setValidatorCompiler(schemaCompiler())
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(async () => {
    throw new SpringhouseError('NOT_FOUND')
  })
  const turns = new Turns(parts.nextTurn)
  takeJsonBodies(app, turns)
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  refuseOtherSites(app)
  requireTokens(app, parts)
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.scope !== 'open') await turns.next()
  })

  const own = { metrics: metricsRoute(app, parts), stats: statusRoutes(app, parts) }
  parts.workers?.report(own)
  purgeRoutes(app, parts, turns)
  explainRoutes(app, parts)
  entriesRoutes(app, parts, parts.nextTurn)
  refuseOtherMethods(app, [...routes])
  return app
}
