// Smooth weighted round-robin.

/** A candidate for weighted round-robin. */
export interface Weighted {
  /** Its share, relative to the other candidates. */
  readonly weight: number
  /** Its accumulated credit; changed by weightedRoundRobin alone. */
  credit: number
}

/**
 * Returns the next candidate that qualifies. Each gains its weight in credit; the candidate with the most is chosen and pays the
 * total. So a server of weight 3 is chosen three times as often as one of weight 1, and not three times in a row.
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
