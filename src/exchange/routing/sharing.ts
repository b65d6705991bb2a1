// Digests of the rules that decide which requests share a response: a route's, for its keys, and a configuration's, for replicas to compare.
import { createHash } from 'node:crypto'
import type { Config, OriginSettings, RouteConfig } from '../../config/schema.ts'
import type { IdentityRules } from '../../policy/identity.ts'
import type { Rules } from '../../policy/rules.ts'
import { readServerAddress } from '../../server-address.ts'

/**
 * A digest of every rule that decides which clients may share a stored response. These rules say which requests have one key,
 * which may be stored at all, and which fields reach the origin. A route whose rules change, or a replica whose rules differ,
 * therefore shares nothing with the keys before. Rules for freshness and storage times are left out: they hold for responses
 * that are stored from then on.
 *
 * The key names an origin by its name. `default` is the name of every origin that `--origin` gives, and so names none. There
 * the servers are part of the digest, lest two services with one Redis share each other's entries.
 * @param allowed the request fields that reach the origin; undefined: every one
 */
export function sharingDigest(route: RouteConfig, allowed: ReadonlySet<string> | undefined,
  { proxy: { trustProxy }, origins, cache: { tags }, sessions, auth }: Pick<Config, 'proxy' | 'origins' | 'cache' | 'sessions' | 'auth'>): string {
  const { origin, cache, key } = route
  const cookies = cookieRule({ cache, key })
  const identity = identityRules(route, sessions)
  const deciding = [
    typeof cookies === 'string' ? cookies : { key: cookies },
    cache.setCookie,
    key.query.ignore,
    key.query.sort,
    key.headers,
    allowed === undefined ? 'all' : [...allowed].sort(),
    trustProxy,
    // A purge would miss an entry that was stored while another field carried its tags.
    tags,
    // Which credentials do not reach the origin, and what it receives in their place.
    ...(sessions.enabled || auth.jwt.length > 0
      ? [{ cookie: sessions.enabled && sessions.cookie.name, headers: sessions.headers,
        identity: identity && { sources: identity.sources, forward: identity.forward, realm: identity.realm, facets: identity.facets } }]
      : []),
    // The meaning of the facets of a token.
    ...auth.jwt.filter(({ name }) => identity?.sources.includes(name)).map(({ name, issuer, audience, claims }) => ({ name, issuer, audience, claims })),
    ...(origin === 'default' ? [serversOf(origins[origin])] : []),
  ]
  return digest(deciding)
}

/** Returns how a route treats cookies: those of its key, or the rule for all. */
export function cookieRule({ cache, key }: Pick<RouteConfig, 'cache' | 'key'>): Rules['cookies'] {
  if (key.cookies.length > 0) return key.cookies
  return cache.cookies
}

/** Returns how a route treats identities; undefined if its requests are not identified. */
export function identityRules({ identity, key }: Pick<RouteConfig, 'identity' | 'key'>, { enabled }: Pick<Config['sessions'], 'enabled'>): IdentityRules | undefined {
  const sources = identity.sources ?? (enabled ? ['session'] : [])
  if (sources.length === 0) return undefined
  const { required, forward, login, trouble, realm = 'default' } = identity
  return { sources, required, forward, login, trouble, realm, facets: key.facets }
}

// Without weights, and in any order: they say nothing of what the servers are.
function serversOf(origin: OriginSettings | undefined): string[] {
  return (origin?.servers ?? []).map(server => readServerAddress(server)?.url ?? server).sort()
}

/** Digests of the configuration that replicas of one service share: how they treat requests, and which servers they contact. */
export function configurationFingerprint(
  { routes, proxy: { trustProxy }, origins, cache: { tags }, sessions, auth }: Pick<Config, 'routes' | 'proxy' | 'origins' | 'cache' | 'sessions' | 'auth'>,
): { readonly routes: string; readonly origins: string } {
  const sources = [...(sessions.enabled ? [sessions.cookie, sessions.headers] : []), ...auth.jwt]
  return { routes: digest([routes, trustProxy, tags, ...sources]), origins: digest(origins) }
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)
}
