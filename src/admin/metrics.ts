// GET /metrics: the counters and gauges in Prometheus' words. Every name stands in docs/metrics.md.
import type { FastifyInstance } from 'fastify'
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { CountersSnapshot } from '../exchange/counters.ts'
import type { OriginServerStatus } from '../origin/origin.ts'
import { degraded } from './degraded.ts'
import type { AdminParts } from './parts.ts'
import type { MetricObject } from './worker-report.ts'

const prefix = 'springhouse_'

/** One value, or one for each value of a label. */
type Reading = number | { readonly label: string; readonly values: Readonly<Record<string, number>> }

interface CounterRow {
  readonly name: string
  readonly help: string
  readonly read: (counters: CountersSnapshot) => Reading
}

// What the request path counted: read when somebody scrapes, so that it never touches prom-client itself.
const counterRows: readonly CounterRow[] = [
  { name: 'requests_total', help: 'Requests by the reason of what was decided for them.', read: (c) => ({ label: 'reason', values: c.requestsByReason }) },
  { name: 'hits_total', help: 'Requests answered with a stored response that was there when they came.', read: (c) => c.hits },
  { name: 'fills_begun_total', help: 'Fetches whose response was to be stored.', read: (c) => c.fillsBegun },
  { name: 'fills_committed_total', help: 'Fetches whose response was stored.', read: (c) => c.fillsCommitted },
  { name: 'fills_aborted_total', help: 'Fetches whose response was in the end not stored.', read: (c) => c.fillsAborted },
  { name: 'origin_errors_total', help: 'Failed exchanges with origins by the code of the failure.', read: (c) => ({ label: 'code', values: c.originErrors }) },
  { name: 'responses_not_stored_total', help: 'Fetched responses that were not stored, by the reason.', read: (c) => ({ label: 'reason', values: c.notStoredByReason }) },
  { name: 'purges_total', help: 'Purges recorded by this process.', read: (c) => c.purges },
  { name: 'invalidations_deferred_total', help: 'Successful unsafe requests whose invalidation could not be recorded at once.', read: (c) => c.invalidationsDeferred },
  { name: 'coalesced_requests_total', help: 'Requests that waited for another fetch, and were answered with what it brought.', read: (c) => c.coalesced },
  { name: 'coalescing_waits_total', help: 'Times that a request, or a refresh, began to wait for another fetch.', read: (c) => c.waits },
  { name: 'leases_total', help: 'Leases taken: fetches for which other processes would have waited.', read: (c) => c.leases },
  { name: 'leases_taken_over_total', help: 'Leases taken that were of another fetch before.', read: (c) => c.leasesTakenOver },
  { name: 'background_refreshes_total', help: 'Fetches made after the client had its stale answer.', read: (c) => c.backgroundRefreshes },
  { name: 'bodies_continued_total', help: 'Answers whose stored body was lost in their middle, and for whose rest the origin was asked.', read: (c) => c.bodiesContinued },
  { name: 'responses_unsendable_total', help: 'Responses that Node would not send; each ended its own exchange.', read: (c) => c.unsendable },
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

/** A gauge without labels. What cannot be told is left out rather than reported as 0. */
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

function addStoreMetrics(registry: Registry, { store, purgeLog }: AdminParts): void {
  addGauge(registry, 'store_entries', 'Entries in the store, where that can be told cheaply.', () => store.stats().entries)
  addGauge(registry, 'store_bytes', 'Bytes that count against the bound of the store.', () => store.stats().bytes)
  addGauge(registry, 'store_max_bytes', 'The bound of the store in bytes.', () => store.stats().maxBytes)
  addGauge(registry, 'degraded', 'How many parts are out of order, such as Redis; 0 when all is well.', () => degraded({ store, purgeLog }).length)
  addGauge(registry, 'purge_log_revision', 'Goes up with every purge record applied here.', () => purgeLog.revision)
  addGauge(registry, 'purge_log_current', '1 while this replica knows of every purge, 0 when it has lost touch with the log.', () => (purgeLog.isCaughtUp() ? 1 : 0))
  addGauge(registry, 'invalidations_pending', 'URLs and groups that are invalid in this process, and yet to be recorded for the other replicas.', () => purgeLog.unrecorded)
  addGauge(registry, 'replicas', 'Replicas that are live, this one included.', async () => {
    // A scrape must not fail because Redis does: the rest of it is what tells that it did.
    const replicas = await Promise.resolve(purgeLog.replicas()).catch(() => undefined)
    return replicas?.length
  })
  addTotal(registry, 'store_evictions_total', 'Entries thrown out to make room.', () => store.stats().evictions)
}

function addOriginMetrics(registry: Registry, { origins }: AdminParts): void {
  const labelNames = ['origin', 'server', 'address']
  const healthy: Gauge = new Gauge({
    name: `${prefix}origin_server_healthy`,
    help: '1 while a server of an origin is in use, 0 while it is held to be down.',
    labelNames,
    registers: [registry],
    collect() {
      healthy.reset() // an address that has vanished must not linger
      for (const server of origins.status()) healthy.set(labelsOf(server), server.healthy ? 1 : 0)
    },
  })
  const pending: Gauge = new Gauge({
    name: `${prefix}origin_server_pending_requests`,
    help: 'Requests under way to a server of an origin.',
    labelNames,
    registers: [registry],
    collect() {
      pending.reset()
      for (const server of origins.status()) pending.set(labelsOf(server), server.pending)
    },
  })
}

function labelsOf({ origin, url, address }: OriginServerStatus): Record<string, string> {
  return address === undefined ? { origin, server: url } : { origin, server: url, address }
}

/** Makes the registry of one listener: nothing global, so that two in one process do not meet. */
export function metricsRegistry(parts: AdminParts): Registry {
  const registry = new Registry()
  for (const row of counterRows) addCounter(registry, row, parts)
  addStoreMetrics(registry, parts)
  addOriginMetrics(registry, parts)
  addTotal(registry, 'log_lines_dropped_total', 'Lines that could not be written to the log or to standard error.', () => parts.linesDropped())
  new Gauge({ name: `${prefix}build_info`, help: 'Always 1; its label tells the version.', labelNames: ['version'], registers: [registry] }).set({ version: parts.version }, 1)
  collectDefaultMetrics({ register: registry, prefix })
  return registry
}

/**
 * Of several workers each has its label, and any of them answers for all: counters that were added up would go down whenever
 * one ends, and what each process holds would be lost.
 * @returns what this process tells of itself
 */
export function metricsRoute(app: FastifyInstance, parts: AdminParts): () => Promise<MetricObject[]> {
  const registry = metricsRegistry(parts)
  const { workers } = parts
  if (workers !== undefined) registry.setDefaultLabels({ worker: workers.worker })
  const all = async (): Promise<Registry> => (workers === undefined ? registry : AggregatorRegistry.aggregate([...await workers.collect('metrics')]))
  app.get('/metrics', { config: { scope: 'read' } }, async (_request, reply) => reply.type(registry.contentType).send(await (await all()).metrics()))
  return () => registry.getMetricsAsJSON()
}
