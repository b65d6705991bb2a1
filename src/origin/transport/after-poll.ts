// Runs something after the sockets that are ready have been read.

/** Something that begins later. */
export interface Beginner {
  begin(): void
}

let waiting: Beginner[] = []

/**
 * Calls `begin` after the event loop has polled its sockets once more. By then every byte, end and reset has been read that had arrived
 * before this call. All that are added meanwhile share two immediates: the first ends the present round of the loop, which may have polled
 * long before the call.
 */
export function beginAfterPoll(beginner: Beginner): void {
  if (waiting.push(beginner) === 1) setImmediate(setImmediate, beginAll)
}

function beginAll(): void {
  const begun = waiting
  waiting = []
  for (const beginner of begun) beginner.begin()
}
