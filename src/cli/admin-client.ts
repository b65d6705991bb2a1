// The client of the admin API for the commands: one request, or an event stream, and a failure with its exit code.
import type { Readable } from 'node:stream'
import { Option, type Command } from 'commander'
import type { Agent } from 'undici'
import { parseDuration } from '../config/units.ts'
import { safeMessage } from '../error-summary.ts'
import { givenToken, type GivenToken, type TokenOptions } from './admin-token.ts'
import { refusalOf } from './admin-refusal.ts'
import { readEvents, type StreamEvent } from './event-reader.ts'
import { INTERRUPTED, UNKNOWN, UNREACHABLE, USAGE } from './exit-codes.ts'
import { CommandFailure } from './failure.ts'

/** The URL of the admin API, the token, and how long to wait. */
export interface AdminAccess extends TokenOptions {
  readonly admin?: string
  /** Milliseconds for the connection, and for the response. */
  readonly timeout?: number
  readonly json?: boolean
}

/** A successful response of the admin API. */
export interface AdminAnswer {
  readonly status: number
  readonly body: unknown
  /** The body as it was sent. */
  readonly text: string
}

export interface AdminRequest {
  /** GET, or POST with a body, unless given. */
  readonly method?: 'DELETE' | 'PATCH'
  readonly body?: unknown
  /** The body as it is, in place of `body`. */
  readonly raw?: string
  /** How much longer than the timeout the response may take: the request itself says how long to wait. */
  readonly waitMs?: number
  /** False if it changes nothing, although it has a body. */
  readonly changes?: boolean
}

const defaultTimeoutMs = 30_000

/** Adds the options of all commands that use the admin API. `act` gets the options, and then the arguments. */
export function adminVerb<Options extends AdminAccess>(verb: Command, act: (options: Options, ...args: string[]) => Promise<void>): Command {
  return verb
    .option('--admin <url>', 'URL of the admin listener (default: SPRINGHOUSE_ADMIN, or http://127.0.0.1:8081)')
    .option('--token <token>', 'token for the admin API (default: SPRINGHOUSE_ADMIN_TOKEN)')
    .option('--token-file <file>', 'file that holds the token (default: SPRINGHOUSE_ADMIN_TOKEN_FILE)')
    .addOption(
      new Option('--timeout <duration>', 'how long the connection may take, and then the response (default: 30s)').argParser(text => durationOption(verb, '--timeout', text)),
    )
    .option('--json', 'print the response of the admin API, and errors too, as one JSON document')
    .action(async (...given: unknown[]) => {
      process.once('SIGINT', () => process.exit(INTERRUPTED))
      // commander passes the arguments, the options and the command.
      await act(given.at(-2) as Options, ...given.slice(0, -2) as string[])
    })
}

/** Reads a duration from the command line; a bare number is milliseconds. @throws CommandFailure */
export function durationOption(verb: Command, flag: string, text: string): number {
  const ms = /^\d{1,9}$/.test(text) ? Number(text) : parseDuration(text)
  if (ms === undefined) throw new CommandFailure(`${verb.name()}: ${flag} takes a duration such as 2s or 500ms, not ${text}`, USAGE)
  return ms
}

/** Sends a request to the admin API. @throws CommandFailure if there is no response, or if it is an error */
export async function askAdmin(access: AdminAccess, path: string, request: AdminRequest = {}): Promise<AdminAnswer> {
  const { status, text, at } = await exchange(access, path, request, async body => readText(body))
  const parsed = parseJson(text)
  if (status >= 400) throw refusalOf(at.shown, status, parsed, at.given)
  if (parsed === undefined) throw new CommandFailure(`${at.shown} responded ${status} without JSON: is it the admin listener of springhouse?`)
  return { status, body: parsed, text }
}

