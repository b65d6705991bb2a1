// Partial content over a real Redis: the same promises as over the embedded store, and chunks that get lost.
import { Redis } from 'ioredis'
import t from 'tap'
import { startRedis } from '../support/redis.ts'
import { bytes, is, large, partialContract, parts, scene } from './partial-contract.ts'

const server = await startRedis()
t.teardown(() => server.stop())
const redis = { server, tiered: false }
partialContract(t, redis)

t.test('a stored part whose bytes are lost costs the entry, and no response', async t => {
  const house = await scene(t, redis, { has: { body: large } })
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  const loseChunks = async (): Promise<void> => {
    const chunks = await client.keys('*:b:*')
    t.ok(chunks.length > 0)
    await client.del(chunks)
  }
  await house.get('/a', bytes(0, 299_999))
  await loseChunks()
  is(t, await house.get('/a', bytes(300_000, 399_999)), 206, large.subarray(300_000, 400_000), 'part-only')
  t.same(await parts(house), [], 'nothing was put together, and what was lost is forgotten')
  is(t, await house.get('/a', bytes(0, 299_999)), 206, large.subarray(0, 300_000), 'range-miss')
  await loseChunks()
  is(t, await house.get('/a', bytes(0, 299_999)), 206, large.subarray(0, 300_000), 'range-miss')
  is(t, await house.get('/a', bytes(0, 299_999)), 206, large.subarray(0, 300_000), 'fresh')
  await loseChunks()
  is(t, await house.get('/a'), 200, large)
  t.same(house.asked().slice(-2), ['bytes=300000- "v1"', '-'])
  is(t, await house.get('/a'), 200, large, 'fresh')
})
