// Several processes over one Redis: their numbers as one, replicas that fall silent, damaged values, and a Redis out of reach.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { Fleet } from '../../src/observe/fleet.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { mergedLatency } from '../../src/observe/latency.ts'
import { Observation } from '../../src/observe/observation.ts'
import { OwnReport } from '../../src/observe/own-report.ts'
import { seriesOf } from '../../src/observe/history.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import type { FleetReport } from '../../src/observe/fleet-report.ts'
import { exchangeFor } from '../support/exchange.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'

type Json = Record<string, unknown>

async function read<T = Json>(house: TestProxy<never>, path: string): Promise<T> {
  return JSON.parse((await house.admin(path)).body.toString()) as T
}

/** The time of the system, which the test may move on: what is read from Redis is kept for a moment. */
const clock = {
  passedMs: 0,
  now: () => systemClock.now() + clock.passedMs,
  monotonic: () => systemClock.monotonic() + clock.passedMs,
  advance(ms: number): void {
    clock.passedMs += ms
  },
}

interface Scene {
  readonly redis: Awaited<ReturnType<typeof startRedis>>
  readonly raw: Redis
  readonly houses: readonly TestProxy<never>[]
}

async function scene(test: Test, count: number): Promise<Scene> {
  const redis = await startRedis()
  const origin = await startOrigin((_request, response) => void response.writeHead(200, { 'cache-control': 'max-age=60' }).end('x'.repeat(100)))
  const raw = new Redis(redis.url)
  raw.on('error', () => {})
  test.teardown(async () => {
    raw.disconnect()
    await origin.close()
    await redis.stop()
  })
  const houses = await Promise.all(
    Array.from({ length: count }, () => startProxy(test, { origin, clock, host: 'api.example', config: { ...overRedis(redis.url), observe: { reportMs: 1_000 } } })),
  )
  return { redis, raw, houses: houses as object as readonly TestProxy<never>[] }
}

t.test('stats, history, routes and top of the fleet are the sums of its replicas, at each replica', async test => {
  const { houses: [one, two], raw } = await scene(test, 2)
  if (one === undefined || two === undefined) throw new Error('a replica is missing')
  for (let i = 0; i < 3; i++) await one.get('/a')
  await two.get('/a')
  await two.get('/b')
  for (const house of [one, two]) {
    await eventually(async () => (await read<{ requests: number }>(house, '/v1/stats?scope=fleet')).requests === 5)
    const stats = await read<{ bytes: Json; latencyMs: { hit: { count: number } } }>(house, '/v1/stats?scope=fleet')
    test.match(stats, { scope: 'fleet', replicas: { live: 2, reporting: 2 }, outcomes: { hit: 3, miss: 2 }, hitRatio: 3 / 5,
      bytes: { toClients: 500, fromOrigins: 200, saved: 300 } })
    test.equal(stats.latencyMs.hit.count, 3)
    const { routes: [route] } = await read<{ routes: Json[] }>(house, '/v1/routes?scope=fleet')
    test.match(route, { route: 'api@*/', requests: 5, outcomes: { hit: 3, miss: 2 } })
    const top = await read<{ items: Json[] }>(house, '/v1/top?scope=fleet')
    test.match(top, { scope: 'fleet', items: [{ name: 'api.example/a', value: 4, error: 0, hitRatio: 3 / 4 }, { name: 'api.example/b', value: 1 }] })
    const { scope, series } = await read<{ scope: string; series: { hit: (number | null)[] } }>(house, '/v1/history?window=5m&scope=fleet')
    test.equal(scope, 'fleet')
    test.equal(series.hit.reduce<number>((sum, hits) => sum + (hits ?? 0), 0), 3)
  }
  const own = await read<{ scope: string; requests: number }>(one, '/v1/stats')
  test.match(own, { scope: 'replica', requests: 3 })
  const { replicas } = await read<{ replicas: Json[] }>(one, '/v1/replicas')
  test.equal(replicas.length, 2)
  for (const replica of replicas) test.match(replica, { pid: process.pid, state: 'ok', applied: String, lagMs: Number, memoryBytes: Number, seenMs: Number })
  const keys = await raw.keys('sh:{fleet}*')
  for (const key of keys) test.ok(await raw.pttl(key) > 0, `${key} has an end`)
  // A stop adds the current step to the shared ones, so the history survives it.
  await two.app.close()
  await eventually(async () => (await read<{ replicas: Json }>(one, '/v1/stats?scope=fleet')).replicas['reporting'] === 1)
  const { series } = await read<{ series: Record<string, (number | null)[]> }>(one, '/v1/history?window=5m&scope=fleet')
  test.equal(['hit', 'miss'].reduce((sum, name) => sum + (series[name] ?? []).reduce<number>((total, count) => total + (count ?? 0), 0), 0), 5)
})

/** A process that has counted requests of one duration, and its part of the fleet. */
async function counting(test: Test, redis: string, replica: string, ms: number, count: number): Promise<Fleet> {
  const connections = connectRedis({ url: redis, commandTimeoutMs: 10_000, clock, logger: memoryLog() })
  await connections.ready()
  const fleet = new Fleet({ redis: connections, messages: { listen: () => undefined, send: async () => undefined }, prefix: 'sh', replica, clock, reportMs: 1_000,
    historyMs: 3_600_000 })
  const observation = new Observation({ clock, historyMs: 3_600_000, top: { clock, sampleOneIn: 64, places: 16, mask: target => target },
    closed: (step, row) => fleet.closed(step, row) })
  const exchange = Object.assign(exchangeFor({ method: 'GET', url: '/', rawHeaders: [] }), { outcome: 'miss' })
  for (let i = 0; i < count; i++) observation.numbers.all.count(exchange, ms)
  const counters = new Counters()
  const store = createMemoryStore({ maxBytes: 1 << 20, maxEntryBytes: 1 << 16, maxVariants: 8, clock })
  const purgeLog = createLocalPurgeLog({ clock })
  const own = new OwnReport({ clock, counters, store, purgeLog, observation, version: '1', maxLagMs: 3_000, ready: () => true, degraded: () => [] })
  fleet.start({ report: () => own.report(), reply: () => undefined })
  test.teardown(async () => {
    observation.close()
    await fleet.close()
    connections.close()
  })
  return fleet
}

