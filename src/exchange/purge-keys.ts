// From a purge as people name URLs to a purge as entries are keyed.
import { normalPrefix, normalTarget } from '../http/normal-target.ts'
import type { Purge, UrlPattern } from '../store/purge-log.ts'
import { matchRoute } from './route-match.ts'
import { keyedTarget, type Route } from './routes.ts'

/**
 * Adds to each URL of a purge the target under which its route keys it (less ignored parameters, sorted), so that a URL
 * copied from a browser, `utm_source` and all, purges what it was answered from. A path alone is keyed by every route.
 * URLs and prefixes are brought to their normal form, so that a purge reaches every equivalent spelling (RFC 3986 §6.2.2).
 */
export function keyedPurge(routes: readonly Route[], purge: Purge): Purge {
  const urls = new Map<string, UrlPattern>()
  for (const url of purge.urls) {
    for (const target of new Set([url.target, ...keyedTargets(routes, url)].map(normalTarget))) {
      urls.set(`${url.authority ?? '*'} ${target}`, { authority: url.authority, target })
    }
  }
  const prefixes = purge.prefixes.map(({ authority, target }) => ({ authority, target: normalPrefix(target) }))
  return { ...purge, urls: [...urls.values()], prefixes }
}

function keyedTargets(routes: readonly Route[], url: UrlPattern): string[] {
  if (url.authority === undefined) return routes.map(route => keyedTarget(route, url.target))
  const route = matchRoute(routes, url.authority, url.target)
  return route === undefined ? [] : [keyedTarget(route, url.target)]
}
