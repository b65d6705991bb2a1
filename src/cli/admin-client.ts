// The client of the admin API for the commands, and its error messages.
import type { Command } from 'commander'
import { safeMessage } from '../error-summary.ts'
import type { RequestError } from '../admin/problems.ts'
import { givenToken, type TokenOptions } from './admin-token.ts'
import { printable } from './columns.ts'
import { CommandFailure, USAGE } from './failure.ts'

/** The most problems of a request that a message lists. */
const maxErrors = 10

/** The URL of the admin API and the token. */
export interface AdminAccess extends TokenOptions {
  readonly admin?: string
}

/** A successful response of the admin API. */
export interface AdminAnswer {
  readonly status: number
  readonly body: unknown
  /** The body as it was sent. */
  readonly text: string
}

/** An error response of the admin API. With --json its document is printed too. */
export class AdminRefusal extends CommandFailure {
  readonly body: unknown

  constructor(line: string, body: unknown) {
    super(line)
    this.body = body
  }
}

export function withAdminOptions(verb: Command): Command {
  return verb
    .option('--admin <url>', 'URL of the admin listener (default: SPRINGHOUSE_ADMIN, or http://127.0.0.1:8081)')
    .option('--token <token>', 'token for the admin API (default: SPRINGHOUSE_ADMIN_TOKEN)')
    .option('--token-file <file>', 'file that holds the token (default: SPRINGHOUSE_ADMIN_TOKEN_FILE)')
    .option('--json', 'print the response of the admin API')
}

/**
 * Sends a request to the admin API: GET, or POST if it has a body, unless `method` says otherwise.
 * @param raw the body as it is, in place of `body`
 * @param timeoutMs how long the response may take
 * @throws CommandFailure if there is no response; AdminRefusal if it is an error
 */
export async function askAdmin(access: AdminAccess, path: string,
  options: { method?: 'DELETE' | 'PATCH'; body?: unknown; raw?: string; timeoutMs?: number } = {}): Promise<AdminAnswer> {
  const { body, timeoutMs = 30_000 } = options
  const payload = options.raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const base = withoutLastSlashes(access.admin ?? (process.env.SPRINGHOUSE_ADMIN || 'http://127.0.0.1:8081'))
  // The URL for messages, without user info.
  const shown = safeMessage(base)
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) throw new CommandFailure(`--admin takes an http or https URL, not ${shown}`, USAGE)
  const given = givenToken(access, process.env)
  const { request } = await import('undici')
  let status: number
  let text: string
  try {
    const answer = await request(`${base}${path}`, {
      method: options.method ?? (payload === undefined ? 'GET' : 'POST'),
      headers: {
        accept: 'application/json',
        ...(payload !== undefined && { 'content-type': 'application/json' }),
        ...(given !== undefined && { authorization: `Bearer ${given.token}` }),
      },
      ...(payload !== undefined && { body: payload }),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
    status = answer.statusCode
    text = await answer.body.text()
  } catch (error) {
    throw new CommandFailure(unreachable(shown, error))
  }
  const parsed = parseJson(text)
  if (status === 401) {
    throw new AdminRefusal(given === undefined
      ? 'the admin API needs a token: give it with --token or SPRINGHOUSE_ADMIN_TOKEN'
      : `the admin API does not know this token: check ${given.from}`, parsed)
  }
  if (status >= 400) throw new AdminRefusal(refusal(shown, status, parsed), parsed)
  if (parsed === undefined) throw new CommandFailure(`${shown} responded ${status} without JSON: is it the admin listener of springhouse?`)
  return { status, body: parsed, text }
}

function withoutLastSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}

/** Prints the API's response unchanged. */
export function printJson(body: unknown): void {
  process.stdout.write(`${JSON.stringify(body, null, 2)}\n`)
}

/** Runs a command. With `--json`, error responses of the API are printed too. */
export async function withJsonErrors(json: boolean | undefined, command: () => Promise<void>): Promise<void> {
  try {
    await command()
  } catch (error) {
    if (json === true && error instanceof AdminRefusal && error.body !== undefined) printJson(error.body)
    throw error
  }
}

function unreachable(base: string, error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return `nothing listens at ${base} (connection refused): give the admin listener with --admin or SPRINGHOUSE_ADMIN`
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return `${base} did not respond in time`
  return `cannot reach ${base}: ${safeMessage({ message }) || code}`
}

function refusal(base: string, status: number, body: unknown): string {
  const { title, detail, errors } = (typeof body === 'object' && body !== null ? body : {}) as { title?: unknown; detail?: unknown; errors?: unknown }
  if (typeof title !== 'string') return `${base} responded ${status}: is it the admin listener of springhouse?`
  const told = typeof detail === 'string' ? `${title} ${detail}` : title
  return Array.isArray(errors) && errors.length > 0 ? `${told} ${errors.slice(0, maxErrors).map(errorLine).join('; ')}` : told
}

/** Formats a problem of the request: its place, and what is wrong there. */
function errorLine(error: unknown): string {
  const { path, message } = error as Partial<RequestError>
  return printable(path === undefined || path === '' ? `${message}` : `${path} ${message}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
