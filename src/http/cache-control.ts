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
  readonly noStore: boolean
  /** An array is the qualified form: the field names, in lower case, that may not be reused without validation. */
  readonly noCache: true | readonly string[] | undefined
  /** An array is the qualified form: the field names, in lower case, that may not be stored. */
  readonly private: true | readonly string[] | undefined
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly immutable: boolean
  readonly noTransform: boolean
  /** RFC 5861 §3. Malformed reads as absent. */
  readonly staleWhileRevalidate: number | undefined
  /** RFC 5861 §4. Malformed reads as absent. */
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
  if (!scanDirectives(value, directives, takeResponseDirective)) {
    // A quote never closes. Whatever restricts has been taken, within quotes or without; nothing that permits is
    // believed, and the response is stale. s-maxage is not added where there was none: it permits sharing (§3.5).
    directives.maxAge = 0
    directives.public = directives.immutable = directives.mustUnderstand = false
    directives.staleWhileRevalidate = directives.staleIfError = undefined
  }
  directives.staleWhileRevalidate = unlessMalformed(directives.staleWhileRevalidate)
  directives.staleIfError = unlessMalformed(directives.staleIfError)
  return directives
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

function takeResponseDirective(into: ResponseDraft, name: string, argument: Argument): void {
  switch (name) {
    case 'max-age':
      into.maxAge = lesser(into.maxAge, deltaSeconds(argument) ?? 0)
      return
    case 's-maxage':
      into.sMaxage = lesser(into.sMaxage, deltaSeconds(argument) ?? 0)
      return
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
      return
    case 'proxy-revalidate':
      into.proxyRevalidate = true
      return
    case 'no-transform':
      into.noTransform = true
      return
    case 'public':
      if (argument === undefined) into.public = true
      return
    case 'immutable':
      if (argument === undefined) into.immutable = true
      return
    // Permits, where it matters: it lifts the no-store beside it (RFC 9111 §5.2.2.3).
    case 'must-understand':
      if (argument === undefined) into.mustUnderstand = true
      return
    case 'stale-while-revalidate':
      into.staleWhileRevalidate = lesser(into.staleWhileRevalidate, deltaSeconds(argument) ?? Number.NaN)
      return
    case 'stale-if-error':
      into.staleIfError = lesser(into.staleIfError, deltaSeconds(argument) ?? Number.NaN)
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
    noStore: false,
    noCache: undefined,
    private: undefined,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
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
