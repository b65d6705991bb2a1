// Two caches in two databases of one Redis, with one prefix: they share nothing.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { createRedisLeases } from '../../src/store/redis/leases/leases.ts'
import { createRedisStore } from '../../src/store/redis/entries/store.ts'
import { createStreamPurgeLog } from '../../src/store/redis/purge-log/log.ts'
import { createTieredStore } from '../../src/store/tiered/store.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { metadata } from '../support/metadata.ts'
import { purge } from '../support/purge.ts'
import { startRedis } from '../support/redis.ts'
import { put } from './contract.ts'

const key = 'GET http://api.example.com/a'

// The guard: channelName() holds the database; without it both receive all of these messages.
t.test('replacements, releases and acknowledgements in one database do not reach another', async (test) => {
  const server = await startRedis()
  const raw = new Redis(server.url, { retryStrategy: () => 20 })
  const closes: (() => Promise<void>)[] = []
  test.teardown(async () => {
    for (const close of closes) await close()
    raw.disconnect()
    await server.stop()
  })
  const start = async (database: number) => {
    const redis = connectRedis({ url: `${server.url}/${database}`, commandTimeoutMs: 20_000, clock: systemClock, logger: memoryLog() })
    const common = { redis, prefix: 'test', clock: systemClock, logger: memoryLog() }
    const bounds = { maxBytes: 1 << 20, maxEntryBytes: 8192, maxVariants: 8 }
    const store = createTieredStore({ ...bounds, clock: systemClock, memory: createMemoryStore({ ...bounds, clock: systemClock }),
      shared: createRedisStore({ ...common, ...bounds }) })
    const log = createStreamPurgeLog({ ...common, replica: `replica of ${database}`, maxLagMs: 10_000, onReset: () => {} })
    const leases = createRedisLeases({ redis, prefix: 'test', process: 'of one name', leaseMs: 60_000, logger: memoryLog() })
    closes.push(async () => {
      await leases.close()
      await log.close()
      await store.close()
      redis.close()
    })
    await log.caughtUp()
    return { redis, store, log, leases }
  }
  const [a, b] = [await start(0), await start(1)]
  const channels = async (): Promise<string[]> => (await raw.pubsub('CHANNELS', '*') as string[]).toSorted()
  await eventually(async () => (await channels()).length === 6)
  test.same(await channels(), ['test:0:lease:of one name', 'test:0:replaced', 'test:0:{log}:applied', 'test:1:lease:of one name', 'test:1:replaced', 'test:1:{log}:applied'])
  const heard: string[] = []
  const other = new Redis(server.url)
  closes.push(async () => other.disconnect())
  await other.psubscribe('test:1:*')
  other.on('pmessage', (_pattern: string, channel: string) => heard.push(channel))

  const meta = metadata({ keepUntilMs: systemClock.now() + 60_000 })
  await put(a.store, key, meta, Buffer.from('one'))
  await put(b.store, key, meta, Buffer.from('two'))
  test.equal(b.store.local.lookup(key).length, 1)
  const [lease, elsewhere] = [await a.leases.take(key, a.log.applied, 'uncacheable'), await a.leases.take(key, a.log.applied, 'uncacheable')]
  await put(a.store, key, { ...meta, requestTimeMs: meta.requestTimeMs + 1 }, Buffer.from('later'))
  await a.store.remove(key)
  if (lease.kind === 'acquired') lease.lease.release('stored')
  test.equal(elsewhere.kind === 'heldElsewhere' && await elsewhere.ended(), 'stored')
  test.equal((await a.log.append(purge({ tags: ['x'] }), 20_000)).replicas.live, 1)
  await raw.publish('test:1:end', '')
  await eventually(() => heard.includes('test:1:end'))
  test.same(heard, ['test:1:end'])
  test.equal(b.store.local.lookup(key).length, 1)
})
