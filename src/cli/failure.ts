// How a command fails: one clear line for each reason, and the exit code that scripts go by.
import { safeMessage } from '../error-summary.ts'
import { standardError } from '../log/outputs.ts'

/** Exit codes: the thing asked for failed; it was asked for in a way that is not understood. */
export const FAILED = 1
export const USAGE = 2

/** A failure that was foreseen. Each line goes to standard error, with the program's name before it. */
export class CommandFailure extends Error {
  readonly exitCode: number
  readonly lines: readonly string[]

  constructor(lines: string | readonly string[], exitCode: number = FAILED) {
    const all = typeof lines === 'string' ? [lines] : lines
    super(all.join('\n'))
    this.name = 'CommandFailure'
    this.lines = all
    this.exitCode = exitCode
  }
}

/** One line on standard error. */
export function say(line: string): void {
  standardError.write(`springhouse: ${line}\n`)
}

const listenReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something listens there already',
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'the name of the host could not be resolved',
  EAI_AGAIN: 'the name of the host could not be resolved',
}

/** The line for a start that failed: names host and port where a listener could not be opened. */
export function startFailure(error: unknown): string {
  const { code = '', address, hostname, port, syscall } = error as { code?: string; address?: string; hostname?: string; port?: number; syscall?: string }
  const reason = listenReasons[code]
  if (reason !== undefined && (syscall === 'listen' || syscall === 'bind' || syscall === 'getaddrinfo')) {
    const host = address ?? hostname ?? ''
    return `cannot listen on ${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}: ${reason} (${code})`
  }
  const { cause } = error as { cause?: unknown }
  return `cannot start: ${safeMessage(error)}${cause instanceof Error ? ` (${safeMessage(cause)})` : ''}`
}
