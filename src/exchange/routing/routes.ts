// The routes of a configuration, compiled: what each matches, where it leads, and its rules.
import type { Config } from '../../config/schema.ts'
import { compileNames, type NameTest } from '../../http/name-globs.ts'
import { removeQueryParameters } from '../../http/target.ts'
import { dashed } from '../../forwarding/untrusted-fields.ts'
import { keyedFields } from '../../policy/keyed-fields.ts'
import { compileTags, type KeyRules, type Rules } from '../../policy/rules.ts'
import { caseTellsApart, compileMatch } from './match.ts'
import { cookieRule, identityRules, sharingDigest } from './sharing.ts'
import type { Route, Forwarding } from './route.ts'

/** A target as the route keys and forwards it: without the query parameters that it ignores, sorted if it sorts. */
export function keyedTarget(route: Route, target: string): string {
  const { ignoreQuery, sortQuery } = route.keyRules
  return sortQuery || ignoreQuery !== undefined ? removeQueryParameters(target, ignoreQuery, sortQuery) : target
}

// The fields that reach an origin under `strict`: keyed fields, fields that origins usually name in Vary, and fields that name
// the client, which storable.ts judges. Any other field of a client could steer an origin, and show in responses to other
// clients.
const strictFields: ReadonlySet<string> = new Set([
  'host',
  'accept',
  'accept-encoding',
  'accept-language',
  'authorization',
  'cookie',
  'cache-control',
  'pragma',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  ...keyedFields,
  // Trace context, without which a trace ends at the proxy. Not `baggage`: applications read tenants and flags from it.
  'traceparent',
  'tracestate',
  // Made by the proxy itself.
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
  'via',
  'cdn-loop',
  'x-request-id',
])

/** Returns the names of forwarded fields that `strict` would remove. */
export function unkeyedNames(route: Route, names: Iterable<string>): string[] {
  return [...new Set(names)].filter(name => !strictFields.has(name) && !route.keyRules.headers.includes(name))
}

export function allowedFields(setting: Config['routes'][number]['requestHeaders'], keyed: readonly string[]): ReadonlySet<string> | undefined {
  if (setting === 'all') return undefined
  return new Set([...strictFields, ...keyed, ...(setting === 'strict' ? [] : setting.allow)])
}

/** The parts of a configuration that routes depend on. */
export type RoutingConfig = Pick<Config, 'routes' | 'cache' | 'proxy' | 'origins' | 'sessions' | 'auth'>

/** The routes of a configuration, in its order. */
export function compileRoutes(config: RoutingConfig): Route[] {
  const foldCase = !caseTellsApart(config.routes.map(({ match }) => match))
  const ignored = sharedTests()
  const tags = compileTags(config.cache.tags)
  return config.routes.map(route => {
    const { cache, key } = route
    const rules: Rules = {
      enabled: cache.mode === 'cache',
      ambiguous: false,
      defaultTtlMs: cache.ttl.default,
      statusTtlMs: new Map(Object.entries(cache.ttl.status).map(([status, ttlMs]) => [Number(status), ttlMs])),
      heuristicTtlMs: cache.ttl.heuristic === 'off' ? 0 : cache.ttl.heuristic,
      staleWhileRevalidateMs: cache.staleWhileRevalidate,
      staleIfErrorMs: cache.staleIfError,
      staleIfSlowMs: cache.staleIfSlow,
      maxTtlMs: cache.ttl.max,
      keepStaleMs: config.cache.keepStale,
      cookies: cookieRule(route),
      setCookie: cache.setCookie,
      maxEntryBytes: Math.min(cache.maxEntryBytes ?? Infinity, config.cache.maxEntryBytes),
      rangeFetch: cache.rangeFetch,
      tags,
    }
    const keyRules: KeyRules = { ignoreQuery: ignored(key.query.ignore), sortQuery: key.query.sort, headers: key.headers }
    const forwarding: Forwarding = { retryOn: route.retryOn, allowedFields: allowedFields(route.requestHeaders, key.headers), keyedSpellings: new Set(key.headers.map(dashed)) }
    const match = compileMatch(route.match, foldCase)
    const id = `${route.origin}@${match.host ?? '*'}${match.isExact ? '=' : ''}${match.path}`
    const keyPart = `${id}#${sharingDigest(route, forwarding.allowedFields, config)}`
    return withUncached({ id, keyPart, origin: route.origin, rules, keyRules, forwarding, identity: identityRules(route, config.sessions), match })
  })
}

/** Compiles lists of ignored parameters: equal lists get one test, so that the test shows which routes key alike. */
function sharedTests(): (patterns: readonly string[]) => NameTest | undefined {
  const tests = new Map<string, NameTest>()
  return (patterns) => {
    if (patterns.length === 0) return undefined
    const list = JSON.stringify(patterns)
    const test = tests.get(list) ?? compileNames(patterns)
    tests.set(list, test)
    return test
  }
}

function withUncached(route: Omit<Route, 'uncached'>): Route {
  const uncached = { ...route, rules: { ...route.rules, ambiguous: true } } as Route & { uncached: Route }
  uncached.uncached = uncached
  return { ...route, uncached }
}
