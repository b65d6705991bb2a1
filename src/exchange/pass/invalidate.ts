// Invalidations by the response to an unsafe request, put in the purge log before the client gets the response: RFC 9111 §4.4.
import type { FieldLines } from '../../http/fields.ts'
import { normalTarget } from '../../http/normal-target.ts'
import { groupInvalidations } from '../../http/tags.ts'
import { invalidatedUrls } from '../../policy/invalidation.ts'
import type { CacheRequest } from '../../policy/request.ts'
import type { Purge, PurgeLog, PurgeReceipt, UrlPattern } from '../../store/purge/log.ts'
import type { Counters } from '../counters.ts'
import { matchRoute } from '../routing/match.ts'
import { keyedTarget } from '../routing/routes.ts'
import type { Route } from '../routing/route.ts'

export interface InvalidateParts {
  routes(): readonly Route[]
  readonly purgeLog: PurgeLog
  readonly counters: Counters
  /** Returns true if responses may have been stored under other routes: those before a reload, or those of another replica. */
  otherRoutes(): boolean
  /** How long the response may be held back until every replica knows, in milliseconds. */
  readonly purgeWaitMs: number
  /** For the log: the invalidation could not be recorded yet. */
  invalidationFailed(cause: unknown, target: string): void
}

/**
 * Returns the purge for the response to a request, or undefined if it invalidates nothing. URLs whose route stores nothing
 * are left out, unless responses may have been stored under other routes.
 */
export function invalidationBy({ routes, otherRoutes }: Pick<InvalidateParts, 'routes' | 'otherRoutes'>, request: CacheRequest, status: number, fields: FieldLines): Purge | undefined {
  const named = invalidatedUrls(request, status, fields)
  if (named.length === 0) return undefined
  const all = otherRoutes()
  const urls: UrlPattern[] = []
  for (const { authority, target } of named) {
    const route = matchRoute(routes(), authority, target)
    if (all || route?.rules.enabled === true) urls.push({ authority, target: normalTarget(route === undefined ? target : keyedTarget(route, target)) })
  }
  // RFC 9875 §3: groups that the response names go with it.
  const tags = all || routes().some(({ rules }) => rules.enabled) ? groupInvalidations(fields) : []
  if (urls.length === 0 && tags.length === 0) return undefined
  return { urls, prefixes: [], tags, tagsMatch: 'any', all: false, soft: false, implicit: true }
}

/**
 * Records the purge. The next request of this client must not receive an older response, so the response waits for the
 * record, a bounded time. It never fails the request, because the change has been made. Returns undefined if
 * the purge could not be recorded; until it is, it is in force in this process alone.
 */
export async function invalidate(parts: InvalidateParts, purge: Purge, target: string): Promise<PurgeReceipt | undefined> {
  try {
    const receipt = await parts.purgeLog.append(purge, parts.purgeWaitMs)
    parts.counters.purges++
    return receipt
  } catch (cause) {
    parts.counters.invalidationsDeferred++
    parts.invalidationFailed(cause, target)
    return undefined
  }
}
