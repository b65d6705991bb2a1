// Connections that wait for messages and die silently (a NAT, a firewall), while all others go on.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Leases } from '../../src/store/lease.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { createRedisLeases } from '../../src/store/redis/leases/leases.ts'
import { createRedisStore } from '../../src/store/redis/entries/store.ts'
import { createStreamPurgeLog, type SharedPurgeLog } from '../../src/store/redis/purge-log/log.ts'
import { createTieredStore, type TieredStore } from '../../src/store/tiered/store.ts'
import { eventually, memoryLog, type LogLine } from '../support/log.ts'
import { metadata } from '../support/metadata.ts'
import { purge } from '../support/purge.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { startTcpProxy, subscribersOf, type TcpProxy } from '../support/tcp-proxy.ts'
import { bodies, put } from './contract.ts'

const key = 'GET http://api.example.com/a'

interface Process {
  readonly redis: RedisConnections
  readonly store: TieredStore
  readonly log: SharedPurgeLog
  readonly leases: Leases
  readonly lines: readonly LogLine[]
}

async function start(test: Test, name: string, servers: RedisServers, { commandTimeoutMs = 1000, maxLagMs = 10_000 } = {}): Promise<Process> {
  const logger = memoryLog()
  const redis = connectRedis({ ...servers, commandTimeoutMs, clock: systemClock, logger })
  const common = { redis, prefix: 'test', clock: systemClock, logger }
  const bounds = { maxBytes: 1 << 20, maxEntryBytes: 8192, maxVariants: 8 }
  const store = createTieredStore({ ...bounds, clock: systemClock, memory: createMemoryStore({ ...bounds, clock: systemClock }),
    shared: createRedisStore({ ...common, ...bounds }) })
  const log = createStreamPurgeLog({ ...common, replica: name, maxLagMs, onReset: () => {} })
  const leases = createRedisLeases({ redis, prefix: 'test', process: name, leaseMs: 60_000, logger })
  test.teardown(async () => {
    await leases.close()
    await log.close()
    await store.close()
    redis.close()
  })
  await log.caughtUp()
  // Memory is used while messages arrive, and followers wait for leases.
  await eventually(async () => {
    await put(store, name, metadata({ keepUntilMs: systemClock.now() + 60_000 }), Buffer.from('x'))
    return store.local.lookup(name).length === 1
  })
  const first = await leases.take(`own lease of ${name}`, 'stamp', 'uncacheable')
  await eventually(async () => {
    const second = await leases.take(`own lease of ${name}`, 'stamp', 'uncacheable')
    if (second.kind === 'heldElsewhere') second.leave()
    return second.kind === 'heldElsewhere'
  })
  if (first.kind === 'acquired') first.lease.release('failed')
  return { redis, store, log, leases, lines: logger.lines }
}

async function single(): Promise<{ server: RedisServer; line: TcpProxy; servers: RedisServers; also: RedisServer[] }> {
  const server = await startRedis()
  const line = await startTcpProxy(server)
  return { server, line, servers: { url: `redis://127.0.0.1:${line.port}` }, also: [] }
}

