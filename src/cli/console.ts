// What libraries say on the console, as lines of the log.
import type { Logger } from 'pino'
import { safeMessage } from '../error-summary.ts'

// ioredis says the same again at each connection that it makes.
const mostTold = 100

/**
 * From now on what is written with console.warn and console.error is a line of the log, once for each text. What a library
 * quotes of a server is left out of it, as it is out of errors.
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
