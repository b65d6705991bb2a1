// A key of the cache into which a foreign program has written thousands of fields.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { createRedisStore, type SharedStore } from '../../src/store/redis/entries/store.ts'
import { encodeValue, entryName, fieldName } from '../../src/store/redis/entries/value.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { metadata } from '../support/metadata.ts'
import { startRedis } from '../support/redis.ts'
import { put } from './contract.ts'

const key = 'GET http://api.example.com/a'
const name = entryName('test', key)

async function setting(test: Test, maxVariants: number): Promise<{ store: SharedStore; raw: Redis }> {
  const server = await startRedis()
  const raw = new Redis(server.url)
  const redis = connectRedis({ url: server.url, commandTimeoutMs: 20_000, clock: systemClock, logger: memoryLog() })
  test.teardown(async () => {
    redis.close()
    raw.disconnect()
    await server.stop()
  })
  const store = createRedisStore({ redis, prefix: 'test', clock: systemClock, logger: memoryLog(), maxEntryBytes: 100_000, maxVariants })
  await eventually(() => redis.small.healthy === true && redis.bodies.healthy === true)
  return { store, raw }
}

const until = (): { keepUntilMs: number } => ({ keepUntilMs: systemClock.now() + 60_000 })
const foreign = (count: number): Record<string, string> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`foreign ${i}`, 'x'.repeat(100)]))

/** The bytes that Redis has sent since its start. */
async function sent(raw: Redis): Promise<number> {
  return Number(/^total_net_output_bytes:(\d+)/m.exec(await raw.info('stats'))?.[1])
}

for (const maxVariants of [1, 4, 32, 1000]) {
  t.test(`as many variants as a key may have, ${maxVariants}, are all found`, async (test) => {
    const { store, raw } = await setting(test, maxVariants)
    for (let i = 0; i < maxVariants; i++) {
      const meta = metadata({ ...until(), variant: `variant ${i}` })
      await raw.hset(name, fieldName(meta.variant), encodeValue(key, meta, 1, Buffer.from('x')))
    }
    test.equal((await store.lookup(key)).length, maxVariants)
    // Another one goes through the store, which drops one.
    await put(store, key, metadata({ ...until(), variant: 'one more' }), Buffer.from('y'))
    test.equal((await store.lookup(key)).length, maxVariants)
  })
}

// The guard: readScript checks the number of fields first.
for (const [what, fields] of [['foreign fields', foreign], ['valid variants', variants]] as const) {
  t.test(`a lookup reads a bounded part of a key with thousands of ${what}, which is a miss, and is removed`, async (test) => {
    const { store, raw } = await setting(test, 32)
    const meta = metadata(until())
    await put(store, key, meta, Buffer.from('body'))
    await raw.hset(name, fields(20_000))
    const before = await sent(raw)
    test.same(await store.lookup(key), [])
    test.ok(await sent(raw) - before < 400_000, `${await sent(raw) - before} bytes`)
    await eventually(async () => await raw.exists(name) === 0)
    test.equal(await put(store, key, meta, Buffer.from('body')), true)
    test.equal((await store.lookup(key)).length, 1)
  })
}

function variants(count: number): Record<string, Buffer> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => {
    const meta = metadata({ ...until(), variant: `variant ${i}` })
    return [fieldName(meta.variant), encodeValue(key, meta, 1, Buffer.from('x'))]
  }))
}

// The guard: clear() in the scripts.
t.test('a commit, a refresh and a removal do not read thousands of fields either', async (test) => {
  const { store, raw } = await setting(test, 32)
  const meta = metadata(until())
  // Scripts delete each field that they cannot read.
  const deleted = async (): Promise<number> => Number(/^cmdstat_hdel:calls=(\d+)/m.exec(await raw.info('commandstats'))?.[1] ?? 0)
  for (const act of [() => put(store, key, meta, Buffer.from('body')), () => store.refresh(key, meta, meta), () => store.remove(key)]) {
    await raw.hset(name, foreign(20_000))
    await act()
    test.ok(await raw.hlen(name) <= 1)
  }
  test.ok(await deleted() < 10, `${await deleted()} fields were deleted one by one`)
})

t.test('a list of what is stored passes over such a key', async (test) => {
  const { store, raw } = await setting(test, 32)
  await raw.hset(name, foreign(20_000))
  await put(store, 'another', metadata(until()), Buffer.from('body'))
  test.same((await store.list(undefined, 100)).entries.map(entry => entry.key), ['another'])
})
