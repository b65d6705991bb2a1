// One fetch per key among all processes: a lead takes the key's lease, or waits for the process that has it.
import { normalTarget } from '../http/normal-target.ts'
import type { Leases, Outcome } from '../store/lease.ts'
import type { PurgeLog } from '../store/purge-log.ts'
import type { Asked } from './client.ts'
import type { Lead } from './coalesce.ts'
import type { Counters } from './counters.ts'
import { uncacheableOutcome } from './uncacheable.ts'

export interface ContendParts {
  readonly leases: Leases
  readonly purgeLog: PurgeLog
  readonly counters: Counters
}

/**
 * - ask: it is this lead's to ask the origin, with the lease if there is one to be had.
 * - look: it holds the lease, but something is stored, perhaps since it last looked: look again, and then ask.
 * - an outcome: another process asked in its place, and that is what became of it.
 */
export type Turn = 'ask' | 'look' | Outcome

// Leases that are taken from their holders one after the other, before going without: each of them is of one who holds
// another log to be true, or began before a purge, so there is hardly ever more than one.
const maxUsurped = 2

/** Whose turn it is, once that is known: at once, or when the process that holds the lease is done. Never rejects. */
export async function contend({ leases, purgeLog, counters }: ContendParts, asked: Asked, lead: Lead): Promise<Turn> {
  const { request, key } = asked
  const heeds = uncacheableOutcome(asked)
  let usurped: string | undefined
  let waited = false
  for (let takes = 1, usurpations = 0; ; takes++) {
    const taking = await leases.take(key, lead.stamp, heeds, usurped)
    if (taking.kind === 'none') return 'ask'
    if (taking.kind === 'told') return heeds
    if (taking.kind === 'held') {
      lead.hold(taking.lease)
      counters.leases++
      if (takes > 1) counters.leasesTakenOver++
      return taking.lease.occupied ? 'look' : 'ask'
    }
    if (purgeLog.mayTouch(taking.stamp, request.authority, normalTarget(request.target))) {
      // That fetch began before a purge, which this request came after: what it brings is not for this one.
      taking.leave()
      if (++usurpations > maxUsurped || !purgeLog.current()) return 'ask'
      usurped = taking.token
      continue
    }
    if (!waited) counters.waits++
    waited = true
    usurped = undefined
    const word = await taking.over()
    if (word !== 'lapsed') return word
  }
}
