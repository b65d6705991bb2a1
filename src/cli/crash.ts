// The end of a process that met an error which nobody caught: what it was doing goes to the log, and it exits with 1.
import type { Logger } from 'pino'
import { safeMessage } from '../error-summary.ts'
import { FAILED, say } from './failure.ts'

/** What a process is at; the last that was said is what the log tells. */
export interface ProcessState {
  phase: 'starting' | 'serving' | 'reloading' | 'stopping'
}

/**
 * From now on an exception that nobody caught, or a rejection that nobody handled, is one fatal line in the log (with the
 * stack, which names the code that was running) and one on standard error. What is half done after it cannot be known, so the
 * process does not go on: its connections break, and whoever watches it (the primary, the system) starts the next.
 */
export function endOnUncaught(logger: Logger): ProcessState {
  const watch: ProcessState = { phase: 'starting' }
  // Node brings unhandled rejections here too, unless somebody listens for those.
  process.on('uncaughtException', (thrown: unknown, origin) => {
    const what = origin === 'unhandledRejection' ? 'a rejection that nobody handled' : 'an exception that nobody caught'
    try {
      logger.fatal({ err: thrown, doing: watch.phase, pid: process.pid }, `${what}: the process ends`)
      say(`${what}, while ${watch.phase}: ${safeMessage(thrown)}`)
    } finally {
      process.exit(FAILED)
    }
  })
  return watch
}
