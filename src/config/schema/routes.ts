// Routes: the origin of each request, its cache key and how its responses are stored.
import { Type } from '../../json-schema.ts'
import { DAY, GiB, MINUTE } from '../units.ts'
import { identitySchema } from './sessions.ts'
import { choice, duration, durationOrOff, flag, memberNames, section, size, text, texts } from './leaf.ts'

const year = 365 * DAY
const lifetime = (prose: string) => duration({ max: year, default: 0, prose })

export const routeCacheSchema = section({
  mode: choice(['cache', 'bypass'], { default: 'cache',
    prose: '`cache`: responses of this route are stored and served from the cache, as far as they permit it. `bypass`: every request is forwarded, and nothing is stored.' }),
  ttl: section({
    default: Type.Optional(
      duration({ max: year,
        prose:
          'Freshness lifetime of a successful response that gives none. If it is set, a lifetime guessed from Last-Modified is never longer. 0s: such a response is validated at each use, and no lifetime is guessed. Left out: a guessed lifetime counts; without one the response is validated at each use.' }),
    ),
    max: duration({ max: 10 * year, default: year, prose: 'No response is fresh for longer than this, whatever it says. 0s: every response is validated at each use.' }),
    heuristic: durationOrOff({ max: year, default: 5 * MINUTE,
      prose:
        'Longest freshness lifetime that is guessed for a response that gives none: a tenth of the time since Last-Modified (RFC 9111 §4.2.2), and at most this. Raise it if most of your responses change rarely and send no lifetime. `off` or 0s: no lifetime is guessed.' }),
    status: Type.Record(Type.String({ pattern: memberNames.errorStatus.source }), duration({ max: year, prose: '' }), {
      default: {},
      additionalProperties: false,
      expects: 'durations by status code from 400 to 599, such as { 404: 5s }',
      description:
        'Freshness lifetime by status code, such as `{ 404: 10s, 503: 1s }`, for error responses that give none. 0s: such a response is not stored. A 400, 408, 411, 412, 413, 415, 416, 417, 421, 425 or 426 judges one message, and is stored only if it is named here, whatever lifetime it gives. 428, 429, 431 and 511 are refused: they must not be stored (RFC 6585).',
    }),
  }, 'Freshness lifetimes.'),
  staleWhileRevalidate: lifetime(
    'How long a stale response may be served while it is revalidated in the background (RFC 5861 §3). Used if the response does not say, and is no error. 0s: never.',
  ),
  staleIfError: Type.Optional(
    duration({ max: year,
      prose:
        'How long a stale response may be served if the origin fails (RFC 5861 §4). Used if the origin does not say. 0s: never. Left out: a stale response is served for as long as `keepStale` keeps it.' }),
  ),
  staleIfSlow: Type.Optional(
    duration({ min: 1, max: 60_000,
      prose:
        'How long a request waits for the origin before it gets a stale response, if one may replace an error (`staleIfError`). The fetch goes on, and its response is stored. Left out: a request waits as long as the origin takes.' }),
  ),
  cookies: Type.Enum(['private', 'ignore'], {
    default: 'private',
    expects: 'private or ignore (cookies of the key are key.cookies: [names])',
    description:
      'How a request with a Cookie is cached, unless `key.cookies` names cookies. `private`: its response is stored only if it says `public`, `s-maxage` or the like. `ignore`: cookies are forwarded but not considered, so every client may get the response to one client’s cookies; use it only if no response depends on a cookie.',
  }),
  setCookie: choice(['skip', 'store'], { default: 'skip',
    prose: 'The treatment of a response with Set-Cookie. `skip`: it is not stored. `store`: it is stored, and every client gets the cookie of the first one.' }),
  rangeFetch: choice(['part', 'whole'], { default: 'part',
    prose:
      'The fetch for a request with Range whose part is not stored. `part`: that part; requests for different parts are different fetches. `whole`: the whole response, once for all parts; each client gets its part as soon as its bytes arrive. A response that may not be stored, or is larger than `maxEntryBytes`, is fetched in parts. Use `whole` for objects that clients read in many parts. A client that wants the end of an object then waits for all of it.' }),
  maxEntryBytes: Type.Optional(
    size({ min: 0, max: 16 * GiB,
      prose: 'Largest body that is stored for this route. The smaller of this and cache.maxEntryBytes applies. 0: only responses without a body are stored.' }),
  ),
}, 'How responses are stored.')

