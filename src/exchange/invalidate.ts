// What an unsafe request's answer makes invalid, put in the purge log before the client hears of it: RFC 9111 §4.4.
import type { IncomingMessage } from 'node:http'
import { normaliseAuthority } from '../http/authority.ts'
import { fieldLines, fieldValue, type FieldLines } from '../http/fields.ts'
import { groupInvalidations } from '../http/tags.ts'
import { invalidatedUrls } from '../policy/invalidation.ts'
import type { Purge, PurgeLog } from '../store/purge-log.ts'
import type { Counters } from './counters.ts'
import { keyedTarget, matchRoute, type Route } from './routes.ts'

export interface InvalidateParts {
  routes(): readonly Route[]
  readonly purgeLog: PurgeLog
  readonly counters: Counters
  /** How long the answer may be held back until every replica knows, in milliseconds. */
  readonly waitMs: number
  /** For the log: the invalidation could not be recorded. */
  failed(cause: unknown, target: string): void
}

/**
 * Invalidates what the answer to an unsafe request says. Whoever made the change and asks again must not be shown what
 * was before it, so the answer waits for this, a bounded time. It never fails the request: the change has been made.
 */
export async function invalidateAfter(parts: InvalidateParts, message: IncomingMessage, scheme: 'http' | 'https', status: number, fields: FieldLines): Promise<void> {
  // Not `message.headers`, which Node has made by now, and which does not know of an authority in the target (RFC 9112 §3.2.2).
  const authority = normaliseAuthority(fieldValue(fieldLines(message.rawHeaders), 'host') ?? '', scheme)
  if (authority === undefined) return
  const method = message.method ?? 'GET'
  const target = message.url ?? '/'
  const urls = invalidatedUrls({ method, scheme, authority, target }, status, fields)
  if (urls.length === 0) return
  const routes = parts.routes()
  const keyed = urls.map(url => {
    const route = matchRoute(routes, url.authority, url.target)
    return { authority: url.authority, target: route === undefined ? url.target : keyedTarget(route, url.target) }
  })
  // RFC 9875 §3: groups that the answer names go with it.
  const purge: Purge = { urls: keyed, prefixes: [], tags: groupInvalidations(fields), tagsMatch: 'any', all: false, soft: false }
  try {
    await parts.purgeLog.append(purge, parts.waitMs)
    parts.counters.purges++
  } catch (cause) {
    parts.failed(cause, target)
  }
}
