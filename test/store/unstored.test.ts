// The last responses that were not stored: in one process, and over a real Redis, bounded in both whatever clients request.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { SharedUnstored } from '../../src/store/redis/unstored/log.ts'
import { digestOf, OwnUnstored, readUnstored, unstoredText, type Unstored } from '../../src/store/unstored.ts'
import { startProxy } from '../support/proxy.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'

const unstored = (atMs: number, more: Partial<Unstored> = {}): Unstored => ({ atMs, replica: 'a', status: 200, reason: 'no-store',
  deciding: { of: 'response', field: 'Cache-Control', value: 'no-store' }, ...more })

t.test('a process keeps three of each key, and drops the key that was noted longest ago', async t => {
  const log = new OwnUnstored('a', 2)
  for (let atMs = 1; atMs <= 5; atMs++) log.note('one', unstored(atMs))
  log.note('two', unstored(6))
  t.same((await log.last('one')).map(({ atMs }) => atMs), [5, 4, 3])
  log.note('one', unstored(7))
  log.note('three', unstored(8))
  t.same((await log.last('two')).length, 0)
  t.same((await log.last('one')).map(({ atMs }) => atMs), [7, 5, 4])
  t.same(await log.last('none'), [])
})

t.test('its text is read back, and nothing else is', async t => {
  for (const one of [unstored(1), unstored(2, { deciding: undefined }), unstored(3, { deciding: { of: 'request', field: 'Authorization' } })])
    t.same(readUnstored(unstoredText(one)), one)
  const [text, parts] = [unstoredText(unstored(1)), JSON.parse(unstoredText(unstored(1))) as unknown[]]
  const damaged = [text.slice(1), '', 'null', '{}', '7', ...parts.map((_, i) => JSON.stringify(parts.with(i, {}))), JSON.stringify(parts.with(3, 'fresh')),
    JSON.stringify(parts.with(5, 'x'.repeat(300)))]
  for (const each of damaged) t.equal(readUnstored(each), undefined, each)
})

async function shared(t: Test): Promise<{ open(replica: string): SharedUnstored; raw: Redis; hash(): Promise<Record<string, string>>; nowMs: number; scripts(): Promise<number> }> {
  const server = await startRedis()
  const raw = new Redis(server.url)
  const redis = connectRedis({ url: server.url, commandTimeoutMs: 10_000, clock: systemClock, logger: memoryLog() })
  await redis.ready()
  t.teardown(async () => {
    redis.close()
    raw.disconnect()
    await server.stop()
  })
  const state = { nowMs: 1_700_000_000_000 }
  return Object.assign(state, {
    raw,
    open: (replica: string) => {
      const log = new SharedUnstored({ redis, prefix: 'test', replica, clock: { now: () => state.nowMs, monotonic: () => state.nowMs } })
      t.teardown(() => log.close())
      return log
    },
    hash: () => raw.hgetall('test:{unstored}'),
    scripts: async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await raw.info('commandstats'))?.[1] ?? 0),
  })
}

// The guards: `mostOfBatch`, `slotOf`, `count < most` in the script of store/redis/unstored/log.ts.
t.test('replicas read the notes of each other; Redis holds a bounded number', async t => {
  const redis = await shared(t)
  const [one, two] = [redis.open('one'), redis.open('two')]
  const now = redis.nowMs
  for (let i = 0; i < 5; i++) one.note('key', unstored(now + i))
  await eventually(async () => (await two.last('key')).length > 0)
  t.same((await two.last('key')).map(({ atMs, replica }) => [atMs - now, replica]), [[4, 'one'], [3, 'one'], [2, 'one']])
  two.note('key', unstored(now + 10, { deciding: undefined }))
  t.same((await two.last('key')).map(({ atMs }) => atMs - now), [10, 4, 3], 'its own at once')
  await eventually(async () => (await one.last('key'))[0]?.replica === 'two')
  t.same((await one.last('key')).map(({ atMs }) => atMs - now), [10, 4, 3])

  for (let i = 0; i < 1_000; i++) one.note(`other ${i}`, unstored(now + i))
  await eventually(async () => (await two.last('other 999')).length > 0)
  const all = await redis.hash()
  t.ok(Object.keys(all).length <= 17, `${Object.keys(all).length} keys of 1,000 in a batch`)
  for (const [slot, lines] of Object.entries(all)) t.ok(Number(slot) >= 0 && Number(slot) < 10_000 && lines.split('\n').length <= 3, slot)
  t.ok(await redis.raw.pttl('test:{unstored}') > 3_500_000)
  t.equal((await one.last('other 500')).length, 1, 'each process has its own in full')
  redis.nowMs += 3_700_000
  t.same(await two.last('other 999'), [], 'what is old is not shown')
})

// The guard: `isRepeated` in SharedUnstored.note.
t.test('the same outcome again and again is written once in five seconds, another one soon', async t => {
  const redis = await shared(t)
  const [one, two] = [redis.open('one'), redis.open('two')]
  one.note('hot', unstored(redis.nowMs))
  await eventually(async () => (await two.last('hot')).length === 1)
  const before = await redis.scripts()
  // 4 s by the clock of the log. Its timer is due a second later.
  for (let i = 0; i < 400; i++) {
    redis.nowMs += 10
    one.note('hot', unstored(redis.nowMs))
  }
  t.equal(await redis.scripts(), before)
  one.note('hot', unstored(redis.nowMs, { reason: 'set-cookie' }))
  await eventually(async () => (await two.last('hot'))[0]?.reason === 'set-cookie')
  t.equal(await redis.scripts(), before + 1)
})

t.test('whatever else Redis holds there is no note, and a Redis that fails leaves the own ones', async t => {
  const redis = await shared(t)
  const [one, two] = [redis.open('one'), redis.open('two')]
  await redis.raw.set('test:{unstored}', 'foreign')
  one.note('key', unstored(redis.nowMs))
  t.equal((await one.last('key')).length, 1)
  t.same(await two.last('key'), [])
  await eventually(async () => (await two.last('key')).length === 1)
  const [slot = ''] = Object.keys(await redis.hash())
  const digest = digestOf('key')
  await redis.raw.hset('test:{unstored}', slot,
    [`${digest} [1,2]`, `${digest} `, 'x', `${digest} ${'['.repeat(5_000)}`, `${digest} ${unstoredText(unstored(redis.nowMs, { replica: 'three' }))}`].join('\n'))
  t.same((await two.last('key')).map(({ replica }) => replica), ['three'])
})

t.test('a response that one replica did not store is explained by another', async t => {
  const server = await startRedis()
  const origin = await startOrigin((_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'lb=1' }).end())
  t.teardown(async () => {
    await origin.close()
    await server.stop()
  })
  const start = () => startProxy(t, { origin, redis: server.url, clock: systemClock, host: 'api.example' })
  const [one, two] = [await start(), await start()]
  const last = async (house: typeof one): Promise<{ replica: string; reason: string; meaning: string }[]> =>
    (JSON.parse(String((await house.admin('/v1/explain?url=http://api.example/x')).body)) as { last: { replica: string; reason: string; meaning: string }[] }).last
  await one.get('/x')
  await eventually(async () => (await last(two)).length > 0)
  const [told] = await last(two)
  t.match(told, { reason: 'set-cookie', meaning: 'The response sets a cookie (lb), which every client would receive.' })
  const replicas = JSON.parse(String((await two.admin('/v1/replicas')).body)) as { replicas: { id: string }[] }
  t.ok(replicas.replicas.some(({ id }) => id === told?.replica), 'a name of /v1/replicas')
})