export const routeSchema = section({
  match: section({
    host: Type.Optional(
      text('host-pattern', {
        prose:
          'The requested host, at any port: exact, or `*.example.com` for every name below it at any depth (`a.example.com`, `a.b.example.com`), and not for `example.com` itself. Upper and lower case are equal. A name that ends in a dot matches too; its responses are not stored. Left out: every host.',
      }),
    ),
    path: Type.Optional(
      text('route-path', {
        prose:
          'The first segments of the path: `/api` takes `/api`, `/api/` and everything below it, and not `/apikeys`; `/v1/` and `/v1` are the same. No character is a wildcard. Compared in normal form: `%61` is `a`, `%c3` is `%C3`, `/./` is `/`. Upper and lower case differ. An origin may read some paths as another route’s (`//`, `%2F`, `%2561`, `\\`, `;x=1`, another case). Such a request takes the route of its normal form, and its response is neither stored nor served from cache. Left out: every path.',
      }),
    ),
    exact: Type.Optional(
      text('route-path', {
        prose:
          'The whole path, in place of `path`: `/` takes `/` alone, and `/health` takes neither `/health/` nor `/health/live`. Compared like `path`. A path that differs by its last slash takes another route, and its response is neither stored nor served from cache, because many origins treat both as one.',
      }),
    ),
  }, 'The requests that take this route. Left out: every request.'),
  origin: Type.String({ expects: 'the name of an origin', description: 'The pool of servers that gets the requests: a key of `origins`.' }),
  key: section({
    query: section({
      ignore: texts('parameter-glob', { default: [],
        prose:
          'Query parameters to remove: they reach neither the key nor the origin. A `*` anywhere in a name stands for any characters, or none: `utm_*`, `utm*source`, `*click*`. Names are compared as they are written: `utm%5Fid` is not `utm_id`.' }),
      sort: flag({ default: false, prose: 'Treats the same parameters in another order as the same URL.' }),
    }, 'How the query enters the key.'),
    headers: texts('field-name', { default: [], prose: 'Request fields whose value is part of the key, in addition to Vary.' }),
    cookies: texts('cookie-name', { default: [],
      prose:
        'Cookies that are part of the key. If any is named, no others are forwarded if the response may be stored, and `cache.cookies` does not apply. So the responses satisfy `Vary: Cookie`: clients with equal values of these cookies share them, whatever other cookies they have. Pages that need another cookie, such as a session, need their own route.' }),
    facets: texts('name', { default: [],
      prose:
        'Members of the session’s data, or claims of the token, that are part of the key, or `user`: requests with equal values share responses. Scalars, and lists of up to 16 of them, of 256 bytes. See `identity.forward`.' }),
  }, 'The cache key: requests with the same key share a response.'),
  identity: identitySchema,
  requestHeaders: Type.Union([
    Type.Literal('all'),
    Type.Literal('strict'),
    section({ allow: texts('field-name', { minItems: 1, prose: '' }) }),
  ], {
    default: 'all',
    expects: 'all, strict, or { allow: [names of header fields] }',
    description:
      'Which request fields reach the origin if the response may be stored. `all`: every field. `strict`: content negotiation, conditions, Range, Authorization, Cookie, trace context (traceparent, tracestate; not baggage, from which applications read tenants and flags), the fields of the key, and the fields that the proxy sets. `{ allow: [names] }`: these fields too. A field that changes the response but is not in the cache key can poison the cache. `strict` prevents that.',
  }),
  retryOn: Type.Array(Type.Integer({ minimum: 500, maximum: 599 }), {
    default: [],
    uniqueItems: true,
    description: 'Response statuses, such as `[502, 503]`, after which a GET, HEAD or OPTIONS is sent to another server. Counts as a retry: `retries` and its budget apply.',
  }),
  cache: routeCacheSchema,
}, 'A route. The first route that matches a request is used.')

export const routesSchema = Type.Array(routeSchema, {
  default: [],
  description: 'The routes, in order: the first that matches is used. A request that matches none gets 404. Left out with one origin: all requests go to it.',
})
