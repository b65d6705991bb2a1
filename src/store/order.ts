// Which of two responses is the newer one, where the clocks of replicas may disagree.
import { isAhead } from '../policy/freshness.ts'
import type { Metadata, LogPosition } from '../policy/stored.ts'

/** Where a response stands in the order of requests. */
export type Placed = Pick<Metadata, 'stamp' | 'requestTimeMs'>

/**
 * True if a stored response stays when another response of the same variant would replace it: it was requested later.
 *
 * Stamps decide first, because purges give them one order for all replicas, whatever their clocks say. A purged response
 * therefore never outlasts one that was requested after the purge. Wall clocks decide between requests with the same stamp.
 *
 * Two cases go to the newcomer. Stamps of two purge logs have no order, and the stored response may be dead for good. A
 * request time ahead of this clock comes from a clock that was wrong: no request could replace the response until then.
 * For the same reason a commit drops every other variant of its key that was received ahead of its clock.
 *
 * The function `outlasts` in redis/entries/scripts.ts is the same rule for Redis.
 *
 * @param nowMs time of day in milliseconds
 */
export function outlasts(stored: Placed, next: Placed, nowMs: number): boolean {
  if (stored.stamp !== next.stamp) return logOf(stored.stamp) === logOf(next.stamp) && stored.stamp > next.stamp
  return stored.requestTimeMs > next.requestTimeMs && !isAhead(stored.requestTimeMs, nowMs)
}

// A stamp of the shared log begins with the identity of that log, and a dot (redis/purge-log/record.ts). Others are of one log.
function logOf(stamp: LogPosition): string {
  return stamp.slice(0, stamp.indexOf('.') + 1)
}
