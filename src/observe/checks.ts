// Checks of values that another process has written to Redis: they may have been damaged, or written by another program.
import { requestOutcomes, type RequestOutcome } from '../exchange/client/outcome.ts'
import { addEncoded, bucketCount } from './buckets.ts'
import type { LatencyData } from './latency.ts'

export type Fields = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}

// Printable, because a terminal may show it.
export function isName(value: unknown): boolean {
  return typeof value === 'string' && /^[ -~]{1,128}$/.test(value)
}

export function isAmountOrNull(value: unknown): boolean {
  return value === null || isAmount(value)
}

export function isCounts(value: unknown): boolean {
  return isRecord(value) && Object.entries(value).every(([name, count]) => isName(name) && (isAmount(count) || (isRecord(count) && isCounts(count))))
}

export function isLatency(value: unknown): value is LatencyData {
  return isRecord(value) && isEncoded(value['counts']) && isAmount(value['sumMs']) && isAmount(value['maxMs'])
}

export function isEncoded(value: unknown): boolean {
  return typeof value === 'string' && addEncoded(value, new Float64Array(bucketCount))
}

/** Latency by outcome. */
export function isLatencies(value: unknown): boolean {
  return isRecord(value) && Object.entries(value).every(([outcome, data]) => requestOutcomes.includes(outcome as RequestOutcome) && isLatency(data))
}

/** A count for each outcome. */
export function isOutcomes(value: unknown): boolean {
  return isRecord(value) && requestOutcomes.every(outcome => isAmount(value[outcome]))
}
