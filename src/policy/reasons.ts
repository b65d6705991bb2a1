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

// Both for requests that find such a response stored, and for responses without a validator, which are not stored.
const noLifetime = 'RFC 9111 §4.2.1: the response gives no lifetime, and neither does the route (ttl.default, or ttl.status for errors)'
const badLifetime = 'RFC 9111 §4.2.1: the response gives a lifetime that cannot be read, such as max-age=60s'

// Records rather than lists, so that a reason that is missing here does not compile.
const decisions: Record<DecisionReason, string> = {
  'method': 'RFC 9110 §9.2.1: not GET or HEAD, so the origin handles it',
  'health-path': 'The path that the configuration names (proxy.healthPath): the proxy responds with 200, or with 503 while it starts or stops',
  'options': 'RFC 9110 §9.3.7: OPTIONS about the proxy itself, which responds: for `*`, or with Max-Forwards: 0',
  'upgrade': 'RFC 9110 §7.8: requests a WebSocket',
  'request-body': 'RFC 9110 §9.3.1: a GET or HEAD with content is not served from cache',
  'route-uncached': 'configuration: cache.mode is bypass on this route',
  'ambiguous-path': 'RFC 3986 §6: origins differ in how they read this path, and another route matches one of the readings',
  'precondition': "RFC 9111 §4.3.2: If-Match and If-Unmodified-Since are the origin's to evaluate",
  'identity': 'configuration identity: the request names a session or user, and the key holds no facets, so its response is for this sender alone',
  'facet': 'configuration key.facets: a value is an object, or has more than 16 items or 256 bytes, so it cannot be in a key',
  'unverified': 'configuration identity: the credentials of the request could not be verified, so its response is for this sender alone',
  'key-set': 'RFC 7517: the public keys of sessions, to which the proxy itself responds',
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
  'after-write': 'configuration key.facets: what is stored was requested before the last change of this session, which must see its own changes',
  'only-if-cached': 'RFC 9111 §5.2.1.7: the request allows only a stored response, and none can be used',
}

const notStored: Record<NotStoredReason, string> = {
  'no-store': 'RFC 9111 §5.2.2.5: the response says no-store',
  'private': 'RFC 9111 §5.2.2.7: the response says private',
  'authorization': 'RFC 9111 §3.5: the request carried Authorization, and the response does not say public, must-revalidate or s-maxage',
  'cookie': 'configuration cookies: private: the request carried Cookie, and the response does not say public, must-revalidate or s-maxage',
  'set-cookie': 'configuration setCookie: skip: the response sets a cookie',
  'vary-star': 'RFC 9111 §4.1: Vary: * never matches',
  'status': 'RFC 9111 §3: a response with this status is never stored, or only with a lifetime, or only if ttl.status names it',
  'must-understand': 'RFC 9111 §5.2.2.3: must-understand, and the status is not understood here',
  'not-fresh': 'RFC 9111 §3: its lifetime is zero and it has no validator, so it could never be reused',
  'no-lifetime': noLifetime,
  'bad-lifetime': badLifetime,
  'request-no-store': 'RFC 9111 §5.2.1.5: the request says no-store',
  'request-method': 'RFC 9110 §9.3.3: only responses to GET are stored, and to POST with explicit freshness and its own URL as Content-Location',
  'partial': 'RFC 9111 §3.3: a partial response that could not be used again, or one that a Range may have shaped',
  'too-large': 'configuration maxEntryBytes, or the limits of the store: the response is larger, or its fields have more than 32 KiB',
  'too-many-tags': 'the response has more tags, or longer ones, than a purge can find',
  'bad-cache-groups': 'RFC 9875 §2: Cache-Groups is not a list of strings, so a purge could not find the response by its groups',
  'incomplete': 'RFC 9111 §3.3: the response is incomplete: it ended too soon',
  'store-refused': 'the store had no room or could not be reached',
  'session-instruction': 'the response has Springhouse-Session-Set, which concerns one session, so the store keeps nothing of it',
}

