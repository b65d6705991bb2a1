// The body of GET /v1/explain: the decision for a request now, and its reason.
import type { ShownPart } from '../../policy/part.ts'
import type { Selecting } from '../../policy/stored.ts'
import type { Verdict } from '../../store/purge/log.ts'

/** A stored variant of the key, as it is at this moment. Times are milliseconds; times of day since the epoch. */
export interface ExplainedVariant {
  readonly variant: string
  readonly status: number
  readonly freshness: 'fresh' | 'stale'
  readonly ageMs: number
  readonly lifetimeMs: number
  /** True if the lifetime was guessed (RFC 9111 §4.2.2). */
  readonly heuristic: boolean
  readonly freshUntilMs: number
  /** When the store may forget it. It says nothing about freshness. */
  readonly keepUntilMs: number
  readonly tags: readonly string[]
  readonly bytes: number
  /** The bytes of the representation that it holds, if not all. */
  readonly part?: ShownPart
  /** Where it would be served from: `memory` if it lies there (in Redis too, as a rule), or `redis`. */
  readonly tier: string
  readonly vary: readonly Selecting[]
  readonly etag?: string
  /** The verdict of the purges since its birth. */
  readonly verdict: Verdict
}

export interface Explanation {
  readonly url: string
  readonly method: string
  /** The route that matched, by the name that the configuration or its match gives it. */
  readonly route: string
  readonly key: string
  /**
   * The action that would be taken, the reason as in logs, metrics and Cache-Status, and the RFC section that demands it. `advice`
   * is the change that leads to another decision.
   */
  readonly decision: { readonly action: string; readonly reason: string; readonly section: string; readonly advice: string }
  readonly variants: readonly ExplainedVariant[]
  /** The facets in the key, if the route has any and the request gives some: the name, the value (null: absent), and its source. */
  readonly keyParts?: readonly { readonly part: string; readonly value: unknown; readonly source: string }[]
  /** Fields of the request that reach the origin and are in no key, unless a Vary names them: see `requestHeaders`. */
  readonly unkeyed: readonly string[]
}
