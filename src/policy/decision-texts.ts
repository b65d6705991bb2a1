// The meaning of each reason for the handling of a request, and the change with which an operator gets another result.
import type { DecisionReason } from './reasons.ts'
import type { ReasonText } from './reason-text.ts'

export const decisionTexts: Readonly<Record<DecisionReason, ReasonText>> = {
  'method': {
    section: 'RFC 9110 §9.2.1',
    meaning: 'Only GET and HEAD are served from cache, so the origin handles the request< by {method}>.',
    advice: 'Nothing, if it changes something. A search by POST can be a GET, or its response can give its own URL in Content-Location.',
  },
  'health-path': {
    section: 'configuration proxy.healthPath',
    meaning: 'The proxy itself responds to this path: with 200, or with 503 while it starts or stops.',
    advice: 'Nothing: the proxy responds for itself.',
  },
  'options': {
    section: 'RFC 9110 §9.3.7',
    meaning: 'OPTIONS about the proxy itself, which responds: for `*`, or with Max-Forwards: 0.',
    advice: 'Nothing: the proxy responds for itself.',
  },
  'upgrade': {
    section: 'RFC 9110 §7.8',
    meaning: 'The request is the handshake of a WebSocket.',
    advice: 'Nothing: a WebSocket is not a response.',
  },
  'request-body': {
    section: 'RFC 9110 §9.3.1',
    meaning: 'A GET or HEAD with content is not served from cache, because the content is not in the key.',
    advice: 'Put the content into the query.',
  },
  'route-uncached': {
    section: 'configuration cache.mode',
    meaning: 'The cache mode of the route< {route}> is bypass.',
    advice: 'Set cache: { mode: cache } on the route, if its responses may be stored.',
  },
  'ambiguous-path': {
    section: 'RFC 3986 §6',
    meaning: 'Origins differ in how they read this path, and another route matches one of the readings.',
    advice: 'Let clients use the plain form of the path, or give all its forms one route.',
  },
  'precondition': {
    section: 'RFC 9111 §4.3.2',
    meaning: "If-Match and If-Unmodified-Since are the origin's to evaluate.",
    advice: 'Nothing: such conditions protect changes.',
  },
  'identity': {
    section: 'configuration identity',
    meaning: 'The request names a session or user, and the key of the route< {route}> holds no facets, so its response is for this sender alone.',
    advice: 'Nothing, if the response depends on the user. If it depends on a tenant or role alone, name these in key.facets. Use sources: [] if on neither.',
  },
  'facet': {
    section: 'configuration key.facets',
    meaning: 'A value is an object, or has more than 16 items or 256 bytes, so it cannot be in a key.',
    advice: 'Use short scalars, or lists of at most 16 of them, as facets.',
  },
  'unverified': {
    section: 'configuration identity',
    meaning: 'The credentials of the request could not be verified, so its response is for this sender alone.',
    advice: 'Nothing, or see why the credentials cannot be verified.',
  },
  'key-set': {
    section: 'RFC 7517',
    meaning: 'The request is for the public keys of sessions, which the proxy itself serves.',
    advice: 'Nothing: backends read the keys here.',
  },
  'fresh': {
    section: 'RFC 9111 §4.2',
    meaning: 'The stored response is within its freshness lifetime<, for another {ttl}>.',
    advice: 'Nothing. If it is too old, send a shorter max-age, or purge when the data changes.',
  },
  'max-stale': {
    section: 'RFC 9111 §5.2.1.2',
    meaning: 'The stored response is stale< by {stale}>, but within the max-stale of the request.',
    advice: 'Nothing: the client accepts it.',
  },
  'stale-while-revalidate': {
    section: 'RFC 5861 §3',
    meaning: 'The stored response is stale< by {stale}>, and is served while it is validated in the background.',
    advice: 'Nothing. If it is too old, shorten stale-while-revalidate, or staleWhileRevalidate of the route.',
  },
  'stale-if-error': {
    section: 'RFC 5861 §4',
    meaning: 'A stale response is served because the origin failed.',
    advice: 'Repair the origin. stale-if-error, or staleIfError of the route, limits for how long this goes on.',
  },
  'stale-if-slow': {
    section: 'configuration staleIfSlow',
    meaning: 'A stale response is served because the origin takes longer than staleIfSlow of the route.',
    advice: 'Make the origin faster, or raise staleIfSlow of the route.',
  },
  'origin-unreachable': {
    section: 'RFC 9111 §4.2.4',
    meaning: 'A stale response is served because the origin cannot be reached.',
    advice: 'Start the origin, or correct its address. staleIfError or cache.keepStale limits for how long this goes on.',
  },
  'origin-5xx': {
    section: 'RFC 9111 §4.3.3',
    meaning: 'A stale response is served because the origin responded to the validation with an error.',
    advice: 'Read the log of the origin. staleIfError or cache.keepStale limits for how long this goes on.',
  },
  'uri-miss': {
    section: 'RFC 9211 §2.2',
    meaning: 'Nothing is stored for this URL.',
    advice: 'Nothing, if it is the first request. Otherwise read why its last response was not stored, or raise cache.memory.maxBytes.',
  },
  'vary-miss': {
    section: 'RFC 9111 §4.1',
    meaning: 'The stored responses< ({variants})> were selected by other request fields< ({vary})>, or have a content coding that the request excludes.',
    advice: 'Name fewer fields in Vary, and none with many values, such as User-Agent or Cookie.',
  },
  'stale': {
    section: 'RFC 9111 §4.2.4',
    meaning: 'The stored response is past its freshness lifetime< of {lifetime}, by {stale}>.',
    advice: 'Send a longer max-age, or stale-while-revalidate so that no client waits, or an ETag so that validation needs no body.',
  },
  'no-lifetime': {
    section: 'RFC 9111 §4.2.1',
    meaning: 'The response gives no lifetime, and neither does the route (ttl.default, or ttl.status for errors).',
    advice: 'Send Cache-Control: max-age=60 or the like, or set ttl.default of the route (--default-ttl), or ttl.status for errors.',
  },
  'bad-lifetime': {
    section: 'RFC 9111 §4.2.1',
    meaning: 'The response gives a lifetime that cannot be read, such as max-age=60s<; here {field}: {value}>.',
    advice: 'Correct the field. max-age and s-maxage take digits alone (max-age=60), Expires takes a date.',
  },
  'other-credentials': {
    section: 'RFC 9110 §15.5.2',
    meaning: 'The stored 401, 403 or 407 judged a request with other credentials.',
    advice: 'Nothing: the origin judges each request by its own credentials.',
  },
  'soft-purged': {
    section: 'configuration purge',
    meaning: 'A soft purge< ({purge})> made the stored response stale.',
    advice: 'Nothing: one validation makes it fresh. With stale-while-revalidate no client waits for that.',
  },
  'no-cache': {
    section: 'RFC 9111 §5.2.2.4',
    meaning: 'The stored response says no-cache, so it is validated before each use.',
    advice: 'Send max-age=60 or the like in place of no-cache, if the response may be used for a while without validation.',
  },
  'request-no-cache': {
    section: 'RFC 9111 §5.2.1.4',
    meaning: 'The request says no-cache.',
    advice: 'Nothing, or stop the client from sending no-cache. Browsers send it at a forced reload.',
  },
  'request-max-age': {
    section: 'RFC 9111 §5.2.1.1',
    meaning: 'The stored response is older< ({age})> than the request accepts< (max-age={limit})>.',
    advice: 'Nothing, or raise max-age in the request.',
  },
  'request-min-fresh': {
    section: 'RFC 9111 §5.2.1.3',
    meaning: 'The stored response is not fresh for as long< (for another {ttl})> as the request requires< (min-fresh={limit})>.',
    advice: 'Send a longer max-age in the response, or lower min-fresh in the request.',
  },
  'range-miss': {
    section: 'RFC 9110 §14.2',
    meaning: 'The request is for a range, and nothing is stored for this URL.',
    advice: 'Request the whole once: parts are then served from it.',
  },
  'part-only': {
    section: 'RFC 9111 §3.3',
    meaning: 'A part is stored, and not all that is requested.',
    advice: 'Request the whole once: parts are then served from it.',
  },
  'head-miss': {
    section: 'RFC 9110 §9.3.2',
    meaning: 'The request is a HEAD, and no response to GET is stored.',
    advice: 'Send a GET once.',
  },
  'after-write': {
    section: 'configuration key.facets',
    meaning: 'The stored response was requested before the last change of this session, which must see its own changes.',
    advice: 'Nothing: the response to this request is stored, and serves the next one.',
  },
  'only-if-cached': {
    section: 'RFC 9111 §5.2.1.7',
    meaning: 'The request allows only a stored response, and none can be used.',
    advice: 'Nothing, or leave only-if-cached out of the request.',
  },
}
