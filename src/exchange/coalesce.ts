// One fetch per key: who leads, and who waits for the lead.
import type { Stamp } from '../policy/stored.ts'
import type { PurgeLog } from '../store/purge-log.ts'

/** A fetch that others may wait for. */
export interface Lead {
  readonly stamp: Stamp
  /** Settles, never rejects, when looking again is worthwhile: stored, found uncacheable, or failed. */
  readonly settled: Promise<void>
  settle(): void
}

class OpenLead implements Lead {
  readonly stamp: Stamp
  readonly settled: Promise<void>
  readonly #leave: () => void
  #resolve: (() => void) | undefined

  constructor(stamp: Stamp, leave: () => void) {
    this.stamp = stamp
    this.#leave = leave
    this.settled = new Promise(resolve => { this.#resolve = resolve })
  }

  settle(): void {
    this.#leave()
    this.#resolve?.()
  }
}

/** The fetches under way in this process, by key. */
export class Coalescer {
  readonly #leads = new Map<string, Lead>()
  readonly #log: PurgeLog

  constructor(log: PurgeLog) {
    this.#log = log
  }

  /**
   * The lead to wait for, if there is one that this request may share. One that began before a purge that may touch the
   * URL is not shared: its response may be older than the purge, and this request is younger.
   */
  join(key: string, authority: string, target: string): Lead | undefined {
    const lead = this.#leads.get(key)
    if (lead === undefined || this.#log.mayTouch(lead.stamp, authority, target)) return undefined
    return lead
  }

  /** Becomes the lead for a key, in the place of an older one that may no longer be joined. */
  begin(key: string, stamp: Stamp): Lead {
    const lead = new OpenLead(stamp, () => {
      if (this.#leads.get(key) === lead) this.#leads.delete(key)
    })
    this.#leads.set(key, lead)
    return lead
  }
}
