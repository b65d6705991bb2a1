// What to do with a request, given what is stored: RFC 9111 §4, as one pure function.
import { restOf, type RangeAsked } from './combine.ts'
import { currentAgeMs, isAhead } from './freshness.ts'
import { selectRanges } from './part.ts'
import type { ForwardReason, PassReason, RefuseReason, ServeReason } from './reasons.ts'
import type { CacheRequest } from './request.ts'
import type { Rules } from './rules.ts'
import { hasOtherCookies } from './cookies.ts'
import { reasonWithoutLifetime } from './storable.ts'
import type { Metadata } from './stored.ts'
import { selectPart, selectVariant, type RequestField } from './vary.ts'

/** Something stored, as far as policy needs to see it. */
export interface Candidate {
  readonly meta: Metadata
}

/** `part`: what is stored of the same beside the entry, which the answer may be combined with, or takes the place of. */
export type Decision<V extends Candidate> =
  /** Fresh, or as stale as the request takes it: deliver. */
  | { readonly action: 'serve'; readonly reason: ServeReason; readonly entry: V; readonly ageMs: number }
  /** Within stale-while-revalidate: deliver, and refresh in the background once. */
  | { readonly action: 'serve-stale'; readonly reason: 'stale-while-revalidate'; readonly entry: V; readonly ageMs: number }
  /** Stored with a validator, and not to be used without asking: conditional request. */
  | { readonly action: 'validate'; readonly reason: ForwardReason; readonly entry: V; readonly ageMs: number; readonly part?: V }
  /** Ask the origin. `entry` is what may stand in if the origin fails. */
  | { readonly action: 'fetch'; readonly reason: ForwardReason; readonly entry: V | undefined; readonly part?: V }
  /** Stored in part: ask the origin for the rest (§3.3). */
  | { readonly action: 'complete'; readonly reason: ForwardReason; readonly entry: V | undefined; readonly part: V; readonly rest: RangeAsked }
  /** only-if-cached, and nothing usable: 504. */
  | { readonly action: 'refuse'; readonly reason: RefuseReason }

/** What the purge log says of an entry; `dead` ones never reach a decision. */
export type PurgeState = 'valid' | 'stale'

/** Whether a request is the cache's at all, told before anything is looked up; undefined: it is. */
export function passReason(request: CacheRequest, rules: Rules): PassReason | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'method'
  if (request.hasUpgrade) return 'upgrade'
  // RFC 9110 §9.3.1: content in a GET has no defined meaning, but some origins read it: it is not in the key, so it must not be answered from it.
  if (request.hasBody) return 'request-body'
  if (!rules.enabled) return 'route-uncached'
  if (rules.ambiguous) return 'ambiguous-path'
  if (request.hasOriginPrecondition) return 'precondition'
  return undefined
}

/**
 * Decides on a GET or HEAD that `passReason` let through.
 * @param variants what is stored under its key, youngest first, without what a hard purge has killed
 * @param softness whether a soft purge has made an entry stale
 * @param requestField the request's fields as they are forwarded, for Vary
 * @param nowMs time of day in milliseconds
 * @param rules the route's, for the cookies that its key holds
 */
export function decide<V extends Candidate>(
  request: CacheRequest,
  variants: readonly V[],
  softness: (entry: V) => PurgeState,
  requestField: RequestField,
  nowMs: number,
  rules: Pick<Rules, 'cookies'>,
): Decision<V> {
  const usable = variants.some(deniesCredentials) && hasUnkeyedCredentials(request, rules) ? variants.filter(entry => !deniesCredentials(entry)) : variants
  const decision = choose(request, usable, softness, requestField, nowMs, variants.length > usable.length)
  // §5.2.1.7: a 504 rather than a forwarded request. Serving stale within its allowance is a stored response, so it stands.
  if (request.directives.onlyIfCached && (decision.action === 'validate' || decision.action === 'fetch' || decision.action === 'complete')) {
    return { action: 'refuse', reason: 'only-if-cached' }
  }
  return decision
}

// RFC 9110 §15.5.2, §15.5.4, §15.5.8: these statuses judge the credentials of their own request. Served to a request with valid
// ones, they would lock it out.
function deniesCredentials({ meta: { status } }: Candidate): boolean {
  return status === 401 || status === 403 || status === 407
}

