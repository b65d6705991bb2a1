// GET /v1/entries: lists stored responses by pages, with a bound on the work of each call and each turn.
import type { FastifyInstance } from 'fastify'
import { normalPrefix } from '../http/normal-target.ts'
import { maxTagBytes } from '../http/tags.ts'
import { currentAgeMs } from '../policy/freshness.ts'
import { shownPart } from '../policy/part.ts'
import type { Metadata } from '../policy/stored.ts'
import type { UrlPattern } from '../store/purge/log.ts'
import { onHost } from '../store/purge/match.ts'
import { UnknownCursor } from '../store/store.ts'
import { Type, type Static } from '../json-schema.ts'
import { JsonPage, maxCursorChars, sendPage, unknownCursor } from './json-page.ts'
import { entriesResponse } from './own-responses.ts'
import { Turns, type NextTurn } from './turns.ts'
import { maxUrlChars, readUrlPattern, showPattern } from './url-pattern.ts'
import type { AdminParts } from './parts.ts'

/** How many pages of the store one call reads, and for how long. If a filter matches little, the call ends there with a cursor. */
const mostPages = 100
const mostMs = 500

const defaultLimit = 100
const entriesQuery = Type.Object(
  {
    prefix: Type.Optional(
      Type.String({ minLength: 1, maxLength: maxUrlChars, format: 'url-pattern', description: 'Only entries whose URL begins with this: absolute, or a path for every host.' }),
    ),
    tag: Type.Optional(Type.String({ minLength: 1, maxLength: maxTagBytes, format: 'tag', description: 'Only entries that carry this tag.' })),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: maxCursorChars, description: 'The cursor of the page before this one.' })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: defaultLimit,
        description: 'Most entries in the response. A page may have fewer, or none, and a cursor. The last page has no cursor.' }),
    ),
  },
  { additionalProperties: false },
)

function matches(meta: Metadata, prefix: UrlPattern | undefined, tag: string | undefined): boolean {
  if (tag !== undefined && !meta.tags.includes(tag)) return false
  if (prefix === undefined) return true
  return meta.target.startsWith(prefix.target) && onHost(prefix, meta)
}

/** Normalises a prefix, because entries are listed by their URL in normal form. */
function normalPattern(prefix: UrlPattern | undefined): UrlPattern | undefined {
  return prefix && { authority: prefix.authority, target: normalPrefix(prefix.target) }
}

function showEntry(key: string, meta: Metadata, parts: AdminParts, nowMs: number): Record<string, unknown> {
  const ageMs = currentAgeMs(meta, nowMs)
  return {
    key,
    url: showPattern(meta),
    publicHosts: meta.publicHosts,
    variant: meta.variant,
    status: meta.status,
    bytes: meta.bodyBytes,
    part: shownPart(meta),
    ageMs,
    lifetimeMs: meta.lifetimeMs,
    freshUntilMs: nowMs - ageMs + meta.lifetimeMs,
    keepUntilMs: meta.keepUntilMs,
    tags: meta.tags,
    vary: meta.vary,
    etag: meta.etag,
    verdict: parts.purgeLog.judge(meta),
  }
}

type Query = Static<typeof entriesQuery>

export function entriesRoutes(app: FastifyInstance, parts: AdminParts, nextTurn: NextTurn): void {
  // Listings have their own turns, so that a store that does not respond delays no other endpoint.
  const turns = new Turns(nextTurn)

  /** Adds the matches of one page of the store to the response. Returns the cursor of the next page. */
  const look = async (page: JsonPage, { limit = defaultLimit, tag }: Query, prefix: UrlPattern | undefined, cursor: string | undefined): Promise<string | undefined> => {
    const nowMs = parts.clock.now()
    try {
      // Requests no more than still fits, so that no match between two cursors is lost.
      const found = await parts.store.list(cursor, limit - page.length, (meta) => matches(meta, prefix, tag))
      for (const { key, meta } of found.entries) page.add(showEntry(key, meta, parts, nowMs))
      return found.cursor
    } catch (error) {
      if (error instanceof UnknownCursor) throw unknownCursor()
      throw error
    }
  }

  app.get<{ Querystring: Query }>('/v1/entries', { config: { scope: 'read' }, schema: { querystring: entriesQuery, response: { 200: entriesResponse } } },
    async (request, reply) => {
      const { query } = request
      const prefix = query.prefix === undefined ? undefined : normalPattern(readUrlPattern(query.prefix).pattern)
      const untilMs = parts.clock.monotonic() + mostMs
      const page = new JsonPage()
      let { cursor } = query
      for (let pages = 0; pages < mostPages; pages++) {
        cursor = await turns.take(() => look(page, query, prefix, cursor))
        if (cursor === undefined || page.full || page.length >= (query.limit ?? defaultLimit)) break
        if (parts.clock.monotonic() >= untilMs || request.raw.socket.destroyed) break
      }
      return sendPage(reply, page.toText('entries', cursor))
    })
}
