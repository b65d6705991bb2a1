// Redirects console output of libraries to the log.
import type { Logger } from 'pino'
import { safeMessage } from '../error-summary.ts'

// The most distinct texts. ioredis repeats a text at each connection.
const mostTold = 100

/**
 * Logs each text of console.warn and console.error once. Text that a library quotes from a server is left out, as in error
 * summaries.
 */
export function consoleToLog(logger: Logger): void {
  const told = new Set<string>()
  const write = (...words: unknown[]): void => {
    const text = words.map((word) => (safeMessage(word))).join(' ')
    if (told.has(text) || told.size >= mostTold) return
    told.add(text)
    logger.warn({}, text)
  }
  console.warn = write
  console.error = write
}
