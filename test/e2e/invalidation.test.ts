// Unsafe requests (RFC 9111 §4.4) invalidate their targets at every replica, whatever Redis does, and nothing else.
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { ask } from '../support/client.ts'
import { adminSettings, detail, overRedis, startProxy, token } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

t.setTimeout(240_000)

const cached = { 'Cache-Control': 'max-age=3600' }
/** Counts its responses to GET; redirects every POST, and names a group where the target says so. */
function redirecting(): OriginHandler {
  let count = 0
  return (request, response) => {
    if (request.method === 'GET') return response.writeHead(200, { ...cached, 'Cache-Groups': '"lists"' }).end(`response ${++count}`)
    request.resume()
    response.writeHead(302, { Location: '/', ...(request.url?.includes('group') === true && { 'Cache-Group-Invalidation': '"lists"' }) }).end()
  }
}

/** So many POSTs, eight at a time. */
async function posts(port: number, count: number, target: (i: number) => string): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next < count) {
      const { status } = await ask(port, { method: 'POST', path: target(next++), body: 'x' })
      if (status !== 302) throw new Error(`POST was answered ${status}`)
    }
  }))
}

const long = (i: number): string => `/any?${i}${'x'.repeat(7_900)}`

// The guard: implicit purges raise no floor (store/purge/table.ts, invalidate).
t.test('more POSTs to long URLs by one client than the log may hold: other entries are still there, and those of the POSTs are not', async t => {
  const house = await startProxy(t, { origin: redirecting(), config: { coherence: { maxLogBytes: '1MiB', maxLogRecords: 300 } } })
  for (const path of ['/kept', long(1), '/things/7']) t.equal(detail(await house.get(path)), 'uri-miss')
  await posts(house.port, 1_000, i => i % 100 === 0 ? `/things/${i / 100}` : long(i))
  t.equal(detail(await house.get('/kept')), 'fresh')
  t.equal(detail(await house.get(long(1))), 'uri-miss')
  t.equal(detail(await house.get('/things/7')), 'uri-miss')
  t.equal(JSON.parse((await house.admin('/v1/purges')).body.toString()).purges.length, 0)
})

t.test('a group that the origin names goes, however many POSTs there were', async t => {
  const house = await startProxy(t, { origin: redirecting() })
  await house.get('/kept')
  await posts(house.port, 1, () => '/x?group')
  t.equal(detail(await house.get('/kept')), 'uri-miss')
  t.equal(detail(await house.get('/kept')), 'fresh')
})

t.test('the same over Redis, for two replicas', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const options = { clock: systemClock, redis: redis.url, host: 'a.example',
    config: { ...overRedis(redis.url), coherence: { maxLagMs: 10_000, purgeWaitMs: 20_000, maxLogBytes: '64KiB', maxLogRecords: 100 } } }
  const one = await startProxy(t, { ...options, origin: redirecting() })
  const two = await startProxy(t, { ...options, origin: one.origin })
  for (const path of ['/kept', long(1)]) await one.get(path)
  await posts(one.port, 300, i => `/other?${i}`)
  // With the Host under which it was stored.
  await ask(one.port, { method: 'POST', path: long(1), headers: ['Host', 'a.example'], body: 'x' })
  for (const house of [one, two]) t.equal(detail(await house.get('/kept')), 'fresh')
  t.equal(detail(await two.get(long(1))), 'uri-miss')
})

// The guard: invalidationBy leaves out URLs whose route stores nothing (exchange/pass/invalidate.ts).
t.test('a URL whose route stores nothing is not recorded; after a reload it is', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const routes = (mode: 'cache' | 'bypass'): object[] => [{ match: { path: '/api' }, origin: 'api', cache: { mode } }, { match: {}, origin: 'api' }]
  let location: string | undefined
  const house = await startProxy(t, {
    clock: systemClock,
    redis: redis.url,
    config: { ...overRedis(redis.url), routes: routes('bypass') },
    origin: (request, response) => {
      request.resume()
      response.writeHead(201, { ...(location !== undefined && { Location: location }) }).end()
    },
  })
  const applied = async (): Promise<string> => JSON.parse((await house.admin('/v1/stats')).body.toString()).purgeLog.applied
  const before = await applied()
  const put = async (): Promise<void> => void await ask(house.port, { method: 'PUT', path: '/api/x', body: 'x' })
  await put()
  t.equal(await applied(), before)
  location = '/stored'
  await put()
  const after = await applied()
  t.ok(after > before, 'the URL that its response names may be another route’s')
  location = undefined
  // The route stores for a while, and then no longer: responses stored meanwhile must still be invalidated.
  const reload = (mode: 'cache' | 'bypass'): Promise<readonly string[]> =>
    house.app.reload(resolveConfig({
      proxy: { host: '127.0.0.1', port: 0 },
      admin: adminSettings,
      origins: { api: { servers: [house.origin.url] } },
      redis: { url: redis.url },
      routes: routes(mode),
    }))
  await reload('cache')
  await reload('bypass')
  await put()
  t.ok(await applied() > after)
})

const readyz = async (port: number): Promise<string[]> => JSON.parse((await ask(port, { path: '/readyz' })).body.toString()).degraded

// The guard: an invalidation that could not be recorded is kept (store/redis/purge-log/unrecorded.ts).
t.test('a POST while Redis hangs invalidates at this replica at once, and at the other when Redis is well', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const config = { redis: { url: redis.url, commandTimeoutMs: 1_000 }, coherence: { maxLagMs: 60_000, purgeWaitMs: 500 } }
  const options = { clock: systemClock, redis: redis.url, host: 'a.example', config }
  let version = 1
  const one = await startProxy(t, {
    ...options,
    origin: (request, response) => {
      if (request.method === 'POST') version++
      request.resume()
      response.writeHead(200, request.method === 'GET' ? cached : {}).end(`version ${version}`)
    },
  })
  const two = await startProxy(t, { ...options, origin: one.origin })
  await eventually(async () => {
    await one.get('/x')
    return detail(await two.get('/x')) === 'fresh'
  })
  redis.kill('SIGSTOP')
  const posted = await ask(one.port, { method: 'POST', path: '/x', headers: ['Host', 'a.example'], body: 'new' })
  t.equal(posted.status, 200)
  const adminPort = Number(new URL(one.app.adminUrl).port)
  t.ok((await readyz(adminPort)).includes('invalidations'))
  const { body } = await ask(adminPort, { path: '/metrics', headers: ['Authorization', `Bearer ${token}`] })
  t.match(body.toString(), /^springhouse_invalidations_deferred_total 1$/m)
  t.match(body.toString(), /^springhouse_invalidations_pending 1$/m)
  t.equal((await one.get('/x')).body.toString(), 'version 2')
  redis.kill('SIGCONT')
  await eventually(async () => (await two.get('/x')).body.toString() === 'version 2')
  await eventually(async () => (await readyz(adminPort)).length === 0)
  t.equal((await one.get('/x')).body.toString(), 'version 2')
})
