// The coalescer: for each variant one request in a process leads a fetch, and its followers wait.
import type { Addressed, LogPosition } from '../../policy/stored.ts'
import type { Lease, Outcome } from '../../store/lease.ts'
import type { PurgeLog } from '../../store/purge/log.ts'

/** A fetch that others may wait for. */
export class Fetch {
  readonly stamp: LogPosition
  /** True once a follower in this process has waited for it. */
  joined = false
  /** Settles with the outcome of the fetch when another lookup is worthwhile. Never rejects. */
  readonly settled: Promise<Outcome>
  readonly #leave: () => void
  #resolve: ((outcome: Outcome) => void) | undefined
  #lease: Lease | undefined

  constructor(stamp: LogPosition, leave: (lead: Fetch) => void) {
    this.stamp = stamp
    this.#leave = () => leave(this)
    this.settled = new Promise(resolve => { this.#resolve = resolve })
  }

  /** Takes charge of the lease under which other processes wait for this fetch as well. */
  hold(lease: Lease): void {
    this.#lease = lease
  }

  /** Releases all followers, here and elsewhere. The first call counts. */
  settle(outcome: Outcome): void {
    this.#leave()
    this.#resolve?.(outcome)
    this.#lease?.release(outcome)
    this.#resolve = this.#lease = undefined
  }
}

/** The fetches in flight in this process, by `fetchKey` (../routed-request.ts). */
export class Coalescer {
  readonly #leads = new Map<string, Fetch>()
  readonly #log: PurgeLog

  constructor(log: PurgeLog) {
    this.#log = log
  }

  /**
   * Returns the lead to wait for, if there is one that this request may share. A lead that began before a purge that may
   * match the URL is not shared. Its response may be older than the purge, and this request is younger.
   */
  joinFetch(key: string, asked: { readonly url: Addressed }): Fetch | undefined {
    const lead = this.#leads.get(key)
    if (lead === undefined || this.#log.mayMatch(lead.stamp, asked.url)) return undefined
    lead.joined = true
    return lead
  }

  /** Becomes the lead for a key, in the place of an older one that may no longer be joined. */
  beginFetch(key: string, stamp: LogPosition): Fetch {
    const lead = new Fetch(stamp, left => {
      if (this.#leads.get(key) === left) this.#leads.delete(key)
    })
    this.#leads.set(key, lead)
    return lead
  }
}
