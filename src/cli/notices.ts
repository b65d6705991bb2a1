// Notices for operators of a running program: a line for people on standard error, and the same line in the log.
import type { Logger } from 'pino'
import { say } from './failure.ts'

let log: Logger | undefined

/** Sends the notices of this process to its log too, from now on. */
export function logNotices(logger: Logger): void {
  log = logger
}

/** Prints a line on standard error, and logs it with these fields. */
export function notice(level: 'info' | 'warn' | 'error', line: string, fields: Readonly<Record<string, unknown>> = {}): void {
  say(line)
  log?.[level](fields, line)
}
