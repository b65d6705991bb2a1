// Which route a request takes: host and path, first match wins.
import type { Config } from '../config/schema.ts'
import { removeQueryParameters } from '../http/target.ts'
import { dashed } from '../origin/steering.ts'
import { keyedFields } from '../policy/keyed-fields.ts'
import type { KeyRules, Rules } from '../policy/rules.ts'

/** How a route's requests go to its origin. */
export interface Forwarding {
  /** Statuses for which another server is tried instead. */
  readonly retryOn: readonly number[]
  /** The request fields that reach the origin when the answer may be stored; undefined: every one. */
  readonly allowedFields: ReadonlySet<string> | undefined
  /** Names of the route's key as CGI tells them from others: a field that is one of them in another spelling does not reach the origin then. */
  readonly keyedSpellings: ReadonlySet<string>
}

/** A route, compiled from the configuration. */
export interface Route {
  /**
   * Names the route in keys. Made of what it matches and where it leads, not of its place in the list, so that a route
   * put before it by a reload does not hand its entries to another.
   */
  readonly id: string
  readonly origin: string
  readonly rules: Rules
  readonly keyRules: KeyRules
  readonly forwarding: Forwarding
  matches(authority: string, target: string): boolean
}

/**
 * @param match.host exact host (with a port it must be equal, without one any port matches), or `*.example.com`: any host below it
 * @param match.path a prefix of the request target's path
 */
export function compileRoute(match: { readonly host?: string | undefined; readonly path?: string | undefined }, origin: string, rules: Rules, keyRules: KeyRules, forwarding: Forwarding): Route {
  const host = match.host?.toLowerCase()
  const path = match.path ?? '/'
  return { id: `${origin}@${host ?? '*'}${path}`, origin, rules, keyRules, forwarding, matches: matcher(host, path) }
}

function matcher(host: string | undefined, path: string): Route['matches'] {
  if (host === undefined && path === '/') return () => true
  if (host === undefined) return (_authority, target) => target.startsWith(path)
  if (host.startsWith('*.')) {
    const suffix = host.slice(1)
    return (authority, target) => hostOf(authority).endsWith(suffix) && target.startsWith(path)
  }
  const withPort = /:\d+$/.test(host)
  return (authority, target) => (withPort ? authority : hostOf(authority)) === host && target.startsWith(path)
}

function hostOf(authority: string): string {
  return authority.replace(/:\d+$/, '')
}

/** A target as the route keys and forwards it: without the query parameters that it ignores, sorted if it sorts. */
export function keyedTarget(route: Route, target: string): string {
  const { ignoreQuery, sortQuery } = route.keyRules
  return sortQuery || ignoreQuery.length > 0 ? removeQueryParameters(target, ignoreQuery, sortQuery) : target
}

/** The first route that matches, or undefined. */
export function matchRoute(routes: readonly Route[], authority: string, target: string): Route | undefined {
  for (const route of routes) {
    if (route.matches(authority, target)) return route
  }
  return undefined
}

// What may differ between two requests that share an entry is then only what is in the key, what origins name in Vary as a
// matter of course, and what says who asks: storable.ts judges those. The rest of a client's fields could steer an origin
// and show in what others are given.
const strictFields: ReadonlySet<string> = new Set([
  'host', 'accept', 'accept-encoding', 'accept-language', 'authorization', 'cookie', 'cache-control', 'pragma', 'range',
  'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', ...keyedFields,
  // What the proxy makes itself.
  'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'via', 'cdn-loop', 'x-request-id',
])

/** The names of fields, of those that an origin is sent, that `strict` would keep back. */
export function unkeyedNames(route: Route, names: Iterable<string>): string[] {
  return [...new Set(names)].filter(name => !strictFields.has(name) && !route.keyRules.headers.includes(name))
}

function allowedFields(setting: Config['routes'][number]['requestHeaders'], keyed: readonly string[]): ReadonlySet<string> | undefined {
  if (setting === 'all') return undefined
  return new Set([...strictFields, ...keyed, ...(setting === 'strict' ? [] : setting.allow)])
}

/** The routes of a configuration, in its order. */
export function compileRoutes(config: Pick<Config, 'routes' | 'cache'>): Route[] {
  return config.routes.map(route => {
    const { cache, key } = route
    const rules: Rules = {
      enabled: cache.enabled,
      defaultTtlMs: cache.defaultTtl,
      negativeTtlMs: new Map(Object.entries(cache.negativeTtl).map(([status, ttlMs]) => [Number(status), ttlMs])),
      heuristics: cache.heuristics,
      staleWhileRevalidateMs: cache.staleWhileRevalidate,
      staleIfErrorMs: cache.staleIfError,
      maxTtlMs: cache.maxTtl,
      keepStaleMs: config.cache.keepStale,
      cookies: typeof cache.cookies === 'string' ? cache.cookies : cache.cookies.key,
      setCookie: cache.setCookie,
      maxEntryBytes: Math.min(cache.maxEntryBytes ?? Infinity, config.cache.maxEntryBytes),
    }
    const keyRules: KeyRules = { ignoreQuery: key.query.ignore, sortQuery: key.query.sort, headers: key.headers }
    const forwarding: Forwarding = { retryOn: route.retryOn, allowedFields: allowedFields(route.requestHeaders, key.headers), keyedSpellings: new Set(key.headers.map(dashed)) }
    return compileRoute(route.match, route.origin, rules, keyRules, forwarding)
  })
}
