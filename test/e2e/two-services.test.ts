// Two services that share a Redis and a key prefix by mistake: the guards that keep them apart, and how operators learn of it.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { adminSettings, counting, detail, overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'
import { json } from '../support/site.ts'

t.setTimeout(120_000)

type Setting = Readonly<Record<string, unknown>>

async function redisFor(t: Test): Promise<RedisServer> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  return redis
}

async function service(t: Test, name: string): Promise<ScriptedOrigin> {
  const origin = await startOrigin((_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(`${name} answers`)
  })
  t.teardown(() => origin.close())
  return origin
}

function replica(t: Test, redis: RedisServer, origin: ScriptedOrigin, config: Setting = {}): Promise<TestProxy<Clock>> {
  return startProxy<Clock>(t, { origin, clock: systemClock, host: 'shop.example', config: { ...overRedis(redis.url), ...config } })
}

/** As `--origin` makes it. */
const nameless = (...servers: string[]): Setting => ({ origins: { default: { servers } }, routes: [] })

// Fails without the servers in sharingDigest.
t.test('two services that were started with --origin, over one Redis and for one host, serve their own responses', async t => {
  const redis = await redisFor(t)
  const [first, second] = [await service(t, 'first'), await service(t, 'second')]
  const a = await replica(t, redis, first, nameless(first.url))
  const b = await replica(t, redis, second, nameless(second.url))
  const again = await replica(t, redis, first, nameless(`${first.url}/ weight=3`))
  await a.get('/')
  t.equal(String((await b.get('/')).body), 'second answers')
  t.equal(detail(await again.get('/')), 'fresh', 'and replicas of one service share')
  const both = await replica(t, redis, first, nameless(first.url, second.url))
  const swapped = await replica(t, redis, first, nameless(second.url, first.url))
  t.equal(detail(await both.get('/')), 'uri-miss')
  t.equal(detail(await swapped.get('/')), 'fresh', 'in whichever order they name their servers')
})

t.test('an origin with a name of its own keeps its entries when its servers change', async t => {
  const redis = await redisFor(t)
  const [first, second] = [await service(t, 'first'), await service(t, 'second')]
  const a = await replica(t, redis, first)
  await a.get('/')
  t.equal(detail(await (await replica(t, redis, second)).get('/')), 'fresh')
})

interface Configuration {
  readonly routes: string
  readonly origins: string
  readonly differing: readonly { readonly replica: string; readonly differs: readonly string[] }[]
}

async function configuration(house: TestProxy<Clock>): Promise<Configuration | undefined> {
  return (await json<{ configuration?: Configuration }>(house.admin('/v1/stats'))).configuration
}

async function differs(house: TestProxy<Clock>): Promise<readonly string[]> {
  return (await configuration(house))?.differing.map(each => each.differs.join('+')) ?? ['nothing is compared']
}

const warnings = (house: TestProxy<Clock>): readonly string[] => house.log.filter(({ level, msg }) => level === 40 && msg.includes('keyPrefix')).map(({ msg }) => msg)

// Fails without Fingerprints.
t.test('a replica whose routes or origins differ from the other replicas says so at its start, and both report it', async t => {
  const redis = await redisFor(t)
  const origin = await startOrigin(counting({ 'Cache-Control': 'max-age=600' }))
  t.teardown(() => origin.close())
  const a = await replica(t, redis, origin)
  const same = await replica(t, redis, origin)
  const other = await replica(t, redis, origin, { routes: [{ match: {}, origin: 'api', cache: { cookies: 'ignore' } }] })
  await eventually(() => warnings(other).length > 0)
  t.same(warnings(other), [
    '2 of the replicas with this Redis and redis.keyPrefix "sh" have other routes: expected while a change is deployed; if they are another service, give each its own redis.keyPrefix',
  ])
  t.same(await differs(other), ['routes', 'routes'])
  await eventually(async () => (await differs(a)).join() === 'routes' && (await differs(same)).join() === 'routes')
  t.same([...warnings(a), ...warnings(same)], [], 'the earlier replicas say nothing')
  t.match(await configuration(a), { routes: /^[\w-]{16}$/, origins: /^[\w-]{16}$/, differing: [{ replica: /-/ }] })

  const servers = await replica(t, redis, origin, { origins: { api: { servers: [origin.url, 'http://127.0.0.1:1'] } },
    routes: [{ match: {}, origin: 'api', cache: { ttl: { default: '1s' } } }] })
  await eventually(() => warnings(servers).length > 0)
  t.match(warnings(servers)[0], /^3 of the replicas .* have other routes and origins:/)
  await servers.app.close()

  await other.app.reload(resolveConfig({ admin: adminSettings, origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }] }))
  for (const each of [a, same, other]) await eventually(async () => (await differs(each)).length === 0)

  const elsewhere = await replica(t, redis, origin, { ...nameless(origin.url), redis: { ...overRedis(redis.url).redis as object, keyPrefix: 'shop' } })
  await eventually(async () => (await configuration(elsewhere)) !== undefined)
  t.same(await differs(elsewhere), [], "with a prefix of its own it is nobody's replica")
})

