// Finds the decision for a request now, and its reason, without contacting the origin.
import type { Clock } from '../../clock.ts'
import type { FieldLines } from '../../http/fields.ts'
import { decide, passReason } from '../../policy/decide.ts'
import { currentAgeMs } from '../../policy/freshness.ts'
import { sharingOf, type IdentityRules } from '../../policy/identity.ts'
import { shownPart } from '../../policy/part.ts'
import { reasonAdvice, reasonMeaning, type Reason } from '../../policy/reasons.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Store, Stored } from '../../store/store.ts'
import { routeRequest, type RoutedRequest } from '../routed-request.ts'
import type { ExplainedVariant, Explanation } from './explanation.ts'
import { lookupLocal, lookup, purgeStateBy } from '../lookup.ts'
import { unkeyedNames } from '../routing/routes.ts'
import type { Route } from '../routing/route.ts'

export interface ExplainParts {
  routes(): readonly Route[]
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly clock: Clock
  readonly viaName: string
}

/** A request as the admin API describes it. `url` is absolute, or a path, for which `fields` must have Host. */
export interface ExplainRequest {
  readonly url: string
  readonly method: string
  readonly fields: FieldLines
  /** The facets of its sender, as a session would have them; undefined: the request of a visitor. */
  readonly facets?: Readonly<Record<string, unknown>> | undefined
}

/** Explains a request as if an untrusted client had sent it. Returns undefined if it cannot be read or has no route. */
export async function explain(parts: ExplainParts, question: ExplainRequest): Promise<Explanation | undefined> {
  const https = question.url.startsWith('https://')
  const client = { address: '127.0.0.1', scheme: https ? 'https' : 'http', httpVersion: '1.1', trusted: false, requestId: 'explain' } as const
  const routed = routeRequest(parts.routes(), headOf(question), client, parts.viaName)
  if (typeof routed === 'string') return undefined
  const asked = withFacets(routed, question.facets)
  const nowMs = parts.clock.now()
  const all = await parts.store.lookup(asked.key)
  const decision = await decisionFor(parts, asked, nowMs)
  const near = parts.store.local?.lookup(asked.key)
  return {
    url: question.url,
    method: question.method,
    route: asked.route.id,
    key: asked.key,
    decision: { ...decision, section: reasonMeaning[decision.reason], advice: reasonAdvice[decision.reason] },
    variants: all.map(entry => explained(entry, tierOf(entry, near, parts.store), parts, nowMs)),
    ...keyPartsOf(asked.route, question.facets),
    unkeyed: unkeyedNames(asked.route, asked.forwarded.filter((_, i) => i % 2 === 0)),
  }
}

async function decisionFor(parts: ExplainParts, asked: RoutedRequest, nowMs: number): Promise<{ action: string; reason: Reason }> {
  const pass = passReason(asked.request, asked.route.rules) ?? asked.sharing.privateBecause
  if (pass !== undefined) return { action: 'pass', reason: pass }
  // In two lookups, as for a request: a plain fresh response in the local tier is used without the second.
  const decideOver = (usable: readonly Stored[]): { action: string; reason: Reason } => {
    const { action, reason } = decide(asked.request, usable, purgeStateBy(parts.purgeLog), asked.requestField, nowMs, asked.route.rules)
    return { action, reason }
  }
  const first = decideOver(lookupLocal(parts.store, parts.purgeLog, asked.key))
  return first.reason === 'fresh' ? first : decideOver(await lookup(parts.store, parts.purgeLog, asked.key))
}

/** The source whose facets are explained: the first of the route. */
function facetSource({ sources }: IdentityRules): string {
  return sources[0] as string
}

/** The request of a sender with these facets, as far as its route has any. */
function withFacets(routed: RoutedRequest, facets: ExplainRequest['facets']): RoutedRequest {
  const { identity } = routed.route
  if (identity === undefined || facets === undefined) return routed
  const sharing = sharingOf({ kind: 'known', source: facetSource(identity), facet: name => facetText(facets, name), mark: undefined }, identity)
  return routed.identifiedAs({ raw: undefined, sharing, sent: () => [] })
}

function facetText(facets: Readonly<Record<string, unknown>>, name: string): string | undefined {
  return Object.hasOwn(facets, name) ? JSON.stringify(facets[name]) : undefined
}

function keyPartsOf({ identity }: Route, facets: ExplainRequest['facets']): Pick<Explanation, 'keyParts'> {
  if (identity === undefined || identity.facets.length === 0 || facets === undefined) return {}
  return { keyParts: identity.facets.map(part => ({ part, value: Object.hasOwn(facets, part) ? facets[part] : null, source: facetSource(identity) })) }
}

/** Where an entry lies: of two tiers, in memory if the same response is there too. */
function tierOf({ meta }: Stored, near: readonly Stored[] | undefined, store: Store): string {
  if (near === undefined) return store.stats().kind
  const copied = near.some(copy => copy.meta.variant === meta.variant && copy.meta.requestTimeMs === meta.requestTimeMs)
  return copied ? 'memory' : 'redis'
}

// An absolute URL is read as a client would send it: its host as Host, the rest byte for byte as the target.
function headOf({ url, method, fields }: ExplainRequest): { method: string; url: string; rawHeaders: FieldLines } {
  const absolute = /^https?:\/\/([^/?#]+)([^#]*)/i.exec(url)
  if (absolute === null) return { method, url, rawHeaders: fields }
  const [, authority = '', rest = ''] = absolute
  const target = rest.startsWith('/') ? rest : `/${rest}`
  const others = fields.filter((_, i) => fields[i - (i % 2)] !== 'host')
  return { method, url: target, rawHeaders: ['host', authority, ...others] }
}

function explained({ meta }: Stored, tier: string, parts: ExplainParts, nowMs: number): ExplainedVariant {
  const ageMs = currentAgeMs(meta, nowMs)
  const part = shownPart(meta)
  return {
    variant: meta.variant,
    status: meta.status,
    freshness: ageMs < meta.lifetimeMs ? 'fresh' : 'stale',
    ageMs,
    lifetimeMs: meta.lifetimeMs,
    heuristic: meta.lifetimeSource === 'heuristic',
    freshUntilMs: meta.responseTimeMs + meta.lifetimeMs - meta.initialAgeMs,
    keepUntilMs: meta.keepUntilMs,
    tags: meta.tags,
    bytes: meta.bodyBytes,
    ...(part !== undefined && { part }),
    tier,
    vary: meta.vary,
    ...(meta.etag !== undefined && { etag: meta.etag }),
    verdict: parts.purgeLog.judge(meta),
  }
}
