// Every reason for the handling of a request: one term in the log, the metric label and the Cache-Status detail.

/** Why a request passes the cache by. */
export type PassReason = 'method' | 'options' | 'health-path' | 'upgrade' | 'request-body' | 'route-uncached' | 'ambiguous-path' | 'precondition' | 'identity' | 'facet'
  | 'unverified' | 'key-set'
/** Why a stored response is served. */
export type ServeReason = 'fresh' | 'max-stale'
/** Why a stale response is served. */
export type StaleReason = 'stale-while-revalidate' | 'stale-if-error' | 'stale-if-slow' | 'origin-unreachable' | 'origin-5xx'
/** Why a request is forwarded, although something is stored or might be. */
export type ForwardReason = 'uri-miss' | 'vary-miss' | 'stale' | 'soft-purged' | 'no-cache' | 'request-no-cache' | 'request-max-age' | 'request-min-fresh' | 'range-miss'
  | 'part-only' | 'head-miss' | 'no-lifetime' | 'bad-lifetime' | 'other-credentials' | 'after-write'
export type RefuseReason = 'only-if-cached'
/** Why a response is not stored. */
export type NotStoredReason = 'no-store' | 'private' | 'authorization' | 'cookie' | 'set-cookie' | 'vary-star' | 'status' | 'must-understand' | 'not-fresh' | 'no-lifetime'
  | 'bad-lifetime' | 'request-no-store' | 'request-method' | 'partial' | 'too-large' | 'too-many-tags' | 'bad-cache-groups' | 'incomplete' | 'store-refused' | 'session-instruction'

/** Why a request was handled as it was. */
export type DecisionReason = PassReason | ServeReason | StaleReason | ForwardReason | RefuseReason
export type Reason = DecisionReason | NotStoredReason
/** The reason of a request's outcome. `refused`: the proxy refused the request before anything was decided. */
export type RequestReason = DecisionReason | 'refused'

// Records rather than lists, so that a reason that is missing here does not compile.
const decisions: Record<DecisionReason, true> = {
  'method': true,
  'health-path': true,
  'options': true,
  'upgrade': true,
  'request-body': true,
  'route-uncached': true,
  'ambiguous-path': true,
  'precondition': true,
  'identity': true,
  'facet': true,
  'unverified': true,
  'key-set': true,
  'fresh': true,
  'max-stale': true,
  'stale-while-revalidate': true,
  'stale-if-error': true,
  'stale-if-slow': true,
  'origin-unreachable': true,
  'origin-5xx': true,
  'uri-miss': true,
  'vary-miss': true,
  'stale': true,
  'no-lifetime': true,
  'bad-lifetime': true,
  'other-credentials': true,
  'soft-purged': true,
  'no-cache': true,
  'request-no-cache': true,
  'request-max-age': true,
  'request-min-fresh': true,
  'range-miss': true,
  'part-only': true,
  'head-miss': true,
  'after-write': true,
  'only-if-cached': true,
}

const notStored: Record<NotStoredReason, true> = {
  'no-store': true,
  'private': true,
  'authorization': true,
  'cookie': true,
  'set-cookie': true,
  'vary-star': true,
  'status': true,
  'must-understand': true,
  'not-fresh': true,
  'no-lifetime': true,
  'bad-lifetime': true,
  'request-no-store': true,
  'request-method': true,
  'partial': true,
  'too-large': true,
  'too-many-tags': true,
  'bad-cache-groups': true,
  'incomplete': true,
  'store-refused': true,
  'session-instruction': true,
}

export const requestReasons: readonly RequestReason[] = [...Object.keys(decisions) as DecisionReason[], 'refused']
export const decisionReasons = Object.keys(decisions) as readonly DecisionReason[]
export const notStoredReasons = Object.keys(notStored) as readonly NotStoredReason[]
