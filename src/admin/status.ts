// Status endpoints: health, stats, origins, replicas, configuration.
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from '../json-schema.ts'
import { mergedLatency } from '../observe/latency.ts'
import type { ProcessNumbers } from '../observe/observation.ts'
import type { OriginServerStatus } from '../origin/origin.ts'
import { degraded } from './degraded.ts'
import type { FleetNumbers } from './fleet.ts'
import type { Gathered, OwnReports } from './gathered.ts'
import type { LiveSources } from './live.ts'
import { AdminProblem } from './problems.ts'
import { ownRow, replicaRows, replicasSchema } from './replicas.ts'
import { bytesSchema, count, countOrNull, counts, latenciesSchema, members, millis, outcomesSchema, ratio, scopeOf, scopeParameter, type Scope } from './response-schemas.ts'
import { fleetStats, observedOfAll, shareOf, statsOf, statsOfAll } from './stats.ts'
import type { AdminParts } from './parts.ts'
import type { Stats } from './worker-report.ts'

const statsQuery = Type.Object({ scope: scopeParameter }, { additionalProperties: false })
const nothingElse = Type.Object({}, { additionalProperties: false })

const statsSchema = members({
  scope: scopeOf,
  replicas: members({ live: count, reporting: count }, 'Processes that live, and those whose numbers are in here.'),
  version: Type.String(),
  pid: count,
  uptimeMs: count,
  requests: count,
  outcomes: outcomesSchema,
  requestsByReason: counts('Requests by the reason of their outcome. The sum is the number of requests.'),
  notStoredByReason: counts('Fetched responses that were not stored, by the reason.'),
  originErrors: counts('Failed requests to origins, by the code.'),
  hits: count,
  hitRatio: ratio,
  savedOriginMs: count,
  bytes: Type.Union([bytesSchema, Type.Null()]),
  latencyMs: Type.Union([latenciesSchema, Type.Null()]),
}, 'Counters since the start of each process. bytes and latencyMs are null if `observe.enabled` is false.')

const originsSchema = members({
  origins: Type.Array(members({
    origin: Type.String(),
    url: Type.String(),
    address: Type.Optional(Type.String({ description: 'The address, if the name has several.' })),
    healthy: Type.Boolean(),
    pending: count,
    streams: count,
    consecutiveFailures: count,
    requests: countOrNull,
    errors: Type.Union([count, Type.Null()], { description: 'Requests without a whole response, and 5xx responses.' }),
    p50: millis('The median time to the head of a response'),
    p99: millis('The 99th percentile of the time to the head of a response'),
    lastError: Type.Union([members({ code: Type.String(), atMs: count }), Type.Null()], { description: 'code: an error code, or the status of a 5xx response.' }),
  })),
})

/** The reports of this process. Its uptime begins at this call. */
export function ownReports(parts: AdminParts): OwnReports {
  const startedMs = parts.clock.monotonic()
  const { observation } = parts
  return {
    numbers: () => ({ stats: statsOf(parts, startedMs), observed: observation?.report() }),
    history: () => observation?.steps() ?? [],
    tail: ({ id, filter }) => parts.tail?.poll(id, filter) ?? { lines: [], dropped: 0 },
    top: ({ of, by }) => observation?.top(of, by) ?? { items: [], floor: 0, total: 0, sampledOneIn: 1 },
  }
}

/** Adds the status endpoints. Returns the functions that make the bodies of some of them. */
export function statusRoutes(app: FastifyInstance, parts: AdminParts, gathered: Gathered, fleet: FleetNumbers): LiveSources {
  app.get('/healthz', { config: { scope: 'open' } }, async () => ({ status: 'ok' }))

  // Ready without Redis: the proxy still serves, slower, and taking every replica out of service would not help.
  app.get('/readyz', { config: { scope: 'open' } }, async () => {
    if (!parts.ready()) throw new AdminProblem('NOT_READY')
    return { status: 'ready', degraded: degraded(parts) }
  })

  const stats = async (scope: Scope): Promise<Record<string, unknown>> => {
    const reports = await gathered.numbers()
    const all = reports.map(report => report.stats)
    const own = all.find(({ pid }) => pid === process.pid) ?? all[0] as Stats
    const reporting = scope === 'fleet' ? await fleet.reporting() : undefined
    if (reporting !== undefined) return fleetStats(own, reporting)
    return {
      scope: 'replica',
      replicas: { live: all.length, reporting: all.length },
      ...(parts.workers === undefined ? own : { ...statsOfAll(own, all), workers: all.map(shareOf) }),
      ...observedOfAll(reports.map(({ observed }) => observed)),
    }
  }
  const replicas = async (): Promise<Record<string, unknown>[]> => {
    const [followers, reporting] = await Promise.all([parts.purgeLog.replicas(), fleet.reporting()])
    return reporting === undefined ? followers.map(follower => ownRow(follower, parts)) : replicaRows(followers, reporting.members)
  }

  app.get<{ Querystring: Static<typeof statsQuery> }>('/v1/stats', { config: { scope: 'read' }, schema: { querystring: statsQuery, response: { 200: statsSchema } } },
    async request => stats(request.query.scope ?? 'replica'))
  app.get('/v1/origins', { config: { scope: 'read' }, schema: { querystring: nothingElse, response: { 200: originsSchema } } }, async () => {
    const reports = await gathered.numbers()
    const observed = reports.map(report => report.observed).filter(each => each !== undefined)
    return { origins: parts.origins.status().map(server => ({ ...server, ...numbersOf(server, observed) })) }
  })
  app.get('/v1/replicas', { config: { scope: 'read' }, schema: { querystring: nothingElse, response: { 200: replicasSchema } } }, async () => ({ replicas: await replicas() }))
  app.get('/v1/config', { config: { scope: 'read' } }, async () => parts.config())
  return { stats, replicas, watch: () => fleet.watch() }
}

/** The numbers of a server in all processes; null if none counts them. */
function numbersOf({ origin, url, address }: OriginServerStatus, all: readonly ProcessNumbers[]): Record<string, unknown> {
  if (all.length === 0) return { requests: null, errors: null, p50: null, p99: null, lastError: null }
  const same = all.flatMap(({ servers }) => servers).filter(server => server.origin === origin && server.url === url && server.address === address)
  const latency = mergedLatency(same.map(server => server.latency))
  return {
    requests: same.reduce((sum, { requests }) => sum + requests, 0),
    errors: same.reduce((sum, { errors }) => sum + errors, 0),
    p50: latency.quantile(0.5),
    p99: latency.quantile(0.99),
    lastError: same.map(({ lastError }) => lastError).filter(error => error !== null).toSorted((a, b) => b.atMs - a.atMs)[0] ?? null,
  }
}
