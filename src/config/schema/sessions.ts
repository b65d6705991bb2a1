// Sessions for stateless backends.
import { Type } from '../../json-schema.ts'
import { DAY, GiB, HOUR, KiB, MINUTE, MiB, SECOND } from '../units.ts'
import { choice, duration, flag, memberNames, section, size, text, texts, whole, withFile } from './leaf.ts'
import { redisSchema } from './storage.ts'

// RFC 6265bis §5.5: browsers keep no cookie for longer.
const longest = 400 * DAY

export const sessionsSchema = section({
  enabled: flag({ default: false,
    prose:
      'Keeps sessions for the backends, in Redis or, without Redis, in the memory of the only process. Backends receive them in the field Springhouse-Session, and change them by Springhouse-Session-Set.' }),
  redis: Type.Optional(
    Type.Object(redisSchema.properties, { additionalProperties: false,
      description:
        'A Redis for sessions alone, with the settings of `redis`. Give it `maxmemory-policy noeviction` and an append-only file: an evicted or lost session is a log-out. Left out: sessions are in the Redis of the cache.' }),
  ),
  cookie: section({
    name: text('cookie-name', { default: '__Host-session',
      prose: 'Name of the session cookie. Browsers accept a name with `__Host-` only over HTTPS (or on loopback), without a domain, so no other host can set it.' }),
    sameSite: choice(['lax', 'strict', 'none'], { default: 'lax', prose: 'When browsers send the cookie with requests from other sites. `none` needs `secure`.' }),
    secure: flag({ default: true, prose: 'Browsers send the cookie over HTTPS alone.' }),
    domain: Type.Optional(text('host-name', { prose: 'Shares the cookie with every host below this domain. Left out: only the host that set it receives it.' })),
    partitioned: flag({ default: false, prose: 'Keeps the cookie apart for each top-level site that embeds this one (CHIPS). Needs `secure`.' }),
  }, 'The session cookie. It is always HttpOnly, with the path /.'),
  idle: duration({ min: SECOND, max: longest, default: 30 * MINUTE,
    prose: 'A session ends so long after its last request; up to a tenth sooner, because its use is not recorded each time.' }),
  absolute: duration({ min: SECOND, max: longest, default: 12 * HOUR, prose: 'A session ends so long after the log-in, or its beginning, however often it is used.' }),
  remember: section({
    idle: duration({ min: SECOND, max: longest, default: 14 * DAY, prose: '`idle` of a remembered session.' }),
    absolute: duration({ min: SECOND, max: longest, default: 30 * DAY, prose: '`absolute` of a remembered session. Its cookie outlives the browser, and lasts as long.' }),
  }, 'Lifetimes of sessions whose log-in says `remember`.'),
  rotationGrace: duration({ max: HOUR, default: 10 * SECOND,
    prose:
      'How long a replaced token is still accepted after the new one was first used, for requests in flight. Its use after that ends the session, because another client must have it. 0s: it ends at once.' }),
  maxBytes: size({ min: 256, max: 16 * KiB, default: 4 * KiB,
    prose: 'Largest data of a session, as JSON text. At most 64 members and 8 levels, in any case. Backends receive all of it in one field: see their limit for header fields.' }),
  perUser: section({
    max: whole({ min: 1, max: 1000, default: 100, prose: 'Most sessions of one user at a time.' }),
    over: choice(['oldest', 'refuse'], { default: 'oldest', prose: 'At the limit a log-in ends the oldest session of the user, or it is refused with 429.' }),
  }, 'The limit on the sessions of a user.'),
  anonymousPerMinute: whole({ min: 0, max: 1_000_000, default: 0,
    prose:
      'Most anonymous sessions that a client address may begin in a minute, in each process; beyond it 429. Behind a load balancer that `trustProxy` does not name, all clients share one address. 0: no limit.' }),
  issuer: text('name', { default: 'springhouse', prose: '`iss` of the signed field.' }),
  headerTtl: duration({ min: SECOND, max: HOUR, default: MINUTE,
    prose: 'Life of the signed field. A field that someone copies from a backend is accepted so long, plus the 60 s of skew that backends allow.' }),
  keys: Type.Array(section({
    id: text('name', { prose: '`kid` of the signed field.' }),
    alg: choice(['EdDSA', 'ES256', 'HS256'], { default: 'EdDSA', prose: 'EdDSA takes an Ed25519 key, ES256 a P-256 key, HS256 a secret.' }),
    keyFile: Type.Optional(text('file-path', { prose: 'PEM file (PKCS #8) with the private key for EdDSA or ES256.' })),
    ...withFile('secret', Type.Optional(text('signing-secret', { secret: true, prose: 'The secret for HS256, of 32 bytes or more. The bytes of this text are the key.' }))),
  }), {
    default: [],
    description:
      'The keys that sign the field; the first one signs, and all are published. Left out: replicas share a key in Redis, and a backup of Redis can then sign. A change takes effect on SIGHUP.',
  }),
  headers: Type.Record(Type.String({ pattern: memberNames.field.source }), text('name', { prose: '' }), {
    default: {},
    additionalProperties: false,
    expects: 'names of data members, or user, by the name of a request field, such as { x-user: user }',
    description:
      'Plain request fields for backends that verify no signature: name of the field, and the member of the data that it carries; `user` is the user. Values are percent-encoded UTF-8. These fields are removed from requests of clients.',
  }),
  csrf: section({
    mode: choice(['enforce', 'report', 'off'], { default: 'enforce',
      prose: 'Unsafe requests and WebSockets from other sites on routes with sessions: `enforce` refuses them with 403, `report` counts them, `off` permits them.' }),
    trustedOrigins: texts('web-origin', { default: [], prose: 'Web origins whose pages may send such requests, as in `https://app.example.com`.' }),
  }, 'Protection from cross-site requests, by Sec-Fetch-Site and Origin.'),
  streams: section({
    recheck: duration({ min: 100, max: HOUR, default: 10 * SECOND,
      prose: 'How often the sessions of open WebSockets and event streams are read, in case the message of their end was lost, and for those that expire.' }),
  }, 'WebSockets and event streams, which are closed when their session ends.'),
  memory: section({
    maxBytes: size({ min: 64 * KiB, max: 64 * GiB, default: 64 * MiB,
      prose: 'Most memory for sessions if there is no Redis. Beyond it no session begins; none is evicted, because that would be a log-out.' }),
  }, 'The embedded store.'),
}, 'Sessions for stateless backends.')

