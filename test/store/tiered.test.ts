// The tiered store: the contract, over a large tier and over a small one, and messages between two replicas.
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { createRedisStore } from '../../src/store/redis/entries/store.ts'
import { entryName } from '../../src/store/redis/entries/value.ts'
import { BodyGone, type Stored } from '../../src/store/store.ts'
import { createTieredStore, type TieredStore } from '../../src/store/tiered/store.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { manualClock, type ManualClock } from '../support/manual-clock.ts'
import { metadata, t0 } from '../support/metadata.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { bodies, contractEntryBytes, contractVariants, put, readBody, storeContract, type Test } from './contract.ts'

const key = 'GET http://api.example.com/v1/things?page=1'
const MiB = 1_048_576
// Deadlines are not tested here, so none may be missed on a busy machine.
const patientMs = 20_000

t.setTimeout(360_000)

interface Sizes {
  readonly maxBytes: number
  readonly maxEntryBytes: number
}
const roomy: Sizes = { maxBytes: 64 * MiB, maxEntryBytes: contractEntryBytes }
/** Holds a handful of small entries, and no body of more than 8 KiB. */
const tiny: Sizes = { maxBytes: 65_536, maxEntryBytes: 8192 }

async function tieredOver(servers: RedisServers, sizes: Sizes, clock: ManualClock, prefix: string): Promise<{ store: TieredStore; redis: RedisConnections }> {
  const redis = connectRedis({ ...servers, commandTimeoutMs: patientMs, clock: systemClock, logger: memoryLog() })
  const shared = createRedisStore({ redis, prefix, clock, logger: memoryLog(), maxEntryBytes: contractEntryBytes, maxVariants: contractVariants })
  const bounds = { ...sizes, maxVariants: contractVariants }
  const store = createTieredStore({ ...bounds, clock, memory: createMemoryStore({ ...bounds, clock }), shared })
  await eventually(() => redis.small.healthy === true && redis.bodies.healthy === true)
  return { store, redis }
}

// A single server for the whole contract; each of its tests has a separate prefix.
let server: Promise<RedisServer> | undefined
let prefixes = 0
t.teardown(async () => (await server)?.stop())

for (const [how, sizes] of [['a tier that holds all', roomy], ['a tier that holds little', tiny]] as const) {
  storeContract(`tiered, ${how}`, async () => {
    const { url } = await (server ??= startRedis())
    const clock = manualClock(t0)
    const { store, redis } = await tieredOver({ url }, sizes, clock, `contract ${prefixes++}`)
    return { store, clock, cleanup: () => redis.close() }
  })
}

interface Replicas {
  readonly a: TieredStore
  readonly b: TieredStore
  readonly raw: Redis
  readonly server: RedisServer
  readonly clock: ManualClock
  /** The connections of a. */
  readonly redis: RedisConnections
}

