// Errors: what a stored response may stand in for, and how long.
import t from 'tap'
import { rawRequest } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { story, type Scripted } from './site.ts'

// The guard: `status >= 400` in mayServeStaleOnError.
t.test('a stored error never stands in for another', async test => {
  const error = (n: number) => ({ status: 503, fields: { 'cache-control': 'max-age=1', 'retry-after': String(n) }, body: `error ${n}` })
  const site = await story(test, [error(1), error(2), { fields: { 'cache-control': 'max-age=60' }, body: 'page' }])
  test.equal((await site.get('/a')).body.toString(), 'error 1')
  test.equal((await site.get('/a')).body.toString(), 'error 1')
  site.clock.advance(1_500)
  const second = await site.get('/a')
  test.equal(second.body.toString(), 'error 2')
  test.equal(second.header('retry-after'), '2')
  site.clock.advance(1_500)
  test.equal((await site.get('/a')).body.toString(), 'page', 'and the next good response is taken')
  test.equal(site.tell(await site.get('/a')), '200 page fresh')
})

// The guard: `entry.meta.status < 400` in supersede().
for (const [name, later] of [
  ['another 503', { status: 503, fields: { 'retry-after': '2' }, body: 'error 2' }],
  ['a 500', { status: 500, body: 'error 2' }],
  ['a 502 that says no-store', { status: 502, fields: { 'cache-control': 'no-store' }, body: 'error 2' }],
] as const) {
  t.test(`a stored error that may be served during its refresh is superseded by ${name}`, async test => {
    for (const status of [404, 503]) {
      const site = await story(test, [{ status, fields: { 'cache-control': 'max-age=1, stale-while-revalidate=600', 'retry-after': '1' }, body: 'error 1' }, later])
      await site.get('/a')
      site.clock.advance(1_500)
      test.equal(site.tell(await site.get('/a')), `${status} error 1 stale-while-revalidate`)
      await eventually(async () => (await site.get('/a')).body.toString() === 'error 2')
      const next = await site.get('/a')
      test.equal(next.body.toString(), 'error 2')
      test.equal(next.status, later.status)
    }
  })
}

t.test('a page is not superseded by an error of its refresh', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=1, stale-while-revalidate=600' }, body: 'page' }, { status: 503, body: 'down' }])
  await site.get('/a')
  site.clock.advance(1_500)
  for (let i = 2; i < 6; i++) {
    test.equal(site.tell(await site.get('/a')), '200 page stale-while-revalidate')
    await eventually(() => site.requests.length === i)
  }
})

// The guard: `status < 400` in staleAllowances().
t.test('staleWhileRevalidate of the route is for pages: an error is not served for longer than ttl.status', async test => {
  const site = await story(test, [{ status: 503, body: 'down' }, { fields: { 'cache-control': 'max-age=1' }, body: 'page' }], {
    cache: { staleWhileRevalidate: '1h', ttl: { status: { 503: '1s' } } },
  })
  await site.get('/a')
  test.equal(site.tell(await site.get('/a')), '503 down fresh')
  site.clock.advance(1_500)
  test.equal(site.tell(await site.get('/a')), '200 page stale')
  site.clock.advance(1_500)
  test.equal(site.tell(await site.get('/a')), '200 page stale-while-revalidate')
})

// RFC 5861 §4. The guard: `allowedMs !== undefined` in mayServeStaleOnError.
for (const [said, fields, cache, request] of [
  ['the response', { 'cache-control': 'max-age=1, stale-if-error=0' }, {}, {}],
  ['the route', { 'cache-control': 'max-age=1' }, { staleIfError: '0s' }, {}],
  ['the request', { 'cache-control': 'max-age=1' }, {}, { 'Cache-Control': 'stale-if-error=0' }],
] as const) {
  t.test(`stale-if-error=0 of ${said} is a bound`, async test => {
    const site = await story(test, [{ fields, body: 'page' }, { status: 503, body: 'down' }], { cache })
    await site.get('/a')
    site.clock.advance(2_000)
    test.equal((await site.get('/a', request)).status, 503)
  })
}

t.test('without stale-if-error a stale response stands in while it is kept', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=1' }, body: 'page' }, { status: 503, body: 'down' }])
  await site.get('/a')
  site.clock.advance(2_000)
  test.equal(site.tell(await site.get('/a')), '200 page origin-5xx')
})