// The changes with which an operator gets another result. Nothing: the result is right as it is.
const decisionAdvice: Record<DecisionReason, string> = {
  'method': 'Nothing, if it changes something. A search by POST can be a GET, or its response can give its own URL in Content-Location.',
  'health-path': 'Nothing: the proxy responds for itself.',
  'options': 'Nothing: the proxy responds for itself.',
  'upgrade': 'Nothing: a WebSocket is not a response.',
  'request-body': 'Put the content into the query.',
  'route-uncached': 'Set cache.mode: cache on the route, if its responses may be stored.',
  'ambiguous-path': 'Let clients use the plain form of the path, or give all its forms one route.',
  'precondition': 'Nothing: such conditions protect changes.',
  'identity': 'Nothing, if the response depends on the user. If it depends on a tenant or role alone, name these in key.facets. Use sources: [] if on neither.',
  'facet': 'Use short scalars, or lists of at most 16 of them, as facets.',
  'unverified': 'Nothing, or see why the credentials cannot be verified.',
  'key-set': 'Nothing: backends read the keys here.',
  'fresh': 'Nothing. If it is too old, send a shorter max-age, or purge when the data changes.',
  'max-stale': 'Nothing: the client accepts it.',
  'stale-while-revalidate': 'Nothing. If it is too old, shorten stale-while-revalidate, or staleWhileRevalidate of the route.',
  'stale-if-error': 'Repair the origin. stale-if-error, or staleIfError of the route, limits for how long this goes on.',
  'stale-if-slow': 'Make the origin faster, or raise staleIfSlow of the route.',
  'origin-unreachable': 'Start the origin, or correct its address. staleIfError or cache.keepStale limits for how long this goes on.',
  'origin-5xx': 'Read the log of the origin. staleIfError or cache.keepStale limits for how long this goes on.',
  'uri-miss': 'Nothing, if it is the first request. Otherwise read the reason of the response before, or raise cache.memory.maxBytes.',
  'vary-miss': 'Name fewer fields in Vary, and none with many values, such as User-Agent or Cookie.',
  'stale': 'Send a longer max-age, or stale-while-revalidate so that no client waits, or an ETag so that validation needs no body.',
  'no-lifetime': 'Send Cache-Control: max-age=60 or the like, or set ttl.default of the route (--default-ttl), or ttl.status for errors.',
  'bad-lifetime': 'Correct the field. max-age and s-maxage take digits alone (max-age=60), Expires takes a date.',
  'other-credentials': 'Nothing: the origin judges each request by its own credentials.',
  'soft-purged': 'Nothing: one validation makes it fresh. With stale-while-revalidate no client waits for that.',
  'no-cache': 'Send max-age=60 or the like in place of no-cache, if the response may be used for a while without validation.',
  'request-no-cache': 'Nothing, or stop the client from sending no-cache. Browsers send it at a forced reload.',
  'request-max-age': 'Nothing, or raise max-age in the request.',
  'request-min-fresh': 'Send a longer max-age in the response, or lower min-fresh in the request.',
  'range-miss': 'Request the whole once: parts are then served from it.',
  'part-only': 'Request the whole once: parts are then served from it.',
  'head-miss': 'Send a GET once.',
  'after-write': 'Nothing: the response to this request is stored, and serves the next one.',
  'only-if-cached': 'Nothing, or leave only-if-cached out of the request.',
}

const notStoredAdvice: Record<Exclude<NotStoredReason, DecisionReason>, string> = {
  'no-store': 'Send max-age=60 or the like instead, if other clients may have it. CDN-Cache-Control speaks to this cache alone.',
  'private': 'Send public and max-age, if it is the same for all clients. Otherwise nothing: it is right.',
  'authorization': 'Send public, if every client that may request it gets the same. Otherwise nothing: it is right.',
  'cookie': 'Send public, if it depends on no cookie. If no response of the route does, set cookies: ignore; if on a few, name them in key.cookies.',
  'set-cookie': 'Set no cookie in shared responses. Use setCookie: store only if every client may get the same cookie.',
  'vary-star': 'Name the request fields that matter in Vary.',
  'status': 'Send max-age with it, or name the status in ttl.status of the route. 304, 428, 429, 431 and 511 are never stored.',
  'must-understand': 'Leave must-understand out, or use a status of RFC 9110.',
  'not-fresh': 'Send a max-age above 0, or an ETag. If ttl.max, or ttl.status for this status, is 0s, raise it.',
  'request-no-store': 'Nothing, or stop the client from sending no-store.',
  'request-method': 'Use GET, or see method.',
  'partial': 'Send each 206 with one correct Content-Range and a strong ETag, and no Content-Range with a 200.',
  'too-large': 'Raise maxEntryBytes of the route and of cache, or leave large downloads out of the cache.',
  'too-many-tags': 'Send fewer and shorter tags.',
  'bad-cache-groups': 'Send a list of strings in quotes: Cache-Groups: "a", "b".',
  'incomplete': 'Read the log of the origin, and of what is between: the connection ended too soon. Nothing, for a stream of events.',
  'store-refused': 'Raise cache.memory.maxBytes, or see whether Redis can be reached and has room.',
  'session-instruction': 'Nothing. To have the page stored, change the session in the response to another request.',
}

/** The meaning of each reason, and the section or setting behind it; for explain, docs and the test that reads them. */
export const reasonMeaning: Readonly<Record<Reason, string>> = { ...notStored, ...decisions }
export const requestReasons: readonly RequestReason[] = [...Object.keys(decisions) as DecisionReason[], 'refused']
/** The change that leads to another result, in plain language, for each reason; for explain and docs. */
export const reasonAdvice: Readonly<Record<Reason, string>> = { ...notStoredAdvice, ...decisionAdvice }
export const decisionReasons = Object.keys(decisions) as readonly DecisionReason[]
export const notStoredReasons = Object.keys(notStored) as readonly NotStoredReason[]
