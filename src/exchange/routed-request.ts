// A client request while it is being handled: its fields, its route, and its client.
import { hash } from 'node:crypto'
import { normaliseAuthority } from '../http/authority.ts'
import { normalTarget } from '../http/normal-target.ts'
import { fieldLines, fieldValue, fieldValues, withoutFields, type FieldLines } from '../http/fields.ts'
import { forwardFields } from '../forwarding/request-fields.ts'
import { keyedProvenance, provenanceLines } from '../forwarding/trusted-fields.ts'
import { dashed } from '../forwarding/untrusted-fields.ts'
import { namedCookies } from '../policy/cookies.ts'
import { cacheKey } from '../policy/key.ts'
import { CacheRequest, scanFields, type RequestFault } from '../policy/request.ts'
import { asVisitor, type Sharing } from '../policy/identity.ts'
import { publicHosts } from '../policy/public-hosts.ts'
import type { Addressed, Metadata } from '../policy/stored.ts'
import { knowsFieldsOf, knownFields, selectedBy, variantName, type RequestField } from '../policy/vary.ts'
import type { Stored } from '../store/store.ts'
import { matchRoute } from './routing/match.ts'
import { keyedTarget } from './routing/routes.ts'
import type { RequestContext } from '../forwarding/request-context.ts'
import type { Route } from './routing/route.ts'

/** The head of a message as Node gives it. */
export interface RequestHead {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly rawHeaders: readonly string[]
}

/** The changes that identifying a request makes in it. */
export interface AppliedIdentity {
  /** The client's fields without credentials for this proxy, in the form of Node's rawHeaders; undefined: they are as they came. */
  readonly raw: FieldLines | undefined
  readonly sharing: Sharing
  /** The lines that the origin receives about the sender. Computed at each call. */
  sent(): FieldLines
}

const unidentified: AppliedIdentity = Object.freeze({ raw: undefined, sharing: asVisitor, sent: () => nothing })

/** A request that was understood and has a route. Costly properties are made when they are first read. */
export class RoutedRequest {
  readonly request: CacheRequest
  readonly route: Route
  /** The hop that it came over. */
  readonly context: RequestContext
  readonly #raw: readonly string[]
  readonly #viaName: string
  readonly #identity: AppliedIdentity
  #forwarded: FieldLines | undefined
  #key: string | undefined
  #found: readonly Found[] = []
  /** The responses that its first look-up found; undefined before. */
  #foundFirst: readonly Found[] | undefined
  #known: readonly string[] = nothing
  #fetchVariant: string | undefined
  #url: Addressed | undefined
  #asked = 0
  #byName: ReadonlyMap<string, string> | undefined

  constructor(request: CacheRequest, route: Route, raw: readonly string[], context: RequestContext, viaName: string, identity: AppliedIdentity = unidentified) {
    this.request = request
    this.route = route
    this.context = context
    this.#raw = raw
    this.#viaName = viaName
    this.#identity = identity
  }

  get key(): string {
    return this.#key ??= cacheKey(this.route.keyPart, this.request, this.requestField, this.route.rules, this.route.keyRules, this.#provenance)
      + this.#identity.sharing.keyPart
  }

  /** Which responses it may share with other requests. */
  get sharing(): Sharing {
    return this.#identity.sharing
  }

