// The stores: memory, and Redis as the tier that replicas share.
import { Type } from '../../json-schema.ts'
import { DAY, GiB, HOUR, MINUTE, MiB, SECOND } from '../units.ts'
import { choice, flag, millis, duration, section, size, text, texts, whole, withFile } from './leaf.ts'

export const redisSchema = section({
  ...withFile('url', Type.Optional(
    text('redis-url', {
      prose:
        'One Redis server: `redis://user:password@host:port/database`, `rediss://` for TLS, or `unix:///path/of/socket?db=database`. User and password are percent-encoded. The default database is 0. If the database cannot be selected, Redis is not used; no other database is.',
    }),
  )),
  cluster: Type.Optional(texts('redis-node', { minItems: 1, prose: 'Some nodes of a Redis Cluster; they name the others. Write `rediss://` in each for TLS.' })),
  sentinel: Type.Optional(section({
    master: text('name', { prose: 'The name under which the Sentinels watch the master.' }),
    nodes: texts('redis-node', { minItems: 1,
      prose: 'Some of the Sentinels, usually at port 26379. Write `rediss://` in each if the Sentinels and the servers that they watch speak TLS.' }),
    username: Type.Optional(text('name', { prose: 'User for the Sentinels themselves. The servers use `redis.username`.' })),
    ...withFile('password', Type.Optional(text('password', { secret: true, prose: 'Password for the Sentinels themselves.' }))),
  }, 'A Redis that Sentinels watch. Commands go to the master that the Sentinels name.')),
  username: Type.Optional(text('name', { prose: 'User for the servers, if the URL names none.' })),
  ...withFile('password', Type.Optional(text('password', { secret: true, prose: 'Password for the servers, if the URL has none.' }))),
  tls: Type.Optional(section({
    ca: Type.Optional(text('file-path', { prose: 'PEM file with the certificate authorities to trust in place of the public ones.' })),
    cert: Type.Optional(text('file-path', { prose: 'PEM file with the client certificate, for servers that require one. Needs `key`.' })),
    key: Type.Optional(text('file-path', { prose: 'PEM file with the private key of the client certificate.' })),
    servername: Type.Optional(
      text('host-name', {
        prose: 'Name for SNI and for the certificate check, if it differs from the host of the connection. Sentinels and clusters usually give addresses, not names.',
      }),
    ),
    rejectUnauthorized: flag({ default: true, prose: 'Refuses a server whose certificate is not valid. false removes the protection that TLS gives.' }),
  }, 'TLS for servers, cluster nodes and Sentinels. If this section is given, nodes written as host:port speak TLS too. The files are read at the start.')),
  commandTimeoutMs: millis({ min: 5, max: MINUTE, default: 100, prose: 'How long a Redis command may take. After that the request goes on without Redis.' }),
  connectTimeoutMs: millis({ min: 10, max: MINUTE, default: 1 * SECOND, prose: 'How long a connection to Redis may take. After that the connection is tried again.' }),
  keyPrefix: text('key-prefix', {
    default: 'sh',
    prose:
      'Prefix of every key and channel. Replicas with the same Redis and prefix are one cache: give each service its own prefix. With one prefix, two services whose origins have the same name share responses for the same host and path. An origin named `default` (from `--origin`) is distinguished by its servers, but `127.0.0.1` is the same everywhere. At the start, a warning is logged if other replicas have other routes or origins.',
  }),
}, 'The tier that replicas share. Left out: each process has its own cache. Give exactly one of url, cluster and sentinel.')

export const cacheSchema = section({
  memory: section({
    maxBytes: size({ min: 0, max: 1024 * GiB, default: 256 * MiB,
      prose:
        'Most memory for stored responses in each process, bodies and metadata together. Beyond it, responses that are rarely used are evicted. At least 64KiB; 0 turns the tier off, which needs Redis.' }),
    maxEntryBytes: size({
      min: 0,
      max: 16 * GiB,
      derived: {
        prose: 'an eighth of maxBytes',
        from: ({ maxBytes }) => (typeof maxBytes === 'number' ? Math.floor(maxBytes / 8) : undefined),
      },
      prose: 'Largest response in memory, so that one large body does not evict everything else. With Redis, larger responses are stored in Redis alone.',
    }),
  }, 'The in-process tier. With Redis it holds copies of what this process serves; without Redis it is the only store.'),
  maxEntryBytes: size({ min: 0, max: 16 * GiB, default: 64 * MiB, prose: 'Largest response body that is stored. A larger one is forwarded without being stored.' }),
  maxVariants: whole({ min: 1, max: 1000, default: 32, prose: 'Most variants (by Vary) of one URL. Beyond it the variant that was least recently used is removed.' }),
  keepStale: duration({ max: 365 * DAY, default: 1 * HOUR,
    prose: 'How long a stale response is kept, so that it can be revalidated instead of fetched again. 0s: a stale response is dropped, unless it may be served stale.' }),
  tags: section({
    fields: Type.Array(section({
      name: text('field-name', { prose: 'Name of a response field that carries tags.' }),
      separator: choice(['comma', 'space', 'both', 'structured'], { default: 'comma',
        prose:
          'How the tags of the field are parted. `comma`: by commas, and a tag may hold spaces. `space`: by spaces; if a text between spaces holds commas, it is a tag, and each of its parts too. `both`: by commas and by spaces. `structured`: a list of strings in quotes (RFC 9651).' }),
    }), {
      default: [
        { name: 'cache-tag', separator: 'comma' },
        { name: 'surrogate-key', separator: 'space' },
        { name: 'cache-groups', separator: 'structured' },
        { name: 'xkey', separator: 'space' },
        { name: 'cache-tags', separator: 'comma' },
        { name: 'edge-cache-tag', separator: 'comma' },
        { name: 'x-magento-tags', separator: 'comma' },
      ],
      maxItems: 32,
      description:
        'The response fields that carry tags, by which responses are purged. A list replaces the whole default. After a change the cache starts empty, because stored responses have the tags of the earlier list.',
    }),
    forward: flag({ default: false,
      prose: 'Sends the tag fields to clients, for a CDN in front that purges by the same tags. false: they stay here, except Cache-Groups, which is for every cache.' }),
  }, 'Tags, by which responses are purged.'),
  coalesce: flag({ default: true, prose: 'Lets concurrent requests for the same response wait for one fetch.' }),
  coalesceWait: duration({ min: 1, max: MINUTE, default: 5 * SECOND,
    prose:
      'How long requests wait for another request’s fetch of the same response. After that one of the waiting requests fetches too, and the others wait for either, for the same time again. Raise it if your origin often takes longer.' }),
}, 'Limits of the store.')
