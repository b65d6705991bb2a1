// How often a process reports the use of a variant to the store that it shares with others.

/** In one such period of time of day, a use is reported once. */
export const usePeriodMs = 10_000

/** Returns the number of the period of a time of day. */
export function usePeriod(nowMs: number): number {
  return Math.floor(nowMs / usePeriodMs)
}