/** Whether a request carries credentials that its key does not hold. */
function hasUnkeyedCredentials(request: CacheRequest, { cookies }: Pick<Rules, 'cookies'>): boolean {
  if (request.hasAuthorization) return true
  return request.cookie !== undefined && (typeof cookies === 'string' || hasOtherCookies(request.cookie, cookies))
}

function choose<V extends Candidate>(
  request: CacheRequest, variants: readonly V[], softness: (entry: V) => PurgeState, requestField: RequestField, nowMs: number, denied: boolean,
): Decision<V> {
  const entry = selectVariant(variants, requestField)
  const whole = entry === undefined ? undefined : chooseStored(request, entry, softness(entry), nowMs)
  if (whole?.action === 'serve' && request.range === undefined) return whole
  // What no whole response settles, a part may. HEAD is left to whole ones: it asks about a whole.
  const part = request.method === 'GET' || whole === undefined ? selectPart(variants, requestField) : undefined
  if (part === undefined) return whole ?? { action: 'fetch', reason: denied ? 'other-credentials' : missReason(request, variants.length), entry: undefined }
  if (request.range === undefined) return chooseRest(request, whole, part, softness(part), nowMs)
  return choosePart(request, whole, part, softness(part), nowMs)
}

function chooseStored<V extends Candidate>(request: CacheRequest, entry: V, softness: PurgeState, nowMs: number): Decision<V> & { readonly entry: V } {
  const { meta } = entry
  const ageMs = currentAgeMs(meta, nowMs)
  const softPurged = softness === 'stale'
  const reason = notUsableBecause(request, meta, ageMs, softPurged, nowMs)
  if (reason === undefined) return { action: 'serve', reason: 'fresh', entry, ageMs }
  if (isStale(reason)) {
    // A soft purge makes it stale now, however long its lifetime had yet to run.
    const staleForMs = Math.max(0, ageMs - meta.lifetimeMs)
    // How stale a response from the future is cannot be known, so no allowance covers it.
    if (!meta.neverStale && !isAhead(meta.responseTimeMs, nowMs)) {
      if (!softPurged && staleForMs <= maxStaleMs(request)) return { action: 'serve', reason: 'max-stale', entry, ageMs }
      if (mayWait(request) && meta.staleWhileRevalidateMs > 0 && staleForMs <= meta.staleWhileRevalidateMs) {
        return { action: 'serve-stale', reason: 'stale-while-revalidate', entry, ageMs }
      }
    }
  }
  // HEAD brings no body with which a changed response could be replaced, so only GET validates.
  if (request.method === 'GET' && (meta.etag !== undefined || meta.lastModified !== undefined)) {
    return { action: 'validate', reason, entry, ageMs }
  }
  return { action: 'fetch', reason, entry }
}

/** A request for a part, with a part stored: it answers if it holds what is asked for; of it and a whole one, the younger. */
function choosePart<V extends Candidate>(request: CacheRequest, whole: (Decision<V> & { readonly entry: V }) | undefined, part: V, softness: PurgeState, nowMs: number): Decision<V> {
  const overtaken = whole?.action === 'serve' && whole.entry.meta.responseTimeMs >= part.meta.responseTimeMs
  if (!overtaken && selectRanges(request, part.meta, nowMs) !== 'not-covered') {
    const held = chooseStored(request, part, softness, nowMs)
    if (held.action === 'serve') return held
    if (whole === undefined && (held.action === 'validate' || held.action === 'fetch')) return { ...held, part }
  }
  if (whole === undefined) return { action: 'fetch', reason: 'part-only', entry: undefined, part }
  return whole.action === 'validate' || whole.action === 'fetch' ? { ...whole, part } : whole
}

/** A request for the whole, with a part stored, and no whole that is fresh: the rest is asked for where that may be enough. */
function chooseRest<V extends Candidate>(request: CacheRequest, whole: (Decision<V> & { readonly entry: V }) | undefined, part: V, softness: PurgeState, nowMs: number): Decision<V> {
  if (whole?.action === 'validate') return { ...whole, part }
  if (whole !== undefined && whole.action !== 'fetch') return whole
  const reason = whole === undefined ? 'part-only' : whole.reason
  const rest = request.method === 'GET' ? restOf(part.meta) : undefined
  const fresh = notUsableBecause(request, part.meta, currentAgeMs(part.meta, nowMs), softness === 'stale', nowMs) === undefined
  // A part that is not fresh is worth something only if the origin can say that it still holds: by If-Range.
  if (rest !== undefined && (fresh || rest.ifRange !== undefined)) return { action: 'complete', reason, entry: whole?.entry, part, rest }
  return { action: 'fetch', reason, entry: whole?.entry, part }
}

