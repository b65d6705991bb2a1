// Whether a response may be stored, and what is then known of it: RFC 9111 §3.
import type { ResponseDirectives } from '../http/cache-control.ts'
import { formatHttpDate, parseHttpDate } from '../http/date.ts'
import { alwaysHopByHop, connectionNamed, fieldLineValues, fieldValue, hasField, type FieldLines } from '../http/fields.ts'
import { normalTarget } from '../http/normal-target.ts'
import { longestStoredSection, sectionBytes } from '../http/field-section.ts'
import { responseTags } from '../http/tags.ts'
import { governingDirectives } from './directives.ts'
import { forbidsStale, heuristicallyCacheable, initialAgeMs, lifetimeOf, staleAllowances } from './freshness.ts'
import { contentFields, partVariant } from './part.ts'
import { representsTarget } from './post.ts'
import type { NotStoredReason } from './reasons.ts'
import type { CacheRequest } from './request.ts'
import type { Rules } from './rules.ts'
import type { LifetimeSource, LogPosition, Metadata, Part } from './stored.ts'
import { selectingFields, variantName, type RequestField } from './vary.ts'

/** A response head as it arrived, with what is known of how it came. Times in milliseconds since the epoch. */
export interface ReceivedHead {
  readonly status: number
  readonly fields: FieldLines
  readonly requestTimeMs: number
  readonly responseTimeMs: number
  /** The purge log's place before the origin was asked. */
  readonly stamp: LogPosition
}

export type Storability =
  | { readonly store: true; readonly meta: Metadata }
  | { readonly store: false; readonly reason: NotStoredReason }

// 304 and 412 respond to a precondition, and 416 to a Range: a request without one would never get them. RFC 6585 §3 to §6: the
// others MUST NOT be stored by a cache.
export const neverStored: ReadonlySet<number> = new Set([304, 412, 416, 428, 429, 431, 511])
// Statuses that judge the message of one client. If they were stored for their max-age alone, one client with an oversized
// field could replace a page for everybody (CPDoS). The operator may name them in the route's lifetimes by status.
const judgesOneMessage: ReadonlySet<number> = new Set([400, 408, 411, 413, 415, 417, 421, 425, 426])
// Statuses whose meaning this cache knows (RFC 9111 §5.2.2.3).
const understood: ReadonlySet<number> = new Set([
  200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 421, 451, 500, 501, 502, 503, 504,
])

/**
 * Decides on a response to a GET or POST, in the order in which a reader of a log would ask, and gives its metadata.
 * `requestField` reads the request as it was forwarded; `bodyBytes` of the metadata is 0.
 * @param part what it brings of the representation (part.ts `contentOf`), where that is not all of it
 * @param method whose answer it is: `GET` for what a HEAD updates
 */
export function assessResponse(
  request: CacheRequest, requestField: RequestField, head: ReceivedHead, rules: Rules, part?: Part, method = request.method,
): Storability {
  const governing = governingDirectives(head.fields)
  const { directives } = governing
  // §3.3: 206 without a part that is known is a part of nobody knows what.
  const refusal = head.status === 206 && part === undefined ? 'partial' : refusalOf(request, method, head, directives, rules)
  if (refusal !== undefined) return { store: false, reason: refusal }

  const vary = selectingFields(head.fields, requestField)
  if (vary === '*') return { store: false, reason: 'vary-star' }
  const tags = responseTags(head.fields)
  if (!tags.complete) return { store: false, reason: 'too-many-tags' } // a purge could not find it: not storing is the safe side

  const lifetime = lifetimeOf(head.status, head.fields, governing, head.responseTimeMs, rules)
  // RFC 9110 §9.3.3: an answer to POST is cacheable with explicit freshness alone.
  if (method === 'POST' && lifetime.source !== 'explicit') return { store: false, reason: 'request-method' }
  const allowances = staleAllowances(directives, rules)
  const etag = storedEntityTag(head.fields)
  const lastModified = storedLastModified(head.fields, head.responseTimeMs)
  // §3: without explicit freshness only heuristically cacheable statuses qualify; without freshness of any kind it is
  // worth its space only if it can be validated. An error without freshness is never kept: one client may have provoked it.
  const validatable = head.status < 400 && (etag !== undefined || lastModified !== undefined)
  if (lifetime.source === 'none' && !heuristicallyCacheable.has(head.status)) return { store: false, reason: 'status' }
  if (lifetime.ms <= 0 && !validatable) return { store: false, reason: reasonWithoutLifetime[lifetime.source] ?? 'not-fresh' }

  const fields = storedFields(head, directives, part !== undefined)
  // Every 304 may bring fields of other names: they are bounded here.
  if (sectionBytes(fields) > longestStoredSection) return { store: false, reason: 'too-large' }

  const neverStale = forbidsStale(directives)
  // Past this it can be neither served nor usefully validated.
  const keepForMs = lifetime.ms + Math.max(rules.keepStaleMs, neverStale ? 0 : Math.max(allowances.whileRevalidateMs, allowances.ifErrorMs ?? 0))
  return {
    store: true,
    meta: {
      status: head.status,
      fields,
      cacheOnlyFields: head.fields.filter((_, i) => cacheOnlyFieldNames.has(head.fields[i - (i % 2)] as string)),
      requestTimeMs: head.requestTimeMs,
      responseTimeMs: head.responseTimeMs,
      initialAgeMs: initialAgeMs(head.fields, head.requestTimeMs, head.responseTimeMs),
      lifetimeMs: lifetime.ms,
      lifetimeSource: lifetime.source,
      staleWhileRevalidateMs: allowances.whileRevalidateMs,
      staleIfErrorMs: allowances.ifErrorMs,
      alwaysValidate: directives.noCache === true,
      neverStale,
      hadAuthorization: request.hasAuthorization,
      hadCookie: request.hasCookie,
      etag,
      lastModified,
      vary,
      variant: part === undefined ? variantName(vary) : partVariant(variantName(vary)),
      authority: request.authority,
      target: normalTarget(request.target),
      tags: tags.tags,
      stamp: head.stamp,
      keepUntilMs: head.responseTimeMs + keepForMs,
      bodyBytes: 0,
      part,
    },
  }
}

