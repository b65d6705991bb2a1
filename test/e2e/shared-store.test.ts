// Several replicas over one real Redis, with a memory tier each and without. They are one cache, all follow purges, and trouble
// costs hits, not responses.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from '../support/client.ts'
import { counting, detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from '../support/scripted-origin.ts'

// Everything here is proved twice.
t.setTimeout(360_000)

type Replica = TestProxy<Clock>

interface Site {
  readonly redis: RedisServer
  readonly origin: ScriptedOrigin
  readonly a: Replica
  readonly b: Replica
}

type StartReplicas = (t: Test, handler: OriginHandler, redis?: RedisServer) => Promise<Site>
/** Empties the site that the tests of one kind share, and gives its origin a handler. */
type SharedReplicas = (handler: OriginHandler) => Promise<Site>

/** Two replicas before one origin, over one Redis, once both follow the purge log. */
async function siteOver(config: Record<string, unknown>, t: Test, handler: OriginHandler, given?: RedisServer): Promise<Site> {
  const redis = given ?? await startRedis()
  t.teardown(() => redis.stop())
  const origin = await startOrigin(handler)
  t.teardown(() => origin.close())
  const [a, b] = [await startReplica(t, redis, origin, config), await startReplica(t, redis, origin, config)]
  return { redis, origin, a, b }
}

async function startReplica(t: Test, redis: RedisServer, origin: ScriptedOrigin, config: Record<string, unknown> = {}): Promise<Replica> {
  // All replicas share one host name, as behind a load balancer. A busy machine must not be taken for a lost Redis.
  const patient = { redis: { url: redis.url, commandTimeoutMs: 400 }, ...config }
  const replica = await startProxy(t, { origin, host: 'api.example', clock: systemClock, config: patient })
  if (redis.pid !== undefined) await eventually(() => follows(replica))
  return replica
}

/** Tests that do no harm to their Redis share a site. Each test begins with an empty cache, and with an origin without requests. */
function sharedSite(config: Record<string, unknown>): SharedReplicas {
  let made: Promise<Site> | undefined
  let handle: OriginHandler = () => undefined
  return async handler => {
    handle = handler
    const site = await (made ??= siteOver(config, t, (...given) => handle(...given)))
    const { status } = await site.a.purge({ all: true })
    if (status !== 200) throw new Error(`the cache is not empty: ${status}`)
    site.origin.requests.length = 0
    return site
  }
}

const kinds = ([['redis', { cache: { memory: { maxBytes: 0 } } }], ['tiered', {}]] as const).map(([kind, config]) => ({ kind, config, shared: sharedSite(config) }))

/** The same must hold whether or not each replica has copies of its own. */
function overBoth(sentence: string, prove: (t: Test, startReplicas: SharedReplicas) => Promise<void>): void {
  for (const { kind, shared } of kinds) void t.test(`${kind}: ${sentence}`, t => prove(t, shared))
}

/** The same, with a Redis for each test: it is harmed. */
function overBothAlone(sentence: string, prove: (t: Test, startReplicas: StartReplicas) => Promise<void>): void {
  for (const { kind, config } of kinds) void t.test(`${kind}: ${sentence}`, t => prove(t, (t, handler, redis) => siteOver(config, t, handler, redis)))
}

async function json<T>(answer: Promise<Answer>): Promise<T> {
  return JSON.parse((await answer).body.toString()) as T
}

async function follows(replica: Replica): Promise<boolean> {
  return (await json<{ purgeLog: { current: boolean } }>(replica.admin('/v1/stats'))).purgeLog.current
}

async function degraded(replica: Replica): Promise<readonly string[]> {
  const ready = await replica.admin('/readyz')
  if (ready.status !== 200) throw new Error(`not ready: ${ready.status}`)
  return (JSON.parse(ready.body.toString()) as { degraded: string[] }).degraded
}

/** True if a target requested twice now comes from cache. */
async function caches(replica: Replica, path: string): Promise<boolean> {
  await replica.get(path)
  return detail(await replica.get(path)) === 'fresh'
}

t.test('a response requested as soon as a replica has started is stored', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const origin = await startOrigin(counting({ 'Cache-Control': 'max-age=60' }))
  t.teardown(() => origin.close())
  for (let start = 1; start <= 5; start++) {
    const replica = await startProxy(t, { origin, host: 'api.example', clock: systemClock, config: { redis: { url: redis.url, commandTimeoutMs: 400 } } })
    await replica.get(`/start/${start}`)
    t.equal(detail(await replica.get(`/start/${start}`)), 'fresh', `start ${start}`)
  }
})

