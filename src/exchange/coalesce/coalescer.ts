// The coalescer: for each variant one request in a process leads a fetch, and its followers wait.
import type { Addressed, LogPosition } from '../../policy/stored.ts'
import type { Lease, Outcome } from '../../store/lease.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { ClientResponse } from '../client/response.ts'
import type { Reading } from './reading.ts'
import type { SharedResponse, SharedSource } from './shared-response.ts'

/** Returns how a follower is served a response that is still arriving; undefined if it must wait. */
export type Judge = (shared: SharedResponse) => Reading | undefined

/**
 * The end of a follower's wait.
 * - `ended`: the fetch has ended with this outcome, and another look-up is worthwhile.
 * - `reads`: the response is arriving, and may serve this follower.
 * - `leads`: the fetch took too long. This follower fetches too, and the others wait for either.
 */
export type Waited =
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'reads'; readonly reading: Reading }
  | { readonly kind: 'leads'; readonly lead: Fetch; readonly stealFrom: string }

interface Follower {
  readonly response: Pick<ClientResponse, 'hasLeft'>
  readonly judge: Judge
  wake(waited: Waited): void
}

/** The fetches in flight in this process, as a fetch uses them. */
interface Fetches {
  readonly waitMs: number
  left(fetch: Fetch): void
  /** Returns the fetch that takes the place of one that takes too long; `begun` if it is new. */
  succeed(fetch: Fetch): { readonly fetch: Fetch; readonly begun: boolean }
}

/** A fetch that others may wait for. */
export class Fetch {
  readonly stamp: LogPosition
  /** True once a follower in this process has waited for it. */
  joined = false
  readonly #fetches: Fetches
  readonly #followers: Follower[] = []
  /** The fetch that its followers wait for too, because this one took too long. */
  #successor: Fetch | undefined
  #source: SharedSource | undefined
  #hasBegun = false
  #isOver = false
  #patience: NodeJS.Timeout | undefined
  #lease: Lease | undefined
  #isAwaitedElsewhere = false

  constructor(stamp: LogPosition, fetches: Fetches) {
    this.stamp = stamp
    this.#fetches = fetches
  }

  /** Takes charge of the lease under which other processes wait for this fetch as well. */
  hold(lease: Lease): void {
    this.#lease = lease
    lease.whenAwaited(() => {
      this.#isAwaitedElsewhere = true
      this.#source?.open()?.await()
    })
  }

  /** The origin is contacted now. From now on followers wait for a bounded time. */
  begin(): void {
    this.#hasBegun = true
    this.#arm()
  }

  /** Waits for it, or for a response that arrives and may serve this follower. Never rejects. */
  follow(response: Pick<ClientResponse, 'hasLeft'>, judge: Judge): Promise<Waited> {
    this.joined = true
    return new Promise(wake => {
      this.#admit([{ response, judge, wake }])
    })
  }

  /** The response arrives: followers that it may serve read it, now and until the fetch is settled. The others go on waiting. */
  share(source: SharedSource): void {
    if (this.#isOver) return
    this.#source = source
    if (this.#followers.length > 0) this.#admit(this.#followers.splice(0))
    if (this.#isAwaitedElsewhere) source.open()?.await()
  }

  #admit(followers: readonly Follower[]): void {
    const shared = this.#source?.open()
    for (const follower of followers) {
      const reading = shared && follower.judge(shared)
      if (reading === undefined) this.#followers.push(follower)
      else follower.wake({ kind: 'reads', reading })
    }
    if (this.#followers.length > 0) shared?.await()
    this.#arm()
  }

  /** Releases all followers, here and elsewhere. The first call counts. */
  settle(outcome: Outcome): void {
    if (this.#isOver) return
    this.#isOver = true
    // A Map keeps what was deleted from it until its table is collected: without this, whole responses stayed in memory.
    this.#source = undefined
    clearTimeout(this.#patience)
    this.#fetches.left(this)
    this.#release(outcome)
    this.#lease?.release(outcome)
    this.#lease = undefined
  }

  #release(outcome: Outcome): void {
    // The followers wait for another fetch by now. A failure is no reason to end that wait.
    if (this.#successor !== undefined) {
      if (outcome !== 'failed' && outcome !== 'refused') this.#successor.#release(outcome)
      return
    }
    for (const { wake } of this.#followers.splice(0)) wake({ kind: 'ended', outcome })
  }

  #arm(): void {
    if (!this.#hasBegun || this.#isOver || this.#followers.length === 0) return
    this.#patience ??= setTimeout(() => this.#pass(), this.#fetches.waitMs)
  }

  // A single follower fetches too, and the others wait for either. If each fetched, an origin that is slow under load would get them all.
  #pass(): void {
    this.#patience = undefined
    const waiting = this.#followers.filter(({ response }) => !response.hasLeft)
    for (const { response, wake } of this.#followers.splice(0)) if (response.hasLeft) wake({ kind: 'ended', outcome: 'failed' })
    if (waiting.length === 0) return
    const { fetch, begun } = this.#fetches.succeed(this)
    const first = begun ? waiting.shift() : undefined
    this.#successor = fetch
    if (waiting.length > 0) fetch.joined = true
    fetch.#admit(waiting)
    first?.wake({ kind: 'leads', lead: fetch, stealFrom: this.#lease?.token ?? '' })
  }
}

/** The fetches in flight in this process, by `fetchKey` (../routed-request.ts). */
export class Coalescer {
  readonly #leads = new Map<string, Fetch>()
  readonly #log: PurgeLog
  readonly #waitMs: number

  /** @param waitMs how long followers wait for a fetch before a follower fetches too */
  constructor(log: PurgeLog, waitMs: number) {
    this.#log = log
    this.#waitMs = waitMs
  }

  /**
   * Returns the lead to wait for, if there is one that this request may share. A lead that began before a purge that may
   * match the URL is not shared. Its response may be older than the purge, and this request is younger.
   */
  joinFetch(key: string, asked: { readonly url: Addressed }): Fetch | undefined {
    const lead = this.#shared(key, asked)
    if (lead !== undefined) lead.joined = true
    return lead
  }

  /** True if there is a lead that this request could wait for. For a request that will not wait: no other request takes over a fetch for it. */
  isFetched(key: string, asked: { readonly url: Addressed }): boolean {
    return this.#shared(key, asked) !== undefined
  }

  #shared(key: string, asked: { readonly url: Addressed }): Fetch | undefined {
    const lead = this.#leads.get(key)
    return lead === undefined || this.#log.mayMatch(lead.stamp, asked.url) ? undefined : lead
  }

  /** Becomes the lead for a key, in the place of an older one that may no longer be joined. */
  beginFetch(key: string, stamp: LogPosition): Fetch {
    const lead: Fetch = new Fetch(stamp, {
      waitMs: this.#waitMs,
      left: left => {
        if (this.#leads.get(key) === left) this.#leads.delete(key)
      },
      succeed: slow => {
        // A request that came after a purge may have begun another fetch. It is young enough for the earlier ones too.
        const current = this.#leads.get(key)
        if (current !== undefined && current !== slow) return { fetch: current, begun: false }
        return { fetch: this.beginFetch(key, this.#log.applied), begun: true }
      },
    })
    this.#leads.set(key, lead)
    return lead
  }
}
