// Whose turn it is among servers of different weights: smooth weighted round-robin.

/** What takes turns. */
export interface Weighted {
  /** Its share, against the others'. */
  readonly weight: number
  /** What it is owed; kept by `Turns` alone. */
  credit: number
}

/**
 * The next of those that qualify: each gets its weight in credit, the one with the most goes and pays for all. So a server
 * of weight 3 goes three times as often as one of weight 1, and not three times in a row.
 */
export function weightedRoundRobin<T extends Weighted>(all: readonly T[], qualifies: (one: T) => boolean): T | undefined {
  let next: T | undefined
  let total = 0
  for (const one of all) {
    if (!qualifies(one)) continue
    one.credit += one.weight
    total += one.weight
    if (next === undefined || one.credit > next.credit) next = one
  }
  if (next !== undefined) next.credit -= total
  return next
}
