// Sessions while Redis is in trouble: nobody is logged out, no lost change seems written, and visitors notice nothing.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { eventually } from '../support/log.ts'
import { detail, startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { obedient, problem, seen, Visitor } from './support.ts'

const secret = 'a secret of at least thirty-two bytes'
const own = await startRedis()
t.teardown(() => own.stop())

const house = await startProxy(t, {
  origin: obedient(),
  clock: systemClock,
  config: {
    sessions: { enabled: true, redis: { url: own.url, commandTimeoutMs: 200, connectTimeoutMs: 500 }, keys: [{ id: 'k', alg: 'HS256', secret }] },
    routes: [
      { match: { path: '/off/' }, origin: 'api', identity: { sources: [] } },
      { match: { path: '/lenient/' }, origin: 'api', identity: { trouble: 'anonymous' } },
      { match: { path: '/lenient-users/' }, origin: 'api', identity: { trouble: 'anonymous', required: true } },
      { match: {}, origin: 'api' },
    ],
  },
})
const visitor = (cookie?: string): Visitor => new Visitor(house.port, cookie)

/** Holds in any trouble: a request that presents a session gets a 503, and all others notice nothing. */
async function inTrouble(t: Test, one: Visitor): Promise<void> {
  const cookie = one.cookie
  const refused = await one.send('/who')
  t.equal(problem(refused), '503 SESSION_UNAVAILABLE')
  t.equal(refused.header('retry-after'), '1')
  t.equal(refused.header('set-cookie'), undefined)
  t.equal(one.cookie, cookie, 'no cookie is taken back')
  t.equal((await visitor().send('/page')).status, 200)
  t.equal(detail(await visitor().send('/page')), 'fresh')
  t.equal((await one.send('/off/page')).status, 200)
  t.equal((await visitor().send('/post', {}, { method: 'POST' })).status, 200)
  const lenient = await one.send('/lenient/page')
  t.equal(lenient.status, 200)
  t.equal(seen(lenient).headers['springhouse-session-unavailable'], '?1')
  t.equal(detail(lenient), 'identity')
  t.equal(problem(await one.send('/lenient-users/page')), '401 SESSION_REQUIRED')
  t.equal(problem(await one.do({ data: { lost: 1 } }, '/lenient/do')), '503 SESSION_NOT_WRITTEN', 'a lost change does not seem written')
  const begins = visitor()
  t.match(problem(await begins.do({ data: { lost: 1 } })), /^503 SESSION_(?:NOT_WRITTEN|UNCONFIRMED)$/)
  t.equal(begins.cookie, undefined)
  t.match(problem(await visitor().do({ login: 'ann' })), /^503 SESSION_(?:NOT_WRITTEN|UNCONFIRMED)$/)
}

type Test = typeof t

t.test('Redis hangs, stops, and comes back: sessions are there again', async t => {
  const one = visitor()
  await one.do({ login: 'ann', data: { kept: 1 } })
  own.kill('SIGSTOP')
  await inTrouble(t as Test, one)
  own.kill('SIGCONT')
  await eventually(async () => (await one.send('/who')).status === 200)
  t.match(await one.claims(), { sub: 'ann', data: { kept: 1, lost: undefined } })
})

t.test('a record that was damaged is a 503, and no log-out', async t => {
  const one = visitor()
  await one.do({ login: 'ann', data: { kept: 1 } })
  const redis = new Redis(own.url)
  t.teardown(() => redis.disconnect())
  const key = `sh:{s:${one.cookie?.slice('__Host-session=shs1'.length, '__Host-session=shs1'.length + 22)}}`
  const good = await redis.hgetall(key)
  for (const damage of [['v', 'x'], ['h', 'short'], ['d"kept"', '0:{"half'], ['d"kept"', '0:1},"sub":"eve'], ['e', '']] as const) {
    await redis.hset(key, damage[0], damage[1])
    const answer = await one.send('/who')
    t.equal(problem(answer), '503 SESSION_UNAVAILABLE', damage.join(' '))
    t.equal(answer.header('set-cookie'), undefined)
    await redis.hset(key, good)
  }
  t.match(await one.claims(), { sub: 'ann' })
})

t.test('a full Redis: sessions can be read, and no lost change seems written', async t => {
  const one = visitor()
  await one.do({ login: 'ann', data: { kept: 1 } })
  const redis = new Redis(own.url)
  t.teardown(() => redis.disconnect())
  await redis.config('SET', 'maxmemory', '1')
  t.match(await one.claims(), { sub: 'ann', data: { kept: 1 } })
  t.equal(problem(await one.do({ data: { kept: 2 } })), '503 SESSION_NOT_WRITTEN')
  t.equal(problem(await visitor().do({ login: 'bob' })), '503 SESSION_NOT_WRITTEN')
  await redis.config('SET', 'maxmemory', '0')
  await eventually(async () => (await one.do({ data: { kept: 3 } })).status === 200)
  t.match(await one.claims(), { data: { kept: 3 } })
})

t.test('a flushed Redis knows nobody, and takes no cookie back', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  const redis = new Redis(own.url)
  t.teardown(() => redis.disconnect())
  await redis.flushall()
  const answer = await one.send('/who')
  t.equal(seen(answer).claims, null)
  t.equal(answer.header('set-cookie'), undefined)
  await one.do({ login: 'ann' })
  t.match(await one.claims(), { sub: 'ann' })
})

t.test('a Redis that may evict sessions is named at the start', async t => {
  const evicting = await startRedis({ args: ['--maxmemory', '100mb', '--maxmemory-policy', 'volatile-lfu'] })
  t.teardown(() => evicting.stop())
  const other = await startProxy(t, { origin: obedient(), clock: systemClock, config: { sessions: { enabled: true }, redis: { url: evicting.url } } })
  await eventually(() => other.log.some(({ msg }) => /volatile-lfu: Redis may evict sessions/.test(msg)))
  t.pass('it is logged')
  t.notOk(house.log.some(({ msg }) => /choose volatile-lfu/.test(msg)), 'the Redis of sessions is not judged as a cache')
})

t.test('Redis is stopped for good', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  await own.stop()
  await inTrouble(t as Test, one)
  await eventually(async () => (await house.admin('/readyz')).body.toString() === '{"status":"ready","degraded":["sessions"]}')
  const metrics = (await house.admin('/metrics')).body.toString()
  t.match(metrics, /springhouse_session_reads_total\{outcome="unavailable"\} [1-9]/)
  t.match(metrics, /springhouse_session_writes_total\{operation="login",outcome="not-written"\} [1-9]/)
})
