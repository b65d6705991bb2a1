// Every reason for the handling of a request: one term in the log, the metric label and the Cache-Status detail.

/** Why a request passes the cache by. */
export type PassReason = 'method' | 'upgrade' | 'request-body' | 'route-uncached' | 'ambiguous-path' | 'precondition'
/** Why a stored response is served. */
export type ServeReason = 'fresh' | 'max-stale'
/** Why a stale response is served. */
export type StaleReason = 'stale-while-revalidate' | 'stale-if-error' | 'stale-if-slow' | 'origin-unreachable' | 'origin-5xx'
/** Why a request is forwarded, although something is stored or might be. */
export type ForwardReason =
  | 'uri-miss' | 'vary-miss' | 'stale' | 'soft-purged' | 'no-cache' | 'request-no-cache' | 'request-max-age' | 'request-min-fresh'
  | 'range-miss' | 'part-only' | 'head-miss' | 'no-lifetime' | 'bad-lifetime' | 'other-credentials'
export type RefuseReason = 'only-if-cached'
/** Why a response is not stored. */
export type NotStoredReason =
  | 'no-store' | 'private' | 'authorization' | 'cookie' | 'set-cookie' | 'vary-star' | 'status' | 'must-understand' | 'not-fresh' | 'no-lifetime' | 'bad-lifetime'
  | 'request-no-store' | 'request-method' | 'partial' | 'too-large' | 'too-many-tags' | 'incomplete' | 'store-refused'

/** Why a request was handled as it was. */
export type DecisionReason = PassReason | ServeReason | StaleReason | ForwardReason | RefuseReason
export type Reason = DecisionReason | NotStoredReason

// Both for requests that find such a response stored, and for responses without a validator, which are not stored.
const noLifetime = 'RFC 9111 §4.2.1: the response gives no lifetime, and ttl.default is 0'
const badLifetime = 'RFC 9111 §4.2.1: the response gives a lifetime that cannot be read, such as max-age=60s'

// Records rather than lists, so that a reason that is missing here does not compile.
const decisions: Record<DecisionReason, string> = {
  'method': 'RFC 9110 §9.2.1: not GET or HEAD, so the origin handles it',
  'upgrade': 'RFC 9110 §7.8: requests a WebSocket',
  'request-body': 'RFC 9110 §9.3.1: a GET or HEAD with content is not served from cache',
  'route-uncached': 'configuration: cache.mode is bypass on this route',
  'ambiguous-path': 'RFC 3986 §6: origins differ in how they read this path, and another route matches one of the readings',
  'precondition': 'RFC 9111 §4.3.2: If-Match and If-Unmodified-Since are the origin\'s to evaluate',
  'fresh': 'RFC 9111 §4.2: within its freshness lifetime',
  'max-stale': 'RFC 9111 §5.2.1.2: stale, but within the max-stale of the request',
  'stale-while-revalidate': 'RFC 5861 §3: stale, served while it is validated in the background',
  'stale-if-error': 'RFC 5861 §4: stale, served because the origin failed',
  'stale-if-slow': 'configuration staleIfSlow: stale, served because the origin takes longer than that',
  'origin-unreachable': 'RFC 9111 §4.2.4: stale, served because the origin cannot be reached',
  'origin-5xx': 'RFC 9111 §4.3.3: stale, served because the origin responded to the validation with an error',
  'uri-miss': 'RFC 9211 §2.2: nothing is stored for this URL',
  'vary-miss': 'RFC 9111 §4.1: the stored responses were selected by other request fields, or have a content coding that the request excludes',
  'stale': 'RFC 9111 §4.2.4: past its freshness lifetime',
  'no-lifetime': noLifetime,
  'bad-lifetime': badLifetime,
  'other-credentials': 'RFC 9110 §15.5.2: the stored 401, 403 or 407 judged a request with other credentials',
  'soft-purged': 'a soft purge made it stale',
  'no-cache': 'RFC 9111 §5.2.2.4: its response says no-cache: validated before each use',
  'request-no-cache': 'RFC 9111 §5.2.1.4: the request says no-cache',
  'request-max-age': 'RFC 9111 §5.2.1.1: older than the request takes',
  'request-min-fresh': 'RFC 9111 §5.2.1.3: not fresh for as long as the request requires',
  'range-miss': 'RFC 9110 §14.2: a range is requested, and nothing is stored for this URL',
  'part-only': 'RFC 9111 §3.3: a part is stored, and not all that is requested',
  'head-miss': 'RFC 9110 §9.3.2: HEAD, and no response to GET is stored',
  'only-if-cached': 'RFC 9111 §5.2.1.7: the request allows only a stored response, and none can be used',
}

const notStored: Record<NotStoredReason, string> = {
  'no-store': 'RFC 9111 §5.2.2.5: the response says no-store',
  'private': 'RFC 9111 §5.2.2.7: the response says private',
  'authorization': 'RFC 9111 §3.5: the request carried Authorization, and the response does not say public, must-revalidate or s-maxage',
  'cookie': 'configuration cookies: private: the request carried Cookie, and the response does not say public, must-revalidate or s-maxage',
  'set-cookie': 'configuration setCookie: skip: the response sets a cookie',
  'vary-star': 'RFC 9111 §4.1: Vary: * never matches',
  'status': 'RFC 9111 §3: the status is not cacheable without explicit freshness',
  'must-understand': 'RFC 9111 §5.2.2.3: must-understand, and the status is not understood here',
  'not-fresh': 'RFC 9111 §3: neither freshness nor a validator, so it could never be reused',
  'no-lifetime': noLifetime,
  'bad-lifetime': badLifetime,
  'request-no-store': 'RFC 9111 §5.2.1.5: the request says no-store',
  'request-method': 'RFC 9110 §9.3.3: only responses to GET are stored, and to POST with explicit freshness and its own URL as Content-Location',
  'partial': 'RFC 9111 §3.3: a partial response that could not be used again, or one that a Range may have shaped',
  'too-large': 'configuration maxEntryBytes, or the limits of the store: the response is larger, or its fields have more than 32 KiB',
  'too-many-tags': 'the response has more tags, or longer ones, than a purge can find',
  'incomplete': 'RFC 9111 §3.3: the response is incomplete: it ended too soon',
  'store-refused': 'the store had no room or could not be reached',
}

/** The meaning of each reason, and the section or setting behind it; for explain, docs and the test that reads them. */
export const reasonMeaning: Readonly<Record<Reason, string>> = { ...notStored, ...decisions }
export const decisionReasons = Object.keys(decisions) as readonly DecisionReason[]
export const notStoredReasons = Object.keys(notStored) as readonly NotStoredReason[]
