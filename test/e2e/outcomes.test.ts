// Each request has one outcome, one reason and one id: in the numbers, in the access log, in its response and at the origin.
import t from 'tap'
import { ask, rawRequest } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startProxy, type TestProxy, type TestProxyOptions } from '../support/proxy.ts'

type Line = Readonly<Record<string, unknown>>

/** A house that logs every request. */
function loggingHouse(test: Parameters<typeof startProxy>[0], options: Omit<TestProxyOptions<never>, 'clock'>): Promise<TestProxy> {
  return startProxy(test, { host: 'api.example', ...options, config: { log: { access: 'all' }, ...options.config } })
}

async function stats(
  house: TestProxy,
): Promise<{ requests: number; outcomes: Record<string, number>; requestsByReason: Record<string, number>; hitRatio: number | null; savedOriginMs: number }> {
  return JSON.parse((await house.admin('/v1/stats')).body.toString()) as never
}

const told = ({ outcome, reason, status }: Line): string => `${String(outcome)} ${String(reason)} ${String(status)}`

// The guard: ClientExchange.end, which every way out calls and which counts the first call alone. Without one of its calls a
// request is missing here; without its flag one counts twice.
t.test('a request counts once, under one outcome and one reason, whichever way it ends', async test => {
  let mode = 'ok'
  const house = await loggingHouse(test, {
    origin: (request, response) => {
      if (mode === 'gone') return void response.destroy()
      if (mode === 'error') return void response.writeHead(503).end('no')
      if (request.headers['if-none-match'] !== undefined) return void response.writeHead(304, { etag: '"a"', 'cache-control': 'max-age=10, stale-if-error=600' }).end()
      if (request.url === '/cut') {
        response.writeHead(200, { 'content-length': 100, 'cache-control': 'max-age=10' })
        return void response.write('half', () => response.destroy())
      }
      const cacheControl = request.url === '/swr' ? 'max-age=10, stale-while-revalidate=60' : 'max-age=10, stale-if-error=600'
      response.writeHead(200, { etag: '"a"', 'cache-control': cacheControl }).end('hello')
    },
    config: { proxy: { host: '127.0.0.1', port: 0, maxTargetBytes: 1_000 } },
  })
  const expected: string[] = []
  const then = async (line: string, path: string, headers: Readonly<Record<string, string>> = {}, options = {}): Promise<void> => {
    expected.push(line)
    await house.get(path, headers, options).catch(() => undefined)
    // The client may have its response before the exchange has ended.
    await eventually(() => house.accessLines.length >= expected.length)
    test.equal(told(house.accessLines.at(-1) as Line), line, `${path} ${JSON.stringify(headers)}`)
  }
  await then('miss uri-miss 200', '/a')
  await then('hit fresh 200', '/a')
  await then('hit fresh 304', '/a', { 'if-none-match': '"a"' })
  await then('hit fresh 206', '/a', { range: 'bytes=0-1' })
  await then('hit fresh 416', '/a', { range: 'bytes=9-' })
  await then('hit fresh 200', '/a', {}, { method: 'HEAD' })
  await then('error only-if-cached 504', '/none', { 'cache-control': 'only-if-cached' })
  await then('pass method 200', '/a', {}, { method: 'POST', body: 'x' })
  await then('pass options 204', '*', {}, { method: 'OPTIONS' })
  await then('miss uri-miss 200', '/a')
  house.clock.advance(11_000)
  await then('revalidated stale 200', '/a')
  await then('miss uri-miss 200', '/swr')
  house.clock.advance(11_000)
  await then('stale stale-while-revalidate 200', '/swr')
  mode = 'error'
  await then('stale stale-if-error 200', '/a')
  await then('pass method 503', '/a', {}, { method: 'DELETE' })
  mode = 'gone'
  await then('error uri-miss 502', '/b')
  await then('error method 502', '/b', {}, { method: 'POST', body: 'x' })
  mode = 'ok'
  await then('miss uri-miss 200', '/cut')
  await then('error refused 414', `/${'x'.repeat(2_000)}`)
  await then('error refused 400', '/../x')
  const { requests, outcomes, requestsByReason, hitRatio } = await stats(house)
  test.equal(requests, expected.length)
  for (const counts of [outcomes, requestsByReason]) test.equal(Object.values(counts).reduce((sum, count) => sum + count), requests)
  const counted = (outcome: string): number => expected.filter(line => line.startsWith(outcome)).length
  for (const outcome of ['hit', 'stale', 'revalidated', 'coalesced', 'miss', 'pass', 'error']) test.equal(outcomes[outcome], counted(outcome), outcome)
  test.equal(hitRatio, (counted('hit') + counted('stale')) / (requests - counted('pass')))
})

