// Every kind of error that a real Redis can send, and how to provoke each.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { startCluster } from './redis-cluster.ts'
import { startWatchedRedis } from './redis-sentinel.ts'
import { startRedis, type RedisServer } from './redis.ts'

/** Secrets that no log may show: passwords, tokens, and bytes that are stored. */
export const marks = { password: 'mark.of.a.password', sentinel: 'mark-of-a-sentinel', body: 'mark+of+a+body', token: 'mark~of~a~token' } as const

export interface Provoked {
  /** The `redis` section of the configuration. */
  readonly redis: Readonly<Record<string, unknown>>
  /** Begins the trouble that `name` says, once the replica serves. If left out, it exists from the start. */
  begin?(): Promise<unknown>
  /** Ends it, so that the server can be stopped. */
  end?(): Promise<unknown>
}

export interface RedisError {
  readonly name: string
  start(t: Test): Promise<Provoked>
  /** Given if a connection can never be made: /readyz says so for as long as it lasts, and this line of the log says why. */
  readonly refuses?: RegExp
  /** Given if requests find out: the log has a line like this. */
  readonly logs?: RegExp
}

const { password } = marks
const secured = ['--requirepass', password]

export async function server(t: Test, args: readonly string[] = secured): Promise<RedisServer> {
  const started = await startRedis({ args })
  t.teardown(() => started.stop())
  return started
}

