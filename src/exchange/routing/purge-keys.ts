// Translates a purge with URLs as people write them into a purge with URLs as entries are keyed.
import { normalPrefix, normalTarget } from '../../http/normal-target.ts'
import type { KeyRules } from '../../policy/rules.ts'
import type { Purge, UrlPattern } from '../../store/purge/log.ts'
import { matchRoute } from './match.ts'
import { keyedTarget } from './routes.ts'
import type { Route } from './route.ts'

// The work between two turns: characters of targets, counted once for each route that reads them.
const charsPerTurn = 65_536

/**
 * Adds to each URL of a purge the target under which its route keys it (less ignored parameters, sorted), so that a URL
 * copied from a browser, `utm_source` and all, purges the response that was served for it. A path alone is keyed by every route.
 * URLs and prefixes are brought to their normal form, so that a purge reaches every equivalent spelling (RFC 3986 §6.2.2).
 * @param anyHost true if a trusted proxy may forward requests under another Host than a purge names: then every route may key them
 * @param nextTurn called between two pieces of work: a purge may name a thousand URLs, and there may be many routes
 */
export async function keyedPurge(routes: readonly Route[], purge: Purge, anyHost: boolean, nextTurn: () => Promise<void>): Promise<Purge> {
  const urls = new Map<string, UrlPattern>()
  const add = ({ authority }: UrlPattern, keyed: string): void => {
    const target = normalTarget(keyed)
    urls.set(`${authority ?? '*'} ${target}`, { authority, target })
  }
  const different = differentlyKeyed(routes)
  let chars = 0
  for (const url of purge.urls) {
    add(url, url.target)
    const normal = normalTarget(url.target)
    for (const route of anyHost ? different : keyingRoutes(routes, different, url)) {
      add(url, keyedTarget(route, url.target))
      if (normal !== url.target) add(url, keyedTarget(route, normal))
      chars += url.target.length
      if (chars < charsPerTurn) continue
      chars = 0
      await nextTurn()
    }
  }
  const prefixes = purge.prefixes.map(({ authority, target }) => ({ authority, target: normalPrefix(target) }))
  return { ...purge, urls: [...urls.values()], prefixes }
}

function keyingRoutes(routes: readonly Route[], different: readonly Route[], { authority, target }: UrlPattern): readonly Route[] {
  if (authority === undefined) return different
  const route = matchRoute(routes, authority, target)
  return route === undefined ? [] : [route]
}

/** Returns a route for each way to key a target: most have the same. */
function differentlyKeyed(routes: readonly Route[]): readonly Route[] {
  const ways = new Map<string, Route>()
  const names = new Map<KeyRules['ignoreQuery'], number>()
  for (const route of routes) {
    const { ignoreQuery, sortQuery } = route.keyRules
    // Routes with the same list have the same test (routes.ts).
    if (!names.has(ignoreQuery)) names.set(ignoreQuery, names.size)
    ways.set(`${names.get(ignoreQuery)} ${sortQuery}`, route)
  }
  return [...ways.values()]
}
