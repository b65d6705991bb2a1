// /v1/login: logs a browser in with a token, shows its login, and logs it out.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { Type, type Static } from '../json-schema.ts'
import type { AccessControl } from './auth.ts'
import { setCookieLine } from './login-cookie.ts'
import { loginResponse } from './own-responses.ts'

const maxTokenChars = 1_024

const loginBody = Type.Object({ token: Type.String({ minLength: 1, maxLength: maxTokenChars, description: 'An admin token.' }) }, {
  additionalProperties: false,
  'x-expects': 'must be an object with "token"',
})

export interface LoginParts {
  readonly clock: Clock
  /** How long a login lasts, in milliseconds. */
  readonly sessionTtlMs: number
}

export function loginRoutes(app: FastifyInstance, access: AccessControl, { clock, sessionTtlMs }: LoginParts): void {
  // A body of this size holds any token. A client without a token may send one.
  const bounds = { bodyLimit: 4_096, schema: { body: loginBody, response: { 200: loginResponse } } }
  app.post<{ Body: Static<typeof loginBody> }>('/v1/login', { config: { scope: 'open', audit: 'login' }, ...bounds }, async (request, reply) => {
    const token = access.logIn(request, request.body.token)
    request.audited = token.name
    const expiresMs = Math.floor(clock.now()) + sessionTtlMs
    const cookie = access.cookies.make(token, expiresMs)
    setCookie(request, reply, cookie, sessionTtlMs)
    return { name: token.name, scopes: token.scopes, expiresMs, csrf: access.cookies.csrfOf(token, cookie) }
  })

  app.get('/v1/login', { config: { scope: 'any' }, schema: { response: { 200: loginResponse } } }, async request => {
    const { token, login } = access.credentialsOf(request)
    return { name: token.name, scopes: token.scopes, expiresMs: login?.expiresMs ?? null, csrf: login?.csrf ?? null }
  })

  app.delete('/v1/login', { config: { scope: 'any', audit: 'logout' } }, async (request, reply) => {
    setCookie(request, reply, '', 0)
    return reply.code(204).send()
  })
}

function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, lifeMs: number): void {
  reply.header('set-cookie', setCookieLine(value, lifeMs, isSecure(request)))
}

// If TLS ends in front of this listener, the browser says so in Origin. It has been compared with Host (same-site.ts).
function isSecure(request: FastifyRequest): boolean {
  return request.protocol === 'https' || /^https:/i.test(request.headers.origin ?? '')
}
