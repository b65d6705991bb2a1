// Invalidation by unsafe requests: recorded in the purge log before the client gets the response (RFC 9111 §4.4).
import { purgeHost } from '../../http/authority.ts'
import type { FieldLines } from '../../http/fields.ts'
import { normalTarget } from '../../http/normal-target.ts'
import { groupInvalidations } from '../../http/tags.ts'
import { invalidatedTargets } from '../../policy/invalidation.ts'
import type { CacheRequest } from '../../policy/request.ts'
import type { Purge, PurgeLog, PurgeReceipt, UrlPattern } from '../../store/purge/log.ts'
import type { ExchangeObserver, RoutedExchange } from '../client/exchange.ts'
import { matchRoute } from '../routing/match.ts'
import { keyedTarget } from '../routing/routes.ts'
import type { Route } from '../routing/route.ts'

export interface InvalidateParts {
  routes(): readonly Route[]
  readonly purgeLog: PurgeLog
  readonly observer: ExchangeObserver
  /** True if responses may have been stored under other routes: those before a reload, or those of another replica. */
  otherRoutes(): boolean
  /** How long the response may be held back until every replica knows, in milliseconds. */
  readonly purgeWaitMs: number
}

/** A request, and what a trusted proxy reports of the URL that its client requested. */
export interface InvalidatingRequest {
  readonly request: CacheRequest
  readonly publicHosts: readonly string[]
  readonly context: { readonly trusted: boolean }
}

/**
 * Returns the purge for the response to a request, or undefined if it invalidates nothing. URLs whose route stores nothing
 * are left out, unless responses may have been stored under other routes.
 */
export function invalidationBy({ routes, otherRoutes }: Pick<InvalidateParts, 'routes' | 'otherRoutes'>, { request, publicHosts, context }: InvalidatingRequest, status: number,
  fields: FieldLines): Purge | undefined {
  const { method, scheme, authority, target: own } = request
  const targets = invalidatedTargets({ method, scheme, authority, target: own, publicHosts, anyScheme: context.trusted }, status, fields)
  if (targets.length === 0) return undefined
  const all = otherRoutes()
  const urls = new Map<string, UrlPattern>()
  const add = (host: string, target: string): void => {
    for (const form of new Set([target, normalTarget(target)])) {
      // The host that routes know may be this one, or the Host under which a proxy in front forwards it.
      for (const route of new Set([matchRoute(routes(), host, form), matchRoute(routes(), authority, form)])) {
        if (!all && route?.rules.enabled !== true) continue
        const keyed = normalTarget(route === undefined ? form : keyedTarget(route, form))
        urls.set(`${host} ${keyed}`, { authority: host, target: keyed })
      }
    }
  }
  for (const host of [purgeHost(authority), ...publicHosts]) for (const target of targets) add(host, target)
  // RFC 9875 §3: groups that the response names go with it.
  const tags = all || routes().some(({ rules }) => rules.enabled) ? groupInvalidations(fields) : []
  if (urls.size === 0 && tags.length === 0) return undefined
  return { urls: [...urls.values()], prefixes: [], tags, tagsMatch: 'any', all: false, soft: false, implicit: true }
}

/**
 * Records the purge. The next request of this client must not receive an older response, so the response waits for the
 * record, a bounded time. It never fails the request, because the change has been made. Returns undefined if
 * the purge could not be recorded; until it is, it is in force in this process alone.
 */
export async function invalidate(parts: InvalidateParts, purge: Purge, exchange: RoutedExchange): Promise<PurgeReceipt | undefined> {
  try {
    const receipt = await parts.purgeLog.append(purge, parts.purgeWaitMs)
    parts.observer.count('purges')
    return receipt
  } catch (cause) {
    parts.observer.deferred(cause, exchange)
    return undefined
  }
}