function raw(t: Test, { host, port }: Pick<RedisServer, 'host' | 'port'>, options: { readonly password?: string } = { password }): Redis {
  const client = new Redis(port, host, { retryStrategy: () => 20, maxRetriesPerRequest: 0, ...options })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

export function urlOf({ host, port }: Pick<RedisServer, 'host' | 'port'>, user = ''): string {
  return `redis://${user}:${password}@${host}:${port}`
}

/** A server on which something is done once the replica serves. */
function single(name: string, args: readonly string[], begin: (client: Redis, redis: RedisServer) => Promise<unknown>,
  more: { end?: (client: Redis, redis: RedisServer) => Promise<unknown>; logs?: RegExp } = {}): RedisError {
  const { end, logs } = more
  return {
    name,
    ...(logs !== undefined && { logs }),
    start: async (t) => {
      const redis = await server(t, [...secured, ...args])
      const client = raw(t, redis)
      return { redis: { url: urlOf(redis) }, begin: () => begin(client, redis), ...(end !== undefined && { end: () => end(client, redis) }) }
    },
  }
}

/** A server whose only user may do no more than `rules` say. */
function restricted(name: string, rules: readonly string[], more: Pick<RedisError, 'refuses' | 'logs'> & { database?: string } = {}): RedisError {
  const { database = '', ...rest } = more
  return {
    name,
    ...rest,
    start: async (t) => {
      const redis = await server(t, [])
      await raw(t, redis, {}).call('ACL', 'SETUSER', 'house', 'on', `>${password}`, '~*', '&*', ...rules)
      return { redis: { url: urlOf(redis, 'house') + database } }
    },
  }
}

export const singleErrors: readonly RedisError[] = [
  {
    name: 'WRONGPASS',
    refuses: /WRONGPASS/,
    start: async (t) => ({ redis: { url: urlOf(await server(t, ['--requirepass', 'another'])) } }),
  },
  {
    name: 'NOAUTH',
    refuses: /NOAUTH/,
    start: async (t) => ({ redis: { url: (await server(t)).url } }),
  },
  {
    name: 'a user that is off',
    refuses: /WRONGPASS/,
    start: async (t) => {
      const redis = await server(t, [])
      await raw(t, redis, {}).call('ACL', 'SETUSER', 'house', 'off', `>${password}`, '~*', '&*', '+@all')
      return { redis: { url: urlOf(redis, 'house') } }
    },
  },
  // This user's ACL does not apply to HELLO: HELLO is the command that authenticates the connection.
  restricted('NOPERM for HELLO', ['+@all', '-hello']),
  restricted('NOPERM for SELECT', ['+@all', '-select'], { refuses: /NOPERM/, database: '/3' }),
  restricted('NOPERM for scripts', ['+@all', '-eval', '-evalsha'], { logs: /NOPERM/ }),
  restricted('NOPERM for most', ['-@all', '+hello', '+info', '+ping', '+select'], { logs: /NOPERM/ }),
  restricted('NOPERM for INFO, SUBSCRIBE, XREAD and SET', ['+@all', '-info', '-subscribe', '-xread', '-set'], { logs: /the Redis user may not run SUBSCRIBE: / }),
  restricted('NOPERM for all keys and channels', ['+@all', 'resetkeys', 'resetchannels'], { logs: /NOPERM/ }),
  {
    name: 'a database that it does not have',
    refuses: /DB index is out of range/,
    start: async (t) => ({ redis: { url: `${urlOf(await server(t))}/99` } }),
  },
  single('READONLY', [], (client) => client.replicaof('127.0.0.1', 1), { logs: /READONLY/ }),
  single('MASTERDOWN', ['--replica-serve-stale-data', 'no'], (client) => client.replicaof('127.0.0.1', 1)),
  single('OOM', [], (client) => client.config('SET', 'maxmemory', '1'), { logs: /OOM/ }),
  {
    name: 'MISCONF',
    logs: /MISCONF/,
    start: async (t) => {
      const redis = await server(t, [...secured, '--enable-protected-configs', 'yes'])
      const client = raw(t, redis)
      return {
        redis: { url: urlOf(redis) },
        begin: async () => {
          const directory = mkdtempSync(join(tmpdir(), 'springhouse-gone-'))
          mkdirSync(directory, { recursive: true })
          await client.config('SET', 'dir', directory)
          await client.config('SET', 'save', '3600 1')
          rmSync(directory, { recursive: true })
          await client.set('unsaved', '1')
          await client.bgsave()
          while (!/rdb_last_bgsave_status:err/.test(await client.info('persistence'))) await new Promise((resolve) => setTimeout(resolve, 10))
        },
      }
    },
  },
  single('NOREPLICAS', [], (client) => client.config('SET', 'min-replicas-to-write', '1'), { logs: /NOREPLICAS/ }),
  single('LOADING', ['--enable-debug-command', 'yes'], async (client) => {
    await client.config('SET', 'key-load-delay', '500')
    for (let i = 0; i < 20; i++) await client.mset(Object.fromEntries(Array.from({ length: 500 }, (_, j) => [`filler:${i}:${j}`, 'x'])))
    void client.call('DEBUG', 'RELOAD').catch(() => {})
  }, { end: (client) => client.config('SET', 'key-load-delay', '0').catch(() => {}) }),
  single('BUSY', ['--busy-reply-threshold', '50'], async (client) => {
    void client.eval('while true do end', 0).catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 100))
  }, { end: async (_client, redis) => redis.kill('SIGKILL') }),
  single('WRONGTYPE', [], async (client) => {
    await client.flushall()
    for (const key of ['sh:{log}', 'sh:{log}:replicas']) await client.set(key, 'not what it was')
  }, { logs: /the purge log was lost/ }),
  single('WRONGTYPE of entries', [], async (client) => {
    for (const key of await client.keys('sh:*'))
      if (!key.includes('{log}'))
        await client.call('RESTORE', key, 0, await client.dumpBuffer('text') ?? '', 'REPLACE').catch(() => client.del(key).then(() => client.set(key, marks.body)))
  }),
  single('NOSCRIPT, and EVAL unknown', ['--rename-command', 'EVAL', ''], (client) => client.script('FLUSH'), { logs: /unknown command/ }),
  single('EVALSHA unknown', ['--rename-command', 'EVALSHA', ''], async () => {}, { logs: /unknown command/ }),
  single('HELLO unknown', ['--rename-command', 'HELLO', ''], async () => {}),
  { ...single('HELLO and AUTH unknown', ['--rename-command', 'HELLO', '', '--rename-command', 'AUTH', ''], async () => {}), refuses: /AUTH/ },
  single('SUBSCRIBE unknown', ['--rename-command', 'SUBSCRIBE', ''], async () => {}, { logs: /Redis does not know the command SUBSCRIBE: / }),
  ...(['url', 'cluster', 'sentinel'] as const).map((way): RedisError => ({
    name: `TLS to a plain port, by redis.${way}`,
    start: async (t) => {
      const { host, port } = await server(t)
      const node = `rediss://${host}:${port}`
      return {
        redis: { ...(way === 'url' ? { url: node } : way === 'cluster' ? { cluster: [node] } : { sentinel: { master: 'cache', nodes: [node], password: marks.sentinel } }),
          password, tls: { rejectUnauthorized: false } },
      }
    },
  })),
  single('a silence', [], async (_client, redis) => redis.kill('SIGSTOP'), { end: async (_client, redis) => redis.kill('SIGCONT'), logs: /out of reach/ }),
  single('a reset', [], async (_client, redis) => redis.kill('SIGKILL'), { logs: /out of reach/ }),
  single('connections that are killed', [], async (client) => {
    for (let i = 0; i < 20; i++) {
      await client.call('CLIENT', 'KILL', 'SKIPME', 'yes').catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }),
  {
    name: 'a name that no longer resolves',
    refuses: /redis\.invalid/,
    start: async () => ({ redis: { url: `redis://:${password}@redis.invalid:6379` } }),
  },
]

