// The log: JSON lines on standard output, or lines for people.
import { pino, stdTimeFunctions, type Logger, type LoggerOptions } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { LogConfig } from '../config/schema.ts'
import { safeMessage, summarise } from '../error-summary.ts'
import { standardOutput } from './outputs.ts'

/**
 * Keeps details of errors out of the log: every logged error becomes a summary, under any property name, and in place of its
 * own message. Fastify's loggers and those of its plugins are children of the logger with these options, and inherit them.
 */
export const safeErrors = {
  serializers: { err: summarise },
  hooks: {
    logMethod(args, method) {
      method.apply(this, withoutErrors(args) as Parameters<typeof method>)
    },
  },
} satisfies LoggerOptions

/**
 * The logger of the process: lines go to standard output, which never blocks (see sink.ts). Secrets do not reach it: see
 * `safeErrors`, config/mask.ts and the catalogue of errors.
 */
export function createLogger(config: LogConfig): Logger {
  const options = { level: config.level, base: null, timestamp: stdTimeFunctions.isoTime, ...safeErrors }
  const format = lineFormat(config)
  standardOutput.lossLine = (lost) => lossLine(options, format, lost)
  return pino(options, { write: (line: string) => standardOutput.write(format(line)) })
}

/** Returns the function that formats a line of JSON: as text for people, if the configuration says so. */
export function lineFormat({ pretty }: LogConfig): (line: string) => string {
  // The factory of pino-pretty makes text alone: its stream would write by itself, and wait.
  return pretty ? prettyFactory({ colorize: process.stdout.isTTY }) : (line) => line
}

function lossLine(options: LoggerOptions, format: (line: string) => string, lost: number): string {
  let made = ''
  pino({ ...options, level: 'warn' }, { write: (line: string) => {
    made = format(line)
  } }).warn({ lines: lost }, 'log lines were dropped: they could not be written')
  return made
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