t.test('followers are coalesced, and a client that leaves counts too', async test => {
  const held: (() => void)[] = []
  const house = await loggingHouse(test, { origin: (_request, response) => {
    held.push(() => response.writeHead(200, { 'cache-control': 'max-age=10' }).end('a'))
  } })
  const all = Array.from({ length: 5 }, () => house.get('/a'))
  await eventually(async () => held.length > 0 && (await stats(house) as unknown as { waits: number }).waits >= 4)
  held.shift()?.()
  await Promise.all(all)
  test.match((await stats(house)).outcomes, { miss: 1, coalesced: 4 })
  const leaving = new AbortController()
  const gone = fetch(`http://127.0.0.1:${house.port}/leaves`, { signal: leaving.signal }).catch(() => 'left')
  await eventually(() => held.length > 0)
  leaving.abort()
  await gone
  await eventually(() => house.accessLines.length >= 6)
  test.equal(told(house.accessLines.at(-1) as Line), 'miss uri-miss 0', 'no response had begun')
  held.shift()?.()
})

// The guard: `leave` in http-proxy.ts. Without it the request is never counted, and holds its place in proxy.maxRequests for ever.
t.test('a passed request whose client leaves before its response counts once', async test => {
  const house = await loggingHouse(test, { origin: () => {}, cache: { mode: 'bypass' } })
  for (const [method, line] of [['GET', 'pass route-uncached 0'], ['POST', 'pass method 0']] as const) {
    const before = house.accessLines.length
    const leaving = new AbortController()
    const gone = fetch(`http://127.0.0.1:${house.port}/`, { method, signal: leaving.signal, ...(method === 'POST' && { body: 'x' }) }).catch(() => 'left')
    await house.origin.nth(before + 1)
    leaving.abort()
    await gone
    while (house.accessLines.length === before)
      await new Promise(resolve => {
        setImmediate(resolve)
      })
    test.equal(told(house.accessLines.at(-1) as Line), line)
  }
  test.equal((await stats(house)).requests, 2)
})