t.test('a response without a lifetime says so, and one with a lifetime that cannot be read too', async test => {
  const site = await story(test, [{ fields: { etag: '"a"' }, body: 'a' }, { status: 304 }, { fields: { 'etag': '"b"', 'cache-control': 'max-age=60s' }, body: 'b' }, { status: 304,
    fields: { 'cache-control': 'max-age=60s' } }, { body: 'c' }, { fields: { 'cache-control': 'max-age=60s' }, body: 'd' }])
  await site.get('/a')
  test.equal(site.tell(await site.get('/a')), '200 a no-lifetime')
  await site.get('/b')
  test.equal(site.tell(await site.get('/b')), '200 b bad-lifetime')
  test.equal(site.tell(await site.get('/c')), '200 c no-lifetime')
  test.equal(site.tell(await site.get('/d')), '200 d bad-lifetime')
})

// The guard: isConditional() in exchange/fill/plan.ts.
t.test('a 304 to a request without conditions is a 502, and is not stored', async test => {
  const site = await story(test, [{ status: 304, fields: { 'cache-control': 'max-age=60' } }, { fields: { 'cache-control': 'max-age=60', 'etag': '"a"' }, body: 'page' }, {
    status: 304,
  }])
  test.equal((await site.get('/a')).status, 502)
  test.equal((await site.get('/a', { 'If-None-Match': '"x"' })).status, 200)
  test.equal((await site.get('/a')).body.toString(), 'page')
  test.equal((await site.get('/b', {}, { method: 'HEAD' })).status, 502)
})

// The guard: refused() in exchange/pass/pass.ts.
for (const [name, cache, request, options] of [
  ['bypasses the cache', { mode: 'bypass' }, {}, {}],
  ['is a HEAD that bypasses the cache', { mode: 'bypass' }, {}, { method: 'HEAD' }],
  ['has a condition of another kind', {}, { 'If-Match': '"a"' }, {}],
  ['has a range and no condition', { mode: 'bypass' }, { 'Range': 'bytes=0-1', 'If-Range': '"a"' }, {}],
  ['has a body', {}, { 'Content-Length': '1' }, { body: 'x' }],
] as const) {
  t.test(`a 304 is a 502 if its request ${name}, and is not stored`, async test => {
    const site = await story(test, [{ status: 304, fields: { 'cache-control': 'max-age=60', 'etag': '"a"' } }, { fields: { 'cache-control': 'max-age=60', 'etag': '"a"' },
      body: 'page' }], { cache })
    const first = await site.get('/a', request, options)
    test.equal(first.status, 502)
    test.match(first.header('proxy-status'), /http_protocol_error/)
    test.equal((await site.get('/a')).body.toString(), 'page', 'and the next request is forwarded')
  })
}

// The guard: refused() in onRefused() (proxy/pass/websocket.ts).
t.test('a 304 to a WebSocket handshake is a 502 too', async test => {
  const site = await story(test, [{ status: 304 }])
  const handshake =
    'GET /a HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
  test.match(await rawRequest(site.port, handshake), /^HTTP\/1\.1 502 /)
  test.equal(site.requests.length, 1)
})

t.test('a 304 to a condition of the client passes, and so does one to another method', async test => {
  for (const [request, options] of [[{ 'If-None-Match': '"a"' }, {}], [{ 'If-Modified-Since': 'Thu, 01 Jan 2026 00:00:00 GMT' }, { method: 'HEAD' }], [{}, { method: 'POST' }], [{},
    { method: 'DELETE' }]] as const) {
    const site = await story(test, [{ status: 304, fields: { etag: '"a"' } }], { cache: { mode: 'bypass' } })
    test.equal((await site.get('/a', request, options)).status, 304)
  }
})

// The guard: isConditional() in exchange/fill/plan.ts.
t.test('a 304 to the request of an uncacheable key is a 502 too', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'no-store' }, body: 'page' }, { status: 304, fields: { 'cache-control': 'max-age=60' } }, { status: 304 }, {
    fields: { 'cache-control': 'max-age=60' },
    body: 'new',
  }])
  await site.get('/a')
  test.equal((await site.get('/a')).status, 502)
  test.equal((await site.get('/a', { 'If-None-Match': '"x"' })).status, 304, 'the client’s own condition')
  test.equal(site.tell(await site.get('/a')), '200 new uri-miss')
})

t.test('a 304 to a request for a range is a 502, and the next one is forwarded', async test => {
  const site = await story(test, [{ status: 304, fields: { 'cache-control': 'max-age=60', 'etag': '"a"' } }, { fields: { 'cache-control': 'max-age=60' }, body: 'page' }])
  test.equal((await site.get('/a', { Range: 'bytes=0-1' })).status, 502)
  test.equal((await site.get('/a')).body.toString(), 'page')
})

