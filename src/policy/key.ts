// The primary cache key (RFC 9111 §2), made of exactly what is forwarded, and of nothing that a client could confuse.
import type { FieldLines } from '../http/fields.ts'
import { namedCookies } from './cookies.ts'
import type { CacheRequest } from './request.ts'
import type { KeyRules, Rules } from './rules.ts'
import type { RequestField } from './vary.ts'

/**
 * Returns the key of a request on a route; `route` is the prefix of its keys. Parts that a client chooses are preceded by
 * their length, so no choice of bytes in one part can make it read as another. The target's bytes are those that are
 * forwarded. The method is not part of it: only GET is stored, and serves HEAD too (RFC 9110 §9.3.2). `requestField` reads
 * the forwarded fields; `trusted` are a trusted proxy's lines that an origin obeys.
 */
export function cacheKey(route: string, request: CacheRequest, requestField: RequestField, rules: Rules, keyRules: KeyRules, trusted: FieldLines): string {
  const { authority, target } = request
  let key = `${route} ${request.scheme} ${authority.length}:${authority} ${target.length}:${target}`
  for (const name of keyRules.headers) key += part(name, requestField(name))
  if (typeof rules.cookies !== 'string') {
    // As forwarded: see namedCookies. No cookie at all equals none of these.
    const cookies = request.hasCookie ? requestField('cookie') : undefined
    key += part('cookie', cookies === undefined ? undefined : namedCookies(cookies, rules.cookies))
  }
  key += request.keyedFields
  // Their names do not come from the configuration, so they are preceded by their length too.
  for (let i = 0; i < trusted.length; i += 2) key += part(`${(trusted[i] as string).length}:${trusted[i]}`, trusted[i + 1])
  return key
}

function part(name: string, value: string | undefined): string {
  return value === undefined ? ` ${name}-` : ` ${name}${value.length}:${value}`
}
