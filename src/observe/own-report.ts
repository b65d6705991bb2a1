// The state of this process, as it reports it to the others and to its own admin API.
import { hostname } from 'node:os'
import type { Clock } from '../clock.ts'
import type { Counters, CountersSnapshot } from '../exchange/counters.ts'
import type { PurgeLog } from '../store/purge/log.ts'
import type { Store } from '../store/store.ts'
import { quantileOf } from './buckets.ts'
import { rowData, rowLength, sums } from './history.ts'
import type { FleetReport, ProcessState, ReplicaState } from './fleet-report.ts'
import type { Observation } from './observation.ts'
import { hitRatio } from './traffic.ts'

export interface OwnReportParts {
  readonly clock: Clock
  readonly counters: Counters
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly observation: Observation | undefined
  readonly version: string
  /** The longest lag at which this replica still uses stored responses. */
  readonly maxLagMs: number
  ready(): boolean
  /** Names of parts that are out of order. */
  degraded(): readonly string[]
}

interface Reading {
  readonly atMs: number
  readonly requests: number
  readonly outcomes: CountersSnapshot['outcomes']
}

// Rates are of the time since the oldest reading that is not older than this.
const rateMs = 15_000
const mostReadings = 20
const leastApartMs = 500

export class OwnReport {
  readonly #parts: OwnReportParts
  readonly #host = hostname().replace(/[^ -~]/g, '?').slice(0, 128) || 'unknown'
  readonly #startedMs: number
  #readings: Reading[] = []

  constructor(parts: OwnReportParts) {
    this.#parts = parts
    this.#startedMs = Math.round(parts.clock.now())
  }

  report(): FleetReport {
    const { clock, counters, store, observation } = this.#parts
    const counted = counters.snapshot()
    return {
      atMs: Math.round(clock.now()),
      process: this.#state(counted),
      counters: counted,
      store: { ...store.stats(), degraded: this.#parts.degraded() },
      traffic: observation === undefined ? undefined : trafficOf(observation),
    }
  }

  process(): ProcessState {
    return this.#state(this.#parts.counters.snapshot())
  }

  #state(counted: CountersSnapshot): ProcessState {
    const { version, purgeLog, observation } = this.#parts
    return {
      host: this.#host,
      pid: process.pid,
      version,
      startedMs: this.#startedMs,
      state: this.#health(),
      lagMs: Number.isFinite(purgeLog.lagMs) ? Math.round(purgeLog.lagMs) : 0,
      memoryBytes: process.memoryUsage.rss(),
      ...this.#rates(counted),
      p99Ms: observation === undefined ? null : recentP99(observation),
    }
  }

  #health(): ReplicaState {
    const { ready, purgeLog, maxLagMs, degraded } = this.#parts
    if (!ready()) return 'draining'
    if (!purgeLog.isCaughtUp() || purgeLog.lagMs > maxLagMs / 2) return 'lagging'
    return degraded().length > 0 ? 'degraded' : 'ok'
  }

  #rates({ requests, outcomes }: CountersSnapshot): Pick<ProcessState, 'requestsPerSecond' | 'hitRatio'> {
    const atMs = this.#parts.clock.monotonic()
    this.#readings = this.#readings.filter(reading => atMs - reading.atMs <= rateMs)
    const [oldest] = this.#readings
    const last = this.#readings.at(-1)
    if (last === undefined || (atMs - last.atMs >= leastApartMs && this.#readings.length < mostReadings)) this.#readings.push({ atMs, requests, outcomes })
    const passedMs = oldest === undefined ? 0 : atMs - oldest.atMs
    if (oldest === undefined || passedMs < leastApartMs) return { requestsPerSecond: null, hitRatio: null }
    const since = Object.fromEntries(Object.entries(outcomes).map(([outcome, count]) => [outcome, count - oldest.outcomes[outcome as keyof typeof outcomes]])) as typeof outcomes
    return { requestsPerSecond: Math.round((requests - oldest.requests) * 10_000 / passedMs) / 10, hitRatio: rounded(hitRatio(since)) }
  }
}

function trafficOf({ numbers: { all }, originNumbers, history }: Observation): FleetReport['traffic'] {
  const { bytesToClients, bytesSaved, bytesRelayed, latency } = all.data()
  history.tick()
  return { bytesToClients, bytesSaved, bytesRelayed, bytesFromOrigins: originNumbers.bytes, latency, step: [history.step, ...rowData(history.current)] }
}

/** The 99th percentile of the current step and the one before. */
function recentP99({ history }: Observation): number | null {
  const rows = history.rows()
  const counts = new Float64Array(rowLength - sums.length)
  for (const step of [history.step - 1, history.step]) {
    for (const [i, count] of (rows.get(step)?.subarray(sums.length) ?? []).entries()) counts[i] = (counts[i] as number) + count
  }
  return quantileOf(counts, 0.99)
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10_000) / 10_000
}
