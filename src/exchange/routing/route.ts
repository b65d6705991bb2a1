// A route, compiled: what it matches, its origin, and its rules.
import type { IdentityRules } from '../../policy/identity.ts'
import type { Rules, KeyRules } from '../../policy/rules.ts'

/** A route, compiled from the configuration. */
export interface Route {
  /**
   * Names the route for people. Made of its match and its origin, not of its place in the list. So a route that a reload puts
   * before it does not take over its entries.
   */
  readonly id: string
  /** Names the route in keys: its id, and a digest of the rules that decide which requests share its responses. */
  readonly keyPart: string
  readonly origin: string
  readonly rules: Rules
  readonly keyRules: KeyRules
  readonly forwarding: Forwarding
  /** undefined: its requests are not identified. */
  readonly identity: IdentityRules | undefined
  readonly match: RouteMatch
  /** The same route without its cache: for a path that the origin may read as one of another route. */
  readonly uncached: Route
}

/** How a route's requests go to its origin. */
export interface Forwarding {
  /** Statuses for which another server is tried instead. */
  readonly retryOn: readonly number[]
  /** The request fields that reach the origin when the response may be stored; undefined: every one. */
  readonly allowedFields: ReadonlySet<string> | undefined
  /** The field names of the route's key, as CGI distinguishes them. Another spelling of such a name does not reach the origin then. */
  readonly keyedSpellings: ReadonlySet<string>
}

/** The hosts and paths of a route, compiled. */
export interface RouteMatch {
  /** An exact host, or `*.example.com`; `undefined`: every host. */
  readonly host: string | undefined
  /** `.example.com`, where any host below it matches. */
  readonly domain: string | undefined
  /** The first segments of a path, or all of it, in normal form (RFC 3986 §6.2.2). */
  readonly path: string
  /** True if `path` is a whole path. */
  readonly isExact: boolean
  /** True if the route takes every path. */
  readonly isEvery: boolean
  /** The path in lower case; `undefined` if routes differ by case. */
  readonly lowerPath: string | undefined
  /** The plainest forms of the path; `undefined`: it has none, and each odd path may be read as one of this route. */
  readonly plainest: readonly string[] | undefined
}