/** Two replicas over their own Redis, once both receive each other's messages. */
async function replicas(test: Test, { sizes = roomy, cluster = false } = {}): Promise<Replicas> {
  const own = await startRedis(cluster ? { args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] } : {})
  const raw = new Redis(own.url, { retryStrategy: () => 50 })
  raw.on('error', () => {})
  if (cluster) {
    await raw.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await eventually(async () => String(await raw.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  }
  const servers = cluster ? { cluster: [`${own.host}:${own.port}`] } : { url: own.url }
  const clock = manualClock(t0)
  const [one, two] = [await tieredOver(servers, sizes, clock, 'test'), await tieredOver(servers, sizes, clock, 'test')]
  test.teardown(async () => {
    one.redis.close()
    two.redis.close()
    raw.disconnect()
    await own.stop()
  })
  const both = { a: one.store, b: two.store, raw, server: own, clock, redis: one.redis }
  await hearEachOther(both)
  return both
}

let signals = 0

/** Resolves when each has received all messages of the other so far: messages arrive in order. */
async function hearEachOther({ a, b }: Pick<Replicas, 'a' | 'b'>): Promise<void> {
  for (const [speaker, listener] of [[a, b], [b, a]] as const) {
    // Repeated until it arrives: at first the other may not have subscribed yet.
    for (let heard = false; !heard;) {
      const signal = `signal ${signals++}`
      await put(speaker, signal, metadata())
      await use(listener, signal)
      if (near(listener, signal).length === 0) continue
      await put(speaker, signal, metadata({ requestTimeMs: t0 }))
      for (let waits = 0; !heard && waits < 50; waits++) {
        heard = near(listener, signal).length === 0
        if (!heard) await new Promise((resolve) => setTimeout(resolve, 2))
      }
    }
  }
}

const near = (store: TieredStore, at = key): readonly Stored[] => store.local.lookup(at)
const nearBodies = (store: TieredStore, at = key): string[] => near(store, at).map(({ body }) => body.bytes?.toString() ?? '(in pieces)')

/** Looks up one variant, and delivers it, as a request does. */
async function use(store: TieredStore, at = key, variant = ''): Promise<Buffer | undefined> {
  const found = (await store.lookup(at)).find(({ meta }) => meta.variant === variant)
  if (found === undefined) return undefined
  const { body, meta } = store.local.promote(at, found)
  return await readBody(body, 0, meta.bodyBytes)
}

void t.test('an entry is in memory at once where it was written, and where it is used', async (test) => {
  const { a, b } = await replicas(test as Test)
  const meta = metadata({ stamp: 'the stamp', tags: ['x'], keepUntilMs: t0 + 5000 })
  await put(a, key, meta, Buffer.from('body'))
  test.same(near(a).map((each) => each.meta), [{ ...meta, bodyBytes: 4 }])
  test.same(near(b), [])
  test.equal((await b.lookup(key)).length, 1)
  test.same(near(b), [], 'a check is not a use')
  await use(b)
  test.same(near(b).map((each) => each.meta), [{ ...meta, bodyBytes: 4 }], 'a copy has the stamp and the times of what it is a copy of')
  test.same(nearBodies(b), ['body'])
})

void t.test('a long body is copied into memory for the first reader that reads all of it', async (test) => {
  const { a, b } = await replicas(test as Test)
  const body = randomBytes(700_000)
  await put(a, key, metadata(), body)
  const [found] = await b.lookup(key)
  if (found === undefined) return test.fail('stored')
  const kept = b.local.promote(key, found)
  test.ok((await readBody(kept.body, 1000, 600_000)).equals(body.subarray(1000, 600_000)))
  const given = kept.body.read(0, body.length)[Symbol.asyncIterator]()
  await given.next()
  await given.return?.()
  test.same(near(b), [], 'neither a part nor an aborted write')
  const [one, two] = await Promise.all([readBody(kept.body, 0, body.length), readBody(kept.body, 0, body.length)])
  test.ok(one.equals(body) && two.equals(body))
  test.equal(near(b)[0]?.body.bytes?.equals(body), true)
  test.equal((await b.lookup(key))[0]?.body.bytes?.equals(body), true, 'and is not fetched from Redis again')
})

void t.test('a body whose chunks are lost is not kept, and throws BodyGone', async (test) => {
  const { a, b, raw } = await replicas(test as Test)
  await put(a, key, metadata(), randomBytes(700_000))
  const [found] = await b.lookup(key)
  if (found === undefined) return test.fail('stored')
  const chunks = await raw.keys(`${entryName('test', key)}:b:*:2`)
  test.equal(await raw.del(...chunks), 1)
  await test.rejects(readBody(b.local.promote(key, found).body, 0, 700_000), BodyGone)
  test.same(near(b), [])
})

void t.test('a body that is too long for memory is only in Redis, and leaves no older copy in memory', async (test) => {
  const { a, b } = await replicas(test as Test, { sizes: tiny })
  await put(a, key, metadata(), Buffer.from('short'))
  await use(b)
  test.same([nearBodies(a), nearBodies(b)], [['short'], ['short']])
  const long = randomBytes(100_000)
  test.equal(await put(a, key, metadata({ requestTimeMs: t0 }), long), true)
  test.same(near(a), [])
  test.equal((await use(a))?.equals(long), true)
  await hearEachOther({ a, b })
  test.same(near(b), [])
  test.equal((await use(b))?.equals(long), true)
  test.same(near(b), [])
})

for (const cluster of [false, true]) {
  void t.test(`entries that one replica replaces, renews or removes leave the memory of the others${cluster ? ', in a cluster too' : ''}`, async (test) => {
    const both = await replicas(test as Test, { cluster })
    const { a, b } = both
    for (const variant of ['one', 'two']) {
      await put(a, key, metadata({ variant }), Buffer.from(variant))
      await use(b, key, variant)
    }
    test.equal(near(b).length, 2)

    test.equal(await put(a, key, metadata({ variant: 'one', requestTimeMs: t0 - 10 }), Buffer.from('one, new')), true)
    test.ok(nearBodies(a).includes('one, new'), 'it keeps its own entries')
    await hearEachOther(both)
    test.same(nearBodies(b), ['two'], 'the others lose what was replaced, and nothing else')
    test.equal((await use(b, key, 'one'))?.toString(), 'one, new')
    test.ok(nearBodies(a).includes('one, new'), 'its own news has not cost it its copy')

    const was = near(a).find(({ meta }) => meta.variant === 'two')?.meta ?? metadata()
    const renewed = metadata({ variant: 'two', requestTimeMs: t0 + 10, responseTimeMs: t0 + 11, stamp: 'later' })
    test.equal(await a.refresh(key, was, renewed), true)
    test.same(near(a).find(({ meta }) => meta.variant === 'two')?.meta, { ...renewed, bodyBytes: 3 }, 'a 304 renews both tiers')
    await hearEachOther(both)
    test.same(near(b).map(({ meta }) => meta.variant), ['one'])
    await use(b, key, 'two')
    test.equal(near(b).find(({ meta }) => meta.variant === 'two')?.meta.stamp, 'later')

    await a.remove(key, 'one')
    await hearEachOther(both)
    test.same([near(a), near(b)].map((all) => all.map(({ meta }) => meta.variant)), [['two'], ['two']])
    await b.remove(key)
    await hearEachOther(both)
    test.same([near(a), near(b), await a.lookup(key)], [[], [], []])
  })
}

void t.test('a commit that lost the race to another replica is not kept in memory either', async (test) => {
  const { a, b } = await replicas(test as Test)
  const late = a.write(key, metadata({ requestTimeMs: t0 - 500 }))
  await late.write(Buffer.from('requested first'))
  await put(b, key, metadata({ requestTimeMs: t0 - 100 }), Buffer.from('requested later'))
  test.equal(await late.commit(), false)
  test.same(near(a), [])
  test.same(await bodies(a), ['requested later'])
})

void t.test('a value that was read before its invalidation message is not kept after it', async (test) => {
  const both = await replicas(test as Test)
  const { a, b } = both
  const old = randomBytes(500_000)
  await put(a, key, metadata(), old)
  await put(a, 'small', metadata(), Buffer.from('old'))
  const [[large], [small]] = [await b.lookup(key), await b.lookup('small')]
  if (large === undefined || small === undefined) return test.fail('stored')
  const reading = b.local.promote(key, large).body.read(0, old.length)[Symbol.asyncIterator]()
  await reading.next()
  await put(a, key, metadata({ requestTimeMs: t0 }), Buffer.from('new'))
  await put(a, 'small', metadata({ requestTimeMs: t0 }), Buffer.from('new'))
  await hearEachOther(both)
  for (let next = await reading.next(); next.done !== true;) next = await reading.next()
  b.local.promote('small', small)
  test.same([near(b), near(b, 'small')], [[], []])
  test.equal((await use(b))?.toString(), 'new')
  test.same(nearBodies(b), ['new'])
})

void t.test('a lookup reads both tiers: every variant once, the younger of two', async (test) => {
  const { a, b, raw } = await replicas(test as Test)
  await put(a, key, metadata({ variant: 'lost by Redis', responseTimeMs: t0 + 1 }), Buffer.from('lost by Redis'))
  await raw.del(entryName('test', key))
  await put(b, key, metadata({ variant: 'of b', responseTimeMs: t0 + 2 }), Buffer.from('of b'))
  test.same(await bodies(a), ['of b', 'lost by Redis'])
  test.same(await bodies(b), ['of b'])
  await put(a, key, metadata({ variant: 'of b', requestTimeMs: t0, responseTimeMs: t0 + 3 }), Buffer.from('of b, by a'))
  test.same(await bodies(a), ['of b, by a', 'lost by Redis'])
  // An entry that was lost may still be renewed in the other tier.
  const was = near(a).find(({ meta }) => meta.variant === 'lost by Redis')?.meta ?? metadata()
  test.equal(await a.refresh(key, was, metadata({ variant: 'lost by Redis', stamp: 'renewed' })), true)
  test.equal(near(a).find(({ meta }) => meta.variant === 'lost by Redis')?.meta.stamp, 'renewed')
  // At most as many variants as a key may have, from both tiers together.
  for (let i = 0; i < contractVariants; i++) await put(b, key, metadata({ variant: `v${i}`, responseTimeMs: t0 + 10 + i }), Buffer.from(`v${i}`))
  test.same(await bodies(a), ['v3', 'v2', 'v1', 'v0'])
})

void t.test('a refresh of an entry that another replica has replaced changes nothing, in either tier', async (test) => {
  const { a, b } = await replicas(test as Test)
  await put(a, key, metadata(), Buffer.from('first'))
  const [was] = near(a)
  await put(b, key, metadata({ requestTimeMs: t0 }), Buffer.from('second'))
  test.equal(await a.refresh(key, was?.meta ?? metadata(), metadata({ requestTimeMs: t0 + 5 })), false)
  test.same(near(a), [])
  test.same(await bodies(a), ['second'])
})

void t.test('without Redis memory goes on alone: it takes in, gives out, renews, lists and forgets', async (test) => {
  const { a, server: own, redis, raw } = await replicas(test as Test)
  await put(a, key, metadata(), Buffer.from('before'))
  const long = randomBytes(600_000)
  await put(a, 'long', metadata(), long)
  own.kill('SIGKILL')
  await eventually(() => redis.degraded)
  test.same(a.stats().degraded, ['redis'])
  test.equal(a.stats().kind, 'tiered')
  test.same(await bodies(a), ['before'])
  test.ok((await use(a, 'long'))?.equals(long))
  test.equal(await put(a, key, metadata({ requestTimeMs: t0, stamp: 's' }), Buffer.from('after')), true)
  test.equal(await put(a, 'long', metadata({ requestTimeMs: t0 }), long), true)
  test.same(nearBodies(a), ['after'])
  test.equal(await a.refresh(key, near(a)[0]?.meta ?? metadata(), metadata({ requestTimeMs: t0 + 1 })), true)
  const listed: string[] = []
  let cursor: string | undefined
  do {
    const page = await a.list(cursor, 1)
    listed.push(...page.entries.map((entry) => entry.key))
    cursor = page.cursor
  } while (cursor !== undefined)
  test.ok(listed.includes(key) && listed.includes('long'))
  await a.remove('long')
  test.same(await a.lookup('long'), [])
  await own.restart()
  await eventually(() => !redis.degraded && raw.status === 'ready')
  // Missed messages are unknown: memory is emptied when messages arrive again.
  await eventually(() => near(a).length === 0)
  test.same(await a.lookup(key), [])
})

void t.test('a Redis that is full refuses, and memory takes it', async (test) => {
  const { a, raw } = await replicas(test as Test)
  await raw.config('SET', 'maxmemory', '1')
  test.equal(await put(a, key, metadata(), Buffer.from('body')), true)
  test.same(nearBodies(a), ['body'])
  test.same(await bodies(a), ['body'])
})

void t.test('a connection that broke may have missed messages: memory is emptied', async (test) => {
  const { a, raw } = await replicas(test as Test)
  await put(a, key, metadata(), Buffer.from('body'))
  test.equal(near(a).length, 1)
  test.equal(await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), 2)
  await eventually(() => near(a).length === 0)
  test.same(await bodies(a), ['body'], 'in Redis it is as it was')
})

