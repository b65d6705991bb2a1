// Which request goes to which origin, and how its answers are kept.
import { Type } from 'typebox'
import { DAY, GiB } from '../units.ts'
import { choice, duration, flag, section, size, text, texts } from './leaf.ts'

const year = 365 * DAY
const lifetime = (prose: string) => duration({ max: year, default: 0, prose })

export const routeCacheSchema = section({
  mode: choice(['cache', 'bypass'], { default: 'cache', prose: '`cache`: responses of this route are stored and served from the cache, as far as they permit it. `bypass`: every request is forwarded, and nothing is stored.' }),
  ttl: section({
    default: lifetime('Freshness lifetime of a storable response that gives none and has no Last-Modified to guess from. 0s: it is validated at each use.'),
    max: duration({ max: 10 * year, default: year, prose: 'No response is fresh for longer than this, whatever it says.' }),
  }, 'Freshness lifetimes.'),
  negativeTtl: Type.Record(Type.String({ pattern: '^[45][0-9]{2}$' }), duration({ max: year, prose: '' }), {
    default: {},
    additionalProperties: false,
    expects: 'durations by status code from 400 to 599, such as { 404: 5s }',
    description: 'Freshness lifetime by status code, such as `{ 404: 5s }`, for errors that give none themselves.',
  }),
  heuristics: flag({ default: true, prose: 'Whether a lifetime may be guessed from Last-Modified (RFC 9111 §4.2.2).' }),
  staleWhileRevalidate: lifetime('How long beyond its lifetime a response is served while it is asked for anew (RFC 5861 §3), where the origin does not say.'),
  staleIfError: Type.Optional(duration({ max: year, prose: 'How long beyond its lifetime a response is served when the origin fails (RFC 5861 §4), where the origin does not say. 0s: never. Left out: a stale response is served for as long as `keepStale` keeps it.' })),
  cookies: Type.Union([
    Type.Literal('private'),
    Type.Literal('ignore'),
    section({ key: texts('cookie-name', { minItems: 1, prose: '' }) }),
  ], {
    default: 'private',
    expects: 'private, ignore, or { key: [names of cookies] }',
    description: 'What a request’s Cookie means. `private`: the answer is shared only if it says `public`, `s-maxage` or the like; `ignore`: nothing; the origin is sent all cookies, and whoever asks is given what it made of one client’s (only where no answer depends on a cookie); `{ key: [names] }`: these cookies are part of the key, and the origin is sent no others with a request whose answer may be stored. Pages that need another cookie, such as a session, need a route of their own.',
  }),
  setCookie: choice(['skip', 'store'], { default: 'skip', prose: 'Whether a response that sets a cookie is stored. `store` gives everyone the cookie of whoever came first.' }),
  maxEntryBytes: Type.Optional(size({ min: 0, max: 16 * GiB, prose: 'Largest body that is stored for this route, where it differs from cache.maxEntryBytes. The smaller one counts.' })),
}, 'How answers are kept.')

export const routeSchema = section({
  match: section({
    host: Type.Optional(text('host-pattern', { prose: 'The requested host, at any port: exact, or `*.example.com` for every name below it. Letters match in either case. A name with a dot at its end matches too; its responses are not stored. Left out: every host.' })),
    path: Type.Optional(text('path-prefix', { prose: 'The beginning of the path, compared in normal form: `%61` is `a`, `%c3` is `%C3`, `/./` is `/`. Upper and lower case differ. If an origin could read the path so that another route matches (`//`, `%2F`, `%2561`, `\\`, `;x=1`, another case), the request takes the route of the normal form and is neither stored nor answered from cache. Left out: every path.' })),
  }, 'Which requests. Left out: every one.'),
  origin: Type.String({ expects: 'the name of an origin', description: 'The pool of servers to ask: a key of `origins`.' }),
  key: section({
    query: section({
      ignore: texts('parameter-glob', { default: [], prose: 'Query parameters that are taken off: they reach neither the key nor the origin. A `*` anywhere in a name stands for any characters, or none: `utm_*`, `utm*source`, `*click*`. Names are compared as they are written: `utm%5Fid` is not `utm_id`.' }),
      sort: flag({ default: false, prose: 'Whether parameters in another order are the same URL.' }),
    }, 'The query’s part in the key.'),
    headers: texts('field-name', { default: [], prose: 'Request fields whose value is part of the key, beside what Vary says.' }),
  }, 'What makes two requests the same.'),
  requestHeaders: Type.Union([
    Type.Literal('all'),
    Type.Literal('strict'),
    section({ allow: texts('field-name', { minItems: 1, prose: '' }) }),
  ], {
    default: 'all',
    expects: 'all, strict, or { allow: [names of header fields] }',
    description: 'Which request fields reach the origin when the answer may be stored. `strict`: those of content negotiation, conditions, Range, Authorization, Cookie, the fields of the key, and what the proxy makes itself; `{ allow: [names] }`: these too; `all`: every field. A field that steers an origin without being in the key shows in what others are given: `strict` is the safe choice.',
  }),
  retryOn: Type.Array(Type.Integer({ minimum: 500, maximum: 599 }), {
    default: [],
    uniqueItems: true,
    description: 'Statuses, such as `[502, 503]`, for which a GET, HEAD or OPTIONS is tried on another server instead; within `retries` and its budget.',
  }),
  cache: routeCacheSchema,
}, 'One route; the first that matches is taken.')

export const routesSchema = Type.Array(routeSchema, {
  default: [],
  description: 'The routes, in order: the first that matches is taken, and a request that none matches is answered 404. Left out with one origin: everything goes to it.',
})
