// A client of a proxy with sessions, and an origin that does what the request says: its instruction, its caching and its status.
import { Buffer } from 'node:buffer'
import { ask, type Answer, type Ask } from '../support/client.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

/** The claims of a signed field. */
export type Claims = Readonly<Record<string, unknown>> & { readonly data?: Readonly<Record<string, unknown>> }

/** The request that the origin received, as its response says. */
export interface Seen {
  readonly number: number
  readonly claims: Claims | null
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Says what it received. `x-do` is its instruction, `x-cc` its Cache-Control, `x-status` its status, `x-hold` a name to wait for. */
export function obedient(): OriginHandler {
  let number = 0
  return async (request, response, recorded) => {
    number++
    const given = request.headers
    const body = (await recorded.body).toString()
    const field = given['springhouse-session'] as string | undefined
    const claims = field === undefined ? null : (JSON.parse(Buffer.from(field.split('.')[1] ?? '', 'base64url').toString()) as Claims)
    const instruction = instructionOf(given['x-do'] as string | undefined, claims)
    response.writeHead(Number(given['x-status'] ?? 200), {
      'Content-Type': 'application/json',
      'Cache-Control': given['x-cc'] ?? 'max-age=60',
      ...(instruction !== undefined && { 'Springhouse-Session-Set': instruction }),
      ...(given['x-cookie'] !== undefined && { 'Set-Cookie': given['x-cookie'] }),
      ...(given['x-location'] !== undefined && { 'Content-Location': given['x-location'] }),
      ...(given['x-vary'] !== undefined && { Vary: given['x-vary'] }),
    })
    response.end(JSON.stringify({ number, claims, headers: given, body }))
  }
}

/** An obedient origin whose `/events` is an event stream without an end. */
export const streaming: OriginHandler = (request, response, recorded) => {
  if (request.url !== '/events') return obedient()(request, response, recorded)
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
  return response.write('data: first\n\n')
}

/** `count`: adds one to a number in the session, with `if` and `retry`. */
function instructionOf(text: string | undefined, claims: Claims | null): string | undefined {
  if (text !== 'count') return text
  const n = Number(claims?.data?.['n'] ?? 0)
  return JSON.stringify({ data: { n: n + 1 }, if: Number(claims?.['ver'] ?? 0), retry: true })
}

/** Keeps the cookie, or the token, that responses give it, as a browser does. */
export class Visitor {
  readonly port: number
  cookie: string | undefined
  token: string | undefined
  /** The last line that set a cookie, whole. */
  setCookie: string | undefined

  constructor(port: number, cookie?: string) {
    this.port = port
    this.cookie = cookie
  }

  async send(path: string, fields: Readonly<Record<string, string>> = {}, options: Ask = {}): Promise<Answer> {
    const own = { ...(this.cookie !== undefined && { Cookie: this.cookie }), ...(this.token !== undefined && { Authorization: `Bearer ${this.token}` }) }
    const answer = await ask(this.port, { path, headers: Object.entries({ ...own, ...fields }).flat(), ...options })
    this.setCookie = undefined
    for (let i = 0; i < answer.rawHeaders.length; i += 2) {
      const value = answer.rawHeaders[i + 1] as string
      if (answer.rawHeaders[i]?.toLowerCase() !== 'set-cookie' || !value.startsWith('__Host-session=')) continue
      this.setCookie = value
      const [pair = ''] = value.split(';')
      this.cookie = pair === '__Host-session=' ? undefined : pair
    }
    this.token = answer.header('springhouse-session-token') ?? this.token
    return answer
  }

  /** A POST whose response has an instruction. */
  do(instruction: string | object, path = '/do', fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send(path, { 'X-Do': typeof instruction === 'string' ? instruction : JSON.stringify(instruction), ...fields }, { method: 'POST', body: 'x' })
  }

  /** The claims that the origin receives. */
  async claims(path = '/who'): Promise<Claims | null> {
    return seen(await this.send(path, { 'X-Cc': 'no-store' })).claims
  }
}

export function seen(answer: Answer): Seen {
  return JSON.parse(answer.body.toString()) as Seen
}

export function problem(answer: Answer): string {
  return `${answer.status} ${(JSON.parse(answer.body.toString()) as { code?: string }).code ?? ''}`
}
