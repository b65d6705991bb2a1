// GET /v1/entries: what is stored, page by page, with a bound on the work of each call.
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { normalPrefix } from '../http/normal-target.ts'
import { currentAgeMs } from '../policy/freshness.ts'
import { shownPart } from '../policy/part.ts'
import type { Metadata } from '../policy/stored.ts'
import type { UrlPattern } from '../store/purge-log.ts'
import type { AdminParts } from './admin.ts'
import { readUrlPattern, showPattern } from './url-pattern.ts'

/** How many pages of the store one call may look through: a filter that matches little must not walk a whole store. */
const maxPages = 20

const defaultLimit = 100
const entriesQuery = Type.Object(
  {
    prefix: Type.Optional(Type.String({ minLength: 1, format: 'url-pattern', description: 'Only entries whose URL begins so: absolute, or a path alone for every host.' })),
    tag: Type.Optional(Type.String({ minLength: 1, description: 'Only entries that carry this tag.' })),
    cursor: Type.Optional(Type.String({ minLength: 1, description: 'What the page before this one answered as its cursor.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: defaultLimit, description: 'How many entries to answer at most.' })),
  },
  { additionalProperties: false },
)

function matches(meta: Metadata, prefix: UrlPattern | undefined, tag: string | undefined): boolean {
  if (tag !== undefined && !meta.tags.includes(tag)) return false
  if (prefix === undefined) return true
  return (prefix.authority === undefined || prefix.authority === meta.authority) && meta.target.startsWith(prefix.target)
}

/** Entries are listed by their URL in normal form. */
function normalPattern(prefix: UrlPattern | undefined): UrlPattern | undefined {
  return prefix && { authority: prefix.authority, target: normalPrefix(prefix.target) }
}

function showEntry(key: string, meta: Metadata, parts: AdminParts, nowMs: number): Record<string, unknown> {
  const ageMs = currentAgeMs(meta, nowMs)
  return {
    key,
    url: showPattern(meta),
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

export function entriesRoutes(app: FastifyInstance, parts: AdminParts): void {
  app.get<{ Querystring: Static<typeof entriesQuery> }>('/v1/entries', { config: { scope: 'read' }, schema: { querystring: entriesQuery } }, async (request) => {
    const { tag, limit = defaultLimit } = request.query
    const prefix = request.query.prefix === undefined ? undefined : normalPattern(readUrlPattern(request.query.prefix).pattern)
    const nowMs = parts.clock.now()
    const entries: Record<string, unknown>[] = []
    let cursor = request.query.cursor
    for (let pages = 0; pages < maxPages; pages++) {
      // No more is asked for than still fits, so that no match between two cursors is left out.
      const page = await parts.store.list(cursor, limit - entries.length)
      for (const { key, meta } of page.entries) {
        if (matches(meta, prefix, tag)) entries.push(showEntry(key, meta, parts, nowMs))
      }
      cursor = page.cursor
      if (cursor === undefined || entries.length >= limit) break
    }
    return { entries, cursor }
  })
}
