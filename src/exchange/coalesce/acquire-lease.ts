// The lease of a variant: among all processes one leader fetches, and the others wait for it.
import type { HeldElsewhere, Leases, Outcome } from '../../store/lease.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { Fetch } from './coalescer.ts'
import type { ClientResponse } from '../client/response.ts'
import type { ExchangeObserver } from '../client/exchange.ts'
import { uncacheableOutcome } from './hit-for-miss.ts'

export interface ContendParts {
  readonly leases: Leases
  readonly purgeLog: PurgeLog
  readonly observer: ExchangeObserver
  /** How long one holder of a lease is waited for, in milliseconds. */
  readonly coalesceWaitMs: number
}

/** The request that waits for its turn. */
export interface LeaseWaiter {
  /** The response to its client: once the client has left, nothing is waited for or sent to Redis. undefined: no client waits. */
  readonly response: ClientResponse | undefined
  /** The token of a holder that has been waited for long enough; '': nobody. */
  readonly stealFrom: string
}

/**
 * - `fetch`: this leader fetches, with the lease if there is one.
 * - `look`: the lease is held, but an entry exists that may be newer than the last lookup. Look up again before fetching.
 * - `left`: the client left while the leader waited.
 * - an outcome: another process fetched instead, with this result.
 */
export type LeaseTurn = 'fetch' | 'look' | 'left' | Outcome

// The most leases that are taken from their holders one after the other, before going without a lease. Such a holder takes
// another log to be true, or began before a purge, so there is hardly ever more than one.
const maxUsurped = 2
// How long leases that end in nothing are waited for, one after the other, before going without. A holder that is alive
// renews its lease, so an origin may take this long; but nothing in Redis keeps a request for ever.
const mostWaitedMs = 60_000

/**
 * Waits for the turn of this leader: at once, or when the process that holds the lease is done. Never rejects.
 * @param waiter undefined: no client waits, and no holder is known
 */
export async function acquireLease(parts: ContendParts, asked: RoutedRequest, lead: Fetch, waiter?: LeaseWaiter): Promise<LeaseTurn> {
  const patience = new HolderWait(parts.coalesceWaitMs)
  try {
    return await contend(parts, asked, lead, waiter, patience)
  } finally {
    patience.end()
  }
}

async function contend({ leases, purgeLog, observer }: ContendParts, asked: RoutedRequest, lead: Fetch, waiter: LeaseWaiter | undefined, patience: HolderWait): Promise<LeaseTurn> {
  const { key, fetchVariant } = asked
  const acceptsOutcome = uncacheableOutcome(asked)
  const response = waiter?.response
  let stealFrom = waiter?.stealFrom
  let waited = false
  let waitedMs = 0
  for (let takes = 1, usurpations = 0;; takes++) {
    if (response?.hasLeft === true) return 'left'
    const taking = await leases.take(key, lead.stamp, acceptsOutcome, stealFrom, fetchVariant)
    if (taking.kind === 'unavailable') return 'fetch'
    if (taking.kind === 'knownUncacheable') return acceptsOutcome
    if (taking.kind === 'acquired') {
      lead.hold(taking.lease)
      observer.count('leases')
      if (takes > 1 || (stealFrom !== undefined && stealFrom !== '')) observer.count('leasesTakenOver')
      return taking.lease.hasEntry ? 'look' : 'fetch'
    }
    if (purgeLog.mayMatch(taking.stamp, asked.url)) {
      // That fetch began before a purge, which this request came after: what it brings is not for this one.
      taking.leave()
      if (++usurpations > maxUsurped || !purgeLog.isCaughtUp()) return 'fetch'
      stealFrom = taking.token
      continue
    }
    if (!waited) observer.count('waits')
    waited = true
    stealFrom = undefined
    const word = await overOrLeft(taking, response, patience)
    if (word !== 'expired') return word
    // The holder hangs, or its origin does. The first process that finds this takes the lease, and the others wait for that one.
    // A background refresh may go on waiting, unless a request waits for it.
    if (patience.isOver && (response !== undefined || lead.joined)) stealFrom = taking.token
    waitedMs += taking.waitMs
    if (waitedMs >= mostWaitedMs) return 'fetch'
  }
}

// As lapsed, when the client leaves.
async function overOrLeft(taking: HeldElsewhere, response: ClientResponse | undefined, patience: HolderWait): Promise<Outcome | 'expired'> {
  const leave = (): void => taking.leave()
  response?.onClose(leave)
  patience.begin(taking.token, leave)
  try {
    // The client may have left during the call to Redis. Then the listener is not called any more.
    if (response?.hasLeft === true) leave()
    return await taking.ended()
  } finally {
    patience.pause()
    response?.offClose(leave)
  }
}

/** The time for which one holder is waited for. Another holder gets the same time. */
class HolderWait {
  isOver = false
  readonly #waitMs: number
  #token: string | undefined
  #timer: NodeJS.Timeout | undefined
  #leave: (() => void) | undefined

  constructor(waitMs: number) {
    this.#waitMs = waitMs
  }

  begin(token: string, leave: () => void): void {
    this.#leave = leave
    if (token === this.#token) return
    this.end()
    this.#token = token
    this.isOver = false
    this.#timer = setTimeout(() => {
      this.isOver = true
      this.#leave?.()
    }, this.#waitMs)
  }

  /** Lets the time go on, while the lease is taken again. */
  pause(): void {
    this.#leave = undefined
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
