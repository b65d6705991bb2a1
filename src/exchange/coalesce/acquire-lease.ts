// The lease of a variant: among all processes one leader fetches, and the others wait for it.
import { normalTarget } from '../../http/normal-target.ts'
import type { HeldElsewhere, Leases, Outcome } from '../../store/lease.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { Fetch } from './coalescer.ts'
import type { ClientResponse } from '../client/response.ts'
import type { Counters } from '../counters.ts'
import { uncacheableOutcome } from './hit-for-miss.ts'

export interface ContendParts {
  readonly leases: Leases
  readonly purgeLog: PurgeLog
  readonly counters: Counters
}

/**
 * - `fetch`: this leader fetches, with the lease if there is one.
 * - `look`: the lease is held, but an entry exists that may be newer than the last lookup. Look up again before fetching.
 * - `left`: the client left while the leader waited.
 * - an outcome: another process fetched instead, with this result.
 */
export type LeaseTurn = 'fetch' | 'look' | 'left' | Outcome

// Leases that are taken from their holders one after the other, before going without: each of them is of one who holds
// another log to be true, or began before a purge, so there is hardly ever more than one.
const maxUsurped = 2
// How long leases that end in nothing are waited for, one after the other, before going without. A holder that is alive
// renews its lease, so an origin may take this long; but nothing in Redis keeps a request for ever.
const mostWaitedMs = 60_000

/**
 * Whose turn it is, once that is known: at once, or when the process that holds the lease is done. Never rejects.
 * @param response of the client for whom this is done: nothing is waited or asked for once it has left; undefined: nobody's
 */
export async function acquireLease({ leases, purgeLog, counters }: ContendParts, asked: RoutedRequest, lead: Fetch, response?: ClientResponse): Promise<LeaseTurn> {
  const { request, key, fetchVariant } = asked
  const acceptsOutcome = uncacheableOutcome(asked)
  let stealFrom: string | undefined
  let waited = false
  let waitedMs = 0
  for (let takes = 1, usurpations = 0; ; takes++) {
    if (response?.hasLeft === true) return 'left'
    const taking = await leases.take(key, lead.stamp, acceptsOutcome, stealFrom, fetchVariant)
    if (taking.kind === 'unavailable') return 'fetch'
    if (taking.kind === 'knownUncacheable') return acceptsOutcome
    if (taking.kind === 'acquired') {
      lead.hold(taking.lease)
      counters.leases++
      if (takes > 1) counters.leasesTakenOver++
      return taking.lease.hasEntry ? 'look' : 'fetch'
    }
    if (purgeLog.mayMatch(taking.stamp, request.authority, normalTarget(request.target))) {
      // That fetch began before a purge, which this request came after: what it brings is not for this one.
      taking.leave()
      if (++usurpations > maxUsurped || !purgeLog.isCaughtUp()) return 'fetch'
      stealFrom = taking.token
      continue
    }
    if (!waited) counters.waits++
    waited = true
    stealFrom = undefined
    const word = await overOrLeft(taking, response)
    if (word !== 'expired') return word
    waitedMs += taking.waitMs
    if (waitedMs >= mostWaitedMs) return 'fetch'
  }
}

// As lapsed, when the client leaves.
async function overOrLeft(taking: HeldElsewhere, response: ClientResponse | undefined): Promise<Outcome | 'expired'> {
  if (response === undefined) return taking.ended()
  const leave = (): void => taking.leave()
  response.onClose(leave)
  try {
    // It may have left while Redis was asked: then nobody calls any more.
    if (response.hasLeft) leave()
    return await taking.ended()
  } finally {
    response.offClose(leave)
  }
}
