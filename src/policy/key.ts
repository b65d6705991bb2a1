// The primary cache key: RFC 9111 §2, made of exactly what the origin is sent and nothing a client could confuse.
import type { FieldLines } from '../http/fields.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import type { CacheRequest } from './request.ts'
import type { KeyRules, Rules } from './rules.ts'
import type { RequestField } from './vary.ts'

/**
 * The key of a request on a route, named by what its keys begin with. Parts that a client chooses have their length before them, so no choice of bytes in
 * one part can make it read as another; the target's bytes are those that are forwarded. Method is not part of it: only
 * GET is stored, and GET answers HEAD (RFC 9110 §9.3.2). `requestField` reads the fields as they are forwarded; `trusted` are
 * those that a trusted proxy made, and an origin obeys.
 */
export function cacheKey(route: string, request: CacheRequest, requestField: RequestField, rules: Rules, keyRules: KeyRules, trusted: FieldLines): string {
  const { authority, target } = request
  let key = `${route} ${request.scheme} ${authority.length}:${authority} ${target.length}:${target}`
  for (const name of keyRules.headers) key += part(name, requestField(name))
  if (typeof rules.cookies !== 'string') {
    // No cookie at all is the same as none of these.
    const cookies = request.hasCookie ? requestField('cookie') ?? '' : ''
    // A comma once parted cookies (RFC 2965 §3.3.4), and a quote may hide what parts them: origins differ in what they read.
    if (/[",]/.test(cookies)) key += part('cookie', cookies)
    for (const name of rules.cookies) key += part(name, cookieValue(cookies, name))
  }
  // Their names are not the configuration's, and have their length before them too.
  for (let i = 0; i < trusted.length; i += 2) key += part(`${(trusted[i] as string).length}:${trusted[i]}`, trusted[i + 1])
  return key
}

function part(name: string, value: string | undefined): string {
  return value === undefined ? ` ${name}-` : ` ${name}${value.length}:${value}`
}

// RFC 6265 §4.2.1: pairs parted by "; ". Two of one name: both count, since origins differ on which they read. Not trim(), which
// takes a byte beyond ASCII for a space: an origin is sent it, and reads another name or value.
function cookieValue(cookies: string, name: string): string | undefined {
  let found: string | undefined
  for (const pair of cookies.split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || withoutOuterSpace(pair, 0, at) !== name) continue
    const value = withoutOuterSpace(pair, at + 1)
    found = found === undefined ? value : `${found};${value}`
  }
  return found
}
