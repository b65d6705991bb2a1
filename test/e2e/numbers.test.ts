// The numbers of the admin API add up: bytes, latency, saved time, routes, history, origins, and lists, over a whole proxy.
import t from 'tap'
import { eventually } from '../support/log.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'

type Json = Record<string, unknown>

async function read<T = Json>(house: TestProxy, path: string): Promise<T> {
  return JSON.parse((await house.admin(path)).body.toString()) as T
}

interface Numbers {
  readonly requests: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly hitRatio: number | null
  readonly bytes: { readonly toClients: number; readonly fromOrigins: number; readonly saved: number }
  readonly savedOriginMs: number
  readonly latencyMs: Readonly<Record<string, { readonly count: number; readonly p50: number | null; readonly max: number | null }>>
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)

t.test('stats, routes, history, origins and top are about the same requests', async test => {
  // Set below: the origin of the proxy needs its clock.
  let house: TestProxy | undefined
  house = await startProxy(test, {
    host: 'api.example',
    origin: (request, response) => {
      // The origin takes 40 ms.
      house?.clock.advance(40)
      if (request.url === '/broken') return void response.destroy()
      if (request.url === '/cookie') response.setHeader('set-cookie', 'lb=1')
      response.writeHead(request.url === '/sick' ? 503 : 200, { 'cache-control': 'max-age=60', 'cache-tag': 'red' }).end('x'.repeat(100))
    },
  })
  const proxy = house
  let asked = 0
  const get = async (path: string, times = 1, headers: Readonly<Record<string, string>> = {}): Promise<void> => {
    for (let i = 0; i < times; i++) {
      asked++
      await proxy.get(path, headers).catch(() => undefined)
    }
    await eventually(async () => (await read<Numbers>(proxy, '/v1/stats')).requests === asked)
  }
  await get('/a', 4)
  await get('/cookie', 2)
  await get('/sick')
  await get('/broken')
  await get('/a', 1, { range: 'bytes=0-9' })

  const stats = await read<Numbers & { scope: string; replicas: unknown; originErrors: Json }>(proxy, '/v1/stats')
  test.equal(stats.scope, 'replica')
  test.same(stats.replicas, { live: 1, reporting: 1 })
  test.match(stats.outcomes, { hit: 4, miss: 4, error: 1, pass: 0 })
  test.equal(sum(Object.values(stats.outcomes)), stats.requests)
  test.equal(stats.hitRatio, 4 / 9)
  test.equal(stats.bytes.saved, 310)
  test.equal(stats.bytes.fromOrigins, 400, '/a, /cookie twice, /sick')
  test.ok(stats.bytes.toClients > 710, 'and the problem document')
  test.equal(stats.savedOriginMs, 160)
  for (const [outcome, { count }] of Object.entries(stats.latencyMs)) test.equal(count, stats.outcomes[outcome], `latency of ${outcome}`)
  test.match(stats.latencyMs, { hit: { p50: 0, max: 0 }, miss: { p50: 40, p99: 40, max: 40 }, pass: { p50: null, max: null } })

  const { routes: [route, ...others] } = await read<{ routes: (Numbers & Json)[] }>(proxy, '/v1/routes')
  test.equal(others.length, 0)
  test.match(route, { route: 'api@*/', origin: 'api', mode: 'cache', requests: 9, hitRatio: 4 / 9, savedOriginMs: 160, notStored: { 'set-cookie': 2 } })
  test.same(route?.outcomes, stats.outcomes)
  test.match(route?.bytes, { saved: 310, fromOrigins: 400, toClients: stats.bytes.toClients })

  const history = await read<{ fromMs: number; stepMs: number; series: Readonly<Record<string, (number | null)[]>> }>(proxy, '/v1/history?window=1h')
  const total = (name: string): number => sum((history.series[name] ?? []).map(value => value ?? 0))
  for (const [outcome, requests] of Object.entries(stats.outcomes)) test.equal(total(outcome), requests, `history of ${outcome}`)
  test.same([total('bytesToClients'), total('bytesFromOrigins'), total('savedOriginMs')], [stats.bytes.toClients, 400, 160])
  test.equal(Math.max(...(history.series['p99'] ?? []).map(value => value ?? 0)), 80, '/broken is sent twice')
  test.same([...new Set(Object.values(history.series).map(({ length }) => length))], [360])

  const { origins: [server] } = await read<{ origins: Json[] }>(proxy, '/v1/origins')
  test.match(server, { origin: 'api', p50: 40, p99: 40, lastError: { code: 'ORIGIN_RESET' } })
  const broken = proxy.origin.requests.filter(({ target }) => target === '/broken').length
  test.equal(server?.['requests'], 4 + broken)
  test.equal(server?.['errors'], 2, 'the 503, and /broken; its first connection had been used before, and may have ended by itself')
  test.equal(total('originErrors'), server?.['errors'])

  const top = await read<{ items: Json[]; sampledOneIn: number }>(proxy, '/v1/top?of=keys&by=requests&limit=2')
  test.equal(top.sampledOneIn, 1)
  test.match(top.items, [{ name: 'api.example/a', value: 5, error: 0, share: 5 / 9, hitRatio: 4 / 5 }, { name: 'api.example/cookie', value: 2 }])
  test.match((await read<{ items: Json[] }>(proxy, '/v1/top?of=tags&by=originMs')).items, [{ name: 'red', value: 80 }])
  test.match((await read<{ items: Json[] }>(proxy, '/v1/top?of=reasons')).items, [{ name: 'fresh', value: 4 }, { name: 'uri-miss', value: 3 }, { name: 'set-cookie', value: 2 }])
})

t.test('an unknown parameter, window, scope, subject or measure is a 400 that names what is known', async test => {
  const house = await startProxy(test, { origin: (_request, response) => void response.end() })
  for (const [path, pattern] of [
    ['/v1/stats?scope=all', /must be one of "replica", "fleet"/],
    ['/v1/stats?scopes=fleet', /did you mean "scope"/],
    ['/v1/stats?scope=fleet&scope=replica', /scope/],
    ['/v1/history?window=1d', /must be one of "5m", "1h"/],
    ['/v1/routes?by=misses', /known are "scope"/],
    ['/v1/top?of=users', /must be one of "keys", "tags", "routes", "reasons"/],
    ['/v1/top?by=size', /must be one of "requests", "misses", "bytes", "originMs"/],
    ['/v1/top?limit=0', /limit/],
    ['/v1/origins?scope=fleet', /is not known here/],
  ] as const) {
    const answer = await house.admin(path)
    test.equal(answer.status, 400, path)
    test.match(answer.body.toString().replaceAll('\\"', '"'), pattern, path)
  }
})

t.test('with observe.enabled false the numbers are null or not there, and outcomes are still counted', async test => {
  const house = await startProxy(test, { origin: (_request, response) => void response.end('x'), config: { observe: { enabled: false } } })
  await house.get('/')
  test.match(await read(house, '/v1/stats'), { requests: 1, bytes: null, latencyMs: null })
  for (const path of ['/v1/history', '/v1/routes', '/v1/top']) {
    const answer = await house.admin(path)
    test.equal(answer.status, 404, path)
    test.match(answer.body.toString(), /observe\.enabled/)
  }
})
