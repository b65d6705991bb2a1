// GET /metrics: counters and gauges for Prometheus. docs/metrics.md lists every name.
import type { FastifyInstance } from 'fastify'
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { CountersSnapshot } from '../exchange/counters.ts'
import type { OriginServerStatus } from '../origin/origin.ts'
import { SessionCounters, TokenCounters, type SessionCounts, type TokenCounts } from '../session/counters.ts'
import { degraded } from './degraded.ts'
import type { EventStreams } from './event-streams.ts'
import type { RequestCounts } from './request-counts.ts'
import { addTrafficMetrics } from './traffic-metrics.ts'
import type { AdminParts } from './parts.ts'
import type { MetricObject } from './worker-report.ts'

const prefix = 'springhouse_'

/** A value, or a value for each value of a label. */
type Reading = number | { readonly label: string; readonly values: Readonly<Record<string, number>> }

interface CounterRow {
  readonly name: string
  readonly help: string
  readonly read: (counters: CountersSnapshot) => Reading
}

// Counters of the request path, read at a scrape, so that the request path never calls prom-client.
const counterRows: readonly CounterRow[] = [
  { name: 'request_outcomes_total', help: 'Requests by their outcome. The sum of all outcomes is the number of requests.',
    read: (c) => ({ label: 'outcome', values: c.outcomes }) },
  { name: 'requests_total', help: 'Requests by the reason of their outcome.', read: (c) => ({ label: 'reason', values: c.requestsByReason }) },
  { name: 'hits_total', help: 'Requests with the outcome hit.', read: (c) => c.hits },
  { name: 'fills_begun_total', help: 'Fetches whose response was to be stored.', read: (c) => c.fillsBegun },
  { name: 'fills_committed_total', help: 'Fetches whose response was stored.', read: (c) => c.fillsCommitted },
  { name: 'fills_aborted_total', help: 'Fetches whose response turned out not to be stored.', read: (c) => c.fillsAborted },
  { name: 'origin_errors_total', help: 'Failed origin requests by error code.', read: (c) => ({ label: 'code', values: c.originErrors }) },
  { name: 'responses_not_stored_total', help: 'Fetched responses that were not stored, by the reason.', read: (c) => ({ label: 'reason', values: c.notStoredByReason }) },
  { name: 'origin_saved_seconds_total', help: 'Seconds that the origin took for the stored responses of all hits and stale responses, when they were fetched.',
    read: (c) => c.savedOriginMs / 1000 },
  { name: 'purges_total', help: 'Purges recorded by this process.', read: (c) => c.purges },
  { name: 'invalidations_deferred_total', help: 'Successful unsafe requests whose invalidation could not be recorded at once.', read: (c) => c.invalidationsDeferred },
  { name: 'coalesced_requests_total', help: 'Requests that waited for another fetch and were served with its response.', read: (c) => c.coalesced },
  { name: 'coalescing_waits_total', help: 'How often a request, or a refresh, began to wait for another fetch.', read: (c) => c.waits },
  { name: 'leases_total', help: 'Leases acquired: fetches for which other processes would wait.', read: (c) => c.leases },
  { name: 'leases_taken_over_total', help: 'Leases acquired from another fetch.', read: (c) => c.leasesTakenOver },
  { name: 'background_refreshes_total', help: 'Fetches made after the client got a stale response.', read: (c) => c.backgroundRefreshes },
  { name: 'bodies_continued_total', help: 'Responses whose stored body was lost in the middle and whose rest was fetched from the origin.', read: (c) => c.bodiesContinued },
  { name: 'responses_unsendable_total', help: 'Responses that Node refused to send. Each failed only its own request.', read: (c) => c.unsendable },
]