overBoth('a response that one replica has stored another serves', async (t, startReplicas) => {
  const { redis, origin, a, b } = await startReplicas(counting({ 'Cache-Control': 'max-age=600', 'X-Field': 'kept' }))
  t.equal(detail(await a.get('/a')), 'uri-miss')
  const hit = await b.get('/a')
  t.match(hit.header('cache-status'), /^springhouse; hit; ttl=\d+; detail=fresh$/)
  t.equal(hit.body.toString(), 'answer 1')
  t.equal(hit.header('x-field'), 'kept')
  t.equal(origin.requests.length, 1)
  const late = await startReplica(t, redis, origin)
  t.equal(detail(await late.get('/a')), 'fresh', 'also one that came later')
})

for (const [how, purge] of [
  ['URL', { urls: ['http://api.example/v1/a?b=c'] }],
  ['tag', { tags: ['things'] }],
  ['prefix', { prefixes: ['/v1/'] }],
  ['all', { all: true }],
] as const) {
  overBoth(`a purge by ${how} at one replica is acknowledged by both, and neither serves the old response after it`, async (t, startReplicas) => {
    const { a, b } = await startReplicas(counting({ 'Cache-Control': 'max-age=600', 'Cache-Tag': 'things' }))
    const fetch = (replica: Replica): Promise<Answer> => replica.get('/v1/a?b=c')
    const number = (answer: Answer): number => Number(/^answer (\d+)$/.exec(answer.body.toString())?.[1])
    await fetch(a)
    for (let round = 1; round <= 10; round++) {
      const before = number(await fetch(b))
      const receipt = await a.purge(purge)
      const after = await Promise.all([b, a, b, a].map(fetch))
      t.equal(receipt.status, 200)
      t.match(JSON.parse(receipt.body.toString()), { soft: false, replicas: { live: 2, acknowledged: 2 } })
      t.equal(after.every(answer => number(answer) > before), true, `round ${round}`)
      t.equal(detail(await fetch(b)), 'fresh')
    }
  })
}

overBoth('under load no request after a purge gets a response from before it, by either replica', async (t, startReplicas) => {
  let version = 1
  const { a, b } = await startReplicas(async (_, response) => {
    const body = String(version)
    // Some responses are slow, so that there is always one in flight.
    for (let turn = Math.random() * 20; turn > 0; turn--) await new Promise(setImmediate)
    response.writeHead(200, { 'Cache-Control': 'max-age=600, stale-while-revalidate=600', 'Cache-Tag': 'x' }).end(body)
  })
  const run = new AbortController()
  let purged = 0
  let hits = 0
  const wrong: string[] = []
  const clients = [a, b, a, b, a, b].map(async replica => {
    while (!run.signal.aborted) {
      const least = purged
      const answer = await replica.get('/a')
      if (detail(answer) === 'fresh') hits++
      if (Number(answer.body.toString()) < least) wrong.push(`${answer.body.toString()} after the purge of everything before ${least}: ${detail(answer)}`)
    }
  })
  for (let round = 0; round < 40; round++) {
    version++
    const now = version
    const receipt = await (round % 2 === 0 ? a : b).purge(round % 4 < 2 ? { tags: ['x'] } : { urls: ['http://api.example/a'] })
    if (receipt.status !== 200) wrong.push(`purge: ${receipt.status}`)
    purged = now
    // Caching goes on between one purge and the next.
    const enough = hits + (round % 5)
    await eventually(() => hits >= enough)
  }
  run.abort()
  await Promise.all(clients)
  t.same(wrong, [])
})

