// Decides whether a response may be stored, and derives its metadata: RFC 9111 §3.
import type { ResponseDirectives } from '../http/cache-control.ts'
import { formatHttpDate, parseHttpDate } from '../http/date.ts'
import { alwaysHopByHop, connectionNamed, fieldLineValues, fieldValue, hasField, isReservedField, type FieldLines } from '../http/fields.ts'
import { normalTarget } from '../http/normal-target.ts'
import { longestStoredSection, sectionBytes } from '../http/field-section.ts'
import { responseTags } from '../http/tags.ts'
import { governingDirectives } from './directives.ts'
import { forbidsStale, heuristicallyCacheable, initialAgeMs, lifetimeOf, staleAllowances } from './freshness.ts'
import { contentFields, partVariant } from './part.ts'
import { representsTarget } from './post.ts'
import { publicHosts } from './public-hosts.ts'
import type { NotStoredReason } from './reasons.ts'
import type { CacheRequest } from './request.ts'
import type { Rules } from './rules.ts'
import type { LifetimeSource, LogPosition, Metadata, Part } from './stored.ts'
import { selectingFields, variantName, type RequestField } from './vary.ts'

/** A response head as received, with its times in milliseconds since the epoch. */
export interface ReceivedHead {
  readonly status: number
  readonly fields: FieldLines
  readonly requestTimeMs: number
  readonly responseTimeMs: number
  /** The purge log's position before the request was forwarded. */
  readonly stamp: LogPosition
}

export type Storability =
  | { readonly store: true; readonly meta: Metadata }
  | { readonly store: false; readonly reason: NotStoredReason }

// A 304 responds to a precondition: a request without one would never get it. RFC 6585 §3 to §6: the others MUST NOT be stored by
// a cache.
export const neverStored: ReadonlySet<number> = new Set([304, 428, 429, 431, 511])
// Statuses that judge the message of one client. If they were stored for their max-age alone, one client with an oversized
// field could replace a page for everybody (CPDoS). The operator may name them in the route's lifetimes by status.
const judgesOneMessage: ReadonlySet<number> = new Set([400, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426])
// Statuses whose meaning this cache knows (RFC 9111 §5.2.2.3).
const understood: ReadonlySet<number> = new Set([
  200,
  203,
  204,
  206,
  300,
  301,
  302,
  303,
  307,
  308,
  400,
  401,
  403,
  404,
  405,
  410,
  414,
  421,
  451,
  500,
  501,
  502,
  503,
  504,
])

/**
 * Decides on a response to a GET or POST, and derives its metadata. Reasons are checked in the order that is most
 * useful in a log. `requestField` reads the forwarded request; `bodyBytes` of the metadata is 0.
 * @param part the received range (part.ts `receivedContent`), if it is not the whole
 * @param method the method of the response; `GET` for an entry that a HEAD updates
 * @param known the fields that are known to select among the responses of this URL (vary.ts `knownFields`)
 */
