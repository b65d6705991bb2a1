// The numbers of a set of requests: outcomes, bytes, saved time, and latency by outcome.
import type { ClientExchange } from '../exchange/client/exchange.ts'
import { requestOutcomes, type RequestOutcome } from '../exchange/client/outcome.ts'
import { bucketOf } from './buckets.ts'
import { isAmount, isCounts, isLatencies, isOutcomes, isRecord } from './checks.ts'
import { Latency, mergedLatency, type LatencyData, type LatencySummary } from './latency.ts'

/** The numbers of a set of requests, as processes exchange them. */
export interface TrafficData {
  readonly outcomes: Readonly<Record<RequestOutcome, number>>
  /** Bytes of response bodies that were handed to client connections. */
  readonly bytesToClients: number
  /** The part of `bytesToClients` that no origin sent for these requests: hits, stale, revalidated and coalesced responses. */
  readonly bytesSaved: number
  /** The part of `bytesToClients` that an origin sent for these requests: misses, and passed responses. */
  readonly bytesRelayed: number
  readonly savedOriginMs: number
  /** Outcomes without a request are left out. */
  readonly latency: Readonly<Partial<Record<RequestOutcome, LatencyData>>>
  /** Responses that were fetched for these requests and not stored, by the reason. */
  readonly notStored: Readonly<Record<string, number>>
}

const indexes = Object.fromEntries(requestOutcomes.map((outcome, i) => [outcome, i])) as Readonly<Record<RequestOutcome, number>>

/** The outcomes whose body no origin sent for the request, and those whose body an origin sent. */
const saving = (['hit', 'stale', 'revalidated', 'coalesced'] as const).map(outcome => indexes[outcome])
const relaying = (['miss', 'pass'] as const).map(outcome => indexes[outcome])

/** Counts requests. Counting allocates nothing, but for the first request of an outcome and for responses that are not stored. */
export class Traffic {
  readonly outcomes = new Float64Array(requestOutcomes.length)
  readonly latency: (Latency | undefined)[] = requestOutcomes.map(() => undefined)
  readonly notStored = new Map<string, number>()
  readonly bytesByOutcome = new Float64Array(requestOutcomes.length)
  #savedOriginMs = 0

  /** @param ms how long the request took @param bucket the index of its bucket */
  count(exchange: ClientExchange, ms: number, bucket = bucketOf(ms)): void {
    const { outcome, bodyBytes, notStored } = exchange
    const index = indexes[outcome]
    this.outcomes[index] = (this.outcomes[index] as number) + 1
    this.bytesByOutcome[index] = (this.bytesByOutcome[index] as number) + bodyBytes
    if (outcome === 'hit' || outcome === 'stale') this.#savedOriginMs += exchange.storedFetchMs
    // A WebSocket lasts as long as its client wants.
    if (!exchange.hasSwitched) (this.latency[index] ??= new Latency()).record(ms, bucket)
    if (notStored !== undefined) this.notStored.set(notStored, (this.notStored.get(notStored) ?? 0) + 1)
  }

  get bytesToClients(): number {
    let sum = 0
    for (const bytes of this.bytesByOutcome) sum += bytes
    return sum
  }

  get bytesSaved(): number {
    return this.#bytesOf(saving)
  }

  get bytesRelayed(): number {
    return this.#bytesOf(relaying)
  }

  #bytesOf(outcomes: readonly number[]): number {
    return outcomes.reduce((sum, i) => sum + (this.bytesByOutcome[i] as number), 0)
  }

  get savedOriginMs(): number {
    return this.#savedOriginMs
  }

  data(): TrafficData {
    const latency: Partial<Record<RequestOutcome, LatencyData>> = {}
    for (const [i, outcome] of requestOutcomes.entries()) {
      const counted = this.latency[i]
      if (counted !== undefined) latency[outcome] = counted.data()
    }
    return {
      outcomes: byOutcome(i => this.outcomes[i] as number),
      bytesToClients: this.bytesToClients,
      bytesSaved: this.bytesSaved,
      bytesRelayed: this.bytesRelayed,
      savedOriginMs: Math.round(this.#savedOriginMs),
      latency,
      notStored: Object.fromEntries(this.notStored),
    }
  }
}

function byOutcome(read: (index: number) => number): Record<RequestOutcome, number> {
  return Object.fromEntries(requestOutcomes.map((outcome, i) => [outcome, read(i)])) as Record<RequestOutcome, number>
}

/** Returns the traffic by route that another process has written; undefined if it is none. */
export function readTrafficByRoute(value: unknown): Readonly<Record<string, TrafficData>> | undefined {
  // Safe: checked here.
  return isRecord(value) && Object.values(value).every(isTraffic) ? value as Readonly<Record<string, TrafficData>> : undefined
}

function isTraffic(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { outcomes, bytesToClients, bytesSaved, bytesRelayed, savedOriginMs, latency, notStored } = value
  return isOutcomes(outcomes) && [bytesToClients, bytesSaved, bytesRelayed, savedOriginMs].every(isAmount) && isLatencies(latency) && isCounts(notStored)
}

export const noTraffic: TrafficData = new Traffic().data()

/** The numbers of several processes, or routes, together. */
export function mergedTraffic(all: readonly TrafficData[]): Omit<TrafficData, 'latency'> & { readonly latency: Readonly<Record<RequestOutcome, Latency>> } {
  const notStored: Record<string, number> = {}
  for (const each of all) for (const [reason, count] of Object.entries(each.notStored)) notStored[reason] = (notStored[reason] ?? 0) + count
  const sum = (read: (data: TrafficData) => number): number => all.reduce((total, data) => total + read(data), 0)
  return {
    outcomes: byOutcome(i => sum(({ outcomes }) => outcomes[requestOutcomes[i] as RequestOutcome])),
    bytesToClients: sum(({ bytesToClients }) => bytesToClients),
    bytesSaved: sum(({ bytesSaved }) => bytesSaved),
    bytesRelayed: sum(({ bytesRelayed }) => bytesRelayed),
    savedOriginMs: sum(({ savedOriginMs }) => savedOriginMs),
    latency: Object.fromEntries(requestOutcomes.map(outcome => [outcome, mergedLatency(all.map(({ latency }) => latency[outcome]))])) as Record<RequestOutcome, Latency>,
    notStored,
  }
}

/** Latency by outcome, as the admin API shows it. */
export function latencySummaries(latency: Readonly<Record<RequestOutcome, Latency>>): Record<RequestOutcome, LatencySummary> {
  return Object.fromEntries(requestOutcomes.map(outcome => [outcome, latency[outcome].summary()])) as Record<RequestOutcome, LatencySummary>
}

/** The share of hits and stale responses among the requests that are not passed; null if all are passed. */
export function hitRatio({ hit, stale, ...others }: Readonly<Record<RequestOutcome, number>>): number | null {
  const asked = hit + stale + others.revalidated + others.coalesced + others.miss + others.error
  return asked === 0 ? null : (hit + stale) / asked
}
