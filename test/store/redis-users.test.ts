// Users and passwords of Redis that change while the process runs.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startWatchedRedis } from '../support/redis-sentinel.ts'
import { startRedis } from '../support/redis.ts'
import type { Test } from './contract.ts'

t.setTimeout(360_000)

function connections(test: Test, servers: RedisServers): RedisConnections {
  const redis = connectRedis({ ...servers, commandTimeoutMs: 1000, clock: systemClock, logger: memoryLog() })
  test.teardown(() => redis.close())
  return redis
}

const takes = (redis: RedisConnections, key = 'k') => redis.small.call('SET', [key, 'v']).then(() => true, () => false)

/** Every client has to connect and authenticate again. */
const killAll = (raw: Redis) => Promise.all(['normal', 'pubsub'].map((type) => raw.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')))

// The guard: `renewUsers` in store/redis/connect/users.ts.
void t.test('connections that are made after a change use the new password, be it given beside the URL or in it', async (test) => {
  const server = await startRedis({ args: ['--requirepass', 'first'] })
  test.teardown(() => server.stop())
  const raw = new Redis({ host: server.host, port: server.port, password: 'first' })
  test.teardown(() => raw.disconnect())
  const { host, port } = server
  const beside = (password: string): RedisServers => ({ url: `redis://${host}:${port}`, password })
  const within = (password: string): RedisServers => ({ url: `redis://:${encodeURIComponent(password)}@${host}:${port}` })
  let now = 'first'
  for (const servers of [beside, within]) {
    const redis = connections(test as Test, servers(now))
    await eventually(() => takes(redis))
    const own = redis.dedicated()
    await eventually(() => own.status === 'ready')
    const next = `${now}@2`
    await raw.config('SET', 'requirepass', next)
    test.equal(await takes(redis), true, 'existing connections stay')
    await killAll(raw)
    await eventually(() => redis.degraded)
    redis.renewUsers(servers(next))
    await eventually(async () => !redis.degraded && await takes(redis) && redis.bodies.healthy === true && own.status === 'ready')
    const later = redis.dedicated()
    await eventually(() => later.status === 'ready')
    now = next
  }
})

void t.test('a change that comes before that of Redis costs nothing while connections last', async (test) => {
  const server = await startRedis({ args: ['--requirepass', 'first'] })
  test.teardown(() => server.stop())
  const raw = new Redis({ host: server.host, port: server.port, password: 'first' })
  test.teardown(() => raw.disconnect())
  const redis = connections(test as Test, { url: server.url, password: 'first' })
  await eventually(() => takes(redis))
  redis.renewUsers({ url: server.url, password: 'second' })
  test.equal(await takes(redis), true)
  await raw.config('SET', 'requirepass', 'second')
  await killAll(raw)
  await eventually(() => takes(redis))
})

void t.test('the user may be another too', async (test) => {
  const server = await startRedis()
  test.teardown(() => server.stop())
  const raw = new Redis(server.url)
  test.teardown(() => raw.disconnect())
  for (const name of ['blue', 'green']) await raw.call('ACL', 'SETUSER', name, 'on', `>of-${name}`, '~*', '&*', '+@all')
  const { host, port } = server
  const redis = connections(test as Test, { url: `redis://blue:of-blue@${host}:${port}` })
  await eventually(() => takes(redis))
  redis.renewUsers({ url: `redis://green:of-green@${host}:${port}` })
  await raw.call('ACL', 'DELUSER', 'blue') // which closes its connections
  const whoAmI = async () => await redis.small.call('ACL', ['WHOAMI']).then(String, () => '')
  await eventually(async () => await whoAmI() === 'green')
  for (const password of ['a', 'b']) {
    await raw.call('ACL', 'SETUSER', 'red', 'reset', 'on', `>${password}`, '~*', '&*', '+@all')
    redis.renewUsers({ url: `redis://red@${host}:${port}`, password })
    await killAll(raw)
    await eventually(async () => await whoAmI() === 'red')
  }
})

// The guard: `keepUsers`. A cluster makes its connections from copied options.
void t.test('every node of a cluster uses the new password, also nodes that are found later', async (test) => {
  const cluster = await startCluster()
  test.teardown(() => cluster.stop())
  const demand = (password: string) =>
    Promise.all(cluster.nodes.map(async ({ raw }) => {
      await raw.config('SET', 'masterauth', password)
      await raw.config('SET', 'requirepass', password)
    }))
  const killEverywhere = () => Promise.all(cluster.nodes.map(({ raw }) => killAll(raw)))
  const everywhere = async (redis: RedisConnections) => (await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => takes(redis, key)))).every(Boolean)
  await demand('first')
  const servers = (password: string): RedisServers => ({ cluster: cluster.addresses.slice(0, 2), password })
  const redis = connections(test as Test, servers('first'))
  await eventually(() => everywhere(redis))
  await demand('second')
  await killEverywhere()
  await eventually(async () => !await everywhere(redis))
  redis.renewUsers(servers('second'))
  await eventually(() => everywhere(redis))
  await demand('third')
  redis.renewUsers(servers('third'))
  await killEverywhere()
  await eventually(() => everywhere(redis))
})

void t.test('the Sentinels and the servers that they watch each have the new password of their own', async (test) => {
  const watched = await startWatchedRedis({ password: 'first', sentinelPassword: 'watch' })
  test.teardown(() => watched.stop())
  const servers = (password: string, sentinelPassword: string): RedisServers => ({ sentinel: { master: watched.name, nodes: [...watched.sentinels], password: sentinelPassword },
    password })
  const redis = connections(test as Test, servers('first', 'watch'))
  await eventually(() => takes(redis))
  const watchers = watched.sentinels.map((node) => new Redis(Number(node.split(':')[1]), '127.0.0.1', { password: 'watch' }))
  const raws = watched.servers.map(({ host, port }) => new Redis(port, host, { password: 'first' }))
  test.teardown(() => {
    for (const raw of [...watchers, ...raws]) raw.disconnect()
  })
  await Promise.all(watchers.map(async (raw) => {
    await raw.call('SENTINEL', 'SET', watched.name, 'auth-pass', 'second')
    await raw.call('SENTINEL', 'CONFIG', 'SET', 'sentinel-pass', 'watched')
    await raw.call('ACL', 'SETUSER', 'default', 'resetpass', '>watched')
  }))
  await Promise.all(raws.map(async (raw) => {
    await raw.config('SET', 'masterauth', 'second')
    await raw.config('SET', 'requirepass', 'second')
  }))
  await Promise.all(raws.map((raw) => killAll(raw)))
  await eventually(async () => !await takes(redis))
  redis.renewUsers(servers('second', 'watched'))
  await eventually(() => takes(redis))
})
