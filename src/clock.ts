// The only code that reads the time; all other code receives it.

/** The source of the current time. Tests bring their own, so that no test waits for time to pass. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch, for comparison with Date, Age and Expires. */
  now(): number
  /** Milliseconds on a clock that never goes back and that nothing sets, for deadlines. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
