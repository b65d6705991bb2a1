// Decides how to serve a request from the stored responses: RFC 9111 §4, as one pure function.
import { restOf, type RangeAsked } from './combine.ts'
import { ageWhenRequestedMs, currentAgeMs, isAhead, purgedAgeMs } from './freshness.ts'
import { selectRanges } from './part.ts'
import type { ForwardReason, PassReason, RefuseReason, ServeReason } from './reasons.ts'
import type { CacheRequest } from './request.ts'
import type { Rules } from './rules.ts'
import { hasOtherCookies } from './cookies.ts'
import { precedesChange } from './identity.ts'
import { reasonWithoutLifetime } from './storable.ts'
import type { LogPosition, Metadata } from './stored.ts'
import { selectPart, selectVariant, type RequestField } from './vary.ts'

/** A stored response, as far as policy reads it. */
export interface Candidate {
  readonly meta: Metadata
  /** Set if replicas may know better: it may be used fresh, or validated, and not stale (store/store.ts). */
  readonly localOnly?: true
}

/** `part`: a stored part that the response may be combined with, or replaces. */
export type Decision<V extends Candidate> =
  /** Fresh, or no staler than the request allows: deliver. */
  | { readonly action: 'serve'; readonly reason: ServeReason; readonly entry: V; readonly ageMs: number }
  /** Within stale-while-revalidate: deliver, and refresh once in the background. */
  | { readonly action: 'serve-stale'; readonly reason: 'stale-while-revalidate'; readonly entry: V; readonly ageMs: number }
  /** Stored with a validator, but not usable without validation: conditional request. */
  | { readonly action: 'validate'; readonly reason: ForwardReason; readonly entry: V; readonly ageMs: number; readonly part?: V }
  /** Forward. `entry` may be served if the origin fails. */
  | { readonly action: 'fetch'; readonly reason: ForwardReason; readonly entry: V | undefined; readonly part?: V }
  /** Stored in part: request the rest from the origin (§3.3). */
  | { readonly action: 'complete'; readonly reason: ForwardReason; readonly entry: V | undefined; readonly part: V; readonly rest: RangeAsked }
  /** only-if-cached, and nothing usable: 504. */
  | { readonly action: 'refuse'; readonly reason: RefuseReason }

/** The purge log's judgement of an entry. Entries that are `dead` never reach a decision. */
export type PurgeState = 'valid' | 'stale'

/** Returns why a request passes the cache by, before any lookup. Undefined if the cache handles it. */
export function passReason(request: CacheRequest, rules: Rules): PassReason | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'method'
  if (request.hasUpgrade) return 'upgrade'
  // RFC 9110 §9.3.1: content in a GET has no defined meaning, but some origins read it. It is not in the key, so the
  // response must not come from the cache.
  if (request.hasBody) return 'request-body'
  if (!rules.enabled) return 'route-uncached'
  if (rules.ambiguous) return 'ambiguous-path'
  if (request.hasOriginPrecondition) return 'precondition'
  return undefined
}

/**
 * Decides on a GET or HEAD for which `passReason` returned undefined.
 * @param variants the entries under its key, youngest first, without those that a hard purge has killed
 * @param softness returns whether a soft purge has made an entry stale
 * @param requestField the request's fields as they are forwarded, for Vary
 * @param nowMs time of day in milliseconds
 * @param rules the route's, for the cookies that its key holds
 * @param mark the position of its sender's last change: what was requested before it is not for this request
 * @param isAwaited returns whether an entry was stored while the request waited for it; undefined: it has not waited
 */
