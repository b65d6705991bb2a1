// The metadata of a stored response: everything that policy reads, and nothing that a store may judge.
import type { FieldLines } from '../http/fields.ts'
import type { ByteRange } from '../http/range.ts'

/** A position in the order of purges (see store/purge/log.ts): a string that sorts, with `<`, in the order of recording. */
export type LogPosition = string

/** A request field that Vary names, and its normalised value in the request of the stored response. null: it had none. */
export type Selecting = readonly [name: string, value: string | null]

/** The ranges of a stored body that is not the whole representation (RFC 9110 §15.3.7, RFC 9111 §3.3). */
export interface Part {
  /** In order, disjoint, at least one. The body is their bytes, one range after another. */
  readonly ranges: readonly ByteRange[]
  /** Length of the whole representation; undefined if the origin did not send it. */
  readonly complete: number | undefined
  /** The Range field of the (last) request that brought it, byte for byte. */
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

/** The names by which a purge of a URL finds a response. Without `publicHosts`, its Host is the only one. */
export type Addressed = Pick<Metadata, 'authority' | 'target'> & Partial<Pick<Metadata, 'publicHosts'>>

/** All names by which purges find a response. */
export type Named = Addressed & Pick<Metadata, 'tags'>

/** The metadata of one stored response (one variant of a key). Times are milliseconds; times of day since the epoch. */
export interface Metadata {
  readonly status: number
  /**
   * The fields that a reuse sends, without hop-by-hop fields and those that are new in each response (Age, Via,
   * Cache-Status).
   */
  readonly fields: FieldLines
  /** Surrogate-Control, and the tag fields unless they are forwarded: for this cache, kept in case a 304 omits them. */
  readonly cacheOnlyFields: FieldLines
  /**
   * When the request that brought or last validated it was sent, and when the response head was received (RFC 9111 §4.2.3).
   */
  readonly requestTimeMs: number
  readonly responseTimeMs: number
  /** corrected_initial_age of RFC 9111 §4.2.3: its age at responseTimeMs. */
  readonly initialAgeMs: number
  /** freshness_lifetime of RFC 9111 §4.2.1. 0: stale from the start. */
  readonly lifetimeMs: number
  /** Where the lifetime comes from. */
  readonly lifetimeSource: LifetimeSource
  /** RFC 5861 §3 and §4: how long after its lifetime it may be served during a refresh, or when the origin fails. */
  readonly staleWhileRevalidateMs: number
  /** undefined: neither the response nor the route says. 0: never served when the origin fails. */
  readonly staleIfErrorMs: number | undefined
  /** `no-cache`: never reused without validation (RFC 9111 §5.2.2.4). */
  readonly alwaysValidate: boolean
  /** must-revalidate, proxy-revalidate or s-maxage: never served stale (RFC 9111 §4.2.4). */
  readonly neverStale: boolean
  /** The opaque-tag with its quotes and, if weak, its W/; undefined without one. */
  readonly etag: string | undefined
  /** Last-Modified as received, if it is a valid date. */
  readonly lastModified: string | undefined
  /** True if its own request carried Authorization or Cookie. A refresh carries such a field only then. */
  readonly hadAuthorization: boolean
  readonly hadCookie: boolean
  /** The request fields that selected it; [] without Vary. */
  readonly vary: readonly Selecting[]
  /** Names the variant within its key: equal for two responses if one replaces the other. */
  readonly variant: string
  /** Host and port by which purges find it. */
  readonly authority: string
  /** Other hosts by which purges find it: those that a trusted proxy reports (policy/public-hosts.ts). Nearly always []. */
  readonly publicHosts: readonly string[]
  /** In normal form (RFC 3986 §6.2.2), as purges and invalidations name it; the key has the exact bytes. */
  readonly target: string
  readonly tags: readonly string[]
  /** The last purge applied here before the request was forwarded. A later purge that matches kills the entry. */
  readonly stamp: LogPosition
  /** When the store may drop it. Says nothing about freshness. */
  readonly keepUntilMs: number
  /** Length of the whole stored body. */
  readonly bodyBytes: number
  /** undefined: the body is the whole representation. */
  readonly part: Part | undefined
}
