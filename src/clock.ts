// The one place that reads the time; everything else is told.

/** Where the current time comes from. Tests bring their own, so that no test waits for time to pass. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch: what Date, Age and Expires are compared with. */
  now(): number
  /** Milliseconds on a clock that never goes back and is not set by anyone: what deadlines are measured with. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
