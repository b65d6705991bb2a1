// /v1/sessions: lists, shows, patches and ends sessions. Each change, and each reading of data, has a line in the log.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from '../json-schema.ts'
import { readPatch } from '../session/administration.ts'
import type { JsonObject } from '../session/json.ts'
import { JsonText } from './json-body.ts'
import { maxCursorChars } from './json-page.ts'
import type { AdminParts } from './parts.ts'
import { AdminProblem, requestProblem } from './problems.ts'

const defaultLimit = 100
const name = (description: string) => Type.String({ minLength: 1, maxLength: 256, description })
const user = name('The user, as backends name it at the log-in.')
const realm = Type.Optional(name('The realm of the user. Left out: default.'))
const sid = Type.String({ pattern: '^[\\w-]{22}$', description: 'The public id of a session: the claim `sid`.' })

const listQuery = Type.Object({
  user,
  realm,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: defaultLimit, description: 'Most sessions in the response.' })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: maxCursorChars, description: 'The cursor of the page before this one.' })),
}, { additionalProperties: false })
const oneParams = Type.Object({ sid }, { additionalProperties: false })
const oneQuery = Type.Object({ data: Type.Optional(Type.Boolean({ description: 'true: the data itself, in place of the types of its members.' })) }, {
  additionalProperties: false,
})
const userQuery = Type.Object({ user, realm }, { additionalProperties: false })
const revokeBody = Type.Object({ user, realm, except: Type.Optional(sid) }, { additionalProperties: false,
  'x-expects': 'must be an object with "user", and may have "realm" and "except"' })

export function sessionRoutes(app: FastifyInstance, { sessionAdministration: sessions, keySet }: AdminParts): void {
  if (sessions === undefined) return
  const config = { scope: 'sessions' } as const

  app.get<{ Querystring: Static<typeof listQuery> }>('/v1/sessions', { config, schema: { querystring: listQuery } }, async request => {
    const { user: named, realm: within = 'default', limit = defaultLimit, cursor = '' } = request.query
    const { sessions: found, more } = await sessions.list({ realm: within, user: named }, cursor, limit)
    const last = found.at(-1)
    return { sessions: found, ...(more && last !== undefined && { cursor: last.sid }) }
  })

  app.get<{ Params: Static<typeof oneParams>; Querystring: Static<typeof oneQuery> }>('/v1/sessions/:sid', { config, schema: { params: oneParams, querystring: oneQuery } },
    async (request, reply) => {
      const { params, query: { data = false } } = request
      const shown = await sessions.show(params.sid, data)
      if (shown === undefined) throw noSession()
      if (data) noted(request, 'read data', { sid: params.sid, user: shown.session.user })
      // The data as it is: a value would round its big integers.
      const session = JSON.stringify(shown.session)
      return reply.type('application/json').send(`${session.slice(0, -1)},"data":${shown.dataText}}`)
    })

  // A static path goes before the id of a session, which has another length.
  app.get('/v1/sessions/keys', { config }, async (_request, reply) => reply.type('application/jwk-set+json').send(keySet?.() ?? '{"keys":[]}'))

  app.delete<{ Params: Static<typeof oneParams> }>('/v1/sessions/:sid', { config: { ...config, audit: 'revoke sessions' }, schema: { params: oneParams } },
    async (request, reply) => {
      const { revoked, user: ended, copied } = await sessions.end(request.params.sid)
      noted(request, 'revoke', { sid: request.params.sid, user: ended, revoked, copied })
      return ended202(reply, revoked, copied)
    })

  app.post<{ Body: Static<typeof revokeBody> }>('/v1/sessions/revoke', { config: { ...config, audit: 'revoke sessions' }, schema: { body: revokeBody } },
    async (request, reply) => {
      const { user: named, realm: within = 'default', except } = request.body
      const { revoked, copied } = await sessions.revoke({ realm: within, user: named }, except)
      noted(request, 'revoke', { user: named, realm: within, except, revoked, copied })
      return ended202(reply, revoked, copied)
    })

  const patching = { ...config, audit: 'patch sessions', keepsJsonText: true }
  app.patch<{ Params: Static<typeof oneParams> }>('/v1/sessions/:sid', { config: patching, schema: { params: oneParams } }, async request => {
    const patched = await withinBounds(sessions.patch(request.params.sid, patchOf(request.body)))
    if (patched === undefined) throw noSession()
    noted(request, 'patch', { sid: request.params.sid, user: patched.user, version: patched.version })
    return { patched: 1, version: patched.version }
  })

  app.patch<{ Querystring: Static<typeof userQuery> }>('/v1/sessions', { config: patching, schema: { querystring: userQuery } }, async request => {
    const { user: named, realm: within = 'default' } = request.query
    const patched = await withinBounds(sessions.patchUser({ realm: within, user: named }, patchOf(request.body)))
    noted(request, 'patch', { user: named, realm: within, patched })
    return { patched }
  })
}

/** 202: Redis has done it, and no replica of Redis has confirmed it: a failover may bring a session back. */
function ended202(reply: FastifyReply, revoked: number, copied: boolean): FastifyReply {
  return reply.code(copied ? 200 : 202).send({ revoked })
}

/** Logs a change, or a reading of data, in full. The audit trail has it in short. */
function noted(request: FastifyRequest, action: string, more: Readonly<Record<string, unknown>>): void {
  request.audited = typeof more['sid'] === 'string' ? `session ${more['sid']}` : `the sessions of ${String(more['user'])}`
  request.log.info({ token: request.tokenName, action, ...more }, 'sessions')
}

function noSession(): AdminProblem {
  return new AdminProblem('NOT_FOUND', { detail: 'There is no such session.' })
}

function patchOf(body: unknown): JsonObject {
  const patch = body instanceof JsonText ? readPatch(body.text) : 'is needed'
  if (typeof patch === 'string') throw requestProblem([{ path: '', message: patch }])
  return patch
}

/** A patch that exceeds the bounds is the caller's fault here, not a backend's. */
async function withinBounds<T>(change: Promise<T>): Promise<T> {
  try {
    return await change
  } catch (error) {
    if ((error as { code?: string }).code === 'SESSION_INSTRUCTION_INVALID')
      throw requestProblem([{ path: '', message: 'makes the data larger than sessions.maxBytes, or than 64 members' }])
    throw error
  }
}
