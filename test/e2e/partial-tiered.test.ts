// Partial content over memory in front of a real Redis: the same promises, and replicas that complete the parts of others.
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { ranged } from '../support/ranged-origin.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { bytes, fresh, is, large, partialContract, parts } from './partial-contract.ts'

const server = await startRedis()
t.teardown(() => server.stop())
partialContract(t, { server, tiered: true })

t.test('a part that one replica has begun another completes, for all of them', async t => {
  const has = { body: large, fields: { 'Cache-Control': fresh, ETag: '"v1"' } }
  const origin = await startOrigin(ranged(has))
  t.teardown(() => origin.close())
  const replica = () => startProxy(t, { origin, host: 'api.example', redis: server.url, clock: systemClock })
  const [a, b] = [await replica(), await replica()]
  for (const each of [a, b]) await eventually(async () => (JSON.parse((await each.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current)
  is(t, await a.get('/a', bytes(0, 299_999)), 206, large.subarray(0, 300_000))
  is(t, await b.get('/a', bytes(1, 9)), 206, large.subarray(1, 10), 'fresh')
  is(t, await b.get('/a', bytes(300_000, 499_999)), 206, large.subarray(300_000, 500_000), 'part-only')
  is(t, await a.get('/a', bytes(250_000, 349_999)), 206, large.subarray(250_000, 350_000), 'fresh')
  is(t, await a.get('/a'), 200, large, 'part-only')
  t.equal(origin.requests.at(-1)?.header('range'), 'bytes=500000-')
  is(t, await b.get('/a'), 200, large, 'fresh')
  is(t, await b.get('/a', bytes(499_990, '')), 206, large.subarray(499_990), 'fresh')
  t.same(await parts(b), ['200 whole'])
  t.equal(origin.requests.length, 3)
})