async function cluster(): ReturnType<typeof single> {
  const server = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] })
  const line = await startTcpProxy(server)
  const raw = new Redis(server.url)
  await raw.call('CONFIG', 'SET', 'cluster-announce-port', line.port)
  await raw.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await eventually(async () => String(await raw.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  raw.disconnect()
  return { server, line, servers: { cluster: [`127.0.0.1:${line.port}`] }, also: [] }
}

async function sentinel(): ReturnType<typeof single> {
  const server = await startRedis()
  const line = await startTcpProxy(server)
  const watcher = await startRedis({ sentinel: `sentinel monitor cache 127.0.0.1 ${line.port} 1\nsentinel down-after-milliseconds cache 600000` })
  return { server, line, servers: { sentinel: { master: 'cache', nodes: [`${watcher.host}:${watcher.port}`] } }, also: [watcher] }
}

// The guards: the PING of Subscription; Tiered does not use its memory while no messages arrive; RedisLeases wakes
// followers.
for (const [how, setUp] of [['one server', single], ['a cluster', cluster], ['Sentinels', sentinel]] as const) {
  t.test(`over ${how}: a process whose subscriptions have died silently relies on Redis alone, reports it, and recovers`, async (test) => {
    const { server, line, servers, also } = await setUp()
    test.teardown(async () => {
      await line.close()
      for (const each of [server, ...also]) await each.stop()
    })
    const a = await start(test, 'a', servers)
    const subscribers = subscribersOf(line)
    const b = await start(test, 'b', servers)
    const version = async (n: number): Promise<void> => {
      const meta = metadata({ keepUntilMs: systemClock.now() + 60_000, requestTimeMs: n })
      test.equal(await put(a.store, key, meta, Buffer.from(`version ${n}`)), true)
    }
    await version(1)
    const [found] = await b.store.lookup(key)
    if (found !== undefined) b.store.local.promote(key, found)
    test.equal(b.store.local.lookup(key).length, 1)
    const lease = await a.leases.take(key, 'stamp', 'uncacheable')
    const waiting = await b.leases.take(key, 'stamp', 'uncacheable')
    test.equal(waiting.kind, 'heldElsewhere')
    test.same([a.store.stats().degraded, b.store.stats().degraded], [[], []])

    subscribers.silence()
    await version(2)
    if (lease.kind === 'acquired') lease.lease.release('stored')
    test.equal(waiting.kind === 'heldElsewhere' && await waiting.ended(), 'expired', 'long before the lease would end')
    await eventually(() => b.store.local.lookup(key).length === 0)
    test.same(b.store.stats().degraded, ['redis'])
    test.equal(b.redis.degraded, false, 'Redis answers')
    test.same(await bodies(b.store, key), ['version 2'])
    await version(3)
    test.same(await bodies(b.store, key), ['version 3'])
    const [used] = await b.store.lookup(key)
    if (used !== undefined) b.store.local.promote(key, used)
    await version(4)
    test.same(await bodies(b.store, key), ['version 4'], 'an entry that came into memory meanwhile is not used')
    test.same(b.store.local.lookup(key), [])
    test.equal((await b.leases.take(key, 'stamp', 'uncacheable')).kind, 'acquired')
    test.equal((await b.leases.take(key, 'stamp', 'uncacheable')).kind, 'unavailable', 'a process that would not be notified does not wait')
    test.same((await b.log.append(purge({ tags: ['x'] }), 20_000)).replicas, { live: 2, acknowledged: 2 })
    test.same(a.store.stats().degraded, [], 'another process has nothing to complain of')
    await eventually(() => told(b).length === 3)
    test.same(told(b), ['acknowledgements', 'leases', 'replacements'])

    subscribers.release()
    await eventually(() => b.store.stats().degraded.length === 0)
    const [again] = await b.store.lookup(key)
    if (again !== undefined) b.store.local.promote(key, again)
    test.equal(b.store.local.lookup(key).length, 1, 'memory is used again')
    await version(5)
    await eventually(() => b.store.local.lookup(key).length === 0)
    await eventually(() => b.lines.filter(({ message }) => message === 'messages of other replicas arrive again').length === 3)
    test.equal(told(b).length, 3, 'each was reported once')
  })
}

function told({ lines }: Process): string[] {
  return lines.filter(({ level, message }) => level === 'warn' && message.includes('is silent')).map(({ details }) => (details as { subscription: string }).subscription).toSorted()
}

// The guard: Subscription does not take its connection for dead if Redis responds to no connection.
t.test('a Redis that hangs does not empty memory: no message is lost, and late ones are received', async (test) => {
  const { server, line, servers } = await single()
  test.teardown(async () => {
    await line.close()
    await server.stop()
  })
  const a = await start(test, 'a', { url: server.url })
  // A deadline that ends long before that of PING.
  const b = await start(test, 'b', servers, { commandTimeoutMs: 100, maxLagMs: 3000 })
  const meta = metadata({ keepUntilMs: systemClock.now() + 60_000 })
  await eventually(async () => {
    await put(b.store, key, meta, Buffer.from('one'))
    return b.store.local.lookup(key).length === 1
  })
  server.kill('SIGSTOP')
  await eventually(async () => {
    await Promise.all(Array.from({ length: 5 }, () => b.store.lookup(key)))
    // Longer than the last PING may take.
    return b.redis.degraded && !b.log.isCaughtUp()
  })
  test.equal(b.store.local.lookup(key).length, 1)
  server.kill('SIGCONT')
  await eventually(() => !b.redis.degraded && !a.redis.degraded && b.log.isCaughtUp())
  test.equal(b.store.local.lookup(key).length, 1, 'it is still there')
  test.same(told(b), [])
  await eventually(async () => put(a.store, key, { ...meta, requestTimeMs: meta.requestTimeMs + 1 }, Buffer.from('two')))
  await eventually(() => b.store.local.lookup(key).length === 0)
  test.same(told(b), [])
})

// The guard: Subscription requests another connection when its own has ended.
t.test('in a cluster a subscription moves to another node when its own dies, and entries replaced meanwhile are not served from memory', async (test) => {
  const redis = await startCluster()
  test.teardown(() => redis.stop())
  const servers: RedisServers = { cluster: redis.addresses }
  const [a, b] = [await start(test, 'a', servers), await start(test, 'b', servers)]
  const subscribed = async (): Promise<number[]> => {
    const counts = await Promise.all(redis.nodes.map(async ({ raw }) => await raw.pubsub('NUMSUB', 'test:0:lease:b').then(([, count]) => Number(count), () => 0)))
    return counts.flatMap((count, i) => (count > 0 ? [i] : []))
  }
  const [at = -1] = await subscribed()
  const node = redis.nodes[at]
  test.ok(node)
  await node?.server.stop()
  await eventually(async () => (await subscribed()).some(i => i !== at))
  await eventually(async () => (await redis.masters()).length === 3 && [a, b].every(({ store }) => store.stats().degraded.length === 0))
  await eventually(async () => {
    await put(a.store, key, metadata({ keepUntilMs: systemClock.now() + 60_000 }), Buffer.from('1'))
    const [found] = await b.store.lookup(key)
    if (found !== undefined) b.store.local.promote(key, found)
    return b.store.local.lookup(key).length === 1
  })
  await a.store.remove(key)
  await eventually(() => b.store.local.lookup(key).length === 0)
})
