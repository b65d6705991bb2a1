// Cache-Control of responses and requests (RFC 9111 §5.2), parsed in one pass; what is malformed restricts.
import { deltaSeconds, qualifiedNames, scanDirectives, type Argument } from './directives.ts'

/**
 * The directives of a response. All numbers are delta-seconds (RFC 9111 §1.2.2): whole, 0 to `maxDeltaSeconds`. Policy
 * decides which directive beats which.
 */
export interface ResponseDirectives {
  /** Malformed reads as 0, never as absent: RFC 9111 §4.2.1 encourages treating such a response as stale. */
  readonly maxAge: number | undefined
  /** Parsed as maxAge. */
  readonly sMaxage: number | undefined
  /** True if the lifetime that counts (s-maxage, else max-age) could not be read: the response is stale by mistake, not by intent. */
  readonly lifetimeMalformed: boolean
  readonly noStore: boolean
  /** An array is the qualified form: the field names, in lower case, that may not be reused without validation. */
  readonly noCache: true | readonly string[] | undefined
  /** An array is the qualified form: the field names, in lower case, that may not be stored. */
  readonly private: true | readonly string[] | undefined
  /** Permits, so it is true only if every `public` is well-formed. */
  readonly public: boolean
  /** Restricts in any form, malformed or not. `grantsSharing` holds what a well-formed one permits. */
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  /** Restricts in any form, malformed or not: a status that is not understood is not stored. */
  readonly mustUnderstand: boolean
  /** True if a well-formed must-understand lifts the no-store beside it (RFC 9111 §5.2.2.3). */
  readonly liftsNoStore: boolean
  /**
   * True if the response to a request with credentials may be shared (RFC 9111 §3.5): by public, must-revalidate, or
   * s-maxage above 0. A directive grants nothing if one of its lines is malformed or contradicts another.
   */
  readonly grantsSharing: boolean
  readonly immutable: boolean
  readonly noTransform: boolean
  /** RFC 5861 §3. Malformed reads as 0, so that the operator's default does not take its place. */
  readonly staleWhileRevalidate: number | undefined
  /** RFC 5861 §4. Parsed as staleWhileRevalidate. */
  readonly staleIfError: number | undefined
}

/** The directives of a request. Numbers are delta-seconds, as in a response. */
export interface RequestDirectives {
  /** Malformed reads as 0. */
  readonly maxAge: number | undefined
  /** Infinity when bare: "any staleness" (RFC 9111 §5.2.1.2). Malformed reads as absent. */
  readonly maxStale: number | undefined
  /**
   * Malformed or bare reads as Infinity, which no stored response meets. The client wants some freshness to be left, but how
   * much is unknown; only a response from the origin surely has it. `no-cache` would cost the same request.
   */
  readonly minFresh: number | undefined
  readonly noCache: boolean
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  readonly noTransform: boolean
  /** RFC 5861 §4. Malformed reads as absent. */
  readonly staleIfError: number | undefined
}

export const noResponseDirectives: ResponseDirectives = Object.freeze(emptyResponse())
export const noRequestDirectives: RequestDirectives = Object.freeze(emptyRequest())

/**
 * Parses a response's Cache-Control from its combined field value (undefined: absent). Never throws.
 *
 * RFC 9111 §4.2.1 lets a cache choose among duplicates or treat the response as stale. Here the most restrictive duplicate
 * holds, in any order. A directive outside the grammar (after a space or a semicolon instead of a comma) counts as
 * malformed, not as absent: `max-age=60; private` is private, and stale.
 */
export function parseResponseDirectives(value: string | undefined): ResponseDirectives {
  if (value === undefined) return noResponseDirectives
  let directives = lately.get(value)
  if (directives === undefined) {
    directives = readResponseDirectives(value)
    // An API sends a handful of values. If an API counts its max-age down, the cache fills up and starts empty again.
    if (lately.size >= 500) lately.clear()
    if (value.length <= 256) lately.set(value, Object.freeze(directives))
  }
  return directives
}

// Recent results: origins repeat the same few values. Results are frozen because callers share them.
const lately = new Map<string, ResponseDirectives>()