/** The identity settings of a route. */
export const identitySchema = section({
  sources: Type.Optional(
    texts('name', {
      prose:
        'The sources that identify requests: `session`, and names of `auth.jwt`. A request that presents two of them is nobody’s. []: requests are not identified, and logged-in clients are served from the cache. Left out: [session] if sessions are enabled.',
    }),
  ),
  required: flag({ default: false, prose: 'Refuses requests without a user with 401. CORS preflights pass.' }),
  forward: choice(['facets', 'all'], { default: 'facets',
    prose:
      'The part of the identity that backends receive on GET and HEAD if `key.facets` are given. `facets`: the facets alone, so that a shared response cannot hold more. `all`: everything; only responses that say `public`, `s-maxage` or `must-revalidate` are shared.' }),
  login: choice(['unsafe', 'any', 'never'], { default: 'unsafe', prose: 'Responses that may log a user in: to unsafe methods, to any (for the callbacks of OAuth), or none.' }),
  trouble: choice(['refuse', 'anonymous'], { default: 'refuse',
    prose:
      'If the store is out of reach, a request that presents a session is refused with 503, or forwarded with Springhouse-Session-Unavailable: ?1. Requests without a session are not affected. For bearer tokens, see docs/sessions.md.' }),
  realm: Type.Optional(text('name', { prose: 'A session is accepted only in the realm in which it began. Give each application its own. Left out: `default`.' })),
}, 'Identities of requests.')
