// Standard output and standard error as this process writes lines to them.
import { nonBlocking } from './descriptor.ts'
import { LineSink } from './sink.ts'

// Both are opened before workers are forked: how a socket is written to is inherited.
/** The log: every line of it goes through here, so no two lines mix. */
export const standardOutput = new LineSink(nonBlocking(1), (lost) => `log lines dropped: ${lost}\n`)

/** Lines for people, beside the log. */
export const standardError = new LineSink(nonBlocking(2), (lost) => `springhouse: ${lost} lines could not be written here\n`)

process.on('exit', () => {
  standardOutput.end()
  standardError.end()
})

/** Lines of this process that could be written to neither, since its start. */
export function linesDropped(): number {
  return standardOutput.dropped + standardError.dropped
}
