// The age of a response and its freshness lifetime: RFC 9111 §4.2.
import { parseResponseDirectives, type ResponseDirectives } from '../http/cache-control.ts'
import { parseHttpDate } from '../http/date.ts'
import { fieldLineValues, fieldValue, listMembers, type FieldLines } from '../http/fields.ts'
import type { Governing } from './directives.ts'
import { heuristicFraction, type Rules } from './rules.ts'
import type { LifetimeSource, Metadata } from './stored.ts'
import { maxDeltaSeconds } from '../http/directives.ts'

/**
 * RFC 9110 §15.1: statuses whose responses may have a heuristic lifetime. 206 is among them; partial responses are stored by
 * another rule.
 */
export const heuristicallyCacheable: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])

/** Returns the age that upstream caches report, in milliseconds. §5.1: the first member that is a valid delta-seconds. */
export function reportedAgeMs(fields: FieldLines): number {
  for (const line of fieldLineValues(fields, 'age')) {
    for (const member of listMembers(line)) {
      if (/^\d+$/.test(member)) return Math.min(Number(member), maxDeltaSeconds) * 1000
    }
  }
  return 0
}

/** Returns Date as milliseconds since the epoch. If it is absent or not a date, the time of receipt (RFC 9110 §6.6.1). */
export function dateValueMs(fields: FieldLines, responseTimeMs: number): number {
  const line = fieldLineValues(fields, 'date')[0]
  const date = line === undefined ? undefined : parseHttpDate(line, responseTimeMs)
  return date ?? responseTimeMs
}

/** Returns the corrected_initial_age of §4.2.3, in milliseconds. */
export function initialAgeMs(fields: FieldLines, requestTimeMs: number, responseTimeMs: number): number {
  // A Date in the future gives no negative age: an origin's fast clock must not prolong the life of its responses.
  const apparentAge = Math.max(0, responseTimeMs - dateValueMs(fields, responseTimeMs))
  const responseDelay = Math.max(0, responseTimeMs - requestTimeMs)
  const correctedAge = reportedAgeMs(fields) + responseDelay
  return Math.max(wholeSeconds(apparentAge), correctedAge)
}

// Date has whole seconds, so up to one second of apparent age is rounding, not age.
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

/** Synchronised clocks differ by less than this. A time further ahead came from a wrong clock. */
export const clockToleranceMs = 1_000

/** True if a time is so far in the future that no synchronised clock gave it. Both in milliseconds. */
export function isAhead(timeMs: number, nowMs: number): boolean {
  return timeMs > nowMs + clockToleranceMs
}

/**
 * Returns the current_age of §4.2.3, in milliseconds. It never falls: a clock that is set back adds nothing, rather than
 * subtracting. The age of a response from the future is therefore the least possible one: `decide` treats such a response as
 * stale.
 */
export function currentAgeMs(meta: Pick<Metadata, 'initialAgeMs' | 'responseTimeMs'>, nowMs: number): number {
  return meta.initialAgeMs + Math.max(0, nowMs - meta.responseTimeMs)
}

/**
 * The age of a response that a soft purge has made stale, as clients see it, in milliseconds: at least each lifetime that its fields
 * give, so that a cache in front takes it for stale too (RFC 9211 §2.4, RFC 9111 §4.2).
 */
export function purgedAgeMs(meta: Metadata, nowMs: number): number {
  const { sMaxage = 0, maxAge = 0 } = parseResponseDirectives(fieldValue(meta.fields, 'cache-control'))
  return Math.max(currentAgeMs(meta, nowMs), meta.lifetimeMs, sMaxage * 1000, maxAge * 1000, expiresLifetimeMs(meta.fields, meta.responseTimeMs) ?? 0)
}

/**
 * The age that a response had when it was requested, in milliseconds: its age at receipt without the time that the origin took for it.
 * Requests that waited for it are as old as that (RFC 9111 §4, collapsed requests).
 */
export function ageWhenRequestedMs({ initialAgeMs: atReceiptMs, requestTimeMs, responseTimeMs }: Pick<Metadata, 'initialAgeMs' | 'requestTimeMs' | 'responseTimeMs'>): number {
  return Math.max(0, atReceiptMs - Math.max(0, responseTimeMs - requestTimeMs))
}

export interface Lifetime {
  readonly ms: number
  readonly source: LifetimeSource
}

