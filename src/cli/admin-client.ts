// How the commands talk to the admin API, and what they say when it does not answer as hoped.
import type { Command } from 'commander'
import { safeMessage } from '../error-summary.ts'
import { givenToken, type TokenOptions } from './admin-token.ts'
import { CommandFailure, USAGE } from './failure.ts'

/** Where the admin API is, and who asks. */
export interface AdminAccess extends TokenOptions {
  readonly admin?: string
}

/** What the admin API answered, when it is not an error. */
export interface AdminAnswer {
  readonly status: number
  readonly body: unknown
}

/** An error that the API answered; with --json its document is printed too. */
export class AdminRefusal extends CommandFailure {
  readonly body: unknown

  constructor(line: string, body: unknown) {
    super(line)
    this.body = body
  }
}

export function withAdminOptions(verb: Command): Command {
  return verb
    .option('--admin <url>', 'the admin listener; without it SPRINGHOUSE_ADMIN, or http://127.0.0.1:8081')
    .option('--token <token>', 'a token of the admin API; without it SPRINGHOUSE_ADMIN_TOKEN')
    .option('--token-file <file>', 'a file that holds the token; without it SPRINGHOUSE_ADMIN_TOKEN_FILE')
    .option('--json', 'print what the admin API answered')
}

/**
 * Asks the admin API.
 * @param timeoutMs how long the answer may take
 * @throws CommandFailure when there is no answer; AdminRefusal when it is an error
 */
export async function askAdmin(access: AdminAccess, path: string, options: { body?: unknown; timeoutMs?: number } = {}): Promise<AdminAnswer> {
  const { body, timeoutMs = 30_000 } = options
  const base = withoutLastSlashes(access.admin ?? (process.env.SPRINGHOUSE_ADMIN || 'http://127.0.0.1:8081'))
  // As a message may show it: without user info.
  const shown = safeMessage(base)
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) throw new CommandFailure(`--admin takes an http or https URL, not ${shown}`, USAGE)
  const given = givenToken(access, process.env)
  const { request } = await import('undici')
  let status: number
  let text: string
  try {
    const answer = await request(`${base}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(given !== undefined && { authorization: `Bearer ${given.token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
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
      ? 'the admin API wants a token: give it with --token or SPRINGHOUSE_ADMIN_TOKEN'
      : `the admin API does not know this token: check ${given.from}`, parsed)
  }
  if (status >= 400) throw new AdminRefusal(refusal(shown, status, parsed), parsed)
  if (parsed === undefined) throw new CommandFailure(`${shown} answered ${status} without JSON: is it the admin listener of springhouse?`)
  return { status, body: parsed }
}

function withoutLastSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}

/** Prints what the API answered, as it is. */
export function printJson(body: unknown): void {
  process.stdout.write(`${JSON.stringify(body, null, 2)}\n`)
}

/** Runs a command whose `--json` also holds for errors that the API answered. */
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
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return `${base} did not answer in time`
  return `cannot reach ${base}: ${safeMessage({ message }) || code}`
}

function refusal(base: string, status: number, body: unknown): string {
  const { title, detail } = (typeof body === 'object' && body !== null ? body : {}) as { title?: unknown; detail?: unknown }
  if (typeof title !== 'string') return `${base} answered ${status}: is it the admin listener of springhouse?`
  return typeof detail === 'string' ? `${title} ${detail}` : title
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
