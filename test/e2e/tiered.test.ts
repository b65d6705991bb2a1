// Replicas with memory tiers over one real Redis: hits without Redis, and copies that never outlive their originals.
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from '../support/client.ts'
import { counting, detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from '../support/scripted-origin.ts'

t.setTimeout(360_000)
// Unless a test is about a deadline, none may be missed on a busy machine.
const patientMs = 20_000

type Replica = TestProxy<Clock>

interface Site {
  readonly redis: RedisServer
  readonly raw: Redis
  readonly origin: ScriptedOrigin
  readonly a: Replica
  readonly b: Replica
}

async function startRaw(t: Test): Promise<{ redis: RedisServer; raw: Redis }> {
  const redis = await startRedis()
  const raw = new Redis(redis.url, { retryStrategy: () => 50 })
  raw.on('error', () => {})
  t.teardown(async () => {
    raw.disconnect()
    await redis.stop()
  })
  return { redis, raw }
}

/** Two replicas before one origin, over one Redis, once both follow the purge log and store responses. */
async function startReplicas(t: Test, handler: OriginHandler, options: { config?: Record<string, unknown>; clock?: Clock; commandTimeoutMs?: number } = {}): Promise<Site> {
  const { redis, raw } = await startRaw(t)
  const origin = await startOrigin((request, response, recorded) => {
    if (request.url?.startsWith('/warm-up') === true) response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('warm')
    else return handler(request, response, recorded)
  })
  t.teardown(() => origin.close())
  const config = { ...options.config, redis: { url: redis.url, commandTimeoutMs: options.commandTimeoutMs ?? patientMs } }
  const start = (clock: Clock): Promise<Replica> => startProxy(t, { origin, host: 'api.example', clock, config })
  const [a, b] = [await start(options.clock ?? systemClock), await start(systemClock)]
  await eventually(async () => await raw.pubsub('NUMSUB', 'sh:0:replaced').then(([, count]) => count === 2))
  for (const [name, replica] of [['a', a], ['b', b]] as const) {
    // The tier empties once more when it has begun to listen.
    await eventually(async () => {
      await replica.get(`/warm-up/${name}`)
      return await tierOf(replica, `/warm-up/${name}`) === 'memory'
    })
    await replica.purge({ prefixes: ['/warm-up/'] })
    await replica.get(`/warm-up/${name}`, { 'Cache-Control': 'only-if-cached' })
  }
  origin.requests.length = 0
  return { redis, raw, origin, a, b }
}

async function json<T>(answer: Promise<Answer>): Promise<T> {
  return JSON.parse((await answer).body.toString()) as T
}

interface Explained {
  readonly decision: { readonly action: string; readonly reason: string }
  readonly variants: readonly { readonly tier: string }[]
}

function explain(replica: Replica, path: string): Promise<Explained> {
  return json<Explained>(replica.admin(`/v1/explain?url=${encodeURIComponent(`http://api.example${path}`)}`))
}

async function tierOf(replica: Replica, path: string): Promise<string | undefined> {
  return (await explain(replica, path)).variants[0]?.tier
}

/** Counts the reads of entries, or of their chunks, from Redis by all replicas. */
async function reads(raw: Redis): Promise<number> {
  const told = await raw.info('commandstats')
  return ['hvals', 'get', 'getrange'].reduce((sum, name) => sum + Number(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(told)?.[1] ?? 0), 0)
}

const forTenMinutes = { 'Cache-Control': 'max-age=600' }

t.test('a hit in memory sends Redis nothing', async t => {
  const { raw, origin, a, b } = await startReplicas(t, (_, response) => {
    response.writeHead(200, forTenMinutes).end(Buffer.alloc(100_000, 'x'))
  })
  t.equal(a.app.storeKind, 'tiered')
  await a.get('/a')
  t.same([await tierOf(a, '/a'), await tierOf(b, '/a')], ['memory', 'redis'])
  t.match((await explain(b, '/a')).decision, { action: 'serve', reason: 'fresh' })
  t.equal(detail(await b.get('/a')), 'fresh', 'the first one fetches it out of Redis')
  t.equal(await tierOf(b, '/a'), 'memory')
  const before = await reads(raw)
  for (let i = 0; i < 20; i++) t.equal(detail(await (i % 2 === 0 ? a : b).get('/a')), 'fresh')
  t.equal(await reads(raw), before)
  t.equal(origin.requests.length, 1)
  t.match(await json(b.admin('/v1/stats')), { store: { kind: 'tiered', entries: 1, maxBytes: 256 * 1_048_576, degraded: [] } })
  t.match((await b.admin('/metrics')).body.toString(), /^springhouse_store_max_bytes 268435456$/m)
})

t.test('memory.maxBytes 0 is Redis alone', async t => {
  const { redis, raw } = await startRaw(t)
  const house = await startProxy(t, { origin: counting(forTenMinutes), redis: redis.url, clock: systemClock as Clock, config: { cache: { memory: { maxBytes: 0 } } } })
  t.equal(house.app.storeKind, 'redis')
  await eventually(async () => detail(await house.get('/a')) === 'fresh')
  const before = await reads(raw)
  await house.get('/a')
  t.equal(await reads(raw), before + 1)
  t.match(await json(house.admin('/v1/stats')), { store: { kind: 'redis' } })
})

t.test('a response that a replica replaces is served by the others', async t => {
  const { origin, a, b } = await startReplicas(t, counting(forTenMinutes))
  await a.get('/a')
  for (let round = 2; round <= 5; round++) {
    t.equal(detail(await b.get('/a')), 'fresh')
    t.equal(await tierOf(b, '/a'), 'memory')
    t.equal((await a.get('/a', { 'Cache-Control': 'no-cache' })).body.toString(), `answer ${round}`)
    await eventually(async () => (await b.get('/a')).body.toString() === `answer ${round}`)
    t.equal((await a.get('/a')).body.toString(), `answer ${round}`)
  }
  t.equal(origin.requests.length, 5)
})

t.test('a purge at one replica reaches the copies of all, and their memory comes back', async t => {
  const { a, b } = await startReplicas(t, counting({ ...forTenMinutes, 'Cache-Tag': 'things' }))
  const entries = async (replica: Replica): Promise<number> => (await json<{ store: { entries: number } }>(replica.admin('/v1/stats'))).store.entries
  for (const [round, purge] of [{ tags: ['things'] }, { urls: ['/a'] }, { prefixes: ['/'] }, { all: true }].entries()) {
    await a.get('/a')
    await b.get('/a')
    t.equal(await tierOf(b, '/a'), 'memory')
    t.match(await json(a.purge(purge)), { replicas: { live: 2, acknowledged: 2 } })
    const after = await b.get('/a', { 'Cache-Control': 'only-if-cached' })
    t.equal(after.status, 504)
    t.equal(await entries(b), 0, JSON.stringify(purge))
    t.equal((await b.get('/a')).body.toString(), `answer ${round + 2}`)
    t.equal((await a.get('/a')).body.toString(), `answer ${round + 2}`)
  }
  await a.purge({ tags: ['things'], soft: true })
  t.equal((await explain(b, '/a')).decision.reason, 'soft-purged')
  t.equal((await b.get('/a')).body.toString(), 'answer 6')
})

t.test('a variant that another replica has stored is found, beside those in memory', async t => {
  const { origin, a, b } = await startReplicas(t, (request, response) => {
    response.writeHead(200, { ...forTenMinutes, Vary: 'Accept-Language' }).end(request.headers['accept-language'])
  })
  await a.get('/a', { 'Accept-Language': 'de' })
  await b.get('/a', { 'Accept-Language': 'fr' })
  for (const replica of [a, b, a, b]) {
    for (const language of ['de', 'fr']) {
      const answer = await replica.get('/a', { 'Accept-Language': language })
      t.equal(detail(answer), 'fresh')
      t.equal(answer.body.toString(), language)
    }
  }
  t.equal(origin.requests.length, 2)
})

t.test('a response that a 304 freshens at one replica is fresh for replicas that have a stale copy', async t => {
  let lifetime = 0
  const { origin, a, b } = await startReplicas(t, (request, response) => {
    const fields = { ETag: '"v"', 'Cache-Control': `max-age=${lifetime}` }
    if (request.headers['if-none-match'] === '"v"') response.writeHead(304, fields).end()
    else response.writeHead(200, fields).end('one')
  })
  await a.get('/a')
  t.equal(detail(await b.get('/a')), 'stale')
  t.equal(detail(await a.get('/a')), 'stale')
  lifetime = 600
  t.equal((await a.get('/a')).header('cache-status'), 'springhouse; fwd=stale; fwd-status=304; stored; detail=stale')
  const asked = origin.requests.length
  for (const replica of [b, a, b]) {
    const hit = await replica.get('/a')
    t.equal(detail(hit), 'fresh')
    t.equal(hit.body.toString(), 'one')
  }
  t.equal(origin.requests.length, asked)
  t.same([await tierOf(a, '/a'), await tierOf(b, '/a')], ['memory', 'memory'])
})

t.test('a body too long for memory is served out of Redis', async t => {
  const body = randomBytes(300_000)
  const { origin, a, b } = await startReplicas(t, (_, response) => {
    response.writeHead(200, forTenMinutes).end(body)
  }, { config: { cache: { memory: { maxEntryBytes: '100KiB' } } } })
  await a.get('/a')
  for (const replica of [a, b, b]) {
    const hit = await replica.get('/a')
    t.equal(detail(hit), 'fresh')
    t.equal(hit.body.equals(body), true)
    t.equal(await tierOf(replica, '/a'), 'redis')
  }
  t.equal(origin.requests.length, 1)
})

/** A clock of the test's own over the real one: added time has passed for one replica alone. */
function shiftedClock(): Clock & { add(ms: number): void } {
  let added = 0
  return { now: () => systemClock.now(), monotonic: () => systemClock.monotonic() + added, add: ms => {
    added += ms
  } }
}

t.test('while Redis hangs, hits come out of memory, for as long as the lag allows and no longer', async t => {
  const clock = shiftedClock()
  const { redis, origin, a } = await startReplicas(t, counting(forTenMinutes), { clock, commandTimeoutMs: 100, config: { coherence: { maxLagMs: 60_000 } } })
  for (const path of ['/a', '/b']) await a.get(path)
  redis.kill('SIGSTOP')
  for (let i = 0; i < 100; i++) t.equal(detail(await a.get(i % 2 === 0 ? '/a' : '/b')), 'fresh')
  t.equal(origin.requests.length, 2)
  // A response outside the local tier is fetched, and kept in memory.
  t.equal((await a.get('/c')).body.toString(), 'answer 3')
  t.equal(detail(await a.get('/c')), 'fresh')
  t.equal((await a.purge({ all: true })).status, 503)
  clock.add(60_001)
  t.equal((await a.get('/a')).body.toString(), 'answer 4', 'a purge may have been missed by now')
  t.match((await a.get('/a')).header('cache-status'), /detail=store-refused$/)
  redis.kill('SIGCONT')
  await eventually(async () => detail(await a.get('/a')) === 'fresh')
  await eventually(async () => (await json<{ degraded: string[] }>(a.admin('/readyz'))).degraded.length === 0)
  t.equal((await a.purge({ all: true })).status, 200)
  t.not(detail(await a.get('/a')), 'fresh')
})

t.test('a purge log that is lost takes every copy with it', async t => {
  const { raw, origin, a, b } = await startReplicas(t, counting(forTenMinutes))
  await a.get('/a')
  await b.get('/a')
  t.equal(await raw.del('sh:{log}'), 1)
  for (const replica of [a, b]) await eventually(async () => (await json<{ store: { entries: number } }>(replica.admin('/v1/stats'))).store.entries === 0)
  t.equal((await b.get('/a')).body.toString(), 'answer 2')
  t.equal(origin.requests.length, 2)
})

t.test('every key in Redis has a time to live, but the purge log', async t => {
  let version = 0
  const { raw, a, b } = await startReplicas(t, (request, response) => {
    const [, kind = ''] = request.url?.split('/') ?? []
    if (kind === 'renewed' && request.headers['if-none-match'] !== undefined) return response.writeHead(304, { ETag: '"v"', 'Cache-Control': 'max-age=0' }).end()
    if (kind === 'cut') {
      response.writeHead(200, { ...forTenMinutes, 'Content-Length': '900000' }).write(randomBytes(700_000), () => response.destroy())
      return undefined
    }
    response.writeHead(200, { 'Cache-Control': `max-age=${kind === 'renewed' ? 0 : 600}`, ETag: '"v"', 'Cache-Tag': 'things', Vary: 'Accept-Language' })
    return response.end(kind === 'large' ? randomBytes(600_000) : `version ${++version}`)
  })
  const kinds = ['small', 'large', 'renewed', 'cut']
  const client = async (seed: number): Promise<void> => {
    for (let i = 0; i < 30; i++) {
      const at = seed * 31 + i * 7
      const replica = at % 2 === 0 ? a : b
      const path = `/${kinds[at % kinds.length]}/${at % 6}`
      await replica.get(path, { 'Accept-Language': `l${at % 40}`, ...(at % 5 === 0 && { 'Cache-Control': 'no-cache' }) })
      if (i % 10 === 9) await replica.purge(seed % 2 === 0 ? { tags: ['things'], soft: true } : { urls: [path] })
      if (i % 15 === 14) await replica.get(path, {}, { method: 'POST', body: 'x' })
    }
  }
  await Promise.all([1, 2, 3, 4].map(client))
  const kept = new Map<string, number>()
  let cursor = '0'
  do {
    const [next, names] = await raw.scan(cursor, 'COUNT', 100)
    for (const name of names) kept.set(name, await raw.pttl(name))
    cursor = next
  } while (cursor !== '0')
  t.ok(kept.size > 20, `${kept.size} keys`)
  t.ok([...kept.keys()].some(name => name.includes(':b:')), 'chunks among them')
  // `sh:{log}:unsafe` is the part of the log for unsafe requests.
  t.same([...kept].filter(([, ttl]) => ttl === -1).map(([name]) => name).sort(), ['sh:{log}', 'sh:{log}:unsafe'])
})