t.test('a WebSocket counts once, when it ends', async test => {
  const house = await loggingHouse(test, { origin: (_request, response) => {
    response.writeHead(404).end('no')
  } })
  const answer = await rawRequest(house.port,
    'GET /socket HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
  test.match(answer, /^HTTP\/1\.1 404 [^]*x-request-id: /i)
  await eventually(() => house.accessLines.length >= 1)
  test.equal(told(house.accessLines[0] as Line), 'pass upgrade 404')
})

const id = /^[0-9a-f-]{36}$/

// The guards: sendHead, which adds the id to each head; fieldsNotForClients and neverKept, which take the origin's own away.
t.test('each response has the id of its own request, and the origin gets the same', async test => {
  const house = await loggingHouse(test, {
    origin: (request, response) => response.writeHead(200, { 'cache-control': request.url === '/no-store' ? 'no-store' : 'max-age=10', 'x-request-id': 'of-the-origin' }).end('a'),
  })
  const seen = new Set<string>()
  for (const [path, method] of [['/a', 'GET'], ['/a', 'GET'], ['/a', 'HEAD'], ['/no-store', 'GET'], ['/a', 'PUT'], ['/../a', 'GET']] as const) {
    const before = house.origin.requests.length
    const answer = await house.get(path, {}, { method })
    const ids = answer.rawHeaders.filter((_, i) => i % 2 === 1 && answer.rawHeaders[i - 1]?.toLowerCase() === 'x-request-id')
    test.equal(ids.length, 1, `${method} ${path}`)
    test.match(ids[0], id)
    seen.add(ids[0] as string)
    const atOrigin = house.origin.requests[before]
    if (atOrigin !== undefined) test.equal(atOrigin.header('x-request-id'), ids[0])
    if (answer.status === 400) test.equal((JSON.parse(answer.body.toString()) as Line)['requestId'], ids[0])
    await eventually(() => house.accessLines.length >= seen.size)
    test.equal(house.accessLines.at(-1)?.['requestId'], ids[0])
  }
  test.equal(seen.size, 6)
})

t.test('the id of a trusted client is kept, and that of another is replaced', async test => {
  for (const [trustProxy, given, kept] of [[['127.0.0.1'], 'abc-123', true], [['127.0.0.1'], 'a b', false], [['127.0.0.1'], 'x'.repeat(200), false], [false, 'abc-123',
    false]] as const) {
    const house = await loggingHouse(test, {
      origin: (_request, response) => response.writeHead(200, { 'cache-control': 'max-age=10' }).end('a'),
      config: { proxy: { host: '127.0.0.1', port: 0, trustProxy } },
    })
    for (const path of ['/a', '/a']) {
      const answer = await house.get(path, { 'x-request-id': given })
      if (kept) test.equal(answer.header('x-request-id'), given)
      else test.match(answer.header('x-request-id'), id)
    }
  }
})

t.test('a failure has one shape in the log, whichever way its request went', async test => {
  const house = await loggingHouse(test, { origin: (_request, response) => void response.destroy() })
  const looked = await house.get('/a?key=secret')
  const passed = await house.get('/a?key=secret', {}, { method: 'POST', body: 'x' })
  const failures = house.log.filter(({ level }) => level === 40) as unknown as Line[]
  test.equal(failures.length, 2)
  const shape = { code: 'ORIGIN_RESET', host: 'api.example', target: '/a?key=***', origin: 'api', cause: /./ }
  test.match(failures[0], { ...shape, method: 'GET', requestId: looked.header('x-request-id') })
  test.match(failures[1], { ...shape, method: 'POST', requestId: passed.header('x-request-id') })
  test.same(Object.keys(failures[0] as Line), Object.keys(failures[1] as Line))
})

t.test('a line has the part of the origin and the served response', async test => {
  const house = await loggingHouse(test, {
    origin: (request, response) => response.writeHead(200, { 'cache-control': request.url === '/c' ? 'no-store' : 'max-age=10' }).end('hello'),
  })
  for (const path of ['/a?q=1', '/a?q=1', '/c'])
    await house.get(path, { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', cookie: 'session=secret', authorization: 'Bearer secret' })
  await eventually(() => house.accessLines.length >= 3)
  const [miss, again, last] = house.accessLines as [Line, Line, Line]
  const both = { msg: 'request', method: 'GET', host: 'api.example', target: '/a?q=***', bytes: 5, client: '127.0.0.1', traceId: '0af7651916cd43dd8448eb211c80319c',
    key: /^[0-9a-f]{12}$/, origin: 'api', server: house.origin.url }
  test.match(miss, { ...both, outcome: 'miss', notStored: 'authorization' })
  test.match(again, { ...both, outcome: 'miss', notStored: 'authorization' })
  test.match(last, { outcome: 'miss', notStored: 'no-store' })
  test.notMatch(JSON.stringify(house.accessLines), /secret/)
})

t.test('the client of a line is the peer, or the one that a trusted peer reports', async test => {
  for (const [trustProxy, fields, client] of [
    [false, { 'x-forwarded-for': '192.0.2.1' }, '127.0.0.1'],
    [['127.0.0.1'], { 'x-forwarded-for': '192.0.2.1, 192.0.2.2' }, '192.0.2.2'],
    [['127.0.0.1'], { forwarded: 'for=192.0.2.3' }, '192.0.2.3'],
    [['127.0.0.1'], {}, '127.0.0.1'],
  ] as const) {
    const house = await loggingHouse(test, {
      origin: (_request, response) => response.writeHead(200, { 'cache-control': 'max-age=10' }).end('a'),
      config: { proxy: { host: '127.0.0.1', port: 0, trustProxy } },
    })
    await house.get('/a', fields)
    await eventually(() => house.accessLines.length > 0)
    test.equal(house.accessLines[0]?.['client'], client, JSON.stringify(fields))
  }
})

t.test('by default only errors have a line, and `off` writes none', async test => {
  for (const [access, lines] of [[undefined, 2], ['errors', 2], ['off', 0], ['all', 4]] as const) {
    const house = await startProxy(test, {
      origin: (request, response) => response.writeHead(request.url === '/5xx' ? 500 : 200, { 'cache-control': 'max-age=10' }).end('a'),
      ...(access !== undefined && { config: { log: { access } } }),
    })
    for (const path of ['/a', '/a', '/5xx', '/../x']) await ask(house.port, { path })
    for (let turns = 0; turns < 5; turns++)
      await new Promise(resolve => {
        setImmediate(resolve)
      })
    test.equal(house.accessLines.length, lines, String(access))
  }
})
