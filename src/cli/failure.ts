// Failures of commands: one line for each reason, and the exit code for scripts.
import { safeMessage } from '../error-summary.ts'
import { FAILED } from './exit-codes.ts'
import { standardError } from '../log/outputs.ts'

/** An expected failure. Each line goes to standard error, after the program's name. */
export class CommandFailure extends Error {
  readonly exitCode: number
  readonly lines: readonly string[]
  /** The document that `--json` prints for it, if the admin API sent one. */
  readonly body: unknown

  constructor(lines: string | readonly string[], exitCode: number = FAILED, body?: unknown) {
    const all = typeof lines === 'string' ? [lines] : lines
    super(all.join('\n'))
    this.name = 'CommandFailure'
    this.lines = all
    this.exitCode = exitCode
    this.body = body
  }
}

/** Prints a line on standard error. */
export function say(line: string): void {
  standardError.write(`springhouse: ${line}\n`)
}

const listenReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'this user has no permission to listen there',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'the name of the host could not be resolved',
  EAI_AGAIN: 'the name of the host could not be resolved',
}

/** Returns the line for a failed start. If a listener could not be opened, the line names host and port. */
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
