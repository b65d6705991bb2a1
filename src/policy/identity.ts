// The identity of a request, as caching sees it: which clients share its response, and which stored responses are too old for its sender.
import { encodeFacets, type FacetText } from './facets.ts'
import type { PassReason } from './reasons.ts'
import type { LogPosition } from './stored.ts'

/** The result of identifying the sender of a request. */
export type Sender =
  /** The request presents nothing: all visitors share responses. */
  | { readonly kind: 'visitor' }
  /** The request presents something that names nobody. The response is for this client alone. `reason` says why. */
  | { readonly kind: 'unrecognised'; readonly reason: 'identity' | 'unverified' }
  | { readonly kind: 'known'; readonly source: string; readonly facet: (name: string) => FacetText; readonly mark: LogPosition | undefined }

/** How a route treats identities. */
export interface IdentityRules {
  /** The names of its sources; at least one. */
  readonly sources: readonly string[]
  /** True if a request without a user is refused. */
  readonly required: boolean
  /** The part of the identity that the origin receives if the response may be shared: the facets, or everything. */
  readonly forward: 'facets' | 'all'
  /** The methods whose responses may log a user in. */
  readonly login: 'unsafe' | 'any' | 'never'
  /** The treatment of a request that presents a session if the store is out of reach. */
  readonly trouble: 'refuse' | 'anonymous'
  readonly realm: string
  /** The facets in the key; []: responses to identified requests are not shared. */
  readonly facets: readonly string[]
}

/** Which responses a request may share. */
export interface Sharing {
  /** True if nothing distinguishes it from the requests of other visitors. */
  readonly visitor: boolean
  /** Its part of the cache key; '' for visitors. */
  readonly keyPart: string
  /** Why it neither uses nor makes shared responses; undefined: it may. */
  readonly privateBecause: PassReason | undefined
  /** The facets as a JSON object, for the origin; undefined if it receives the whole identity. */
  readonly facets: string | undefined
  /** True if the origin must permit sharing, as for Authorization (RFC 9111 §3.5): it receives more than the key holds. */
  readonly needsGrant: boolean
  /** Stored responses that were requested before this position are not for this sender: it has changed something since. */
  readonly mark: LogPosition | undefined
}

/** Visitors share with each other. */
export const asVisitor: Sharing = Object.freeze({ visitor: true, keyPart: '', privateBecause: undefined, facets: undefined, needsGrant: false, mark: undefined })

/** Decides which responses the sender of a request may share under a route's rules. */
export function sharingOf(sender: Sender, rules: Pick<IdentityRules, 'facets' | 'forward'>): Sharing {
  if (sender.kind === 'visitor') return asVisitor
  if (sender.kind === 'unrecognised') return { ...asVisitor, visitor: false, privateBecause: sender.reason }
  if (rules.facets.length === 0) return { ...asVisitor, visitor: false, privateBecause: 'identity' }
  const facets = encodeFacets(sender.source, rules.facets, sender.facet)
  if (facets.kind === 'unfit') return { ...asVisitor, visitor: false, privateBecause: 'facet' }
  const needsGrant = rules.forward === 'all'
  return { visitor: false, keyPart: facets.keyPart, privateBecause: undefined, facets: needsGrant ? undefined : facets.shown, needsGrant, mark: sender.mark }
}

/** True if a stored response was requested before its reader's last change. Positions of the purge log are ordered as texts. */
export function precedesChange(stamp: LogPosition, mark: LogPosition | undefined): boolean {
  return mark !== undefined && stamp < mark
}

// RFC 9110 §9.2.1.
const safe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** True for a method that may change something. */
export function isUnsafe(method: string): boolean {
  return !safe.has(method)
}
