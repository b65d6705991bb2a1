// The plain integers that the request path counts in. Metrics and statistics read a snapshot.
import { errorCatalogue, type SpringhouseError } from '../errors.ts'
import { notStoredReasons, requestReasons } from '../policy/reasons.ts'
import type { ClientExchange, ExchangeEvent, ExchangeObserver } from './client/exchange.ts'
import { requestOutcomes, type RequestOutcome } from './client/outcome.ts'

/** The counters at one moment. All of them only go up while the process lives. */
export interface CountersSnapshot {
  /** Requests that have ended: the sum of `outcomes`, and of `requestsByReason`. */
  readonly requests: number
  readonly outcomes: Readonly<Record<RequestOutcome, number>>
  readonly requestsByReason: Readonly<Record<string, number>>
  /** The outcome `hit`. */
  readonly hits: number
  /** Milliseconds that the origin took for the stored responses of all hits and stale responses, when they were fetched. */
  readonly savedOriginMs: number
  readonly fillsBegun: number
  readonly fillsCommitted: number
  readonly fillsAborted: number
  readonly originErrors: Readonly<Record<string, number>>
  /** Fetched responses that were not stored, by the reason. */
  readonly notStoredByReason: Readonly<Record<string, number>>
  readonly purges: number
  readonly invalidationsDeferred: number
  /** The outcome `coalesced`. */
  readonly coalesced: number
  readonly waits: number
  readonly leases: number
  readonly leasesTakenOver: number
  readonly backgroundRefreshes: number
  readonly bodiesContinued: number
  readonly unsendable: number
}

/** Integers under a closed set of names, so that counting is one look-up and one addition in place. */
class NamedCounts<Name extends string> {
  readonly #names: readonly Name[]
  readonly #indexes: Readonly<Record<string, number>>
  // Doubles in place: a plain array's element would be boxed anew once it outgrew a small integer.
  readonly #counts: Float64Array
  readonly #rest: number

  /** @param rest the name under which every other name is counted; it is one of `names` */
  constructor(names: readonly Name[], rest: Name) {
    const indexes: Record<string, number> = Object.create(null) as Record<string, number>
    for (const name of names) indexes[name] ??= Object.keys(indexes).length
    this.#names = Object.keys(indexes) as Name[]
    this.#indexes = indexes
    this.#counts = new Float64Array(this.#names.length)
    this.#rest = indexes[rest] as number
  }

  count(name: string): void {
    const index = this.#indexes[name] ?? this.#rest
    this.#counts[index] = (this.#counts[index] as number) + 1
  }

  total(): number {
    let sum = 0
    for (const count of this.#counts) sum += count
    return sum
  }

  snapshot(): Record<Name, number> {
    const counts = {} as Record<Name, number>
    for (const [index, name] of this.#names.entries()) counts[name] = this.#counts[index] as number
    return counts
  }
}

/** The codes of errors that are not the client's, as the metrics name them. */
const countedErrorCodes = [...Object.entries(errorCatalogue).filter(([, row]) => row.source === 'origin').map(([code]) => code), 'PROXY_EXHAUSTED', 'PROXY_BUSY']

/** Counts what happens to exchanges. Counting allocates nothing and calls nothing outside this file. Each process has one. */
export class Counters implements ExchangeObserver {
  // Each reason stands in the metrics from the start, at 0.
  readonly #outcomes = new NamedCounts(requestOutcomes, 'error')
  readonly #reasons = new NamedCounts(requestReasons, 'refused')
  readonly #notStored = new NamedCounts(notStoredReasons, 'store-refused')
  readonly #originErrors = new NamedCounts([...countedErrorCodes, 'INTERNAL'], 'INTERNAL')
  readonly #events: Record<ExchangeEvent, number> = {
    fillsBegun: 0,
    fillsCommitted: 0,
    fillsAborted: 0,
    purges: 0,
    waits: 0,
    leases: 0,
    leasesTakenOver: 0,
    backgroundRefreshes: 0,
    bodiesContinued: 0,
    unsendable: 0,
  }
  #savedOriginMs = 0
  #deferred = 0

  delivered({ outcome, reason, storedFetchMs }: ClientExchange): void {
    this.#outcomes.count(outcome)
    this.#reasons.count(reason)
    if (outcome === 'hit' || outcome === 'stale') this.#savedOriginMs += storedFetchMs
  }

  failed({ source, code }: SpringhouseError): void {
    if (source === 'origin' || source === 'internal') this.#originErrors.count(code)
  }

  notStored(reason: string): void {
    this.#notStored.count(reason)
  }

  deferred(): void {
    this.#deferred++
  }

  count(event: ExchangeEvent): void {
    this.#events[event]++
  }

  snapshot(): CountersSnapshot {
    const outcomes = this.#outcomes.snapshot()
    return {
      requests: this.#outcomes.total(),
      outcomes,
      requestsByReason: this.#reasons.snapshot(),
      hits: outcomes.hit,
      savedOriginMs: Math.round(this.#savedOriginMs),
      originErrors: this.#originErrors.snapshot(),
      notStoredByReason: this.#notStored.snapshot(),
      coalesced: outcomes.coalesced,
      invalidationsDeferred: this.#deferred,
      ...this.#events,
    }
  }
}

const zeros = new Counters().snapshot()

/** The counts of several processes together. Counts that a snapshot leaves out are 0; those that this build does not know are left out. */
export function totalOf(snapshots: readonly Partial<CountersSnapshot>[]): CountersSnapshot {
  const total = Object.entries(zeros).map(([name, zero]: [string, number | Readonly<Record<string, number>>]) => {
    const values = snapshots.map(snapshot => snapshot[name as keyof CountersSnapshot])
    return [name, typeof zero === 'number' ? sumOf(values) : sumsOf(zero, values)]
  })
  // Safe: each name of a snapshot, with a number or the numbers that it has there.
  return Object.fromEntries(total) as object as CountersSnapshot
}

function sumOf(values: readonly unknown[]): number {
  return values.reduce<number>((sum, value) => (typeof value === 'number' ? sum + value : sum), 0)
}

function sumsOf(zero: Readonly<Record<string, number>>, values: readonly unknown[]): Record<string, number> {
  return Object.fromEntries(
    Object.keys(zero).map(name => [name, sumOf(values.map(value => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : 0)))]),
  )
}