export function assessResponse(
  request: CacheRequest,
  requestField: RequestField,
  head: ReceivedHead,
  rules: Rules,
  part?: Part,
  method = request.method,
  known?: readonly string[],
): Storability {
  const governing = governingDirectives(head.fields)
  const { directives } = governing
  // §3.3: without its range, a 206 is a part of an unknown whole.
  const refusal = head.status === 206 && part === undefined ? 'partial' : refusalOf(request, method, head, directives, rules)
  if (refusal !== undefined) return { store: false, reason: refusal }

  const vary = selectingFields(head.fields, requestField, known)
  if (vary === '*') return { store: false, reason: 'vary-star' }
  const tags = responseTags(head.fields, rules.tags.fields)
  if (tags.fault !== undefined) return { store: false, reason: tags.fault } // a purge could not find it: not storing is the safe side

  const lifetime = lifetimeOf(head.status, head.fields, governing, head.responseTimeMs, rules)
  // RFC 9110 §9.3.3: a response to POST is cacheable only with explicit freshness.
  if (method === 'POST' && lifetime.source !== 'explicit') return { store: false, reason: 'request-method' }
  const allowances = staleAllowances(head.status, directives, rules)
  const etag = storedEntityTag(head.fields)
  const lastModified = storedLastModified(head.fields, head.responseTimeMs)
  // §3: without explicit freshness only heuristically cacheable statuses qualify. Without any freshness, storing pays only
  // if the response can be validated. An error without freshness is never kept: one client may have provoked it.
  const validatable = head.status < 400 && (etag !== undefined || lastModified !== undefined)
  if (lifetime.source === 'none' && !heuristicallyCacheable.has(head.status)) return { store: false, reason: 'status' }
  const qualifies = lifetime.source !== 'malformed' || heuristicallyCacheable.has(head.status)
  if (lifetime.ms <= 0 && !(validatable && qualifies)) return { store: false, reason: reasonWithoutLifetime[lifetime.source] ?? 'not-fresh' }

  const fields = storedFields(head, directives, part !== undefined, rules.tags.cacheOnly)
  // Every 304 may add fields with other names: this bounds them.
  if (sectionBytes(fields) > longestStoredSection) return { store: false, reason: 'too-large' }

  const neverStale = forbidsStale(directives)
  // Past this it can be neither served nor usefully validated.
  const keepForMs = lifetime.ms + Math.max(rules.keepStaleMs, neverStale ? 0 : Math.max(allowances.whileRevalidateMs, allowances.ifErrorMs ?? 0))
  return {
    store: true,
    meta: {
      status: head.status,
      fields,
      cacheOnlyFields: head.fields.filter((_, i) => rules.tags.cacheOnly.has(head.fields[i - (i % 2)] as string)),
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
      publicHosts: publicHosts(request.authority, requestField),
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
  if (!isStorableStatus(head.status) || (judgesOneMessage.has(head.status) && !rules.statusTtlMs.has(head.status))) return 'status'
  if (request.directives.noStore) return 'request-no-store' // §5.2.1.5
  // §5.2.2.3: with must-understand, an understood status lifts no-store. Another status forbids storing.
  if (directives.mustUnderstand && !understood.has(head.status)) return 'must-understand'
  if (directives.noStore && !directives.liftsNoStore) return 'no-store'
  if (hasField(head.fields, instructionField)) return 'session-instruction'
  if (directives.private === true) return 'private' // §5.2.2.7; the qualified form removes fields, see storedFields
  // §3.5, and the same for Cookie by configuration: the request had credentials, so sharing needs the origin's permission.
  if (request.hasAuthorization && !directives.grantsSharing) return 'authorization'
  if (request.hasCookie && rules.cookies === 'private' && !directives.grantsSharing) return 'cookie'
  if (rules.setCookie === 'skip' && hasField(head.fields, 'set-cookie') && !keptBack(directives).has('set-cookie')) return 'set-cookie'
  return undefined
}

/** The response field with which an origin changes the session of its request. Such a response concerns one client. */
export const instructionField = 'springhouse-session-set'

/** The reasons that say why a response is stale from the start. */
export const reasonWithoutLifetime: Readonly<Partial<Record<LifetimeSource, 'no-lifetime' | 'bad-lifetime'>>> = { none: 'no-lifetime', malformed: 'bad-lifetime' }

/** The fields that a qualified private or no-cache keeps from others, each of which may name thousands. */
function keptBack({ private: privateTo, noCache }: ResponseDirectives): ReadonlySet<string> {
  const names = new Set<string>()
  for (const each of [privateTo, noCache]) if (each !== undefined && each !== true) { for (const name of each) names.add(name) }
  return names
}

// Fields that are new in each response, or that concern one transfer or one connection.
const neverKept: ReadonlySet<string> = new Set(['surrogate-control', ...alwaysHopByHop, 'age', 'content-length', 'proxy-status', 'x-request-id'])

/** True if a field may be stored, as far as its name shows. `named`: the fields in Connection of the same message. */
export function mayBeKept(name: string, ofPart: boolean, named: ReadonlySet<string> = none): boolean {
  return !neverKept.has(name) && !isReservedField(name) && !named.has(name) && !(ofPart && contentFields.has(name))
}

const none: ReadonlySet<string> = new Set()

/** True if a status concerns the request that it responds to, by its credentials, condition or form, and not the resource. */
export function concernsOneRequest(status: number): boolean {
  return neverStored.has(status) || judgesOneMessage.has(status) || status === 401 || status === 403 || status === 407
}

/** True if a response with this status may be stored at all. */
export function isStorableStatus(status: number): boolean {
  return status >= 200 && status <= 599 && !neverStored.has(status)
}

/**
 * §3.1: returns the fields to store. It removes hop-by-hop and cache-only fields, and those that a qualified private or no-cache withholds
 * (§5.2.2.4, §5.2.2.7). From a part it also removes fields about its exact bytes. A missing Date is added (RFC 9110 §6.6.1).
 */
function storedFields(head: ReceivedHead, directives: ResponseDirectives, ofPart: boolean, cacheOnly: ReadonlySet<string>): FieldLines {
  const named = connectionNamed(head.fields)
  const withheld = keptBack(directives)
  const kept: string[] = []
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] as string
    if (!mayBeKept(name, ofPart, named) || withheld.has(name) || cacheOnly.has(name)) continue
    kept.push(name, head.fields[i + 1] as string)
  }
  if (!hasField(kept, 'date')) kept.push('date', formatHttpDate(head.responseTimeMs))
  return kept
}

// Validators are kept as received: an origin that sends an odd one must receive the same bytes.
function storedEntityTag(fields: FieldLines): string | undefined {
  const lines = fieldLineValues(fields, 'etag')
  return lines.length === 1 && lines[0] !== '' ? lines[0] : undefined // two tags: neither can be trusted
}

function storedLastModified(fields: FieldLines, nowMs: number): string | undefined {
  const value = fieldValue(fields, 'last-modified')
  return value !== undefined && parseHttpDate(value, nowMs) !== undefined ? value : undefined
}