void t.test('foreign messages are ignored', async (test) => {
  const both = await replicas(test as Test)
  await put(both.a, key, metadata(), Buffer.from('body'))
  for (const text of ['', 'not JSON', '{}', '[]', '["sender"]', '["sender",3]', '["sender","another key"]', `["sender",${JSON.stringify(key)},"another variant"]`])
    await both.raw.publish('test:0:replaced', text)
  await hearEachOther(both)
  test.same(nearBodies(both.a), ['body'])
  await both.raw.publish('test:0:replaced', JSON.stringify(['sender', key]))
  await eventually(() => near(both.a).length === 0)
})

void t.test('a user without PUBLISH stores nevertheless', async (test) => {
  const { server: own, raw, clock } = await replicas(test as Test)
  await raw.call('ACL', 'SETUSER', 'quiet', 'on', '>secret', '~*', '+@all', 'resetchannels')
  const { store, redis } = await tieredOver({ url: `redis://quiet:secret@${own.host}:${own.port}` }, roomy, clock, 'test')
  test.teardown(() => redis.close())
  test.equal(await put(store, key, metadata(), Buffer.from('one')), true)
  test.equal(await put(store, key, metadata({ requestTimeMs: t0 }), Buffer.from('two')), true)
  test.equal(await store.refresh(key, (await store.lookup(key))[0]?.meta ?? metadata(), metadata({ requestTimeMs: t0 + 1 })), true)
  test.same(await bodies(store), ['two'])
  await store.remove(key)
  test.same(await store.lookup(key), [])
})

void t.test('memory stays within its bytes, whatever is written and read through it', async (test) => {
  const { a, b } = await replicas(test as Test, { sizes: { maxBytes: 524_288, maxEntryBytes: 65_536 } })
  let most = 0
  for (let i = 0; i < 3000; i++) {
    await put(a, `key ${i}`, metadata({ variant: `${i % 5}` }), randomBytes(i % 10 === 0 ? 40_000 : 300))
    await use(b, `key ${i}`, `${i % 5}`)
    most = Math.max(most, a.stats().bytes ?? 0, b.stats().bytes ?? 0)
  }
  test.ok(most <= 524_288, `${most} bytes`)
  test.ok(a.stats().evictions > 1000 && b.stats().evictions > 1000)
  test.equal(a.stats().maxBytes, 524_288)
  for (let i = 0; i < 3000; i += 100) test.equal((await a.lookup(`key ${i}`)).length, 1, 'Redis has the entries that memory evicted')
})