overBoth('a purge wins over a fetch that is in flight at another replica', async (t, startReplicas) => {
  let count = 0
  let release: () => void = () => {}
  const { origin, a, b } = await startReplicas((_, response) => {
    const body = `answer ${++count}`
    const send = (): unknown => response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Cache-Tag': 'x' }).end(body)
    if (count === 1) release = send
    else send()
  })
  for (const purge of [{ tags: ['x'] }, { urls: ['/a'] }, { prefixes: ['/'] }, { all: true }]) {
    count = 0
    const early = b.get('/a', { 'Cache-Control': 'no-cache' })
    await origin.nth(origin.requests.length + 1)
    t.match(JSON.parse((await a.purge(purge)).body.toString()), { replicas: { live: 2, acknowledged: 2 } })
    release()
    t.equal((await early).body.toString(), 'answer 1', 'an earlier request gets the earlier response')
    t.equal((await b.get('/a')).body.toString(), 'answer 2', 'nobody after it does')
    t.equal((await a.get('/a')).body.toString(), 'answer 2')
  }
})

overBoth('a response that a 304 freshens at one replica the other serves', async (t, startReplicas) => {
  const { origin, a, b } = await startReplicas((request, response) => {
    if (request.headers['if-none-match'] === '"v"') response.writeHead(304, { ETag: '"v"', 'Cache-Control': 'max-age=600', 'X-A': 'new' }).end()
    else response.writeHead(200, { ETag: '"v"', 'Cache-Control': 'max-age=0', 'X-A': 'old', 'X-B': 'stays' }).end('one')
  })
  await a.get('/a')
  const validated = await b.get('/a')
  // It may have waited a moment for the first fetch, whose lease is released just after its response.
  t.match(validated.header('cache-status'), /^springhouse; fwd=stale; fwd-status=304; stored; (collapsed=\?0; )?detail=stale$/)
  t.equal(validated.body.toString(), 'one')
  const hit = await a.get('/a')
  t.equal(detail(hit), 'fresh')
  t.same([hit.header('x-a'), hit.header('x-b'), hit.body.toString()], ['new', 'stays', 'one'])
  t.equal(origin.requests.length, 2)
})

overBoth('a POST through one replica invalidates for the other, before its response', async (t, startReplicas) => {
  const { a, b } = await startReplicas(counting({ 'Cache-Control': 'max-age=600' }))
  await b.get('/a')
  t.equal(detail(await b.get('/a')), 'fresh')
  t.equal((await a.get('/a', {}, { method: 'POST', body: 'x' })).status, 200)
  t.equal((await b.get('/a')).body.toString(), 'answer 3')
})

overBoth('a body of 1 MiB comes out of Redis byte for byte, whole and in part', async (t, startReplicas) => {
  const body = randomBytes(1024 * 1024)
  const { origin, a, b } = await startReplicas((_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(body)
  })
  t.equal((await a.get('/a')).body.equals(body), true)
  const hit = await b.get('/a')
  t.equal(detail(hit), 'fresh')
  t.equal(hit.body.equals(body), true)
  const part = await b.get('/a', { Range: 'bytes=262000-786999' })
  t.equal(part.status, 206)
  t.equal(part.body.equals(body.subarray(262_000, 787_000)), true)
  t.equal(origin.requests.length, 1)
})

overBoth('each variant is shared, and none is mistaken for another', async (t, startReplicas) => {
  const { origin, a, b } = await startReplicas((request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600', Vary: 'Accept-Language' }).end(request.headers['accept-language'])
  })
  for (const language of ['de', 'fr', 'it']) await a.get('/a', { 'Accept-Language': language })
  for (const language of ['it', 'fr', 'de']) {
    const hit = await b.get('/a', { 'Accept-Language': language })
    t.equal(detail(hit), 'fresh')
    t.equal(hit.body.toString(), language)
  }
  t.not(detail(await b.get('/a', { 'Accept-Language': 'en' })), 'fresh')
  t.equal(origin.requests.length, 4)
})

overBothAlone('without a Redis it starts, serves and says so; and uses Redis when it comes', async (t, startReplicas) => {
  const redis = await startRedis()
  await redis.stop()
  const { a } = await startReplicas(t, counting({ 'Cache-Control': 'max-age=600' }), redis)
  t.equal((await a.get('/a')).body.toString(), 'answer 1')
  const second = await a.get('/a')
  t.equal(second.body.toString(), 'answer 2')
  t.equal(second.header('cache-status'), 'springhouse; fwd=uri-miss; fwd-status=200; detail=store-refused', 'nothing says that it is stored')
  t.same(await degraded(a), ['redis'])
  const refused = await a.purge({ all: true })
  t.equal(refused.status, 503)
  t.equal(refused.header('content-type'), 'application/problem+json')
  t.match(JSON.parse(refused.body.toString()), { code: 'PURGE_NOT_WRITTEN', status: 503 })
  const warnings = (): string[] => a.log.filter(({ level, msg }) => level >= 40 && /redis/i.test(msg)).map(({ msg }) => msg)
  t.same(warnings(), ['Redis is out of reach: going on without it'])

  await redis.restart()
  await eventually(() => caches(a, '/a'))
  t.same(await degraded(a), [])
  t.equal((await a.purge({ all: true })).status, 200)
  t.not(detail(await a.get('/a')), 'fresh')
  t.same(warnings(), ['Redis is out of reach: going on without it'], 'and nothing more was said meanwhile')
  t.equal(a.log.filter(({ msg }) => msg === 'Redis is back').length, 1)
})