function missReason(request: CacheRequest, variants: number): ForwardReason {
  if (variants > 0) return 'vary-miss'
  if (request.method === 'HEAD') return 'head-miss'
  return request.range === undefined ? 'uri-miss' : 'range-miss'
}

/** Why a stored response must not simply be used; undefined: it may. */
function notUsableBecause(request: CacheRequest, meta: Metadata, ageMs: number, softPurged: boolean, nowMs: number): ForwardReason | undefined {
  const { directives } = request
  if (meta.alwaysValidate) return 'no-cache'
  if (directives.noCache) return 'request-no-cache' // §5.2.1.4, and Pragma: no-cache (§5.4)
  if (softPurged) return 'soft-purged'
  // §4.2: fresh while its lifetime is greater than its age.
  if (ageMs >= meta.lifetimeMs) return (meta.lifetimeMs === 0 ? reasonWithoutLifetime[meta.lifetimeSource] : undefined) ?? 'stale'
  if (isAhead(meta.responseTimeMs, nowMs)) return 'stale' // its age is unknown: a clock was wrong when it was stored, or is now
  if (directives.maxAge !== undefined && ageMs > directives.maxAge * 1000) return 'request-max-age'
  if (directives.minFresh !== undefined && meta.lifetimeMs - ageMs < directives.minFresh * 1000) return 'request-min-fresh'
  return undefined
}

function isStale(reason: ForwardReason): boolean {
  return reason === 'stale' || reason === 'no-lifetime' || reason === 'bad-lifetime' || reason === 'soft-purged'
}

function maxStaleMs(request: CacheRequest): number {
  const { maxStale, maxAge, minFresh } = request.directives
  // With max-age or min-fresh as well, the request asks for less than max-stale would give: the narrower reading counts.
  if (maxStale === undefined || maxAge !== undefined || minFresh !== undefined) return -1
  return maxStale * 1000
}

// A request with freshness demands of its own is not answered with something stale that it did not ask for.
function mayWait(request: CacheRequest): boolean {
  return request.directives.maxAge === undefined && request.directives.minFresh === undefined
}

/** Why the origin failed to bring a new response. */
export type OriginFailure = 'unreachable' | '5xx'

/**
 * Whether a stale entry may answer because the origin failed (RFC 5861 §4, RFC 9111 §4.2.4 and §4.3.3), and the reason
 * to give. `keepUntilMs` bounds it where no stale-if-error does.
 * @param softness whether a soft purge has made it stale before its lifetime was over
 */
export function mayServeStaleOnError(request: CacheRequest, meta: Metadata, softness: PurgeState, failure: OriginFailure, nowMs: number): 'stale-if-error' | 'origin-unreachable' | 'origin-5xx' | undefined {
  // A stored error is no better than the one that has come.
  if (meta.status >= 400) return undefined
  const ageMs = currentAgeMs(meta, nowMs)
  const staleForMs = ageMs - meta.lifetimeMs
  // Never a part for the whole, nor for another part (§3.3).
  if (meta.part !== undefined && selectRanges(request, meta, nowMs) === 'not-covered') return undefined
  // A request that wanted none from cache gets the error, and so does one whose response forbids it.
  if (meta.alwaysValidate || request.directives.noCache) return undefined
  const unknownAge = isAhead(meta.responseTimeMs, nowMs)
  if (meta.neverStale && (ageMs >= meta.lifetimeMs || unknownAge || softness === 'stale')) return undefined
  const { staleIfError } = request.directives
  // RFC 5861 §4: either side may say how long; what the origin says first. An explicit zero is a bound as any other.
  const allowedMs = meta.staleIfErrorMs ?? (staleIfError === undefined ? undefined : staleIfError * 1000)
  if (allowedMs !== undefined) return staleForMs <= allowedMs && !unknownAge ? 'stale-if-error' : undefined
  if (nowMs > meta.keepUntilMs) return undefined
  return failure === 'unreachable' ? 'origin-unreachable' : 'origin-5xx'
}

/** 5xx answers that say that the origin could not do its work, as RFC 5861 §4 lists them. */
export function isFailureStatus(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504
}
