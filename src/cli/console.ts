// Sends lines that libraries and Node write on the console to the log.
import type { Logger } from 'pino'
import { safeMessage } from '../error-summary.ts'

// The most distinct texts. ioredis repeats a text at each connection.
const mostTold = 100

/**
 * Makes each text that is written on the console, and each warning of Node, a line of the log, once. Text that a library
 * quotes of a server is left out, as it is left out of errors. The console itself would block the process when nobody reads
 * it, and fail it when the disk is full.
 */
export function consoleToLog(logger: Logger): void {
  const told = new Set<string>()
  const write = (...words: unknown[]): void => {
    const text = words.map((word) => (safeMessage(word))).join(' ')
    if (told.has(text) || told.size >= mostTold) return
    told.add(text)
    logger.warn({}, text)
  }
  for (const method of ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const) console[method] = write
  // Node's own listener writes on standard error.
  process.removeAllListeners('warning')
  process.on('warning', write)
}