function addCounter(registry: Registry, row: CounterRow, parts: AdminParts): void {
  const sample = row.read(parts.counters.snapshot())
  const counter: Counter = new Counter({
    name: prefix + row.name,
    help: row.help,
    labelNames: typeof sample === 'number' ? [] : [sample.label],
    registers: [registry],
    collect() {
      const reading = row.read(parts.counters.snapshot())
      counter.reset()
      if (typeof reading === 'number') counter.inc(reading)
      else for (const [value, count] of Object.entries(reading.values)) counter.inc({ [reading.label]: value }, count)
    },
  })
}

/** A counter without labels, of what is counted elsewhere. */
function addTotal(registry: Registry, name: string, help: string, read: () => number): void {
  const counter: Counter = new Counter({
    name: prefix + name,
    help,
    registers: [registry],
    collect() {
      counter.reset()
      counter.inc(read())
    },
  })
}

/** A gauge without labels. An unknown value is left out rather than reported as 0. */
function addGauge(registry: Registry, name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
  const gauge: Gauge = new Gauge({
    name: prefix + name,
    help,
    registers: [registry],
    async collect() {
      const value = await read()
      if (value === undefined) gauge.remove()
      else gauge.set(value)
    },
  })
}

function addStoreMetrics(registry: Registry, parts: AdminParts): void {
  const { store, purgeLog } = parts
  addGauge(registry, 'store_entries', 'Entries in the store, if they can be counted cheaply.', () => store.stats().entries)
  addGauge(registry, 'store_bytes', 'Bytes that count against the bound of the store.', () => store.stats().bytes)
  addGauge(registry, 'store_max_bytes', 'The bound of the store in bytes.', () => store.stats().maxBytes)
  addGauge(registry, 'degraded', 'Number of degraded parts, such as Redis; 0 if none is.', () => degraded(parts).length)
  addGauge(registry, 'purge_log_revision', 'Goes up with every purge record applied here.', () => purgeLog.revision)
  addGauge(registry, 'purge_log_current', '1 while this replica has read the purge log to its end within maxLagMs, 0 otherwise.', () => (purgeLog.isCaughtUp() ? 1 : 0))
  addGauge(registry, 'purge_log_lag_seconds', 'Seconds since this replica has read the purge log to its end; 0 without Redis.',
    () => (Number.isFinite(purgeLog.lagMs) ? purgeLog.lagMs / 1000 : undefined))
  addGauge(registry, 'invalidations_pending', 'URLs and groups invalidated in this process and not yet recorded for the other replicas.', () => purgeLog.unrecorded)
  addGauge(registry, 'replicas', 'Live replicas, including this one.', async () => {
    // A scrape must not fail if Redis does, because its other metrics report the failure.
    const replicas = await Promise.resolve(purgeLog.replicas()).catch(() => undefined)
    return replicas?.length
  })
  addTotal(registry, 'store_evictions_total', 'Entries thrown out to make room.', () => store.stats().evictions)
}

function addOriginMetrics(registry: Registry, { origins }: AdminParts): void {
  const labelNames = ['origin', 'server', 'address']
  const healthy: Gauge = new Gauge({
    name: `${prefix}origin_server_healthy`,
    help: '1 while a server of an origin is in use, 0 while it is ejected or failing its health checks.',
    labelNames,
    registers: [registry],
    collect() {
      healthy.reset() // drops addresses that are no longer in DNS
      for (const server of origins.status()) healthy.set(labelsOf(server), server.healthy ? 1 : 0)
    },
  })
  const pending: Gauge = new Gauge({
    name: `${prefix}origin_server_pending_requests`,
    help: 'Requests in flight to a server of an origin, or waiting for a connection, without WebSockets and event streams.',
    labelNames,
    registers: [registry],
    collect() {
      pending.reset()
      for (const server of origins.status()) pending.set(labelsOf(server), server.pending)
    },
  })
  const streams: Gauge = new Gauge({
    name: `${prefix}origin_server_streams`,
    help: 'WebSockets and event streams to a server of an origin.',
    labelNames,
    registers: [registry],
    collect() {
      streams.reset()
      for (const server of origins.status()) streams.set(labelsOf(server), server.streams)
    },
  })
}

