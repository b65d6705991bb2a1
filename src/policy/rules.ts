// What the operator decided for a route, as policy reads it.
import type { NameTest } from '../http/name-globs.ts'

/** Caching rules of one route. Durations in milliseconds, sizes in bytes. */
export interface Rules {
  /** false: the route only proxies. */
  readonly enabled: boolean
  /** Whether the origin may read the request's path as one of another route: nothing is stored or answered from the cache. */
  readonly ambiguous: boolean
  /** Lifetime where the origin gives none and none can be guessed; 0: such a response is not fresh. */
  readonly defaultTtlMs: number
  /** Lifetimes by status for responses that give none themselves; wins over defaultTtlMs. */
  readonly negativeTtlMs: ReadonlyMap<number, number>
  /** Whether a lifetime may be guessed from Last-Modified (RFC 9111 §4.2.2). */
  readonly heuristics: boolean
  /** RFC 5861 defaults where the origin says nothing. */
  readonly staleWhileRevalidateMs: number
  /** undefined: not said. 0: never. */
  readonly staleIfErrorMs: number | undefined
  /** No lifetime is longer, whatever the origin says. */
  readonly maxTtlMs: number
  /** How long after its lifetime an entry is kept, to be validated or served when the origin is out of reach. */
  readonly keepStaleMs: number
  /**
   * Requests with Cookie. private: their answers are stored under the rule for Authorization; ignore: Cookie is no
   * reason not to store; a list: these cookies are part of the key, and others are not sent on.
   */
  readonly cookies: 'private' | 'ignore' | readonly string[]
  /** Responses with Set-Cookie: skip: not stored. store: stored, cookie and all. */
  readonly setCookie: 'skip' | 'store'
  /** A larger body is passed on and not stored. */
  readonly maxEntryBytes: number
}

/** What of a request, beside method, scheme, host and target, tells two entries apart on a route. */
export interface KeyRules {
  /** Query parameters that are removed before the request is keyed and forwarded; undefined: none. */
  readonly ignoreQuery: NameTest | undefined
  /** Whether parameters are sorted by name, in the key and in what is forwarded. */
  readonly sortQuery: boolean
  /** Lower-case names of request fields whose values are part of the key. */
  readonly headers: readonly string[]
}

// Guesses are a tenth of the time since the last change, as RFC 9111 §4.2.2 suggests, and never more than a day.
export const heuristicFraction = 0.1
export const heuristicMaxMs = 24 * 60 * 60 * 1000
