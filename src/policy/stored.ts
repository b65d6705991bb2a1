// What is known of a stored response: everything that policy asks of it, and nothing that a store may judge.
import type { FieldLines } from '../http/fields.ts'
import type { ByteRange } from '../http/range.ts'

/**
 * A place in the order of purges (see store/purge/log.ts): a string that sorts, with `<`, in the order in which the
 * purges were recorded.
 */
export type LogPosition = string

/** A request field that Vary names, with the normalised value that the stored response's request had; null: it had none. */
export type Selecting = readonly [name: string, value: string | null]

/** What of a representation a stored body holds, where that is not all of it (RFC 9110 §15.3.7, RFC 9111 §3.3). */
export interface Part {
  /** In order, apart from one another, at least one. The body is what they say, one after the other. */
  readonly ranges: readonly ByteRange[]
  /** Length of the whole representation; undefined: the origin did not say. */
  readonly complete: number | undefined
  /** The Range field that brought it (the last of it), byte for byte. */
  readonly requestedRange: string
}

/**
 * - `explicit`: the response gives it (RFC 9111 §4.2.1).
 * - `heuristic`: a guess from Last-Modified (§4.2.2).
 * - `configured`: the operator gives it.
 * - `none`: nothing gives one. The response is stale from the start.
 * - `malformed`: the response gives one that cannot be read. It is stale from the start.
 */
export type LifetimeSource = 'explicit' | 'heuristic' | 'configured' | 'none' | 'malformed'

export const lifetimeSources: readonly LifetimeSource[] = ['explicit', 'heuristic', 'configured', 'none', 'malformed']

/** The metadata of one stored response (one variant of a key). Times are milliseconds; times of day since the epoch. */
export interface Metadata {
  readonly status: number
  /** The fields that a reuse sends, less those made anew for each answer (Age, Via, Cache-Status) and the hop-by-hop ones. */
  readonly fields: FieldLines
  /** Surrogate-Control and the tag fields: told to this cache, never sent on, kept for what a 304 leaves unsaid. */
  readonly cacheOnlyFields: FieldLines
  /** When the request that brought it (or last validated it) was sent, and when its head arrived (RFC 9111 §4.2.3). */
  readonly requestTimeMs: number
  readonly responseTimeMs: number
  /** corrected_initial_age of RFC 9111 §4.2.3: how old it was at responseTimeMs. */
  readonly initialAgeMs: number
  /** freshness_lifetime of RFC 9111 §4.2.1. 0: stale from the start. */
  readonly lifetimeMs: number
  /** Where the lifetime comes from. */
  readonly lifetimeSource: LifetimeSource
  /** RFC 5861 §3 and §4: how long beyond its lifetime it may be served while, or when, the origin does not answer. */
  readonly staleWhileRevalidateMs: number
  /** undefined: neither the response nor the route says. 0: never served when the origin fails. */
  readonly staleIfErrorMs: number | undefined
  /** `no-cache`: never reused without validation (RFC 9111 §5.2.2.4). */
  readonly alwaysValidate: boolean
  /** must-revalidate, proxy-revalidate or s-maxage: never served stale (RFC 9111 §4.2.4). */
  readonly neverStale: boolean
  /** The opaque-tag with its quotes and, if weak, its W/; undefined without one. */
  readonly etag: string | undefined
  /** Last-Modified as received, when it is a valid date. */
  readonly lastModified: string | undefined
  /** Whether its own request carried Authorization or Cookie. A refresh carries such a field only then. */
  readonly hadAuthorization: boolean
  readonly hadCookie: boolean
  /** The request fields that selected it; [] without Vary. */
  readonly vary: readonly Selecting[]
  /** Names the variant within its key: equal for two responses when one replaces the other. */
  readonly variant: string
  /** Where purges find it. */
  readonly authority: string
  /** In normal form (RFC 3986 §6.2.2), as purges and invalidations name it; the key has the exact bytes. */
  readonly target: string
  readonly tags: readonly string[]
  /** The last purge that had been applied here before the origin was asked for it. A later one that matches kills it. */
  readonly stamp: LogPosition
  /** When the store may forget it. Never an answer to "is it fresh?". */
  readonly keepUntilMs: number
  /** Length of the whole stored body. */
  readonly bodyBytes: number
  /** undefined: the body is the whole representation. */
  readonly part: Part | undefined
}
