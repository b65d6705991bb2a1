// GET /v1/purges lists recent purges; GET /v1/purges/{id} shows one, and the replicas that have applied it, also as they do.
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Acknowledgements, PurgeRecord } from '../store/purge/log.ts'
import { Type, type Static } from '../json-schema.ts'
import type { AccessControl } from './auth.ts'
import { wantsEvents, type EventStreams } from './event-streams.ts'
import { JsonPage, maxCursorChars, sendPage, unknownCursor } from './json-page.ts'
import { onePurgeResponse, purgesResponse } from './own-responses.ts'
import type { AdminParts } from './parts.ts'
import { AdminProblem } from './problems.ts'
import type { Turns } from './turns.ts'
import { showPattern } from './url-pattern.ts'

const defaultRecent = 50
const recentQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: defaultRecent, description: 'Most purges in the response. A page may have fewer, and a cursor.' })),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: maxCursorChars, description: 'The cursor of the page before this one.' })),
  },
  { additionalProperties: false },
)
// Characters of records that are serialised before other work gets a turn.
const charsPerTurn = 65_536

const longestWaitMs = 30_000
// The number of attempts to find a purge that is not applied here yet, and their interval: a second in all.
const mostLooks = 50
const lookAgainMs = 20
const oneParams = Type.Object({ id: Type.String({ pattern: '^[0-9a-z.]+$', maxLength: 64, description: 'The id of a purge, from its receipt.' }) }, {
  additionalProperties: false,
})
const oneQuery = Type.Object({
  waitMs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: longestWaitMs, default: longestWaitMs, description: 'For an event stream: how long to wait for every replica, in milliseconds.' }),
  ),
}, { additionalProperties: false })

function showRecord({ id, atMs, by, purge }: PurgeRecord): Record<string, unknown> {
  return {
    id,
    atMs,
    by: by ?? null,
    // Invalidations by unsafe requests are not listed.
    cause: 'api',
    soft: purge.soft,
    all: purge.all,
    urls: purge.urls.map(showPattern),
    prefixes: purge.prefixes.map(showPattern),
    tags: purge.tags,
    tagsMatch: purge.tagsMatch,
  }
}

export function purgesRoutes(app: FastifyInstance, access: AccessControl, parts: AdminParts, turns: Turns, streams: EventStreams): void {
  app.get<{ Querystring: Static<typeof recentQuery> }>('/v1/purges', { config: { scope: 'read' }, schema: { querystring: recentQuery, response: { 200: purgesResponse } } },
    async (request, reply) => {
      const { cursor, limit = defaultRecent } = request.query
      if (cursor !== undefined && !/^[0-9a-z.]+$/.test(cursor)) throw unknownCursor()
      const page = new JsonPage()
      const records = parts.purgeLog.recent(limit, cursor)
      let written = 0
      for (const record of records) {
        page.add(showRecord(record))
        if (page.full) break
        if (page.chars - written < charsPerTurn) continue
        written = page.chars
        await turns.next()
      }
      const last = records[page.length - 1]
      const more = last !== undefined && parts.purgeLog.recent(1, last.id).length > 0
      return sendPage(reply, page.toText('purges', more ? last.id : undefined))
    })

  app.get<{ Params: Static<typeof oneParams>; Querystring: Static<typeof oneQuery> }>(
    '/v1/purges/:id',
    { config: { scope: 'any' }, schema: { params: oneParams, querystring: oneQuery, response: { 200: onePurgeResponse } } },
    async (request, reply) => {
      // A deploy pipeline that may purge and nothing else may see how far its purge has come.
      access.requireOneOf(request, ['read', 'purge'])
      const { params: { id }, query: { waitMs = longestWaitMs } } = request
      const record = await recordOf(id)
      if (wantsEvents(request)) return stream(request, reply, id, waitMs)
      let seen: Acknowledgements | undefined
      await parts.purgeLog.follow(id, 0, now => {
        seen = now
      }, AbortSignal.abort())
      return { ...showRecord(record), replicas: shownReplicas(seen, Math.max(0, parts.clock.now() - record.atMs)) }
    },
  )

  /** Finds a record. Another replica may have written it a moment ago, and this one may not have read it. */
  async function recordOf(id: string): Promise<PurgeRecord> {
    const { purgeLog } = parts
    for (let looks = 1; looks <= mostLooks; looks++) {
      const record = purgeLog.find(id)
      if (record !== undefined) return record
      if (id <= purgeLog.applied) break
      await delay(lookAgainMs)
    }
    throw noPurge()
  }

  async function stream(request: FastifyRequest, reply: FastifyReply, id: string, waitMs: number): Promise<FastifyReply> {
    const events = streams.begin(request, reply)
    const told = new Set<string>()
    let latest: Acknowledgements | undefined
    const { copied } = await parts.purgeLog.follow(id, waitMs, now => {
      latest = now
      for (const { id: replica, acknowledged } of now.replicas) {
        if (!acknowledged || told.has(replica)) continue
        told.add(replica)
        events.send('ack', { replica, live: now.live, acknowledged: now.acknowledged })
      }
    }, events.signal)
    events.send('done', { live: latest?.live ?? 0, acknowledged: latest?.acknowledged ?? 0, copied })
    events.end()
    return reply
  }
}

function shownReplicas(seen: Acknowledgements | undefined, sinceMs: number): Record<string, unknown> {
  const { live = 0, acknowledged = 0, replicas = [] } = seen ?? {}
  // How long a replica took is not kept; how long one has not applied the purge is known.
  return { live, acknowledged, list: replicas.map(each => ({ ...each, lagMs: each.acknowledged ? null : sinceMs })) }
}

function noPurge(): AdminProblem {
  return new AdminProblem('NOT_FOUND', { detail: 'There is no such purge, or it is not kept any more.' })
}
