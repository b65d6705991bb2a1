// Rules that decide which requests share a response. When such a rule changes, nothing stored under the former rules is served.
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { startHeldOrigin, type HeldOrigin } from '../support/held-origin.ts'
import { adminSettings, detail, overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'

t.setTimeout(240_000)

type Setting = Readonly<Record<string, unknown>>

const strict: Setting = { cache: { cookies: 'private' } }
/** Each beside the setting that it loosens. */
const looser: Readonly<Record<string, Setting>> = {
  'cookies: ignore': { cache: { cookies: 'ignore' } },
  'key.cookies': { key: { cookies: ['lang'] } },
  'setCookie: store': { cache: { setCookie: 'store' } },
  'key.query.ignore': { key: { query: { ignore: ['user'] } } },
  'key.query.sort': { key: { query: { sort: true } } },
}
/** Pairs of settings of which the second is the stricter one. */
const pairs: readonly (readonly [name: string, before: Setting, after: Setting])[] = [
  ...Object.entries(looser).map(([name, before]) => [name, before, strict] as const),
  ['key.headers', strict, { key: { headers: ['x-tenant'] } }],
  ['requestHeaders', strict, { requestHeaders: 'strict' }],
  ['requestHeaders.allow', { requestHeaders: { allow: ['x-a'] } }, { requestHeaders: { allow: ['x-b'] } }],
  ['key.cookies: more', { key: { cookies: ['lang'] } }, { key: { cookies: ['lang', 'theme'] } }],
]

const stores = ['memory', 'redis', 'tiered'] as const

async function start(t: Test, store: typeof stores[number], origin: ScriptedOrigin, route: Setting, more: Setting = {}, redis?: string): Promise<TestProxy<Clock>> {
  const over = store === 'memory' ? {} : overRedis(redis ?? '')
  const house = await startProxy<Clock>(t, {
    origin,
    clock: systemClock,
    host: 'api.example',
    config: { ...over, ...(store === 'redis' && { cache: { memory: { maxBytes: 0 } } }), routes: [{ match: {}, origin: 'api', ...route }], ...more },
  })
  return house
}

function reload(house: TestProxy<Clock>, origin: ScriptedOrigin, route: Setting): Promise<readonly string[]> {
  return house.app.reload(resolveConfig({ admin: adminSettings, origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api', ...route }] }))
}

async function page(t: Test): Promise<ScriptedOrigin> {
  const origin = await startOrigin((request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600', ETag: '"one"', ...(request.url?.startsWith('/sets') === true && { 'Set-Cookie': 'id=1' }) })
    response.end(`page of ${request.headers.cookie ?? 'nobody'}`)
  })
  t.teardown(() => origin.close())
  return origin
}

// Fails without the digest in the route's part of the key (exchange/routing/sharing.ts).
for (const store of stores) {
  void t.test(`${store}: after a reload that makes a route stricter it serves nothing that was stored before`, async t => {
    const redis = store === 'memory' ? undefined : await startRedis()
    t.teardown(() => redis?.stop())
    const origin = await page(t)
    for (const [name, before, after] of pairs) {
      const house = await start(t, store, origin, before, {
        redis: redis && { ...overRedis(redis.url).redis as object, keyPrefix: `p${pairs.findIndex(([other]) => other === name)}` },
      }, redis?.url)
      const victim = await house.get('/a', before === looser['cookies: ignore'] ? { Cookie: 'victim' } : {})
      t.equal(victim.status, 200)
      t.equal(detail(await house.get('/a')), 'fresh', `${name}: it was shared`)
      await reload(house, origin, after)
      const stranger = await house.get('/a')
      t.equal(detail(stranger), 'uri-miss', name)
      t.equal(String(stranger.body), 'page of nobody', name)
      t.equal(detail(await house.get('/a')), 'fresh', 'and what is stored from then on is shared')
    }
  })
}

t.test('a change of rules that does not affect sharing leaves stored responses in place', async t => {
  const origin = await page(t)
  const house = await start(t, 'memory', origin, { cache: { cookies: 'ignore' } })
  await house.get('/a')
  await reload(house, origin, { cache: { cookies: 'ignore', ttl: { default: '5s', max: '1h', heuristic: 'off', status: { 404: '1s' } }, staleIfError: '1m' }, retryOn: [503] })
  t.equal(detail(await house.get('/a')), 'fresh')
  await reload(house, origin, { cache: { cookies: 'ignore', mode: 'bypass' } })
  t.equal(detail(await house.get('/a')), 'route-uncached')
})

t.test('purges and explain find the entries of a route under its new rules, and purges those under the old ones', async t => {
  const origin = await page(t)
  const house = await start(t, 'memory', origin, { cache: { cookies: 'ignore' } })
  await house.get('/a')
  await reload(house, origin, strict)
  await house.get('/a')
  const explained = async (): Promise<unknown> =>
    (JSON.parse(String((await house.admin('/v1/explain?url=http://api.example/a')).body)) as { decision: { reason: unknown } }).decision.reason
  t.equal(await explained(), 'fresh')
  await house.purge({ urls: ['http://api.example/a'] })
  t.equal(await explained(), 'uri-miss')
  await reload(house, origin, { cache: { cookies: 'ignore' } })
  t.equal(await explained(), 'uri-miss')
})

for (const store of ['redis', 'tiered'] as const) {
  void t.test(`${store}: two replicas whose rules differ share nothing over one Redis, and two that agree do`, async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const origin = await page(t)
    const trusting = { proxy: { host: '127.0.0.1', port: 0, trustProxy: true } }
    const lax = await start(t, store, origin, { cache: { cookies: 'ignore' } }, {}, redis.url)
    const again = await start(t, store, origin, { cache: { cookies: 'ignore', ttl: { max: '2h' } } }, {}, redis.url)
    const careful = await start(t, store, origin, strict, {}, redis.url)
    const believing = await start(t, store, origin, { cache: { cookies: 'ignore' } }, trusting, redis.url)
    await lax.get('/a', { Cookie: 'victim' })
    t.equal(detail(await again.get('/a')), 'fresh')
    t.equal(String((await careful.get('/a')).body), 'page of nobody')
    t.equal(detail(await believing.get('/a')), 'uri-miss', 'the trusted proxies decide what reaches the origin')
    await careful.purge({ urls: ['/a'] })
    for (const replica of [lax, again, careful, believing])
      t.equal(detail(await replica.get('/a', { 'Cache-Control': 'only-if-cached' })), 'only-if-cached', 'a purge on one reaches all')
  })
}

const fresh = { 'Cache-Control': 'max-age=600' }

/** Proves how a reload treats requests in flight. */
function whileReloading(sentence: string, prove: (t: Test, house: TestProxy<Clock>, held: HeldOrigin, cache: Setting) => Promise<void>): void {
  for (const store of stores) {
    void t.test(`${store}: ${sentence}`, async t => {
      const redis = store === 'memory' ? undefined : await startRedis()
      t.teardown(() => redis?.stop())
      const held = await startHeldOrigin(t)
      await prove(t, await start(t, store, held.origin, { cache: { cookies: 'ignore' } }, {}, redis?.url), held, {})
    })
  }
}

whileReloading('a fetch that began before the reload serves no request that comes after it', async (t, house, held) => {
  const victim = house.get('/a', { Cookie: 'victim' })
  const first = await held.nth('/a', 1)
  await reload(house, held.origin, strict)
  // It does not follow that fetch: it would wait for ever.
  const stranger = house.get('/a')
  const second = await held.nth('/a', 2)
  first.answer(200, fresh, 'page of victim')
  second.answer(200, fresh, 'page of nobody')
  t.equal(String((await victim).body), 'page of victim')
  t.equal(String((await stranger).body), 'page of nobody')
  t.equal(String((await house.get('/a')).body), 'page of nobody', 'and what it brought is found by nobody')
})

whileReloading('a background refresh that began before the reload brings nothing for requests after it', async (t, house, held) => {
  const filled = house.get('/a', { Cookie: 'victim' })
  ;(await held.nth('/a', 1)).answer(200, { 'Cache-Control': 'max-age=600, stale-while-revalidate=600' }, 'page of victim')
  await filled
  await house.purge({ urls: ['/a'], soft: true })
  t.equal(detail(await house.get('/a', { Cookie: 'victim' })), 'stale-while-revalidate')
  const refresh = await held.nth('/a', 2)
  await reload(house, held.origin, strict)
  refresh.answer(200, fresh, 'page of victim, again')
  const stranger = house.get('/a')
  ;(await held.nth('/a', 3)).answer(200, fresh, 'page of nobody')
  t.equal(String((await stranger).body), 'page of nobody')
})
