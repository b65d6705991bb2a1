// Sends lines that libraries write on the console to the log.
import type { Logger } from 'pino'
import { safeMessage } from '../error-summary.ts'

// ioredis says the same again at each connection that it makes.
const mostTold = 100

/**
 * Makes each text that is written with console.warn or console.error a line of the log, once. Text that a library quotes
 * of a server is left out, as it is left out of errors.
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