function readResponseDirectives(value: string): ResponseDirectives {
  const directives = emptyResponse()
  const reading: Reading = { directives, permitted: 0, spoilt: 0, badMaxAge: false, badSMaxage: false }
  // A quote never closes: everything in the value has been taken as malformed, so it restricts and permits nothing. The response
  // is stale as well.
  if (!scanDirectives(value, reading, takeResponseDirective)) {
    directives.maxAge = 0
    reading.badMaxAge = true
  }
  directives.lifetimeMalformed = directives.sMaxage === undefined ? reading.badMaxAge : reading.badSMaxage
  const permitted = reading.permitted & ~reading.spoilt
  directives.public = (permitted & permits.public) !== 0
  directives.immutable = (permitted & permits.immutable) !== 0
  directives.liftsNoStore = (permitted & permits.mustUnderstand) !== 0
  directives.grantsSharing = (permitted & (permits.public | permits.mustRevalidate | permits.sMaxage)) !== 0
  return directives
}

/** A bit for each directive that permits something. */
const permits = { public: 1, mustRevalidate: 2, sMaxage: 4, mustUnderstand: 8, immutable: 16 } as const

/** A response's Cache-Control while it is parsed. */
interface Reading {
  readonly directives: ResponseDraft
  /** The permissions of well-formed directives, one bit each. */
  permitted: number
  /** The permissions that malformed or contradicting directives revoke, wherever they stand in the value. */
  spoilt: number
  /** True if a max-age could not be read. */
  badMaxAge: boolean
  badSMaxage: boolean
}

/** Records a directive that permits something. A malformed one revokes the permission of all directives of its name. */
function note(reading: Reading, bit: number, wellFormed: boolean): void {
  if (wellFormed) reading.permitted |= bit
  else reading.spoilt |= bit
}

