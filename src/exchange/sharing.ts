// What decides who shares a response on a route, as one short word that is part of the route's keys.
import { createHash } from 'node:crypto'
import type { Config, RouteConfig } from '../config/schema.ts'

/**
 * A digest of every rule that decides who may be given a stored response: which requests have one key, which may be stored at
 * all, and what of a request reaches the origin. A route whose rules change, or a replica whose rules differ, therefore shares
 * nothing with the keys before. What decides how long a response is fresh or kept is left out: it holds for responses that are
 * stored from then on.
 * @param allowed the request fields that reach the origin; undefined: every one
 */
export function sharingDigest({ cache, key }: RouteConfig, allowed: ReadonlySet<string> | undefined, trustProxy: Config['proxy']['trustProxy']): string {
  const deciding = [
    cache.cookies, cache.setCookie, key.query.ignore, key.query.sort, key.headers,
    allowed === undefined ? 'all' : [...allowed].sort(),
    trustProxy,
  ]
  return createHash('sha256').update(JSON.stringify(deciding)).digest('base64url').slice(0, 16)
}