/** Yields the events of a stream, until the listener ends it. @throws CommandFailure */
export async function* followAdmin(access: AdminAccess, path: string): AsyncGenerator<StreamEvent> {
  const at = placeOf(access)
  const connection = await open(access, at)
  try {
    const { statusCode, body } = await connection.request(path, 'GET', undefined, 'text/event-stream')
    if (statusCode !== 200) throw refusalOf(at.shown, statusCode, parseJson(await readText(body)), at.given)
    connection.answered()
    yield* readEvents(body)
  } catch (error) {
    throw connection.failure(error, false)
  } finally {
    await connection.close()
  }
}

/** Where the admin API is: its base URL, the same for messages, and the token for it. */
interface Place {
  readonly base: string
  readonly shown: string
  readonly given: GivenToken | undefined
}

function placeOf(access: AdminAccess): Place {
  const base = withoutLastSlashes(access.admin ?? (process.env.SPRINGHOUSE_ADMIN || 'http://127.0.0.1:8081'))
  // The URL for messages, without user info.
  const shown = safeMessage(base)
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) throw new CommandFailure(`--admin takes an http or https URL, not ${shown}`, USAGE)
  return { base, shown, given: givenToken(access, process.env) }
}

async function exchange(access: AdminAccess, path: string,
  { method, body, raw, waitMs = 0, changes = method !== undefined || body !== undefined || raw !== undefined }: AdminRequest,
  read: (body: Readable) => Promise<string>): Promise<{ status: number; text: string; at: Place }> {
  const at = placeOf(access)
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const connection = await open(access, at, waitMs)
  try {
    const answer = await connection.request(path, method ?? (payload === undefined ? 'GET' : 'POST'), payload, 'application/json')
    return { status: answer.statusCode, text: await read(answer.body), at }
  } catch (error) {
    throw connection.failure(error, changes)
  } finally {
    await connection.close()
  }
}

/** A connection, with a limit for its beginning and another for the response. */
interface Connection {
  request(path: string, method: string, payload: string | undefined, accept: string): Promise<{ statusCode: number; body: Readable }>
  /** Ends the limit: from now on the listener sends when it has something to say. */
  answered(): void
  failure(error: unknown, changes: boolean): Error
  close(): Promise<void>
}

async function open({ timeout = defaultTimeoutMs }: AdminAccess, { base, shown, given }: Place, waitMs = 0): Promise<Connection> {
  const { Agent: UndiciAgent, request } = await import('undici')
  const late = new AbortController()
  let connected = false
  let timer = setTimeout(() => late.abort(), timeout)
  // The timer above is the limit: those of undici are coarser.
  const agent: Agent = new UndiciAgent({ connectTimeout: 0, headersTimeout: 0, bodyTimeout: 0 })
  agent.on('connect', () => {
    connected = true
    clearTimeout(timer)
    timer = setTimeout(() => late.abort(), timeout + waitMs)
  })
  return {
    request: (path, method, payload, accept) =>
      request(`${base}${path}`, {
        dispatcher: agent,
        signal: late.signal,
        method: method as 'GET',
        headers: {
          accept,
          ...(payload !== undefined && { 'content-type': 'application/json' }),
          ...(given !== undefined && { authorization: `Bearer ${given.token}` }),
        },
        ...(payload !== undefined && { body: payload }),
      }),
    answered: () => clearTimeout(timer),
    failure: (error, changes) => {
      if (error instanceof CommandFailure) return error
      const why = unreachable(shown, error, late.signal.aborted)
      // Once the request may have been sent, the change may have been recorded.
      return connected && changes
        ? new CommandFailure(`${why}: it is not known whether the change was recorded, run the command again`, UNKNOWN)
        : new CommandFailure(why, UNREACHABLE)
    },
    close: async () => {
      clearTimeout(timer)
      await agent.destroy()
    },
  }
}

async function readText(body: Readable): Promise<string> {
  let text = ''
  for await (const chunk of body.setEncoding('utf8')) text += chunk as string
  return text
}

function withoutLastSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}

function unreachable(base: string, error: unknown, isLate: boolean): string {
  if (isLate) return `${base} did not respond in time`
  const { code = '', message } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return `nothing listens at ${base} (connection refused): give the admin listener with --admin or SPRINGHOUSE_ADMIN`
  return `cannot reach ${base}: ${safeMessage({ message }) || code}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
