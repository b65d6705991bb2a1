// The metrics of requests, origins, store and admin API that are counted in buckets, or by route and origin.
import type { Registry } from 'prom-client'
import { requestOutcomes } from '../exchange/client/outcome.ts'
import { bucketBoundsMs } from '../observe/buckets.ts'
import type { Latency } from '../observe/latency.ts'
import { originStatuses } from '../observe/origin-numbers.ts'
import { storeOperations } from '../observe/timings.ts'
import type { AdminParts } from './parts.ts'
import type { MetricObject } from './worker-report.ts'

const prefix = 'springhouse_'

/** The bounds of all histograms in milliseconds. Each is a bound of the process's own buckets, so the counts are exact. */
export const histogramBoundsMs: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 100_000]
const lastBuckets = histogramBoundsMs.map(bound => bucketBoundsMs.indexOf(bound))

type Labels = Readonly<Record<string, string>>
type Values = MetricObject['values']

/** A sample of a counter or a gauge. */
export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** Registers a metric whose values are read at a scrape. prom-client's own classes count one by one, which these values have not to be. */
export function addRead(registry: Registry, type: 'counter' | 'gauge', name: string, help: string, read: () => readonly Sample[]): void {
  register(registry, type, name, help, () => read().map(({ labels, value }) => ({ labels: { ...labels }, value })))
}

/** Registers a histogram of durations, in seconds. */
function addHistogram(registry: Registry, name: string, help: string, read: () => readonly (readonly [labels: Labels, latency: Latency | undefined])[]): void {
  register(registry, 'histogram', name, help, () => read().flatMap(([labels, latency]) => histogramValues(prefix + name, labels, latency)))
}

function histogramValues(name: string, labels: Labels, latency: Latency | undefined): Values {
  const values: { value: number; labels: Record<string, string | number>; metricName: string }[] = []
  let below = 0
  let next = 0
  for (const [i, boundMs] of histogramBoundsMs.entries()) {
    for (; next <= (lastBuckets[i] as number); next++) below += latency?.counts[next] ?? 0
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: boundMs / 1_000 }, value: below })
  }
  const count = latency?.count ?? 0
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count })
  values.push({ metricName: `${name}_sum`, labels: { ...labels }, value: (latency?.sumMs ?? 0) / 1_000 })
  values.push({ metricName: `${name}_count`, labels: { ...labels }, value: count })
  return values as Values
}

function register(registry: Registry, type: string, name: string, help: string, read: () => unknown): void {
  const metric = { name: prefix + name, help, type, aggregator: 'sum', get: async () => ({ name: prefix + name, help, type, aggregator: 'sum', values: read() }),
    reset: () => undefined }
  // Safe: a registry uses these members of a metric, and no others.
  registry.registerMetric(metric as object as Parameters<Registry['registerMetric']>[0])
}

/** Adds the metrics that `observe.enabled` is about. */
export function addTrafficMetrics(registry: Registry, parts: AdminParts): void {
  const { observation } = parts
  if (observation === undefined) return
  const { numbers, originNumbers, timings } = observation
  addHistogram(registry, 'request_duration_seconds', 'Seconds from the head of a request to the end of its response, without WebSockets.',
    () => requestOutcomes.map((outcome, i) => [{ outcome }, numbers.all.latency[i]]))
  addRead(registry, 'counter', 'response_bytes_total', 'Bytes of response bodies to clients.',
    () => requestOutcomes.map((outcome, i) => ({ labels: { outcome }, value: numbers.all.bytesByOutcome[i] as number })))
  addRead(registry, 'counter', 'route_requests_total', 'Requests by their route and outcome.',
    () => parts.routes().flatMap(({ id }) => requestOutcomes.map((outcome, i) => ({ labels: { route: id, outcome }, value: numbers.routes.get(id)?.outcomes[i] ?? 0 }))))
  const origins = (): string[] => [...new Set(parts.origins.status().map(({ origin }) => origin))]
  addRead(registry, 'counter', 'origin_requests_total', 'Requests to an origin by the class of the final status; error: without a whole response.',
    () => origins().flatMap(origin => originStatuses.map(status => ({ labels: { origin, status }, value: originNumbers.origins.get(origin)?.statuses[status] ?? 0 }))))
  addRead(registry, 'counter', 'origin_response_bytes_total', 'Bytes of response bodies from an origin.',
    () => origins().map(origin => ({ labels: { origin }, value: originNumbers.origins.get(origin)?.bytes ?? 0 })))
  addHistogram(registry, 'origin_duration_seconds', 'Seconds from a request to an origin to the head of its response.',
    () => origins().map(origin => [{ origin }, originNumbers.origins.get(origin)?.latency]))
  addHistogram(registry, 'store_operation_duration_seconds', 'Seconds that operations took which waited for Redis, and appends to the purge log.',
    () => storeOperations.map(operation => [{ operation }, timings.operations[operation]]))
  addHistogram(registry, 'purge_acknowledgement_seconds', 'Seconds until every live replica had applied a purge of this process, without invalidations by unsafe requests.',
    () => [[{}, timings.acknowledgements]])
}
