// GET /v1/history, /v1/routes and /v1/top: what happened in time, by route, and by key, tag and reason.
import type { FastifyInstance } from 'fastify'
import { mergedRows, seriesOf, sums } from '../observe/history.ts'
import { hitRatio, latencySummaries, mergedTraffic, noTraffic, readTrafficByRoute } from '../observe/traffic.ts'
import { measures, readTop, subjects, topOf } from '../observe/top.ts'
import { Type, type Static } from '../json-schema.ts'
import type { FleetNumbers } from './fleet.ts'
import { notObserved, type Gathered } from './gathered.ts'
import { bytesSchema, count, counts, countOrNull, latenciesSchema, members, millis, outcomesSchema, ratio, scopeOf, scopeParameter } from './response-schemas.ts'
import type { AdminParts } from './parts.ts'

const windows = { '5m': 300_000, '1h': 3_600_000 } as const
const windowNames = Object.keys(windows) as (keyof typeof windows)[]

const historyQuery = Type.Object({
  window: Type.Optional(Type.Enum([...windowNames], { description: 'The last five minutes, or the last hour; 5m if not given.' })),
  scope: scopeParameter,
}, { additionalProperties: false })

const perStep = Type.Array(countOrNull)
const historySchema = members({
  scope: scopeOf,
  fromMs: Type.Integer({ description: 'When the first step begins, in milliseconds since the epoch.' }),
  stepMs: count,
  series: members({
    ...Object.fromEntries(sums.map(name => [name, perStep])),
    p50: Type.Array(millis('The median of all requests of a step')),
    p99: Type.Array(millis('The 99th percentile of all requests of a step')),
  }, 'A value for each step, null where it is unknown. All are of one length. The last step is the current one.'),
})

const routesQuery = Type.Object({ scope: scopeParameter }, { additionalProperties: false })
const routesSchema = members({
  scope: scopeOf,
  routes: Type.Array(members({
    route: Type.String({ description: 'Its origin, host and path; as in the log and the metrics.' }),
    origin: Type.String(),
    mode: Type.Enum(['cache', 'bypass']),
    requests: count,
    outcomes: outcomesSchema,
    hitRatio: ratio,
    bytes: bytesSchema,
    savedOriginMs: count,
    latencyMs: latenciesSchema,
    notStored: counts('Fetched responses that were not stored, by the reason.'),
  }), { description: 'In the order of the configuration.' }),
})

const defaultTop = 20
const topQuery = Type.Object({
  of: Type.Optional(Type.Enum([...subjects], { description: 'The kind of names; keys if not given.' })),
  by: Type.Optional(Type.Enum([...measures], { description: 'The measure that orders the list; requests if not given.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 256, description: `Most items; ${defaultTop} if not given.` })),
  scope: scopeParameter,
}, { additionalProperties: false })
const topSchema = members({
  scope: scopeOf,
  windowMs: count,
  sampledOneIn: Type.Integer({ minimum: 1, description: '1: each request was taken. Otherwise all but the first of each second are a sample.' }),
  items: Type.Array(members({
    name: Type.String({ description: 'A masked URL without its scheme, a tag, a route or a reason.' }),
    value: count,
    error: Type.Integer({ minimum: 0, description: 'By how much the value may be off.' }),
    share: ratio,
    hitRatio: ratio,
  })),
})

export function trafficRoutes(app: FastifyInstance, parts: AdminParts, gathered: Gathered, fleet: FleetNumbers): void {
  app.get<{ Querystring: Static<typeof historyQuery> }>('/v1/history', { config: { scope: 'read' }, schema: { querystring: historyQuery, response: { 200: historySchema } } },
    async (request) => {
      if (parts.observation === undefined) throw notObserved()
      const { window = '5m', scope } = request.query
      const rows = scope === 'fleet' ? await fleet.rows(windows[window]) : undefined
      if (rows !== undefined) return { scope: 'fleet', ...seriesOf(rows, windows[window], parts.clock.now()) }
      return { scope: 'replica', ...seriesOf(mergedRows(await gathered.history()), windows[window], parts.clock.now()) }
    })

  app.get<{ Querystring: Static<typeof routesQuery> }>('/v1/routes', { config: { scope: 'read' }, schema: { querystring: routesQuery, response: { 200: routesSchema } } },
    async (request) => {
      if (parts.observation === undefined) throw notObserved()
      const all = request.query.scope === 'fleet' ? await fleet.replies({ what: 'routes' }, readTrafficByRoute) : undefined
      const byRoute = all ?? (await gathered.numbers()).map(({ observed }) => observed?.routes ?? {})
      const routes = parts.routes().map(({ id, ...route }) => ({ route: id, ...route, ...shown(byRoute.map(({ [id]: traffic = noTraffic }) => traffic)) }))
      return { scope: all === undefined ? 'replica' : 'fleet', routes }
    })

  app.get<{ Querystring: Static<typeof topQuery> }>('/v1/top', { config: { scope: 'read' }, schema: { querystring: topQuery, response: { 200: topSchema } } }, async (request) => {
    if (parts.observation === undefined) throw notObserved()
    const { of = 'keys', by = 'requests', limit = defaultTop, scope } = request.query
    const all = scope === 'fleet' ? await fleet.replies({ what: 'top', of, by }, readTop) : undefined
    return { scope: all === undefined ? 'replica' : 'fleet', ...topOf(all ?? await gathered.top({ of, by }), limit) }
  })
}

/** The numbers of a route. */
function shown(all: Parameters<typeof mergedTraffic>[0]): Record<string, unknown> {
  const merged = mergedTraffic(all)
  const { outcomes, bytesToClients, bytesSaved, savedOriginMs, latency, notStored } = merged
  return {
    requests: Object.values(outcomes).reduce((sum, requests) => sum + requests),
    outcomes,
    hitRatio: hitRatio(outcomes),
    bytes: { toClients: bytesToClients, fromOrigins: merged.bytesRelayed, saved: bytesSaved },
    savedOriginMs,
    latencyMs: latencySummaries(latency),
    notStored,
  }
}