interface Asking {
  answered(): number
  /** Ends the load, and returns the faults of all responses. */
  stop(): Promise<string[]>
}

/** Clients that send both replicas requests for small and large targets until they are stopped. */
function keepAsking({ a, b }: Site): Asking {
  const run = new AbortController()
  const wrong: string[] = []
  let answered = 0
  const paths = ['/small/1', '/small/2', '/large/1', '/small/3']
  const clients = [a, b, a, b].map(async (replica, client) => {
    for (let i = client; !run.signal.aborted; i++) {
      const path = paths[i % paths.length] as string
      const body = bodyOf(path)
      const answer = await replica.get(path)
      if (answer.status !== 200 || !answer.complete || !answer.body.equals(body)) wrong.push(`${path}: ${answer.status}, ${answer.body.length} bytes, ${detail(answer)}`)
      answered++
    }
  })
  return {
    answered: () => answered,
    stop: async () => {
      run.abort()
      await Promise.all(clients)
      return wrong
    },
  }
}

/** Resolves when `count` more responses have come. */
async function more(asking: Asking, count: number): Promise<void> {
  const enough = asking.answered() + count
  await eventually(() => asking.answered() >= enough)
}

const large = randomBytes(600_000)
const bodyOf = (path: string): Buffer => path.startsWith('/large') ? large : Buffer.from(`of ${path}`)
const pathIsBody: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(bodyOf(request.url ?? ''))
}

overBothAlone('a killed Redis costs hits, not responses; an empty one in its place is used', async (t, startReplicas) => {
  const site = await startReplicas(t, pathIsBody)
  const { redis, a, b } = site
  await eventually(() => caches(a, '/small/1'))
  const asking = keepAsking(site)
  await more(asking, 50)
  redis.kill('SIGKILL')
  await eventually(async () => (await degraded(a)).includes('redis') && (await degraded(b)).includes('redis'))
  await more(asking, 50)
  t.equal((await a.purge({ all: true })).status, 503)
  await redis.restart()
  await eventually(async () => await caches(a, '/small/1') && await caches(b, '/small/1'))
  await more(asking, 50)
  t.same(await asking.stop(), [])
  await eventually(async () => (await degraded(a)).length === 0 && (await degraded(b)).length === 0)
  await eventually(async () => (await json<{ replicas: unknown[] }>(a.admin('/v1/replicas'))).replicas.length === 2)
  // The registrations went with the old Redis. While a replica may still use older knowledge, a purge counts one replica that
  // it cannot name.
  t.match(JSON.parse((await b.purge({ all: true, waitMs: 30_000 })).body.toString()), { replicas: { live: 2, acknowledged: 2 } })
  t.equal(a.log.filter(({ level }) => level >= 50).length, 0)
})

overBothAlone('a Redis that hangs delays responses for a moment, and they come all the same', async (t, startReplicas) => {
  const site = await startReplicas(t, pathIsBody)
  const { redis, a, b } = site
  await eventually(() => caches(a, '/small/1'))
  const asking = keepAsking(site)
  await more(asking, 50)
  redis.kill('SIGSTOP')
  await eventually(async () => (await degraded(a)).includes('redis') && (await degraded(b)).includes('redis'))
  await more(asking, 50)
  redis.kill('SIGCONT')
  await eventually(async () => await caches(a, '/small/1') && await caches(b, '/small/1'))
  await more(asking, 50)
  t.same(await asking.stop(), [])
  await eventually(async () => (await degraded(a)).length === 0 && (await degraded(b)).length === 0)
  t.equal((await a.purge({ all: true })).status, 200)
})
