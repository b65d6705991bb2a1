// The body of GET /v1/explain: the decision for a request now, how it came about, and why responses were not stored.
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

/** A reason with its texts. `section`: the RFC section or setting that demands it. `advice`: the change that leads to another result. */
export interface ExplainedReason {
  readonly reason: string
  readonly section: string
  readonly meaning: string
  readonly advice: string
}

/** A part of the key. `source`: `route`, `request` (its line and Host), `field`, `cookie`, or the source of the identity. */
export interface KeyPart {
  readonly part: string
  /** null: the request has none. */
  readonly value: unknown
  readonly source: string
}

/** The field that decided, of the request or of the response. Its value is left out if it is secret. */
export interface ShownField {
  readonly of?: 'request' | 'response'
  readonly field?: string
  readonly value?: string
}

/** A step on the way of the request, in the order in which it is taken. Steps that are not reached are left out. */
export interface ExplainedStep extends ShownField {
  readonly step: 'route' | 'key' | 'request' | 'lookup' | 'decision' | 'response' | 'storing'
  /**
   * `yes`: it leads on towards the cache. `no`: it does not. `unknown`: no response to this request has been seen.
   * For the decision, its action.
   */
  readonly outcome: string
  readonly reason?: string
  readonly section?: string
}

/** A response that was fetched and not stored. */
export interface ExplainedUnstored extends ExplainedReason, ShownField {
  readonly atMs: number
  readonly replica: string
  readonly status: number
}

/** The result of a try at the origin: a response, judged by its head and not stored, or the code of an error. */
export type Tried =
  | ({ readonly status: number; readonly ms: number; readonly stored: true; readonly lifetimeMs: number; readonly tags: readonly string[]; readonly vary: readonly Selecting[] })
  | ({ readonly status: number; readonly ms: number; readonly stored: false } & ExplainedReason & ShownField)
  | { readonly error: string; readonly meaning: string; readonly ms: number }

export interface Explanation {
  readonly url: string
  readonly method: string
  /** The route that matched, by the name that the configuration or its match gives it. */
  readonly route: string
  readonly key: string
  readonly keyParts: readonly KeyPart[]
  /** The action that would be taken, and the reason as in logs, metrics and Cache-Status. */
  readonly decision: ExplainedReason & { readonly action: string }
  readonly steps: readonly ExplainedStep[]
  readonly variants: readonly ExplainedVariant[]
  /** Fields of the request that reach the origin and are in no key, unless a Vary names them: see `requestHeaders`. */
  readonly unkeyed: readonly string[]
  /** The last responses of this key that were not stored, newest first, at most three, from any replica. */
  readonly last: readonly ExplainedUnstored[]
  /** Present if a try was requested. */
  readonly tried?: Tried
}
