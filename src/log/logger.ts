// The log: JSON lines on standard output, or lines for people.
import { pino, stdTimeFunctions, type Logger, type LoggerOptions } from 'pino'
import pretty from 'pino-pretty'
import type { LogConfig } from '../config/schema.ts'
import { safeMessage, summarise } from '../error-summary.ts'

/**
 * How errors reach the log, whoever logs them: as a summary, under whatever name they are given, and in place of a message
 * that would be theirs. Fastify's loggers and those of its plugins are children of the one that has this, and inherit it.
 */
export const safeErrors = {
  serializers: { err: summarise },
  hooks: {
    logMethod(args, method) {
      method.apply(this, withoutErrors(args) as Parameters<typeof method>)
    },
  },
} satisfies LoggerOptions

/** One logger for the process. Secrets do not reach it: see `safeErrors`, config/mask.ts and the catalogue of errors. */
export function createLogger(config: LogConfig): Logger {
  const options = { level: config.level, base: null, timestamp: stdTimeFunctions.isoTime, ...safeErrors }
  return config.pretty ? pino({ ...options }, pretty({ colorize: process.stdout.isTTY, sync: true })) : pino(options)
}

// pino takes the message of an error for that of the line where none is given, and some callers give it themselves.
function withoutErrors([first, ...rest]: readonly unknown[]): unknown[] {
  if (first instanceof Error) return [{ err: first }, rest.length === 0 || rest[0] === first.message ? safeMessage(first) : rest[0], ...rest.slice(1).map(shown)]
  if (typeof first !== 'object' || first === null) return [first, ...rest.map(shown)]
  const { err, ...others } = first as { err?: unknown }
  const theirs = err instanceof Error && (rest.length === 0 || rest[0] === err.message)
  const details = Object.values(others).some((value) => value instanceof Error)
    ? { ...(err !== undefined && { err }), ...Object.fromEntries(Object.entries(others).map(([name, value]) => [name, shown(value)])) }
    : first
  return theirs ? [details, safeMessage(err), ...rest.slice(1).map(shown)] : [details, ...rest.map(shown)]
}

function shown(value: unknown): unknown {
  return value instanceof Error ? summarise(value) : value
}
