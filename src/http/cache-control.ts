// Cache-Control, the response's and the request's (RFC 9111 §5.2): read in one pass, and read fail-closed.
import { deltaSeconds, qualifiedNames, scanDirectives, type Argument } from './directives.ts'

/**
 * What a response asks of this cache. All numbers are delta-seconds (RFC 9111 §1.2.2): whole, 0 to `maxDeltaSeconds`.
 * Which directive beats which is policy's business; here they stand side by side.
 */
export interface ResponseDirectives {
  /** Malformed reads as 0 (RFC 9111 §4.2.1 encourages to treat such a response as stale), never as absent. */
  readonly maxAge: number | undefined
  /** As maxAge. */
  readonly sMaxage: number | undefined
  /** Whether a max-age or s-maxage could not be read, so that the response is stale by mistake rather than by intent. */
  readonly lifetimeMalformed: boolean
  readonly noStore: boolean
  /** An array is the qualified form: the field names, in lower case, that may not be reused without validation. */
  readonly noCache: true | readonly string[] | undefined
  /** An array is the qualified form: the field names, in lower case, that may not be stored. */
  readonly private: true | readonly string[] | undefined
  /** Permits, so it holds only where every `public` is well-formed. */
  readonly public: boolean
  /** Restricts, in whatever form. What a well-formed one permits stands in `grantsSharing`. */
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  /** Restricts, in whatever form: a status that is not understood is not stored. */
  readonly mustUnderstand: boolean
  /** Whether a must-understand that is well-formed lifts the no-store beside it (RFC 9111 §5.2.2.3). */
  readonly liftsNoStore: boolean
  /**
   * Whether the response to a request with credentials may be shared (RFC 9111 §3.5): by a public, must-revalidate or s-maxage
   * above 0. A directive grants nothing where one of its lines is malformed, or contradicts another, whatever else it forbids.
   */
  readonly grantsSharing: boolean
  readonly immutable: boolean
  readonly noTransform: boolean
  /** RFC 5861 §3. Malformed reads as 0, so that no default of the operator's takes its place. */
  readonly staleWhileRevalidate: number | undefined
  /** RFC 5861 §4. As staleWhileRevalidate. */
  readonly staleIfError: number | undefined
}

/** What a request asks of this cache. Numbers are delta-seconds, as in a response. */
export interface RequestDirectives {
  /** Malformed reads as 0. */
  readonly maxAge: number | undefined
  /** Infinity when bare: "any staleness" (RFC 9111 §5.2.1.2). Malformed reads as absent. */
  readonly maxStale: number | undefined
  /**
   * Malformed or bare reads as Infinity, which no stored response meets. The client wants *some* freshness to be left,
   * and how much cannot be known; the one answer that is sure to have it comes from the origin. It costs a request
   * that `no-cache` would cost as well.
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
 * Reads a response's Cache-Control from its combined field value (undefined: absent). Never throws.
 *
 * RFC 9111 §4.2.1 lets a cache choose among duplicates or call them stale; here the most restrictive of them holds,
 * whatever the order. A directive that is not where the grammar has one (after a space or a semicolon where a comma is
 * due) counts as malformed, not as absent: `max-age=60; private` is private, and stale.
 */
export function parseResponseDirectives(value: string | undefined): ResponseDirectives {
  if (value === undefined) return noResponseDirectives
  let directives = lately.get(value)
  if (directives === undefined) {
    directives = readResponseDirectives(value)
    // An API has a handful of values. One that counts its max-age down fills this up, and then it begins anew.
    if (lately.size >= 500) lately.clear()
    if (value.length <= 256) lately.set(value, Object.freeze(directives))
  }
  return directives
}

// Origins say the same few things over and over. What is kept is frozen: everyone is handed the same object.
const lately = new Map<string, ResponseDirectives>()

function readResponseDirectives(value: string): ResponseDirectives {
  const directives = emptyResponse()
  const reading: Reading = { directives, permitted: 0, spoilt: 0 }
  // A quote never closes: everything in the value has been taken as malformed, so it restricts and permits nothing. The response
  // is stale as well.
  if (!scanDirectives(value, reading, takeResponseDirective)) {
    directives.maxAge = 0
    directives.lifetimeMalformed = true
  }
  const permitted = reading.permitted & ~reading.spoilt
  directives.public = (permitted & permits.public) !== 0
  directives.immutable = (permitted & permits.immutable) !== 0
  directives.liftsNoStore = (permitted & permits.mustUnderstand) !== 0
  directives.grantsSharing = (permitted & (permits.public | permits.mustRevalidate | permits.sMaxage)) !== 0
  return directives
}

/** One bit for each directive that permits something. */
const permits = { public: 1, mustRevalidate: 2, sMaxage: 4, mustUnderstand: 8, immutable: 16 } as const

/** A response's Cache-Control, half read. */
interface Reading {
  readonly directives: ResponseDraft
  /** What well-formed directives permit. */
  permitted: number
  /** What malformed or contradicting ones take back, before or after. */
  spoilt: number
}

/** Notes a directive that permits something: in its right form it does, in any other form no other of its name does. */
function note(reading: Reading, bit: number, wellFormed: boolean): void {
  if (wellFormed) reading.permitted |= bit
  else reading.spoilt |= bit
}

/** Reads a request's Cache-Control and Pragma from their combined field values (undefined: absent). Never throws. */
export function parseRequestDirectives(cacheControl: string | undefined, pragma: string | undefined): RequestDirectives {
  if (cacheControl === undefined) {
    if (pragma === undefined) return noRequestDirectives
    // RFC 9111 §5.4: Pragma: no-cache means Cache-Control: no-cache, but only in its absence.
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
      into.lifetimeMalformed ||= deltaSeconds(argument) === undefined
      return
    case 's-maxage': {
      const seconds = deltaSeconds(argument) ?? 0
      into.lifetimeMalformed ||= deltaSeconds(argument) === undefined
      const contradicted = into.sMaxage !== undefined && into.sMaxage !== seconds
      // §5.2.2.10: a sender must not quote it. A quoted one is a lifetime, and no leave to share.
      note(reading, permits.sMaxage, seconds > 0 && !quoted && !contradicted)
      into.sMaxage = lesser(into.sMaxage, seconds)
      return
    }
    // An argument where none belongs: what restricts holds all the same, for the origin that wrote `no-store="x"` was
    // not asking to be stored. What permits does not, for an origin that cannot spell `public` has not granted it.
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
    // It asks for 504 rather than a fetch; whoever cannot spell it is better served by the fetch.
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

/** The lesser of two; NaN, which stands for malformed, prevails over any number. */
function lesser(a: number | undefined, b: number): number {
  return a === undefined ? b : Math.min(a, b)
}

function unlessMalformed(seconds: number | undefined): number | undefined {
  return Number.isNaN(seconds) ? undefined : seconds
}

/** Whether a known directive of a response stands in the value in a form that the grammar has. */
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

/** The one that covers more: the unqualified form, or the names of both, added to `a`, which is this parse's own. */
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
