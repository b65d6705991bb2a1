// The report of a process that all replicas can read in Redis: written whole, and read with suspicion.
import type { CountersSnapshot } from '../exchange/counters.ts'
import type { RequestOutcome } from '../exchange/client/outcome.ts'
import type { StoreStats } from '../store/store.ts'
import { addEncoded, bucketCount, encodeCounts } from './buckets.ts'
import { isAmount, isAmountOrNull, isCounts, isEncoded, isLatencies, isName, isRecord } from './checks.ts'
import { sums, type StepData } from './history.ts'
import type { LatencyData } from './latency.ts'

/** A report has at most so many bytes: 200 replicas then send less than 250 KiB a second, their steps included. */
export const maxReportBytes = 3_584

/** Changes when the buckets or the sums of a step do. Numbers of another version are not read. */
export const layout = 1

export const replicaStates = ['ok', 'lagging', 'degraded', 'draining', 'silent'] as const
export type ReplicaState = typeof replicaStates[number]

/** A process and its state. Times are milliseconds; times of day since the epoch. */
export interface ProcessState {
  readonly host: string
  readonly pid: number
  readonly version: string
  readonly startedMs: number
  readonly state: ReplicaState
  readonly lagMs: number
  readonly memoryBytes: number
  /** The three rates are those of the last seconds; null if they are not known. */
  readonly requestsPerSecond: number | null
  readonly hitRatio: number | null
  readonly p99Ms: number | null
}

/** The traffic of a process, as the others read it. */
export interface FleetTraffic {
  readonly bytesToClients: number
  readonly bytesSaved: number
  readonly bytesRelayed: number
  readonly bytesFromOrigins: number
  readonly latency: Readonly<Partial<Record<RequestOutcome, LatencyData>>>
  /** The current step, which is not in the shared steps yet. */
  readonly step: StepData[number]
}

export interface FleetReport {
  /** When it was written, by the clock of the process. */
  readonly atMs: number
  readonly process: ProcessState
  /** Without members that are 0. */
  readonly counters: Partial<CountersSnapshot>
  readonly store: StoreStats
  /** undefined if the process does not count it, or counts it in another layout. */
  readonly traffic: FleetTraffic | undefined
}

/** Returns the text of a report. If it would be too long, durations are counted in wider buckets. */
export function writeReport(report: FleetReport): string {
  const { traffic } = report
  const counters = sparse(report.counters)
  for (let width = 1; width <= bucketCount; width *= 2) {
    const text = JSON.stringify({ v: layout, ...report, counters, ...(traffic !== undefined && { traffic: widened(traffic, width) }) })
    if (Buffer.byteLength(text) <= maxReportBytes) return text
  }
  return JSON.stringify({ v: layout, ...report, counters: {}, traffic: undefined })
}

/** Moves each count to the last of `width` buckets. */
function widened(traffic: FleetTraffic, width: number): FleetTraffic {
  if (width === 1) return traffic
  const wider = (counts: string): string => {
    const [from, to] = [new Float64Array(bucketCount), new Float64Array(bucketCount)]
    addEncoded(counts, from)
    for (const [i, count] of from.entries()) {
      const last = Math.min(bucketCount - 1, i - (i % width) + width - 1)
      to[last] = (to[last] as number) + count
    }
    return encodeCounts(to)
  }
  const [step, values, counts] = traffic.step
  const latency = Object.fromEntries(Object.entries(traffic.latency).map(([outcome, data]) => [outcome, { ...data, counts: wider(data.counts) }]))
  return { ...traffic, latency, step: [step, values, wider(counts)] }
}

/** A copy without zeros, at any depth. */
function sparse(counters: Partial<CountersSnapshot>): Partial<CountersSnapshot> {
  const filled = Object.entries(counters).map(([name, value]) =>
    [name, typeof value === 'object' ? Object.fromEntries(Object.entries(value).filter(([, count]) => count !== 0)) : value] as const
  )
  return Object.fromEntries(filled.filter(([, value]) => value !== 0 && (typeof value !== 'object' || Object.keys(value).length > 0)))
}

/** Returns the report of a text from Redis; undefined if it is none: it may have been damaged, or written by another program. */
export function readReport(text: string): FleetReport | undefined {
  if (text.length > 4 * maxReportBytes) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(value) || !isProcess(value['process']) || !isCounts(value['counters']) || !isStore(value['store']) || !isAmount(value['atMs'])) return undefined
  const { v, atMs, process, counters, store, traffic } = value
  if (traffic !== undefined && v === layout && !isTraffic(traffic)) return undefined
  // Safe: checked above.
  return { atMs, process, counters, store, traffic: v === layout ? traffic : undefined } as FleetReport
}

function isProcess(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { host, pid, version, startedMs, state, lagMs, memoryBytes, requestsPerSecond, hitRatio, p99Ms } = value
  return [host, version].every(isName) && [pid, startedMs, lagMs, memoryBytes].every(isAmount) && [requestsPerSecond, hitRatio, p99Ms].every(isAmountOrNull)
    && replicaStates.includes(state as ReplicaState)
}

function isStore(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { kind, entries, bytes, maxBytes, evictions, degraded } = value
  return isName(kind) && [entries, bytes, maxBytes].every(each => each === undefined || isAmount(each)) && isAmount(evictions) && Array.isArray(degraded) && degraded.every(isName)
}

function isTraffic(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { bytesToClients, bytesSaved, bytesRelayed, bytesFromOrigins, latency, step } = value
  return [bytesToClients, bytesSaved, bytesRelayed, bytesFromOrigins].every(isAmount) && isLatencies(latency) && isStep(step)
}

function isStep(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false
  const [step, values, counts] = value as unknown[]
  return isAmount(step) && Array.isArray(values) && values.length === sums.length && values.every(isAmount) && isEncoded(counts)
}