function refusalOf(request: CacheRequest, method: string, head: ReceivedHead, directives: ResponseDirectives, rules: Rules): NotStoredReason | undefined {
  if (method !== 'GET' && !(method === 'POST' && representsTarget(request, head.status, head.fields))) return 'request-method'
  if (!isStorableStatus(head.status) || (judgesOneMessage.has(head.status) && !rules.negativeTtlMs.has(head.status))) return 'status'
  if (request.directives.noStore) return 'request-no-store' // §5.2.1.5
  // §5.2.2.3: with must-understand, a status that is understood lifts no-store; one that is not forbids storing.
  if (directives.mustUnderstand && !understood.has(head.status)) return 'must-understand'
  if (directives.noStore && !directives.liftsNoStore) return 'no-store'
  if (directives.private === true) return 'private' // §5.2.2.7; the qualified form keeps fields back, see storedFields
  // §3.5, and the same for Cookie by configuration: credentials came in, so only an origin that says so lets others have it.
  if (request.hasAuthorization && !directives.grantsSharing) return 'authorization'
  if (request.hasCookie && rules.cookies === 'private' && !directives.grantsSharing) return 'cookie'
  if (rules.setCookie === 'skip' && hasField(head.fields, 'set-cookie') && !keptBack(directives).has('set-cookie')) return 'set-cookie'
  return undefined
}

/** The reasons that say why a response is stale from the start. */
export const reasonWithoutLifetime: Readonly<Partial<Record<LifetimeSource, 'no-lifetime' | 'bad-lifetime'>>> = { none: 'no-lifetime', malformed: 'bad-lifetime' }

/** The fields that a qualified private or no-cache keeps from others, each of which may name thousands. */
function keptBack({ private: privateTo, noCache }: ResponseDirectives): ReadonlySet<string> {
  const names = new Set<string>()
  for (const each of [privateTo, noCache]) if (each !== undefined && each !== true) for (const name of each) names.add(name)
  return names
}


/** Fields told to this cache alone: never passed on to a client. Cache-Groups is for every cache (RFC 9875) and is. */
export const cacheOnlyFieldNames: ReadonlySet<string> = new Set(['surrogate-control', 'surrogate-key', 'cache-tag'])

// Made anew for each answer, true of one passage only, or of one connection.
const neverKept: ReadonlySet<string> = new Set([...cacheOnlyFieldNames, ...alwaysHopByHop, 'age', 'content-length', 'proxy-status'])

/** Whether a field may be among those that are stored, as far as its name tells. `named`: by Connection, on the same message. */
export function mayBeKept(name: string, ofPart: boolean, named: ReadonlySet<string> = none): boolean {
  return !neverKept.has(name) && !named.has(name) && !(ofPart && contentFields.has(name))
}

const none: ReadonlySet<string> = new Set()

/** Whether a response with this status may be stored at all. */
export function isStorableStatus(status: number): boolean {
  return status >= 200 && status <= 599 && !neverStored.has(status)
}

/**
 * §3.1: what is kept of the fields: not the hop-by-hop ones, nor those that a qualified private or no-cache keeps from
 * others (§5.2.2.4, §5.2.2.7), nor of a part what is true of its very bytes only. A Date is added where the origin sent none
 * (RFC 9110 §6.6.1).
 */
function storedFields(head: ReceivedHead, directives: ResponseDirectives, ofPart: boolean): FieldLines {
  const named = connectionNamed(head.fields)
  const withheld = keptBack(directives)
  const kept: string[] = []
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] as string
    if (!mayBeKept(name, ofPart, named) || withheld.has(name)) continue
    kept.push(name, head.fields[i + 1] as string)
  }
  if (!hasField(kept, 'date')) kept.push('date', formatHttpDate(head.responseTimeMs))
  return kept
}

// The validators are kept as received: an origin that sends an odd one must get the same bytes back.
function storedEntityTag(fields: FieldLines): string | undefined {
  const lines = fieldLineValues(fields, 'etag')
  return lines.length === 1 && lines[0] !== '' ? lines[0] : undefined // two tags: neither can be trusted
}

function storedLastModified(fields: FieldLines, nowMs: number): string | undefined {
  const value = fieldValue(fields, 'last-modified')
  return value !== undefined && parseHttpDate(value, nowMs) !== undefined ? value : undefined
}