// The guard: mergedLatency adds counts. An average of the percentiles of both processes would be 50.5, and their largest 100.
t.test('the percentiles of the fleet are those of all requests: 900 of 1 ms in one process, 100 of 100 ms in another', async test => {
  const redis = await startRedis()
  test.teardown(() => redis.stop())
  const [fast] = await Promise.all([counting(test, redis.url, 'fast', 1, 900), counting(test, redis.url, 'slow', 100, 100)])
  const reports = async (): Promise<FleetReport[]> => (await fast.members()).map(({ report }) => report).filter(report => report !== undefined)
  await eventually(async () => {
    clock.advance(1_000)
    return (await reports()).length === 2
  })
  const merged = mergedLatency((await reports()).map(({ traffic }) => traffic?.latency.miss))
  test.same(merged.summary(), { count: 1_000, p50: 1, p90: 1, p99: 100, max: 100 })
  const { series } = seriesOf(await fast.steps(300_000), 300_000, clock.now())
  test.equal(series.miss.reduce<number>((sum, count) => sum + (count ?? 0), 0), 1_000)
  test.equal(Math.max(...series.p99.map(p99 => p99 ?? 0)), 100)
})

t.test('damaged values in Redis are skipped, and a replica whose report cannot be read is shown as silent', async test => {
  const { houses: [one, two], raw } = await scene(test, 2)
  if (one === undefined || two === undefined) throw new Error('a replica is missing')
  await one.get('/a')
  await two.get('/a')
  const names = async (): Promise<string[]> => (await raw.keys('sh:{fleet}:report:*'))
  await eventually(async () => (await names()).length === 2)
  const ids = Object.keys(await raw.hgetall('sh:{fleet}:members'))
  test.equal(ids.length, 2)
  const ghost = 'ghost-1-00000000'
  await raw.hset('sh:{fleet}:members', ghost, clock.now())
  await raw.hset('sh:{fleet}:members', 'long-gone', 5, 'bad\u001b[2Jname', clock.now(), 'odd', 'x')
  const step = Math.floor(clock.now() / 10_000)
  for (const [i, value] of ['x', Buffer.alloc(4_000, 1), Buffer.alloc(1_000, 255), Buffer.alloc(0)].entries())
    await raw.set(`sh:{fleet}:step:1:${step - 3 - i}`, value, 'PX', 60_000)
  await raw.hset(`sh:{fleet}:step:1:${step - 10}`, 'a', 'hash')
  for (const damaged of ['', '{', 'null', '[]', '{"v":1}', `{"v":1,"atMs":1,"process":{},"counters":{},"store":{}}`, 'x'.repeat(100_000)]) {
    await raw.set(`sh:{fleet}:report:${ghost}`, damaged, 'PX', 60_000)
    const { replicas } = await read<{ replicas: { id: string; state: string; host: string | null }[] }>(one, '/v1/replicas')
    test.same(replicas.map(({ id }) => id).toSorted(), [...ids, ghost].toSorted(), 'a name that steers terminals, and one of long ago, are left out')
    test.match(replicas.find(({ id }) => id === ghost), { state: 'silent', host: null })
    clock.advance(1_000)
  }
  for (const path of ['/v1/stats?scope=fleet', '/v1/history?window=1h&scope=fleet', '/v1/routes?scope=fleet', '/v1/top?scope=fleet']) {
    const answer = await one.admin(path)
    test.equal(answer.status, 200, path)
    test.match(answer.body.toString(), /"scope":"fleet"/, path)
  }
  const { series } = await read<{ series: { hit: (number | null)[] } }>(one, '/v1/history?window=1h&scope=fleet')
  test.ok(series.hit.every(hits => hits === null || (hits >= 0 && hits <= 2)), 'a damaged step is unknown')
})

t.test('while Redis is out of reach the numbers are those of the replica, which says so', async test => {
  const { houses: [one], redis } = await scene(test, 1)
  if (one === undefined) throw new Error('a replica is missing')
  await one.get('/a')
  await redis.stop()
  for (const path of ['/v1/stats', '/v1/history', '/v1/routes', '/v1/top']) {
    await eventually(async () => (await read<{ scope: string }>(one, `${path}?scope=fleet`)).scope === 'replica')
  }
  test.match(await read(one, '/v1/stats?scope=fleet'), { scope: 'replica', requests: 1, store: { degraded: ['redis'] } })
  const { replicas } = await read<{ replicas: Json[] }>(one, '/v1/replicas')
  test.equal(replicas.length, 1)
})

t.test('without Redis the fleet is this replica', async test => {
  const house = await startProxy(test, { origin: (_request, response) => void response.end() })
  for (const path of ['/v1/stats', '/v1/history', '/v1/routes', '/v1/top'])
    test.equal(JSON.parse((await house.admin(`${path}?scope=fleet`)).body.toString()).scope, 'replica', path)
  const { replicas } = JSON.parse((await house.admin('/v1/replicas')).body.toString()) as { replicas: Json[] }
  test.match(replicas, [{ id: 'local', state: 'ok', pid: process.pid, lagMs: 0 }])
})