// The guard: contradictsBody() in policy/validation.ts.
for (const [name, before, relabel] of [
  ['a coding', {}, { 'content-encoding': 'gzip' }],
  ['another coding', { 'content-encoding': 'br' }, { 'content-encoding': 'gzip' }],
  ['a range', {}, { 'content-range': 'bytes 0-1/4' }],
  ['another charset', { 'content-type': 'text/html; charset=utf-8' }, { 'content-type': 'text/html;charset=latin1' }],
] as const) {
  t.test(`a 304 with ${name} is not believed, and the whole is fetched`, async test => {
    const first = { 'cache-control': 'max-age=1', 'etag': '"a"', ...before }
    const site = await story(test, [{ fields: first, body: 'page' }, { status: 304, fields: { 'etag': '"a"', 'cache-control': 'max-age=60', ...relabel } }, {
      fields: { ...first, 'cache-control': 'max-age=60' },
      body: 'whole',
    }])
    await site.get('/a')
    site.clock.advance(2_000)
    test.equal((await site.get('/a')).body.toString(), 'whole')
    const hit = await site.get('/a')
    test.equal(site.tell(hit), '200 whole fresh')
    for (const field of Object.keys(relabel)) test.equal(hit.header(field), (before as Record<string, string>)[field])
  })
}

t.test('a 304 with another name of the same coding is believed', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=1', 'etag': '"a"', 'content-encoding': 'gzip' }, body: 'page' }, { status: 304,
    fields: { 'content-encoding': 'X-GZIP', 'cache-control': 'max-age=60' } }])
  await site.get('/a')
  site.clock.advance(2_000)
  test.equal((await site.get('/a')).body.toString(), 'page')
  test.equal(site.requests.length, 2)
})

// The guards: `status >= 400` in unstoredOutcome(), and `meta.status >= 400` in storedOutcome().
const errors: readonly (readonly [name: string, error: Scripted])[] = [
  ...[400, 404, 410, 429, 500, 502, 503, 504].map(status => [`a ${status}`, { status, body: 'no' }] as const),
  ['a 404 that says no-store', { status: 404, fields: { 'cache-control': 'no-store' }, body: 'no' }],
  ['a 500 that says private', { status: 500, fields: { 'cache-control': 'private' }, body: 'no' }],
  ['a 404 that sets a cookie', { status: 404, fields: { 'cache-control': 'max-age=60', 'set-cookie': 'a=1' }, body: 'no' }],
  ['a 404 that varies by everything', { status: 404, fields: { 'cache-control': 'max-age=60', 'vary': '*' }, body: 'no' }],
  ['a stored 404 that is validated at each use', { status: 404, fields: { 'cache-control': 'max-age=60, no-cache', 'etag': '"a"' }, body: 'no' }],
  ['a stored 503 that is stale from the start', { status: 503, fields: { 'cache-control': 'max-age=1', 'age': '5' }, body: 'no' }],
]

for (const [name, error] of errors) {
  t.test(`after ${name} requests wait for one fetch again`, async test => {
    const site = await story(test, [error, { fields: { 'cache-control': 'max-age=60' }, body: 'page' }])
    test.equal((await site.get('/a')).status, error.status)
    const all = await Promise.all(Array.from({ length: 30 }, async () => (await site.get('/a')).body.toString()))
    test.same(new Set(all), new Set(['page']))
    test.equal(site.requests.length, 2)
  })
}

t.test('a 304 that confirms a stored error marks nothing either', async test => {
  const error = { status: 404, fields: { 'cache-control': 'max-age=60, no-cache', 'etag': '"a"' }, body: 'no' }
  const site = await story(test, [error, { status: 304 }, { fields: { 'cache-control': 'max-age=60' }, body: 'page' }])
  await site.get('/a')
  test.equal((await site.get('/a')).status, 404)
  const all = await Promise.all(Array.from({ length: 30 }, async () => (await site.get('/a')).body.toString()))
  test.same(new Set(all), new Set(['page']))
  test.equal(site.requests.length, 3)
})

t.test('a success that may not be shared still marks its key, so that nobody queues for it', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'no-store' }, body: 'mine' }])
  await site.get('/a')
  await Promise.all(Array.from({ length: 30 }, () => site.get('/a')))
  test.equal(site.requests.length, 31)
})
