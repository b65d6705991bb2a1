// The operator's settings for a route, as policy reads them.
import type { TagField } from '../http/tags.ts'
import type { NameTest } from '../http/name-globs.ts'

/** Caching rules of one route. Durations in milliseconds, sizes in bytes. */
export interface Rules {
  /** false: the route only proxies. */
  readonly enabled: boolean
  /** True if the origin may read the request's path as one of another route: nothing is stored or served from the cache. */
  readonly ambiguous: boolean
  /** Lifetime of a success that gives none; no guess is longer. 0: such a response is not fresh. undefined: the same, but guesses count. */
  readonly defaultTtlMs: number | undefined
  /** Lifetimes by status for errors that give none. Statuses that judge one message are stored only if they are named here. */
  readonly statusTtlMs: ReadonlyMap<number, number>
  /** Longest lifetime that is derived from Last-Modified (RFC 9111 §4.2.2); 0: none is. */
  readonly heuristicTtlMs: number
  /** RFC 5861 defaults for responses that say nothing. */
  readonly staleWhileRevalidateMs: number
  /** undefined: not said. 0: never. */
  readonly staleIfErrorMs: number | undefined
  /** How long a request waits for the origin before a stale response that may replace an error is served; undefined: for ever. */
  readonly staleIfSlowMs: number | undefined
  /** No lifetime is longer, whatever the origin says. */
  readonly maxTtlMs: number
  /** How long after its lifetime an entry is kept, to be validated or served if the origin is out of reach. */
  readonly keepStaleMs: number
  /**
   * Requests with Cookie. private: their responses are stored under the rule for Authorization. ignore: Cookie does not
   * prevent storing. A list: these cookies are part of the key, and others are not forwarded.
   */
  readonly cookies: 'private' | 'ignore' | readonly string[]
  /** Responses with Set-Cookie. skip: not stored. store: stored, including the cookie. */
  readonly setCookie: 'skip' | 'store'
  /** A response with a larger body is delivered, and not stored. */
  readonly maxEntryBytes: number
  /** The fetch for a request with Range. part: the requested part. whole: the whole, unless it may not be stored. */
  readonly rangeFetch: 'part' | 'whole'
  readonly tags: TagRules
}

/** The fields that carry tags, and those of all fields that clients do not receive. */
export interface TagRules {
  readonly fields: readonly TagField[]
  /** Fields for this cache only: Surrogate-Control, and the tag fields unless they are forwarded. */
  readonly cacheOnly: ReadonlySet<string>
}

/** Compiles the settings for tags. Cache-Groups is for every cache (RFC 9875), so clients receive it in any case. */
export function compileTags({ fields, forward }: { readonly fields: readonly TagField[]; readonly forward: boolean }): TagRules {
  const own = forward ? [] : fields.map(({ name }) => name).filter(name => name !== 'cache-groups')
  return { fields, cacheOnly: new Set(['surrogate-control', ...own]) }
}

/** The parts of a request, beside method, scheme, host and target, that distinguish entries of a route. */
export interface KeyRules {
  /** Query parameters that are removed before the request is keyed and forwarded; undefined: none. */
  readonly ignoreQuery: NameTest | undefined
  /** True if parameters are sorted by name, in the key and in the forwarded request. */
  readonly sortQuery: boolean
  /** Lower-case names of request fields whose values are part of the key. */
  readonly headers: readonly string[]
}

/** The part of the time since the last change that a heuristic lifetime takes, as RFC 9111 §4.2.2 suggests. */
export const heuristicFraction = 0.1