/** §4.2.1: s-maxage, then max-age, then Expires, then the operator's lifetime of the status, then a guess, then the default. */
export function lifetimeOf(status: number, fields: FieldLines, governing: Governing, responseTimeMs: number, rules: Rules): Lifetime {
  const explicit = explicitLifetimeMs(fields, governing, responseTimeMs)
  if (explicit !== undefined) return { ms: Math.min(explicit, rules.maxTtlMs), source: explicit === 0 && isMalformed(fields, governing) ? 'malformed' : 'explicit' }
  const ofStatus = rules.statusTtlMs.get(status)
  if (ofStatus !== undefined) return { ms: Math.min(ofStatus, rules.maxTtlMs), source: 'configured' }
  // §4.2.2: a heuristic is allowed if the status is defined as heuristically cacheable, or the response says public.
  if (heuristicallyCacheable.has(status) || governing.directives.public) {
    const guess = heuristicLifetimeMs(fields, responseTimeMs, rules)
    if (guess > 0) return { ms: Math.min(guess, rules.maxTtlMs), source: 'heuristic' }
    // An operator's default applies only to successful responses: an error that one client provoked must not be served to all.
    if (rules.defaultTtlMs !== undefined && rules.defaultTtlMs > 0 && status < 400) return { ms: Math.min(rules.defaultTtlMs, rules.maxTtlMs), source: 'configured' }
  }
  return { ms: 0, source: governing.lifetimeIgnored ? 'malformed' : 'none' }
}

function explicitLifetimeMs(fields: FieldLines, governing: Governing, responseTimeMs: number): number | undefined {
  const { directives, targeted } = governing
  if (directives.sMaxage !== undefined) return directives.sMaxage * 1000 // §5.2.2.10: overrides max-age and Expires in a shared cache
  if (directives.maxAge !== undefined) return directives.maxAge * 1000
  if (targeted) return undefined // RFC 9213 §2.2: Expires is ignored with Cache-Control
  return expiresLifetimeMs(fields, responseTimeMs)
}

// `Expires: 0` and `Expires: -1` are no dates, and are meant: already expired (RFC 9111 §5.3).
function isMalformed(fields: FieldLines, { directives, targeted }: Governing): boolean {
  if (directives.sMaxage !== undefined || directives.maxAge !== undefined || targeted) return directives.lifetimeMalformed
  return fieldLineValues(fields, 'expires').some(value => !/^(?:0|-1)$/.test(value) && parseHttpDate(value, 0) === undefined)
}

// §5.3: an Expires that is not a date means already expired. Several lines: the soonest counts (§4.2.1, most restrictive).
function expiresLifetimeMs(fields: FieldLines, responseTimeMs: number): number | undefined {
  const lines = fieldLineValues(fields, 'expires')
  if (lines.length === 0) return undefined
  const date = dateValueMs(fields, responseTimeMs)
  let lifetime = Infinity
  for (const line of lines) {
    const expires = parseHttpDate(line, responseTimeMs)
    lifetime = Math.min(lifetime, expires === undefined ? 0 : Math.max(0, expires - date))
  }
  return Math.min(lifetime, maxDeltaSeconds * 1000)
}

// An operator who sets a default has said how long an unsaid lifetime is: a guess is never longer.
function heuristicLifetimeMs(fields: FieldLines, responseTimeMs: number, { heuristicTtlMs, defaultTtlMs = Infinity }: Rules): number {
  const value = fieldValue(fields, 'last-modified')
  const lastModified = value === undefined ? undefined : parseHttpDate(value, responseTimeMs)
  if (lastModified === undefined) return 0
  const unchangedMs = dateValueMs(fields, responseTimeMs) - lastModified
  return Math.min(Math.max(0, unchangedMs * heuristicFraction), heuristicTtlMs, defaultTtlMs)
}

/**
 * RFC 5861 §3 and §4: the times beyond the lifetime, from the response or else the route's defaults; bounded as lifetimes are. The
 * defaults are for pages: an error that says nothing itself is not served for longer than its lifetime.
 */
export function staleAllowances(status: number, directives: ResponseDirectives, rules: Rules): { whileRevalidateMs: number; ifErrorMs: number | undefined } {
  return {
    whileRevalidateMs: directives.staleWhileRevalidate === undefined
      ? (status < 400 ? rules.staleWhileRevalidateMs : 0)
      : Math.min(directives.staleWhileRevalidate * 1000, rules.maxTtlMs),
    ifErrorMs: directives.staleIfError === undefined ? rules.staleIfErrorMs : Math.min(directives.staleIfError * 1000, rules.maxTtlMs),
  }
}

/**
 * True if the next request may be served from it without contacting the origin: fresh, or stale within
 * stale-while-revalidate. Other stored responses save a validated request its body, but never the request to the origin.
 */
export function servesUnasked(meta: Metadata, nowMs: number): boolean {
  if (meta.alwaysValidate) return false
  return currentAgeMs(meta, nowMs) < meta.lifetimeMs || (!meta.neverStale && meta.staleWhileRevalidateMs > 0)
}

/** §4.2.4: true if a directive forbids serving stale in a shared cache. s-maxage implies proxy-revalidate (§5.2.2.10). */
export function forbidsStale(directives: ResponseDirectives): boolean {
  return directives.mustRevalidate || directives.proxyRevalidate || directives.sMaxage !== undefined
}