/** Parses a request's Cache-Control and Pragma from their combined field values (undefined: absent). Never throws. */
export function parseRequestDirectives(cacheControl: string | undefined, pragma: string | undefined): RequestDirectives {
  if (cacheControl === undefined) {
    if (pragma === undefined) return noRequestDirectives
    // RFC 9111 §5.4: without Cache-Control, Pragma: no-cache means Cache-Control: no-cache.
    const directives = emptyRequest()
    scanDirectives(pragma, directives, takePragma)
    return directives
  }
  const directives = emptyRequest()
  if (!scanDirectives(cacheControl, directives, takeRequestDirective)) directives.maxStale = directives.staleIfError = undefined
  directives.maxStale = unlessMalformed(directives.maxStale)
  directives.staleIfError = unlessMalformed(directives.staleIfError)
  return directives
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Qualified = true | string[]
type ResponseDraft = Mutable<Omit<ResponseDirectives, 'noCache' | 'private'>> & { noCache: Qualified | undefined; private: Qualified | undefined }

function takeResponseDirective(reading: Reading, name: string, argument: Argument, quoted: boolean): void {
  const into = reading.directives
  switch (name) {
    case 'max-age':
      into.maxAge = lesser(into.maxAge, deltaSeconds(argument) ?? 0)
      reading.badMaxAge ||= deltaSeconds(argument) === undefined
      return
    case 's-maxage': {
      const seconds = deltaSeconds(argument) ?? 0
      reading.badSMaxage ||= deltaSeconds(argument) === undefined
      const contradicted = into.sMaxage !== undefined && into.sMaxage !== seconds
      // §5.2.2.10: a sender must not quote it. A quoted s-maxage sets a lifetime, but does not permit sharing.
      note(reading, permits.sMaxage, seconds > 0 && !quoted && !contradicted)
      into.sMaxage = lesser(into.sMaxage, seconds)
      return
    }
    // Directives with an argument that does not belong there. A restriction still holds: an origin that wrote `no-store="x"`
    // did not want the response stored. A permission does not: an origin that misspells `public` has not granted it.
    case 'no-store':
      into.noStore = true
      return
    case 'no-cache':
      into.noCache = wider(into.noCache, qualifiedNames(argument))
      return
    case 'private':
      into.private = wider(into.private, qualifiedNames(argument))
      return
    case 'must-revalidate':
      into.mustRevalidate = true
      note(reading, permits.mustRevalidate, argument === undefined)
      return
    case 'proxy-revalidate':
      into.proxyRevalidate = true
      return
    case 'no-transform':
      into.noTransform = true
      return
    case 'public':
      note(reading, permits.public, argument === undefined)
      return
    case 'immutable':
      note(reading, permits.immutable, argument === undefined)
      return
    case 'must-understand':
      into.mustUnderstand = true
      note(reading, permits.mustUnderstand, argument === undefined)
      return
    case 'stale-while-revalidate':
      into.staleWhileRevalidate = lesser(into.staleWhileRevalidate, deltaSeconds(argument) ?? 0)
      return
    case 'stale-if-error':
      into.staleIfError = lesser(into.staleIfError, deltaSeconds(argument) ?? 0)
  }
}

function takeRequestDirective(into: Mutable<RequestDirectives>, name: string, argument: Argument): void {
  switch (name) {
    case 'max-age':
      into.maxAge = lesser(into.maxAge, deltaSeconds(argument) ?? 0)
      return
    case 'max-stale':
      into.maxStale = lesser(into.maxStale, argument === undefined ? Infinity : (deltaSeconds(argument) ?? Number.NaN))
      return
    case 'min-fresh':
      into.minFresh = Math.max(into.minFresh ?? 0, deltaSeconds(argument) ?? Infinity)
      return
    case 'no-cache':
      into.noCache = true
      return
    case 'no-store':
      into.noStore = true
      return
    case 'no-transform':
      into.noTransform = true
      return
    // It requests a 504 instead of a fetch. If the directive is malformed, the fetch serves the client better.
    case 'only-if-cached':
      if (argument === undefined) into.onlyIfCached = true
      return
    case 'stale-if-error':
      into.staleIfError = lesser(into.staleIfError, deltaSeconds(argument) ?? Number.NaN)
  }
}

function takePragma(into: Mutable<RequestDirectives>, name: string): void {
  if (name === 'no-cache') into.noCache = true
}

/** Returns the lesser number. NaN, which stands for malformed, prevails over any number. */
function lesser(a: number | undefined, b: number): number {
  return a === undefined ? b : Math.min(a, b)
}

function unlessMalformed(seconds: number | undefined): number | undefined {
  return Number.isNaN(seconds) ? undefined : seconds
}

/** True if the value has at least one known response directive in a form that the grammar allows. */
export function hasWellFormedDirective(value: string): boolean {
  const found = { wellFormed: false }
  return scanDirectives(value, found, noteWellFormed) && found.wellFormed
}

function noteWellFormed(found: { wellFormed: boolean }, name: string, argument: Argument, quoted: boolean): void {
  switch (name) {
    case 'max-age':
    case 's-maxage':
    case 'stale-while-revalidate':
    case 'stale-if-error':
      found.wellFormed ||= !quoted && deltaSeconds(argument) !== undefined
      return
    case 'no-cache':
    case 'private':
      found.wellFormed ||= argument === undefined || qualifiedNames(argument) !== true
      return
    case 'no-store':
    case 'must-revalidate':
    case 'proxy-revalidate':
    case 'no-transform':
    case 'public':
    case 'immutable':
    case 'must-understand':
      found.wellFormed ||= argument === undefined
  }
}

/**
 * Returns the value that covers more: the unqualified form, or the names of both. Names are added to `a`, which belongs to
 * this parse.
 */
function wider(a: Qualified | undefined, b: Qualified): Qualified {
  if (a === undefined) return b
  if (a === true || b === true) return true
  for (const name of b) a.push(name)
  return a
}

function emptyResponse(): ResponseDraft {
  return {
    maxAge: undefined,
    sMaxage: undefined,
    lifetimeMalformed: false,
    noStore: false,
    noCache: undefined,
    private: undefined,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    liftsNoStore: false,
    grantsSharing: false,
    immutable: false,
    noTransform: false,
    staleWhileRevalidate: undefined,
    staleIfError: undefined,
  }
}

function emptyRequest(): Mutable<RequestDirectives> {
  return {
    maxAge: undefined,
    maxStale: undefined,
    minFresh: undefined,
    noCache: false,
    noStore: false,
    onlyIfCached: false,
    noTransform: false,
    staleIfError: undefined,
  }
}
