// An error response of the admin API, as a failure of a command: its sentence, each problem of the request, and the exit code.
import type { RequestError } from '../admin/problems.ts'
import type { GivenToken } from './admin-token.ts'
import { printable } from './columns.ts'
import { exitCodeOf, FAILED, REFUSED } from './exit-codes.ts'
import { CommandFailure } from './failure.ts'

/** The most problems of a request that a message lists. */
const maxErrors = 10

/** Returns the failure. @param base the URL of the listener, for the message; @param body the parsed problem document */
export function refusalOf(base: string, status: number, body: unknown, given: GivenToken | undefined): CommandFailure {
  const { title, detail, errors, code, scope } = (typeof body === 'object' && body !== null ? body : {}) as Readonly<Record<string, unknown>>
  if (status === 401)
    return new CommandFailure(given === undefined
      ? 'the admin API needs a token: give it with --token or SPRINGHOUSE_ADMIN_TOKEN'
      : `the admin API does not know this token: check ${given.from}`, REFUSED, body)
  if (typeof title !== 'string')
    return new CommandFailure(`${base} responded ${status}: is it the admin listener of springhouse?`, status === 403 || status === 429 ? REFUSED : FAILED)
  const sentences = [title, ...(typeof detail === 'string' ? [detail] : []), ...(typeof scope === 'string' && detail === undefined ? [`It needs the scope ${scope}.`] : []),
    ...(Array.isArray(errors) && errors.length > 0 ? [linesOf(errors)] : [])]
  return new CommandFailure(printable(sentences.join(' ')), exitCodeOf(status, code), body)
}

function linesOf(errors: readonly unknown[]): string {
  const left = errors.length - maxErrors
  return [...errors.slice(0, maxErrors).map(errorLine), ...(left > 0 ? [`and ${left} more`] : [])].join('; ')
}

/** Formats a problem of the request: its place, and what is wrong there. */
function errorLine(error: unknown): string {
  const { path, message } = error as Partial<RequestError>
  return path === undefined || path === '' ? `${message}` : `${path} ${message}`
}
