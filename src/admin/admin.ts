// The admin listener: a separate Fastify instance, so that no admin endpoint can be reached through the proxy.
import { parse as parseQuery } from 'node:querystring'
import { fastify, LogController, type FastifyInstance, type RouteOptions } from 'fastify'
import { SpringhouseError } from '../errors.ts'
import { auditRequests } from './audit.ts'
import { requireTokens } from './auth.ts'
import { entriesRoutes } from './entries.ts'
import { explainRoutes } from './explain.ts'
import { FleetNumbers } from './fleet.ts'
import { Gathered } from './gathered.ts'
import { takeJsonBodies } from './json-body.ts'
import { loginRoutes } from './login.ts'
import { liveRoute } from './live.ts'
import { metricsRoute } from './metrics.ts'
import { pageRoutes } from './page.ts'
import { AdminProblem, answerError, answerParserError } from './problems.ts'
import { EventStreams } from './event-streams.ts'
import { openApiRoute } from './openapi.ts'
import { purgeRoutes } from './purge.ts'
import { purgesRoutes } from './purges.ts'
import { RequestCounts } from './request-counts.ts'
import { reloadRoute } from './reload.ts'
import { refuseOtherSites } from './same-site.ts'
import { sessionRoutes } from './sessions.ts'
import { ownReports, statusRoutes } from './status.ts'
import { tailRoute } from './tail.ts'
import { trafficRoutes } from './traffic.ts'
import { Turns } from './turns.ts'
import { schemaCompiler, schemaErrors } from './validation.ts'
import type { AdminParts } from './parts.ts'

/** How long a request may take to arrive. Admin requests are small. */
const requestTimeoutMs = 10_000

/** Makes existing paths refuse other methods with 405 and Allow (RFC 9110 §15.5.6), not with 404. */
function refuseOtherMethods(app: FastifyInstance, routes: readonly RouteOptions[]): void {
  for (const url of new Set(routes.map((route) => route.url))) {
    const sameUrl = routes.filter((route) => route.url === url)
    const methods = sameUrl.flatMap((route) => route.method)
    const problem = new AdminProblem('METHOD_NOT_ALLOWED', {}, { allow: methods.toSorted().join(', ') })
    app.route({
      method: app.supportedMethods.filter((method) => !methods.includes(method)),
      url,
      config: { scope: sameUrl.some((route) => route.config?.scope === 'open') ? 'open' : 'any' },
      // Runs before the body is read: its validity does not matter.
      onRequest: async () => {
        throw problem
      },
      handler: async () => undefined,
    })
  }
}

/** Creates the admin listener. The caller calls `listen` and `close`. */
export function createAdmin(parts: AdminParts): FastifyInstance {
  const app = fastify({
    loggerInstance: parts.logger,
    // Lines for scrapes and probes would hide the important ones. Purges and failures have their own lines.
    logController: new LogController({ disableRequestLogging: true }),
    // A parameter without a value (`?prefix=&tag=x`) counts as not given.
    routerOptions: { querystringParser: (text) => Object.fromEntries(Object.entries(parseQuery(text)).filter(([, value]) => value !== '')) },
    bodyLimit: 1024 * 1024,
    requestTimeout: requestTimeoutMs,
    // By default Node checks every 30 s.
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1_000 },
    return503OnClosing: false, // /readyz sends a problem document instead
    clientErrorHandler: answerParserError,
    frameworkErrors: answerError,
    schemaErrorFormatter: schemaErrors,
  })
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => void routes.push(route))

  app.setValidatorCompiler(schemaCompiler)
  // Schemas of responses describe. They are not compiled, which would cost time at the start, and remove what they do not name.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(async () => {
    throw new SpringhouseError('NOT_FOUND')
  })
  const turns = new Turns(parts.nextTurn)
  takeJsonBodies(app, turns)
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  auditRequests(app, parts)
  const requests = new RequestCounts()
  requests.watch(app)
  refuseOtherSites(app)
  const access = requireTokens(app, parts)
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.scope !== 'open') await turns.next()
  })

  const own = ownReports(parts)
  const gathered = new Gathered(parts, own)
  const fleet = new FleetNumbers(parts)
  const sources = statusRoutes(app, parts, gathered, fleet)
  trafficRoutes(app, parts, gathered, fleet)
  const streams = new EventStreams()
  // An open stream would hold up the end of the listener.
  app.addHook('preClose', async () => streams.close())
  liveRoute(app, parts, sources, streams)
  tailRoute(app, parts, gathered, streams)
  const metrics = metricsRoute(app, parts, requests, streams)
  parts.workers?.report({ metrics, ...own })
  loginRoutes(app, access, parts)
  purgeRoutes(app, parts, turns)
  purgesRoutes(app, access, parts, turns, streams)
  explainRoutes(app, access, parts)
  entriesRoutes(app, parts, parts.nextTurn)
  reloadRoute(app, parts)
  sessionRoutes(app, parts)
  openApiRoute(app, routes, parts.version)
  if (parts.dashboard) pageRoutes(app)
  refuseOtherMethods(app, [...routes])
  return app
}
