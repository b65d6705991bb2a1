// Digests of the rules that decide which requests share a response: a route's, for its keys, and a configuration's, for replicas to compare.
import { createHash } from 'node:crypto'
import type { Config, OriginConfig, RouteConfig } from '../../config/schema.ts'
import type { Rules } from '../../policy/rules.ts'
import { readServerAddress } from '../../server-address.ts'

/**
 * A digest of every rule that decides who may be given a stored response: which requests have one key, which may be stored at
 * all, and what of a request reaches the origin. A route whose rules change, or a replica whose rules differ, therefore shares
 * nothing with the keys before. What decides how long a response is fresh or kept is left out: it holds for responses that are
 * stored from then on.
 *
 * The key names an origin by its name. `default` is the name of every origin that `--origin` gives, and so names none: there the
 * servers are part of the digest, lest two services with one Redis be answered from each other's entries.
 * @param allowed the request fields that reach the origin; undefined: every one
 */
export function sharingDigest({ origin, cache, key }: RouteConfig, allowed: ReadonlySet<string> | undefined, { proxy: { trustProxy }, origins }: Pick<Config, 'proxy' | 'origins'>): string {
  const cookies = cookieRule({ cache, key })
  const deciding = [
    typeof cookies === 'string' ? cookies : { key: cookies }, cache.setCookie, key.query.ignore, key.query.sort, key.headers,
    allowed === undefined ? 'all' : [...allowed].sort(),
    trustProxy,
    ...(origin === 'default' ? [serversOf(origins[origin])] : []),
  ]
  return digest(deciding)
}

/** Returns how a route treats cookies: those of its key, or the rule for all. */
export function cookieRule({ cache, key }: Pick<RouteConfig, 'cache' | 'key'>): Rules['cookies'] {
  if (key.cookies.length > 0) return key.cookies
  return typeof cache.cookies === 'string' ? cache.cookies : cache.cookies.key
}

// Without weights, and in any order: they say nothing of what the servers are.
function serversOf(origin: OriginConfig | undefined): string[] {
  return (origin?.servers ?? []).map(server => readServerAddress(server)?.url ?? server).sort()
}

/** Digests of what replicas of one service have in common: how they treat requests, and whom they ask. */
export function configurationFingerprint({ routes, proxy: { trustProxy }, origins }: Pick<Config, 'routes' | 'proxy' | 'origins'>): { readonly routes: string, readonly origins: string } {
  return { routes: digest([routes, trustProxy]), origins: digest(origins) }
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)
}
