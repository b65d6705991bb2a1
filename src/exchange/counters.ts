// The plain integers that the request path counts in; readers take a snapshot.
import { errorCatalogue, type ErrorCode } from '../errors.ts'

/** The counters at one moment. All of them only ever go up while the process lives. */
export interface CountersSnapshot {
  /** Requests that were decided on: the sum of `requestsByReason`. */
  readonly requests: number
  readonly requestsByReason: Readonly<Record<string, number>>
  readonly hits: number
  readonly fillsBegun: number
  readonly fillsCommitted: number
  readonly fillsAborted: number
  readonly originErrors: Readonly<Record<string, number>>
  /** Fetched responses that were not stored, by the reason. */
  readonly notStoredByReason: Readonly<Record<string, number>>
  readonly purges: number
  readonly invalidationsDeferred: number
  readonly coalesced: number
  readonly waits: number
  readonly leases: number
  readonly leasesTakenOver: number
  readonly backgroundRefreshes: number
  readonly bodiesContinued: number
  readonly unsendable: number
}

/** Where reasons that were not named at the start are counted: a metric's labels must stay a closed set. */
const otherReason = 'other'

/** Integers under a closed set of names, so that counting is one look-up and one addition in place. */
class NamedCounts {
  readonly #names: readonly string[]
  readonly #indexes: Readonly<Record<string, number>>
  // Doubles in place: a plain array's element would be boxed anew once it outgrew a small integer.
  readonly #counts: Float64Array
  readonly #rest: number

  /** @param rest the name under which every other name is counted; it must be one of `names` */
  constructor(names: readonly string[], rest: string) {
    const indexes: Record<string, number> = Object.create(null) as Record<string, number>
    for (const name of names) indexes[name] ??= Object.keys(indexes).length
    this.#names = Object.keys(indexes)
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

  snapshot(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const [index, name] of this.#names.entries()) counts[name] = this.#counts[index] as number
    return counts
  }
}

const originErrorCodes = Object.entries(errorCatalogue).filter(([, row]) => row.source === 'origin').map(([code]) => code)

/**
 * The counters of the request path. Counting allocates nothing and calls nothing outside this file; the fields are
 * incremented directly (`counters.hits++`). Each process has one object.
 */
export class Counters {
  /** Requests that were served a stored response that was there when they came, without contacting the origin, 304 to the client included. */
  hits = 0
  /** Fetches whose response was to be stored, and how they ended. */
  fillsBegun = 0
  fillsCommitted = 0
  fillsAborted = 0
  /** Purges recorded by this process, through the admin API or by an unsafe response. */
  purges = 0
  /** Unsafe responses whose invalidation could not be recorded at once. */
  invalidationsDeferred = 0
  /** Requests that waited for another request's fetch and were served its response. */
  coalesced = 0
  /** Times that somebody began to wait for another's fetch, in this process or in another. */
  waits = 0
  /** Leases taken: fetches for which other processes would have waited. */
  leases = 0
  /** The part of these leases that were taken from a holder that had died, was held up for too long, or began before a purge. */
  leasesTakenOver = 0
  /** Fetches made after the client had its stale response (RFC 5861 §3). */
  backgroundRefreshes = 0
  /** Responses whose stored body was lost in their middle, and whose rest was requested from the origin. */
  bodiesContinued = 0
  /** Responses that Node would not send: each ended its exchange alone. */
  unsendable = 0

  readonly #reasons: NamedCounts
  readonly #notStored: NamedCounts
  readonly #originErrors = new NamedCounts([...originErrorCodes, 'INTERNAL'], 'INTERNAL')

  /** @param decisions and @param notStored every reason there is: each stands in the metrics from the start, at 0 */
  constructor(decisions: readonly string[], notStored: readonly string[]) {
    this.#reasons = new NamedCounts([...decisions, otherReason], otherReason)
    this.#notStored = new NamedCounts([...notStored, otherReason], otherReason)
  }

  /** Counts one request under the reason of its decision. A reason that was not named at the start counts as `other`. */
  count(reason: string): void {
    this.#reasons.count(reason)
  }

  /** Counts one response that is not stored, under its reason. */
  notStored(reason: string): void {
    this.#notStored.count(reason)
  }

  /** Counts one failed exchange with an origin under its code; a code that is no origin's counts as `INTERNAL`. */
  originError(code: ErrorCode): void {
    this.#originErrors.count(code)
  }

  snapshot(): CountersSnapshot {
    return {
      requests: this.#reasons.total(),
      requestsByReason: this.#reasons.snapshot(),
      hits: this.hits,
      fillsBegun: this.fillsBegun,
      fillsCommitted: this.fillsCommitted,
      fillsAborted: this.fillsAborted,
      originErrors: this.#originErrors.snapshot(),
      notStoredByReason: this.#notStored.snapshot(),
      purges: this.purges,
      invalidationsDeferred: this.invalidationsDeferred,
      coalesced: this.coalesced,
      waits: this.waits,
      leases: this.leases,
      leasesTakenOver: this.leasesTakenOver,
      backgroundRefreshes: this.backgroundRefreshes,
      bodiesContinued: this.bodiesContinued,
      unsendable: this.unsendable,
    }
  }
}

const snapshotNames = Object.keys(new Counters([], []).snapshot()) as (keyof CountersSnapshot)[]

/** Returns the sum of the counters of several processes. A counter that none of them has is left out. */
export function totalOf(snapshots: readonly CountersSnapshot[]): CountersSnapshot {
  const total: Record<string, number | Record<string, number>> = {}
  for (const snapshot of snapshots) {
    for (const name of snapshotNames) total[name] = added(total[name], snapshot[name])
  }
  // Safe: each name of a snapshot, and what is under it is added to its like.
  return total as object as CountersSnapshot
}

function added(total: number | Record<string, number> | undefined, more: number | Readonly<Record<string, number>>): number | Record<string, number> {
  if (typeof more === 'number') return (typeof total === 'number' ? total : 0) + more
  const sums: Record<string, number> = typeof total === 'object' ? total : {}
  for (const [name, count] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + count
  return sums
}
