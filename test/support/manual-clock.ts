// A clock that only the test moves.
import type { Clock } from '../../src/clock.ts'

export interface ManualClock extends Clock {
  /** Lets `ms` pass, on both clocks. */
  advance(ms: number): void
}

/** Starts at `startMs` since the epoch; its monotonic side starts at 0. */
export function manualClock(startMs = 1_700_000_000_000): ManualClock {
  let passed = 0
  return {
    now: () => startMs + passed,
    monotonic: () => passed,
    advance: (ms) => {
      passed += ms
    },
  }
}
