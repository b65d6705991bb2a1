// GET /v1/live and GET /v1/tail over real sockets: what is sent, what is masked, and what is refused.
import { get, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { eventually } from '../support/log.ts'
import { startProxy, token, type TestProxy } from '../support/proxy.ts'

interface Event {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

interface Stream {
  readonly response: IncomingMessage
  readonly events: Event[]
  of(name: string): Event['data'][]
  close(): void
}

function open(test: Test, house: TestProxy, path: string): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const request = get(`${house.app.adminUrl}${path}`, { agent: false, headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' } }, (response) => {
      const events: Event[] = []
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        const parts = text.split('\n\n')
        text = parts.pop() ?? ''
        for (const part of parts) {
          const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? []
          if (event !== undefined && data !== undefined) events.push({ event, data: JSON.parse(data) as Event['data'] })
        }
      })
      response.on('error', () => {})
      resolve({ response, events, of: name => events.filter(({ event }) => event === name).map(({ data }) => data), close: () => void request.destroy() })
    })
    request.on('error', reject)
    test.teardown(() => request.destroy())
  })
}

const house = (test: Test, config: Readonly<Record<string, unknown>> = {}): Promise<TestProxy> =>
  startProxy(test, {
    host: 'api.example',
    origin: (request, response) => {
      response.writeHead(request.url?.startsWith('/sick') === true ? 503 : 200, { 'cache-control': 'max-age=60', 'set-cookie': 'session=secret-cookie' }).end('x')
    },
    config: { log: { access: 'off', query: ['page'] }, ...config },
  })

t.test('tail shows requests as they end, masked as the log masks them, and ends after its limit', async test => {
  const proxy = await house(test)
  const all = await open(test, proxy, '/v1/tail?limit=3')
  test.match(all.response.headers, { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store' })
  const failed = await open(test, proxy, '/v1/tail?status=5xx')
  // The guard: the filter sees the masked target. Otherwise a watcher finds a masked part, one character after the other.
  const guessing = await open(test, proxy, '/v1/tail?path=/sick/sk_live')
  const shown = await open(test, proxy, '/v1/tail?path=/sick/***')
  const headers = { authorization: 'Bearer secret-token', cookie: 'session=secret-cookie' }
  await proxy.get('/v1/items?page=2&token=secret-value', headers)
  await proxy.get('/sick/sk_live_4eC39HqLyjWDarjtT1zdp7dc')
  await proxy.get('/v1/items?page=2')
  await proxy.get('/v1/more')
  await eventually(() => all.response.complete && failed.of('request').length === 1)
  test.equal(all.of('request').length, 3, 'no more than its limit')
  test.match(all.of('request')[0], { msg: 'request', outcome: 'miss', reason: 'uri-miss', status: 200, method: 'GET', host: 'api.example', target: '/v1/items?page=2&token=***',
    route: 'api@*/', bytes: 1, ms: 0, requestId: String, origin: 'api', notStored: String, client: String })
  test.match(failed.of('request')[0], { status: 503, target: '/sick/***' })
  test.notMatch(JSON.stringify([...all.events, ...failed.events]), /secret|4eC39/)
  await eventually(() => shown.of('request').length === 1)
  test.equal(guessing.of('request').length, 0, 'a masked part cannot be found out')
  test.equal(proxy.accessLines.length, 0, 'the log does not change')
  failed.close()
})

t.test('more requests than observe.tailPerSecond are counted, and the reader learns their number', async test => {
  const proxy = await house(test, { observe: { tailPerSecond: 2 } })
  const stream = await open(test, proxy, '/v1/tail')
  for (let i = 0; i < 5; i++) await proxy.get(`/${i}`)
  await eventually(() => stream.of('request').length === 2)
  proxy.clock.advance(1_000)
  await proxy.get('/later')
  await eventually(() => stream.of('request').length === 3 && stream.of('dropped').length > 0)
  test.equal(stream.of('dropped').reduce((sum, { count }) => sum + Number(count), 0), 3)
  const metrics = (await proxy.admin('/metrics')).body.toString()
  test.match(metrics, /^springhouse_events_dropped_total 3$/m)
})

t.test('live sends the numbers at once and each second, and purges as they are recorded', async test => {
  const proxy = await house(test)
  const stream = await open(test, proxy, '/v1/live')
  await eventually(() => stream.of('stats').length > 0)
  test.match(stream.of('stats')[0], { scope: 'replica', requests: 0, requestsPerSecond: null, outcomes: { hit: 0 }, hitRatio: null, replicas: { live: 1 },
    bytes: { toClients: 0 } })
  await proxy.get('/a')
  proxy.clock.advance(1_000)
  await proxy.purge({ tags: ['red'], soft: true })
  await eventually(() => stream.of('purge').length === 1 && stream.of('stats').at(-1)?.['requests'] === 1)
  test.match(stream.of('purge')[0], { id: String, soft: true, all: false, tags: 1, urls: 0 })
  test.match(stream.of('stats').at(-1), { requestsPerSecond: 1 })
  const fleet = await open(test, proxy, '/v1/live?scope=fleet')
  await eventually(() => fleet.of('stats').length > 0)
  test.match(fleet.of('stats')[0], { scope: 'replica', requests: 1 }, 'without Redis it says whose numbers these are')
})

t.test('a stop ends the streams at once, and does not wait for their readers', async test => {
  const proxy = await house(test)
  const streams = await Promise.all(['/v1/live', '/v1/tail'].map(path => open(test, proxy, path)))
  await proxy.app.close()
  await eventually(() => streams.every(({ response }) => response.complete))
})

t.test('bad filters are a 400 that names them, and without observe.enabled there is no tail', async test => {
  const proxy = await house(test)
  for (const [query, pattern] of [['outcome=hits', /"hit", "stale"/], ['reason=x', /"fresh"/], ['status=600', /status/], ['minMs=-1', /minMs/], ['limit=0', /limit/], ['path=v1',
    /path/], ['paths=/', /did you mean "path"/], ['notStored=x', /"no-store"/]] as const) {
    const answer = await proxy.admin(`/v1/tail?${query}`)
    test.equal(answer.status, 400, query)
    test.match(answer.body.toString().replaceAll('\\"', '"'), pattern, query)
  }
  test.equal((await proxy.admin('/v1/live?scope=all')).status, 400)
  const off = await house(test, { observe: { enabled: false } })
  test.equal((await off.admin('/v1/tail')).status, 404)
})
