// Where responses are kept: memory, and Redis as the tier that replicas share.
import { Type } from 'typebox'
import { DAY, GiB, HOUR, MINUTE, MiB, SECOND } from '../units.ts'
import { flag, millis, duration, section, size, text, texts, whole, withFile } from './leaf.ts'

export const redisSchema = section({
  ...withFile('url', Type.Optional(text('redis-url', { prose: 'One Redis server: `redis://user:password@host:port/database`, `rediss://` where it speaks TLS, or `unix:///path/of/socket?db=database`. User and password are percent-encoded. The database is 0 where none is named; one that cannot be selected is never replaced by another.' }))),
  cluster: Type.Optional(texts('redis-node', { minItems: 1, prose: 'Some nodes of a Redis Cluster, from which the others are found. `rediss://` in each where they speak TLS.' })),
  sentinel: Type.Optional(section({
    master: text('name', { prose: 'The name under which they watch the master.' }),
    nodes: texts('redis-node', { minItems: 1, prose: 'Some of the Sentinels, usually at port 26379. `rediss://` in each where they, and the servers that they watch, speak TLS.' }),
    username: Type.Optional(text('name', { prose: 'User for the Sentinels themselves; the servers have `redis.username`.' })),
    ...withFile('password', Type.Optional(text('password', { secret: true, prose: 'Password for the Sentinels themselves.' }))),
  }, 'A Redis that Sentinels watch: writes follow the master that they name.')),
  username: Type.Optional(text('name', { prose: 'User for the servers, where the URL has none.' })),
  ...withFile('password', Type.Optional(text('password', { secret: true, prose: 'Password for the servers, where the URL has none.' }))),
  tls: Type.Optional(section({
    ca: Type.Optional(text('file-path', { prose: 'PEM file of the authorities to believe instead of the public ones.' })),
    cert: Type.Optional(text('file-path', { prose: 'PEM file of the certificate to show, for servers that ask for one. Needs `key`.' })),
    key: Type.Optional(text('file-path', { prose: 'PEM file of its private key.' })),
    servername: Type.Optional(text('host-name', { prose: 'The name to ask for and to verify, where it is not the host that is connected to. Sentinels and clusters usually tell addresses, not names.' })),
    rejectUnauthorized: flag({ default: true, prose: 'Refuse a server whose certificate does not verify. false gives up what TLS is for.' }),
  }, 'For servers, cluster nodes and Sentinels that speak TLS. Given, nodes written as host:port speak TLS. The files are read at the start.')),
  commandTimeoutMs: millis({ min: 5, max: MINUTE, default: 100, prose: 'How long a command may take before the cache goes on without Redis.' }),
  connectTimeoutMs: millis({ min: 10, max: MINUTE, default: 1 * SECOND, prose: 'How long a connection may take to be made.' }),
  keyPrefix: text('key-prefix', { default: 'sh', prose: 'What every key begins with. Springhouses with the same Redis and prefix are one cache: give each service a prefix of its own. With one prefix, two services whose origins have the same name are answered from each other’s entries where the host and path are the same. An origin named `default`, as `--origin` names it, is told apart by its servers, but `127.0.0.1` is the same everywhere. A start warns if other replicas have other routes or origins.' }),
}, 'The shared tier. Left out: the embedded store, in this process alone. Give exactly one of url, cluster and sentinel.')

export const cacheSchema = section({
  memory: section({
    maxBytes: size({ min: 0, max: 1024 * GiB, default: 256 * MiB, prose: 'What the in-process tier of each process may hold, bodies and metadata together: 64KiB at the least, or 0, with Redis, for Redis alone.' }),
    maxEntryBytes: size({
      min: 0,
      max: 16 * GiB,
      derived: {
        prose: 'an eighth of maxBytes',
        from: ({ maxBytes }) => (typeof maxBytes === 'number' ? Math.floor(maxBytes / 8) : undefined),
      },
      prose: 'Largest entry in memory, so that one large body does not push out everything else. With Redis, larger ones lie there alone.',
    }),
  }, 'The in-process tier: all there is without Redis, and in front of it with Redis.'),
  maxEntryBytes: size({ min: 0, max: 16 * GiB, default: 64 * MiB, prose: 'Largest body that is stored at all.' }),
  maxVariants: whole({ min: 1, max: 1000, default: 32, prose: 'Variants (by Vary) kept of one URL; beyond it the one stored first goes.' }),
  keepStale: duration({ max: 365 * DAY, default: 1 * HOUR, prose: 'How long after its freshness a response is kept, to be validated rather than fetched whole.' }),
  coalesce: flag({ default: true, prose: 'Whether requests for the same thing at the same time wait for one fetch.' }),
}, 'What is kept, and how much of it.')
