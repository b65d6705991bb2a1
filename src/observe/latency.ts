// The durations of one kind of request: counts by bucket, their sum, and the longest.
import { addEncoded, bucketCount, bucketOf, encodeCounts, quantileOf } from './buckets.ts'

/** Durations as processes exchange them. */
export interface LatencyData {
  /** See encodeCounts. */
  readonly counts: string
  readonly sumMs: number
  readonly maxMs: number
}

/** Durations as the admin API shows them, in milliseconds. A percentile is the bound of its bucket; null if nothing was counted. */
export interface LatencySummary {
  readonly count: number
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly max: number | null
}

export class Latency {
  readonly counts = new Float64Array(bucketCount)
  sumMs = 0
  maxMs = 0

  /** Counts a duration. Allocates nothing. @param bucket the index of its bucket, for a caller that knows it */
  record(ms: number, bucket = bucketOf(ms)): void {
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.sumMs += ms
    if (ms > this.maxMs) this.maxMs = ms
  }

  add(other: Latency): void {
    for (let i = 0; i < bucketCount; i++) this.counts[i] = (this.counts[i] as number) + (other.counts[i] as number)
    this.sumMs += other.sumMs
    this.maxMs = Math.max(this.maxMs, other.maxMs)
  }

  /** Adds durations of another process. Data that cannot be read adds nothing. */
  addData(data: LatencyData): void {
    if (!addEncoded(data.counts, this.counts)) return
    this.sumMs += data.sumMs
    this.maxMs = Math.max(this.maxMs, data.maxMs)
  }

  get count(): number {
    let sum = 0
    for (const count of this.counts) sum += count
    return sum
  }

  quantile(quantile: number): number | null {
    return quantileOf(this.counts, quantile, this.maxMs)
  }

  summary(): LatencySummary {
    const { count } = this
    return { count, p50: this.quantile(0.5), p90: this.quantile(0.9), p99: this.quantile(0.99), max: count === 0 ? null : this.maxMs }
  }

  data(): LatencyData {
    return { counts: encodeCounts(this.counts), sumMs: round(this.sumMs), maxMs: round(this.maxMs) }
  }
}

/** Durations of several processes as one. Percentiles come from the sum of the counts, never from other percentiles. */
export function mergedLatency(all: Iterable<LatencyData | undefined>): Latency {
  const merged = new Latency()
  for (const data of all) if (data !== undefined) merged.addData(data)
  return merged
}

// Microseconds: the text of more digits would only take room.
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