  /** This request as its sender's identity makes it: to be used in its place before anything is looked up. */
  identifiedAs(identity: AppliedIdentity): RoutedRequest {
    const raw = identity.raw ?? this.#raw
    return new RoutedRequest(new CacheRequest(scanIdentified(raw, identity), this.request), this.route, raw, this.context, this.#viaName, identity)
  }

  // Made of the very lines that an origin would be sent. An untrusted client adds nothing to them, so they follow from the rest of the key.
  get #provenance(): FieldLines {
    if (!this.context.trusted) return nothing
    return keyedProvenance(this.#allowed(provenanceLines(this.#raw, this.context, this.request.authority)), this.request)
  }

  /** Records the stored responses of its URL that its last look-up found, before it is forwarded. */
  learn(variants: readonly Stored[]): void {
    this.#found = variants.map(({ meta: { vary, variant, requestTimeMs, responseTimeMs } }) => ({ vary, variant, requestTimeMs, responseTimeMs }))
    this.#foundFirst ??= this.#found
    this.#known = knownFields(variants, this.requestField)
    this.#fetchVariant = undefined
  }

  /** The fields that are known to select among the responses of its URL. */
  get known(): readonly string[] {
    return this.#known
  }

  /** True if it requests a part, and the whole is fetched for it. A unit other than bytes is the origin's own. */
  get fetchesWhole(): boolean {
    const { range, method } = this.request
    return range !== undefined && this.route.rules.rangeFetch === 'whole' && method === 'GET' && range.slice(0, 6).toLowerCase() === 'bytes='
  }

  /** True if it requests a part, which alone is fetched for it. */
  get fetchesPart(): boolean {
    return this.request.range !== undefined && !this.fetchesWhole
  }

  /** Names the variant that it fetches, as far as the fields that select it are known, and the range; '' without both. */
  get fetchVariant(): string {
    return this.#fetchVariant ??= this.#nameFetchVariant()
  }

  #nameFetchVariant(): string {
    const variant = variantName(selectedBy(this.#known, this.requestField))
    const { range, ifRange } = this.request
    return !this.fetchesPart ? variant : hash('sha256', `${variant}\n${range}\n${ifRange ?? ''}`, 'base64url').slice(0, 22)
  }

  /** Requests with the same value can wait for one fetch. No key holds a line feed. */
  get fetchKey(): string {
    return this.fetchVariant === '' ? this.key : `${this.key}\n${this.fetchVariant}`
  }

  /**
   * True if a stored response was not there, or not renewed yet, at the first look-up of this request. Then its fetch had not ended,
   * and this request is collapsed with it. No clock decides: those of replicas differ.
   */
  arrivedSince({ meta }: Pick<Stored, 'meta'>): boolean {
    return this.#foundFirst?.some(found => found.variant === meta.variant && found.requestTimeMs === meta.requestTimeMs && found.responseTimeMs === meta.responseTimeMs) === false
  }

  /** The number of variants beside this one that were found. */
  foundBeside(name: string): number {
    return this.#found.filter(({ variant }) => variant !== name).length
  }

  /** The variants that were found, and that match no request once a response with this Vary is stored. */
  outdatedBy(meta: Metadata): string[] {
    return this.#found.filter(({ vary }) => !knowsFieldsOf(vary, meta)).map(({ variant }) => variant)
  }

  /** The names by which a purge of a URL finds its response. */
  get url(): Addressed {
    const { authority, target } = this.request
    return this.#url ??= { authority, publicHosts: this.publicHosts, target: normalTarget(target) }
  }

  /** The hosts that a trusted proxy reports, beside Host. */
  get publicHosts(): readonly string[] {
    return this.context.trusted ? publicHosts(this.request.authority, this.requestField) : nothing
  }

  /** The names of response fields that its client does not receive, because they are for this cache. */
  get cacheOnly(): ReadonlySet<string> {
    return this.route.rules.tags.cacheOnly
  }

  /** The fields that an origin is sent if the response may be stored. */
  get forwarded(): FieldLines {
    return this.#forwarded ??= this.#withIdentity(this.#allowed(this.#clientFields()))
  }

  /**
   * True if an origin receives all the fields of the client, if the response may be stored. A passed request forwards all in
   * any case, so only then does its response match the key.
   */
  get forwardsAll(): boolean {
    const whole = this.allFields()
    return whole.length === this.forwarded.length && whole.every((part, i) => part === this.forwarded[i])
  }

  /**
   * This request as it refreshes an entry in the background: for the whole, and without credentials that the entry's own request did
   * not carry. The response to those would be for one client, and could not take the entry's place.
   */
  forRefreshOf({ hadAuthorization, hadCookie }: Pick<Metadata, 'hadAuthorization' | 'hadCookie'>): RoutedRequest {
    const { request } = this
    if ((hadAuthorization || !request.hasAuthorization) && (hadCookie || !request.hasCookie) && request.range === undefined) return this
    const raw = withoutFields(fieldLines(this.#raw), {
      has: name => (name === 'authorization' && !hadAuthorization) || (name === 'cookie' && !hadCookie) || name === 'range' || name === 'if-range',
    })
    const refreshing = new RoutedRequest(new CacheRequest(scanIdentified(raw, this.#identity), request), this.route, raw, this.context, this.#viaName, this.#identity)
    refreshing.#found = this.#found
    refreshing.#known = this.#known
    return refreshing
  }

  /** The fields for the origin if no other client gets the response: all that may be forwarded. Made anew at each call. */
  allFields(): FieldLines {
    return this.#withIdentity(this.#clientFields())
  }

  #withIdentity(fields: FieldLines): FieldLines {
    return this.#identity === unidentified ? fields : [...fields, ...this.#identity.sent()]
  }

  #clientFields(): FieldLines {
    return forwardFields(fieldLines(this.#raw), this.context, this.#viaName)
  }

  // A passed request has every field: no other client receives its response.
  #allowed(fields: FieldLines): FieldLines {
    const { forwarding: { allowedFields, keyedSpellings }, keyRules, rules } = this.route
    const named = typeof rules.cookies === 'string' || !this.request.hasCookie ? fields : withNamedCookies(fields, rules.cookies)
    if (allowedFields === undefined && keyedSpellings.size === 0) return named
    // An application under CGI would take another spelling of a keyed field for that one, and the key has not read it.
    return withoutFields(named, { has: name => allowedFields?.has(name) === false || (keyedSpellings.has(dashed(name)) && !keyRules.headers.includes(name)) })
  }

  /** The request's fields as the origin sees them: what Vary and the key read. */
  readonly requestField: RequestField = name => this.#identityField(name) ?? (++this.#asked > fewAsked ? this.#combined.get(name) : fieldValue(this.forwarded, name))

  // Equal facets in the key: the signature around them changes, and selects nothing.
  #identityField(name: string): string | undefined {
    return name === 'springhouse-session' ? this.#identity.sharing.facets : undefined
  }

  get #combined(): ReadonlyMap<string, string> {
    return this.#byName ??= fieldValues(this.forwarded)
  }
}

// An origin that receives more than the key holds must permit sharing, as for Authorization (RFC 9111 §3.5).
function scanIdentified(raw: readonly string[], { sharing }: AppliedIdentity): ReturnType<typeof scanFields> {
  const scan = scanFields(raw)
  if (sharing.needsGrant) scan.authorization = true
  return scan
}

/** A stored response that was found, without its body. */
type Found = Pick<Metadata, 'vary' | 'variant' | 'requestTimeMs' | 'responseTimeMs'>

const nothing: FieldLines = []
// For most requests a field or two is read, and a scan of the lines is cheapest. An origin may name thousands in Vary.
const fewAsked = 16

/** `fields` with the named cookies alone, in the line that Cookie has by now (forwarding/request-fields.ts). */
function withNamedCookies(fields: FieldLines, names: readonly string[]): FieldLines {
  const at = fields.findIndex((part, i) => i % 2 === 0 && part === 'cookie')
  if (at === -1) return fields
  const cookies = namedCookies(fields[at + 1] as string, names)
  return cookies === undefined ? fields.toSpliced(at, 2) : fields.with(at + 1, cookies)
}

/** Why a request is refused before anything is looked up. */
export type Fault = RequestFault | 'no-route'

/**
 * Reads a request's line and fields and finds its route. The listener has seen to it that the target is in origin-form
 * and that there is at most one Host (proxy/admission/admission.ts).
 */
export function routeRequest(routes: readonly Route[], head: RequestHead, context: RequestContext, viaName: string): RoutedRequest | Fault {
  const scan = scanFields(head.rawHeaders)
  if (scan.host === undefined) return 'host-missing'
  const authority = normaliseAuthority(scan.host, context.scheme)
  if (authority === undefined) return 'host-invalid'
  const target = head.url ?? '/'
  const route = matchRoute(routes, authority, target)
  if (route === undefined) return 'no-route'
  const line = { method: head.method ?? 'GET', scheme: context.scheme, authority, target: keyedTarget(route, target) }
  return new RoutedRequest(new CacheRequest(scan, line), route, head.rawHeaders, context, viaName)
}
