// The meaning of each reason for which a response is not stored, and the change with which it would be stored.
import type { DecisionReason, NotStoredReason } from './reasons.ts'
import type { ReasonText } from './reason-text.ts'

export const notStoredTexts: Readonly<Record<Exclude<NotStoredReason, DecisionReason>, ReasonText>> = {
  'no-store': {
    section: 'RFC 9111 §5.2.2.5',
    meaning: 'The response says no-store< ({field}: {value})>.',
    advice: 'Send max-age=60 or the like instead, if other clients may have it. CDN-Cache-Control speaks to this cache alone.',
  },
  'private': {
    section: 'RFC 9111 §5.2.2.7',
    meaning: "The response says private< ({field}: {value})>: it is for one user's own cache.",
    advice: 'Send public and max-age, if it is the same for all clients. Otherwise nothing: it is right.',
  },
  'authorization': {
    section: 'RFC 9111 §3.5',
    meaning: 'The request carried Authorization, and the response does not say public, must-revalidate or s-maxage.',
    advice: 'Send public, if every client that may request it gets the same. Otherwise nothing: it is right.',
  },
  'cookie': {
    section: 'configuration cookies: private',
    meaning: 'The request carried Cookie< ({value})>, and the response does not say public, must-revalidate or s-maxage.',
    advice: 'Send public, if it depends on no cookie. If no response of the route does, set cache: { cookies: ignore }; if on a few, name them in key.cookies.',
  },
  'set-cookie': {
    section: 'configuration setCookie: skip',
    meaning: 'The response sets a cookie< ({value})>, which every client would receive.',
    advice: 'Set no cookie in shared responses. Use cache: { setCookie: store } only if every client may get the same cookie.',
  },
  'vary-star': {
    section: 'RFC 9111 §4.1',
    meaning: 'The response says Vary: *, so it matches no other request.',
    advice: 'Name the request fields that matter in Vary.',
  },
  'status': {
    section: 'RFC 9111 §3',
    meaning: 'A response with this status< ({status})> is never stored, or only with a lifetime, or only if ttl.status names it.',
    advice: 'Send max-age with it, or name the status in ttl.status of the route. 304, 428, 429, 431 and 511 are never stored.',
  },
  'must-understand': {
    section: 'RFC 9111 §5.2.2.3',
    meaning: 'The response says must-understand, and its status< ({status})> is not understood here.',
    advice: 'Leave must-understand out, or use a status of RFC 9110.',
  },
  'not-fresh': {
    section: 'RFC 9111 §3',
    meaning: 'The lifetime of the response is zero< ({field}: {value})> and it has no validator, so it could never be reused.',
    advice: 'Send a max-age above 0, or an ETag. If ttl.max, or ttl.status for this status, is 0s, raise it.',
  },
  'request-no-store': {
    section: 'RFC 9111 §5.2.1.5',
    meaning: 'The request says no-store< ({field}: {value})>.',
    advice: 'Nothing, or stop the client from sending no-store.',
  },
  'request-method': {
    section: 'RFC 9110 §9.3.3',
    meaning: 'Only responses to GET are stored, and to POST with explicit freshness and its own URL as Content-Location.',
    advice: 'Use GET, or see method.',
  },
  'partial': {
    section: 'RFC 9111 §3.3',
    meaning: 'The response is a part that could not be used again, or one that a Range may have shaped< ({field}: {value})>.',
    advice: 'Send each 206 with one correct Content-Range and a strong ETag, and no Content-Range with a 200.',
  },
  'too-large': {
    section: 'configuration maxEntryBytes',
    meaning: 'The response< ({field}: {value})> is larger than maxEntryBytes or the store allows, or its fields have more than 32 KiB.',
    advice: 'Raise maxEntryBytes of the route and of cache, or leave large downloads out of the cache.',
  },
  'too-many-tags': {
    section: 'configuration cache.tags',
    meaning: 'The response has more tags, or longer ones, than a purge can find< (field {field})>.',
    advice: 'Send fewer and shorter tags.',
  },
  'bad-cache-groups': {
    section: 'RFC 9875 §2',
    meaning: 'Cache-Groups is not a list of strings< ({value})>, so a purge could not find the response by its groups.',
    advice: 'Send a list of strings in quotes: Cache-Groups: "a", "b".',
  },
  'incomplete': {
    section: 'RFC 9111 §3.3',
    meaning: 'The response is incomplete, because it ended too soon, or it is a stream of events.',
    advice: 'Read the log of the origin, and of what is between: the connection ended too soon. Nothing, for a stream of events.',
  },
  'store-refused': {
    section: 'configuration cache.memory, redis',
    meaning: 'The store had no room or could not be reached.',
    advice: 'Raise cache.memory.maxBytes, or see whether Redis can be reached and has room.',
  },
  'session-instruction': {
    section: 'configuration sessions',
    meaning: 'The response has Springhouse-Session-Set, which concerns one session, so the store keeps nothing of it.',
    advice: 'Nothing. To have the page stored, change the session in the response to another request.',
  },
}