export function decide<V extends Candidate>(
  request: CacheRequest,
  variants: readonly V[],
  softness: (entry: V) => PurgeState,
  requestField: RequestField,
  nowMs: number,
  rules: Pick<Rules, 'cookies'>,
  isAwaited?: (entry: V) => boolean,
  mark?: LogPosition,
): Decision<V> {
  const seen = mark === undefined ? variants : variants.filter(({ meta }) => !precedesChange(meta.stamp, mark))
  const usable = seen.some(deniesCredentials) && hasUnkeyedCredentials(request, rules) ? seen.filter(entry => !deniesCredentials(entry)) : seen
  const chosen = choose(request, usable, softness, requestField, nowMs, seen.length > usable.length, isAwaited)
  const decision = seen.length < variants.length && chosen.action === 'fetch' && chosen.entry === undefined ? { ...chosen, reason: 'after-write' as const } : chosen
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

/** Returns whether a request carries credentials that its key does not hold. */
function hasUnkeyedCredentials(request: CacheRequest, { cookies }: Pick<Rules, 'cookies'>): boolean {
  if (request.hasAuthorization) return true
  return request.cookie !== undefined && (typeof cookies === 'string' || hasOtherCookies(request.cookie, cookies))
}

function choose<V extends Candidate>(
  request: CacheRequest,
  variants: readonly V[],
  softness: (entry: V) => PurgeState,
  requestField: RequestField,
  nowMs: number,
  denied: boolean,
  isAwaited?: (entry: V) => boolean,
): Decision<V> {
  const entry = selectVariant(variants, requestField)
  const whole = entry === undefined ? undefined : chooseStored(request, entry, softness(entry), nowMs, isAwaited?.(entry))
  if (whole?.action === 'serve' && request.range === undefined) return whole
  // If no whole response settles the request, a part may. HEAD concerns a whole representation, so whole responses go first.
  const part = request.method === 'GET' || whole === undefined ? selectPart(variants, requestField) : undefined
  if (part === undefined) return whole ?? { action: 'fetch', reason: denied ? 'other-credentials' : missReason(request, variants.length), entry: undefined }
  if (request.range === undefined) return chooseRest(request, whole, part, softness(part), nowMs)
  return choosePart(request, whole, part, softness(part), nowMs, isAwaited?.(part))
}

function chooseStored<V extends Candidate>(request: CacheRequest, entry: V, softness: PurgeState, nowMs: number, awaited = false): Decision<V> & { readonly entry: V } {
  const { meta } = entry
  const ageMs = currentAgeMs(meta, nowMs)
  const softPurged = softness === 'stale'
  const reason = notUsableBecause(request, meta, ageMs, softPurged, nowMs, awaited)
  if (reason === undefined) return { action: 'serve', reason: 'fresh', entry, ageMs }
  if (isStale(reason)) {
    // A soft purge makes it stale now, however long its lifetime had yet to run.
    const staleForMs = Math.max(0, ageMs - meta.lifetimeMs)
    // The staleness of a response from the future is unknown, so no allowance covers it.
    if (!meta.neverStale && entry.localOnly !== true && !isAhead(meta.responseTimeMs, nowMs)) {
      if (!softPurged && staleForMs <= maxStaleMs(request)) return { action: 'serve', reason: 'max-stale', entry, ageMs }
      if (mayWait(request) && meta.staleWhileRevalidateMs > 0 && staleForMs <= meta.staleWhileRevalidateMs) {
        return { action: 'serve-stale', reason: 'stale-while-revalidate', entry, ageMs: softPurged ? purgedAgeMs(meta, nowMs) : ageMs }
      }
    }
  }
  // HEAD brings no body to replace a changed response with, so only GET validates.
  if (request.method === 'GET' && (meta.etag !== undefined || meta.lastModified !== undefined)) {
    return { action: 'validate', reason, entry, ageMs }
  }
  return { action: 'fetch', reason, entry }
}

/**
 * Decides on a range request if a part is stored. The part is used if it covers the range and is younger than a whole
 * response.
 */
function choosePart<V extends Candidate>(request: CacheRequest, whole: (Decision<V> & { readonly entry: V }) | undefined, part: V, softness: PurgeState, nowMs: number,
  awaited?: boolean): Decision<V> {
  const overtaken = whole?.action === 'serve' && whole.entry.meta.responseTimeMs >= part.meta.responseTimeMs
  if (!overtaken && selectRanges(request, part.meta, nowMs) !== 'not-covered') {
    const held = chooseStored(request, part, softness, nowMs, awaited)
    if (held.action === 'serve') return held
    if (whole === undefined && (held.action === 'validate' || held.action === 'fetch')) return { ...held, part }
  }
  if (whole === undefined) return { action: 'fetch', reason: 'part-only', entry: undefined, part }
  return whole.action === 'validate' || whole.action === 'fetch' ? { ...whole, part } : whole
}

/** Decides on a request for the whole if a part but no fresh whole is stored. The rest is requested if it may suffice. */
function chooseRest<V extends Candidate>(request: CacheRequest, whole: (Decision<V> & { readonly entry: V }) | undefined, part: V, softness: PurgeState,
  nowMs: number): Decision<V> {
  if (whole?.action === 'validate') return { ...whole, part }
  if (whole !== undefined && whole.action !== 'fetch') return whole
  const reason = whole === undefined ? 'part-only' : whole.reason
  const rest = request.method === 'GET' ? restOf(part.meta) : undefined
  const fresh = notUsableBecause(request, part.meta, currentAgeMs(part.meta, nowMs), softness === 'stale', nowMs) === undefined
  // A part that is not fresh is useful only if If-Range lets the origin confirm it.
  if (rest !== undefined && (fresh || rest.ifRange !== undefined)) return { action: 'complete', reason, entry: whole?.entry, part, rest }
  return { action: 'fetch', reason, entry: whole?.entry, part }
}

function missReason(request: CacheRequest, variants: number): ForwardReason {
  if (variants > 0) return 'vary-miss'
  if (request.method === 'HEAD') return 'head-miss'
  return request.range === undefined ? 'uri-miss' : 'range-miss'
}

/** Returns why a stored response must not be used without the origin; undefined if it may. */
function notUsableBecause(request: CacheRequest, meta: Metadata, ageMs: number, softPurged: boolean, nowMs: number, awaited = false): ForwardReason | undefined {
  const { directives } = request
  if (meta.alwaysValidate) return 'no-cache'
  if (directives.noCache) return 'request-no-cache' // §5.2.1.4, and Pragma: no-cache (§5.4)
  if (softPurged) return 'soft-purged'
  // §4.2: fresh while its lifetime is greater than its age.
  // §4: a response that was fetched while the request waited serves it, however long the origin took, if it was fresh when requested.
  if (ageMs >= meta.lifetimeMs && !(awaited && ageWhenRequestedMs(meta) < meta.lifetimeMs))
    return (meta.lifetimeMs === 0 ? reasonWithoutLifetime[meta.lifetimeSource] : undefined) ?? 'stale'
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
  // With max-age or min-fresh as well, the request allows less than max-stale would: the narrower reading counts.
  if (maxStale === undefined || maxAge !== undefined || minFresh !== undefined) return -1
  return maxStale * 1000
}

// A request with freshness demands does not receive a stale response that it did not allow.
function mayWait(request: CacheRequest): boolean {
  return request.directives.maxAge === undefined && request.directives.minFresh === undefined
}

/** Why the origin failed to send a new response. */
export type OriginFailure = 'unreachable' | '5xx' | 'slow'

/**
 * Returns the reason why a stale entry may be served because the origin failed (RFC 5861 §4, RFC 9111 §4.2.4 and §4.3.3), or
 * undefined. `keepUntilMs` bounds it if no stale-if-error does.
 * @param softness `stale` if a soft purge has made it stale before its lifetime ended
 */
export function mayServeStaleOnError(request: CacheRequest, meta: Metadata, softness: PurgeState, failure: OriginFailure, nowMs: number): 'stale-if-error' | 'stale-if-slow'
  | 'origin-unreachable' | 'origin-5xx' | undefined {
  // A stored error is no better than the one that has come.
  if (meta.status >= 400) return undefined
  const ageMs = currentAgeMs(meta, nowMs)
  const isStaleNow = ageMs >= meta.lifetimeMs || softness === 'stale'
  // Never a part for the whole, nor for another part (§3.3).
  if (meta.part !== undefined && selectRanges(request, meta, nowMs) === 'not-covered') return undefined
  // If the request refused stored responses, or the response forbids it, the client receives the error.
  if (meta.alwaysValidate || request.directives.noCache) return undefined
  const unknownAge = isAhead(meta.responseTimeMs, nowMs)
  if (meta.neverStale && (isStaleNow || unknownAge)) return undefined
  const { staleIfError } = request.directives
  // RFC 5861 §4: response and request may each say how long; if both do, the shorter time counts. Zero means never: a soft purge or the
  // end of the lifetime makes a response stale at once.
  const allowedMs = staleIfError === undefined ? meta.staleIfErrorMs : Math.min(staleIfError * 1000, meta.staleIfErrorMs ?? Infinity)
  const isAllowed = allowedMs === undefined
    ? nowMs <= meta.keepUntilMs
    : !unknownAge && (!isStaleNow || (allowedMs > 0 && ageMs - meta.lifetimeMs <= allowedMs))
  if (!isAllowed) return undefined
  if (failure === 'slow') return 'stale-if-slow'
  if (allowedMs !== undefined) return 'stale-if-error'
  return failure === 'unreachable' ? 'origin-unreachable' : 'origin-5xx'
}

/** True for the 5xx statuses of an origin that could not do its work, as RFC 5861 §4 lists them. */
export function isFailureStatus(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504
}
