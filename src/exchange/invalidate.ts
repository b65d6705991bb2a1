// What an unsafe request's answer makes invalid, put in the purge log before the client hears of it: RFC 9111 §4.4.
import type { FieldLines } from '../http/fields.ts'
import { normalTarget } from '../http/normal-target.ts'
import { groupInvalidations } from '../http/tags.ts'
import { invalidatedUrls } from '../policy/invalidation.ts'
import type { CacheRequest } from '../policy/request.ts'
import type { Purge, PurgeLog, PurgeReceipt } from '../store/purge-log.ts'
import type { Counters } from './counters.ts'
import { matchRoute } from './route-match.ts'
import { keyedTarget, type Route } from './routes.ts'

export interface InvalidateParts {
  routes(): readonly Route[]
  readonly purgeLog: PurgeLog
  readonly counters: Counters
  /** How long the answer may be held back until every replica knows, in milliseconds. */
  readonly waitMs: number
  /** For the log: the invalidation could not be recorded. */
  failed(cause: unknown, target: string): void
}

/** What the answer to a request invalidates; undefined: nothing. */
export function invalidationBy(routes: readonly Route[], request: CacheRequest, status: number, fields: FieldLines): Purge | undefined {
  const urls = invalidatedUrls(request, status, fields)
  if (urls.length === 0) return undefined
  const keyed = urls.map(url => {
    const route = matchRoute(routes, url.authority, url.target)
    return { authority: url.authority, target: normalTarget(route === undefined ? url.target : keyedTarget(route, url.target)) }
  })
  // RFC 9875 §3: groups that the answer names go with it.
  return { urls: keyed, prefixes: [], tags: groupInvalidations(fields), tagsMatch: 'any', all: false, soft: false }
}

/**
 * Records it. Whoever made the change and asks again must not be shown what was before it, so the answer waits for this, a
 * bounded time. It never fails the request, for the change has been made: undefined when it could not be recorded.
 */
export async function invalidate(parts: InvalidateParts, purge: Purge, target: string): Promise<PurgeReceipt | undefined> {
  try {
    const receipt = await parts.purgeLog.append(purge, parts.waitMs)
    parts.counters.purges++
    return receipt
  } catch (cause) {
    parts.failed(cause, target)
    return undefined
  }
}
