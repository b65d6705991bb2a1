// Finds the decision for a request now, how it comes about, and why responses to it were not stored. Only a try contacts the origin.
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { FieldLines } from '../../http/fields.ts'
import type { Origins } from '../../origin/origin.ts'
import { decide, passReason } from '../../policy/decide.ts'
import { currentAgeMs } from '../../policy/freshness.ts'
import { sharingOf, type IdentityRules } from '../../policy/identity.ts'
import { shownPart } from '../../policy/part.ts'
import type { PassReason, Reason } from '../../policy/reasons.ts'
import type { Metadata } from '../../policy/stored.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { UnstoredLog } from '../../store/unstored.ts'
import { routeRequest, type RoutedRequest } from '../routed-request.ts'
import type { ExplainedVariant, Explanation } from './explanation.ts'
import { explainedReason, explainedUnstored, factsOf } from './facts.ts'
import { keyPartsOf, type ExplainedFacets } from './key-parts.ts'
import { lookupLocal, lookup, purgeStateBy } from '../lookup.ts'
import { unkeyedNames } from '../routing/routes.ts'
import type { Route } from '../routing/route.ts'
import { stepsOf } from './steps.ts'
import { tryAtOrigin } from './try.ts'

export interface ExplainParts {
  routes(): readonly Route[]
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly unstored: UnstoredLog
  readonly origins: Origins
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
  /** True to send one GET to the origin of its route, and to judge the response. */
  readonly try?: boolean | undefined
}

/** Explains a request as if an untrusted client had sent it. Returns undefined if it cannot be read or has no route. */
export async function explain(parts: ExplainParts, question: ExplainRequest): Promise<Explanation | undefined> {
  const https = question.url.startsWith('https://')
  const client = { address: '127.0.0.1', scheme: https ? 'https' : 'http', httpVersion: '1.1', trusted: false, requestId: `explain-${randomUUID()}` } as const
  const head = headOf(question)
  const routed = routeRequest(parts.routes(), head, client, parts.viaName)
  if (typeof routed === 'string') return undefined
  const asked = withFacets(routed, question.facets)
  const passed = passReason(asked.request, asked.route.rules) ?? asked.sharing.privateBecause
  const tried = question.try === true ? await tryAtOrigin(parts, asked, passed) : undefined
  const nowMs = parts.clock.now()
  const [all, decision, last] = await Promise.all([parts.store.lookup(asked.key), decisionFor(parts, asked, passed, nowMs), parts.unstored.last(asked.key)])
  const near = parts.store.local?.lookup(asked.key)
  const { identity } = asked.route
  const facets: ExplainedFacets | undefined = identity && question.facets && { source: facetSource(identity), values: question.facets }
  const told = {
    url: question.url,
    method: question.method,
    route: asked.route.id,
    key: asked.key,
    keyParts: keyPartsOf(asked, head.rawHeaders, facets),
    decision: { action: decision.action, ...explainedReason(decision.reason, factsOf(asked, decision.meta, all, parts.purgeLog, nowMs)) },
    variants: all.map(entry => explained(entry, tierOf(entry, near, parts.store), parts, nowMs)),
    unkeyed: unkeyedNames(asked.route, asked.forwarded.filter((_, i) => i % 2 === 0)),
    last: last.map(explainedUnstored),
    ...(tried !== undefined && { tried }),
  }
  return { ...told, steps: stepsOf(told) }
}

/** A decision, with the stored response that it concerns. */
interface Decided {
  readonly action: string
  readonly reason: Reason
  readonly meta: Metadata | undefined
}

async function decisionFor(parts: ExplainParts, asked: RoutedRequest, passed: PassReason | undefined, nowMs: number): Promise<Decided> {
  if (passed !== undefined) return { action: 'pass', reason: passed, meta: undefined }
  // In two lookups, as for a request: a plain fresh response in the local tier is used without the second.
  const decideOver = (usable: readonly Stored[]): Decided => {
    const decision = decide(asked.request, usable, purgeStateBy(parts.purgeLog), asked.requestField, nowMs, asked.route.rules)
    const entry = decision.action === 'refuse' ? undefined : decision.entry
    return { action: decision.action, reason: decision.reason, meta: entry?.meta }
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