// In the metrics at 0 while sessions are off, so that a query finds them.
const noSessions: SessionCounts = new SessionCounters()
const noTokens: TokenCounts = new TokenCounters()

function addSessionMetrics(registry: Registry, { sessionCounts = () => noSessions, tokenCounts = () => noTokens }: AdminParts): void {
  addByOutcome(registry, 'jwt_verifications_total', 'Bearer tokens of providers that requests presented, by the outcome of verifying them.', () => tokenCounts().verifications)
  addByOutcome(registry, 'jwks_fetches_total', 'Readings of the key sets of providers, by outcome.', () => tokenCounts().keyReads)
  addByOutcome(registry, 'session_reads_total', 'Requests on routes with sessions, by what they presented.', () => sessionCounts().reads)
  const writes: Counter = new Counter({
    name: `${prefix}session_writes_total`,
    help: 'Changes of sessions that backends requested, by operation and outcome.',
    labelNames: ['operation', 'outcome'],
    registers: [registry],
    collect() {
      writes.reset()
      for (const [operation, outcomes] of Object.entries(sessionCounts().writes)) {
        for (const [outcome, count] of Object.entries(outcomes)) writes.inc({ operation, outcome }, count)
      }
    },
  })
  addTotal(registry, 'session_streams_cut_total', 'WebSockets and event streams that were closed because their session or token had ended.',
    () => sessionCounts().streamsCut + tokenCounts().streamsCut)
  addTotal(registry, 'csrf_refused_total', 'Cross-site requests that were refused, or would have been.', () => sessionCounts().csrfRefused)
}

function addByOutcome(registry: Registry, name: string, help: string, counts: () => Readonly<Record<string, number>>): void {
  const counter: Counter = new Counter({
    name: `${prefix}${name}`,
    help,
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      counter.reset()
      for (const [outcome, count] of Object.entries(counts())) counter.inc({ outcome }, count)
    },
  })
}

function labelsOf({ origin, url, address }: OriginServerStatus): Record<string, string> {
  return address === undefined ? { origin, server: url } : { origin, server: url, address }
}

/** Creates the registry of one listener. It is not global, so that two listeners in one process do not collide. */
export function metricsRegistry(parts: AdminParts): Registry {
  const registry = new Registry()
  for (const row of counterRows) addCounter(registry, row, parts)
  addStoreMetrics(registry, parts)
  addOriginMetrics(registry, parts)
  addSessionMetrics(registry, parts)
  addTotal(registry, 'log_lines_dropped_total', 'Lines that could not be written to the log or to standard error.', () => parts.linesDropped())
  new Gauge({ name: `${prefix}build_info`, help: 'Always 1; its label names the version.', labelNames: ['version'], registers: [registry] }).set({ version: parts.version }, 1)
  addTrafficMetrics(registry, parts)
  // Their names are those of every Node.js program, so that boards for Node.js show them.
  collectDefaultMetrics({ register: registry })
  return registry
}

/**
 * Adds /metrics. With several workers, any worker reports all of them, each under its own label: a sum of counters would drop
 * whenever a worker ends, and the values of each process would be lost.
 * @returns a function that reads the metrics of this process
 */
export function metricsRoute(app: FastifyInstance, parts: AdminParts, requests: RequestCounts, streams: EventStreams): () => Promise<MetricObject[]> {
  const registry = metricsRegistry(parts)
  requests.register(registry)
  addTotal(registry, 'events_dropped_total', 'Events of /v1/live and /v1/tail that were not sent: the reader was slow, or there were too many in a second.', () => streams.dropped)
  const { workers } = parts
  if (workers !== undefined) registry.setDefaultLabels({ worker: workers.worker })
  const all = async (): Promise<Registry> => (workers === undefined ? registry : AggregatorRegistry.aggregate([...await workers.collect('metrics', undefined)]))
  app.get('/metrics', { config: { scope: 'read' } }, async (_request, reply) => reply.type(registry.contentType).send(await (await all()).metrics()))
  return () => registry.getMetricsAsJSON()
}