export const sentinelErrors: readonly RedisError[] = [
  {
    name: 'WRONGPASS of the Sentinels',
    refuses: /Sentinels[^]*WRONGPASS/,
    start: (t) => watched(t, { sentinelPassword: marks.sentinel }, { sentinel: 'wrong' }),
  },
  {
    name: 'NOAUTH of the Sentinels',
    refuses: /Sentinels[^]*NOAUTH/,
    start: (t) => watched(t, { sentinelPassword: marks.sentinel }, {}),
  },
  {
    name: 'WRONGPASS of the servers that Sentinels watch',
    refuses: /WRONGPASS/,
    start: (t) => watched(t, { password: 'another' }, { password }),
  },
  {
    name: 'a master that the Sentinels do not know',
    refuses: /Sentinels/,
    start: (t) => watched(t, {}, { master: 'unknown' }),
  },
  {
    name: 'READONLY of the server that Sentinels name',
    start: async (t) => {
      const site = await startWatchedRedis({ password, sentinelPassword: marks.sentinel })
      t.teardown(() => site.stop())
      const client = raw(t, site.servers[0])
      return { redis: sentinelConfig(site, { sentinel: marks.sentinel, password }), begin: () => client.replicaof('127.0.0.1', 1) }
    },
  },
  {
    name: 'names of Sentinels that no longer resolve',
    refuses: /no Sentinel can be reached/,
    start: async () => ({ redis: { sentinel: { master: 'cache', nodes: ['sentinel.invalid:26379'], password: marks.sentinel }, password } }),
  },
]

type Watched = Awaited<ReturnType<typeof startWatchedRedis>>
interface Words {
  readonly sentinel?: string
  readonly password?: string
  readonly master?: string
}

function sentinelConfig(site: Watched, words: Words): Provoked['redis'] {
  const { sentinel, master = site.name } = words
  return {
    sentinel: { master, nodes: [...site.sentinels], ...(sentinel !== undefined && { password: sentinel }) },
    ...(words.password !== undefined && { password: words.password }),
  }
}

async function watched(t: Test, secrets: { password?: string; sentinelPassword?: string }, words: Words): Promise<Provoked> {
  const site = await startWatchedRedis(secrets)
  t.teardown(() => site.stop())
  return { redis: sentinelConfig(site, words) }
}

export const clusterErrors: readonly RedisError[] = [
  {
    name: 'WRONGPASS of a cluster',
    refuses: /WRONGPASS/,
    start: async (t) => ({ redis: { cluster: [...(await clusterOf(t, [])).addresses], username: 'nobody', password } }),
  },
  {
    name: 'a server that is no cluster',
    refuses: /cluster/,
    start: async (t) => {
      const { host, port } = await server(t)
      return { redis: { cluster: [`${host}:${port}`], password } }
    },
  },
  {
    name: 'names of a cluster that no longer resolve',
    refuses: /redis\.invalid/,
    start: async () => ({ redis: { cluster: ['redis.invalid:6379'], password } }),
  },
  {
    name: 'CLUSTERDOWN, and nodes that are gone',
    start: async (t) => {
      const cluster = await clusterOf(t, [])
      return {
        redis: { cluster: [...cluster.addresses] },
        begin: async () => {
          for (const { server: { kill } } of cluster.nodes.slice(0, 5)) kill('SIGKILL')
        },
      }
    },
  },
  {
    name: 'slots that move while ASKING is not allowed, and connections are killed',
    start: async (t) => {
      const cluster = await clusterOf(t, [])
      for (const { raw: node } of cluster.nodes) await node.call('ACL', 'SETUSER', 'house', 'on', `>${password}`, '~*', '&*', '+@all', '-asking')
      const [first, second] = await cluster.masters()
      return {
        redis: { cluster: [...cluster.addresses], username: 'house', password },
        begin: async () => {
          if (first === undefined || second === undefined) throw new Error('no two masters')
          // Every slot of the first is on its way to the second, for ever: a missing key is looked up at the second.
          const slots = (await first.raw.cluster('SLOTS')).filter(([, , owner]) => owner?.[1] === first.server.port)
          for (const [from, to] of slots)
            for (let slot = from; slot <= to; slot++) {
              void second.raw.cluster('SETSLOT', slot, 'IMPORTING', first.id).catch(() => {})
              void first.raw.cluster('SETSLOT', slot, 'MIGRATING', second.id).catch(() => {})
            }
          await Promise.all([first.raw.ping(), second.raw.ping()])
        },
      }
    },
  },
]

async function clusterOf(t: Test, args: readonly string[]): Promise<Awaited<ReturnType<typeof startCluster>>> {
  const cluster = await startCluster(args)
  t.teardown(() => cluster.stop())
  return cluster
}
