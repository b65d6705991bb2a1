// The log: JSON lines on standard output, or lines for people.
import { pino, stdTimeFunctions, type Logger } from 'pino'
import pretty from 'pino-pretty'
import type { LogConfig } from './config/schema.ts'

/** One logger for the process. Secrets never reach it: see config/mask.ts and the catalogue of errors. */
export function createLogger(config: LogConfig): Logger {
  const options = { level: config.level, base: null, timestamp: stdTimeFunctions.isoTime }
  return config.pretty ? pino({ ...options }, pretty({ colorize: process.stdout.isTTY, sync: true })) : pino(options)
}
