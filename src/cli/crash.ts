// Ends a process after an uncaught error: logs its phase, and exits with 1.
import type { Logger } from 'pino'
import { safeMessage } from '../error-summary.ts'
import { FAILED } from './exit-codes.ts'
import { say } from './failure.ts'

/** The current phase of the process, for the log. */
export interface ProcessState {
  phase: 'starting' | 'serving' | 'reloading' | 'stopping'
}

/**
 * Makes an uncaught exception, or an unhandled rejection, one fatal line in the log, with its stack, and one on standard error.
 * The state after it is unknown, so the process ends: its connections break, and its supervisor (the primary, or the system)
 * starts the next process.
 */
export function endOnUncaught(logger: Logger): ProcessState {
  const watch: ProcessState = { phase: 'starting' }
  // Node also reports unhandled rejections here, unless they have a listener.
  process.on('uncaughtException', (thrown: unknown, origin) => {
    const what = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception'
    try {
      logger.fatal({ err: thrown, doing: watch.phase, pid: process.pid }, `${what}: the process ends`)
      say(`${what}, while ${watch.phase}: ${safeMessage(thrown)}`)
    } finally {
      process.exit(FAILED)
    }
  })
  return watch
}
