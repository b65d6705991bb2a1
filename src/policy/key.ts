// The primary cache key: RFC 9111 §2, made of exactly what the origin is sent and nothing a client could confuse.
import type { FieldLines } from '../http/fields.ts'
import { namedCookies } from './cookies.ts'
import type { CacheRequest } from './request.ts'
import type { KeyRules, Rules } from './rules.ts'
import type { RequestField } from './vary.ts'

/**
 * The key of a request on a route, named by what its keys begin with. Parts that a client chooses have their length before them, so no choice of bytes in
 * one part can make it read as another; the target's bytes are those that are forwarded. Method is not part of it: only
 * GET is stored, and GET answers HEAD (RFC 9110 §9.3.2). `requestField` reads the fields as they are forwarded; `trusted` are
 * the lines of a trusted proxy that an origin obeys.
 */
export function cacheKey(route: string, request: CacheRequest, requestField: RequestField, rules: Rules, keyRules: KeyRules, trusted: FieldLines): string {
  const { authority, target } = request
  let key = `${route} ${request.scheme} ${authority.length}:${authority} ${target.length}:${target}`
  for (const name of keyRules.headers) key += part(name, requestField(name))
  if (typeof rules.cookies !== 'string') {
    // As the origin is sent it: see namedCookies. No cookie at all is the same as none of these.
    const cookies = request.hasCookie ? requestField('cookie') : undefined
    key += part('cookie', cookies === undefined ? undefined : namedCookies(cookies, rules.cookies))
  }
  key += request.keyedFields
  // Their names are not the configuration's, and have their length before them too.
  for (let i = 0; i < trusted.length; i += 2) key += part(`${(trusted[i] as string).length}:${trusted[i]}`, trusted[i + 1])
  return key
}

function part(name: string, value: string | undefined): string {
  return value === undefined ? ` ${name}-` : ` ${name}${value.length}:${value}`
}