// Fails without `#warnOfLast`: no replica of the first is left to compare with.
t.test('a service that starts where another one has stopped says so, because its responses are still there', async t => {
  const redis = await redisFor(t)
  const [first, second] = [await service(t, 'first'), await service(t, 'second')]
  const a = await replica(t, redis, first)
  await eventually(async () => (await configuration(a)) !== undefined)
  await a.app.close()
  const again = await replica(t, redis, first, { routes: [{ match: {}, origin: 'api', cache: { ttl: { default: '1s' } } }] })
  await eventually(async () => (await configuration(again)) !== undefined)
  t.same(warnings(again), [], 'other routes have other keys')
  await again.app.close()
  const b = await replica(t, redis, second)
  await eventually(() => warnings(b).length > 0)
  t.match(warnings(b), [
    /^the last replica with this Redis and redis\.keyPrefix "sh" had other origins, and its responses may still be stored: .* give each its own redis\.keyPrefix, or purge everything$/,
  ])
})

// Fails without mayDiffer in app.ts: the replica that stores nothing would invalidate at no other replica.
t.test('while a change is deployed, an unsafe request through a replica whose route stores nothing invalidates the entries of others', async t => {
  const redis = await redisFor(t)
  const origin = await startOrigin(counting({ 'Cache-Control': 'max-age=600' }))
  t.teardown(() => origin.close())
  const before = await replica(t, redis, origin)
  const after = await replica(t, redis, origin, { routes: [{ match: {}, origin: 'api', cache: { mode: 'bypass' } }] })
  await eventually(async () => (await differs(after)).length === 1)
  await before.get('/page')
  t.equal(detail(await before.get('/page')), 'fresh')
  t.equal((await after.get('/page', {}, { method: 'POST' })).status, 200)
  t.equal(detail(await before.get('/page')), 'uri-miss')
})

t.test('registrations that are damaged, over or from the future are dropped, and Redis in trouble is no trouble', async t => {
  const redis = await redisFor(t)
  const raw = new Redis(redis.url)
  t.teardown(() => raw.disconnect())
  const key = 'sh:{log}:fingerprints'
  const value = (endsMs: number): string => `a,b ${Math.round(Date.now() + endsMs)}`
  await raw.hset(key, { junk: 'x', over: value(-1000), future: value(3_600_000), live: value(15_000) })
  const origin = await startOrigin(counting({ 'Cache-Control': 'max-age=600' }))
  t.teardown(() => origin.close())
  const house = await replica(t, redis, origin)
  await eventually(async () => (await raw.hkeys(key)).length === 2)
  t.ok((await raw.hkeys(key)).includes('live'))
  t.ok(await raw.pttl(key) > 0, 'it has a time to live')
  await eventually(async () => (await differs(house)).join() === 'routes+origins')
  await raw.set(key, 'a value of another kind')
  await house.app.reload(resolveConfig({ admin: adminSettings, origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api', retryOn: [503] }] }))
  await eventually(async () => (await raw.type(key)) === 'hash')
  t.equal(await raw.hlen(key), 1)
  await house.app.close()
  t.equal(await raw.exists(key), 0, 'a replica that stops takes its registration off')
})

t.test('the embedded store is not compared', async t => {
  const origin = await service(t, 'one')
  const house = await startProxy(t, { origin })
  t.equal((await json<{ configuration?: unknown }>(house.admin('/v1/stats'))).configuration, undefined)
})
