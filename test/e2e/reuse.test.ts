// Hits, over real sockets: RFC 9111 §4 and RFC 9110 §13, §14.
import t from 'tap'
import { counting, detail, startProxy } from '../support/proxy.ts'

t.test('a second request is served from cache, with its age and the reason', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60', 'X-Own': 'kept' }) })
  const miss = await house.get('/a')
  t.equal(miss.status, 200)
  t.equal(miss.header('cache-status'), 'springhouse; fwd=uri-miss; fwd-status=200; stored; detail=uri-miss')
  t.equal(miss.header('age'), undefined)
  t.match(miss.header('via'), /1\.1 springhouse$/)
  house.clock.advance(7900)
  const hit = await house.get('/a')
  t.equal(hit.header('cache-status'), 'springhouse; hit; ttl=52; detail=fresh')
  t.equal(hit.header('age'), '7', 'whole seconds, floored')
  t.equal(hit.header('x-own'), 'kept')
  t.equal(hit.body.toString(), 'answer 1')
  t.equal(hit.header('content-length'), '8')
  t.equal(house.origin.requests.length, 1)
})

t.test('HEAD is served from the response stored for GET, with the length and no body', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  await house.get('/a')
  const head = await house.get('/a', {}, { method: 'HEAD' })
  t.equal(detail(head), 'fresh')
  t.equal(head.header('content-length'), '8')
  t.equal(head.body.length, 0)
  t.equal(house.origin.requests.length, 1)
})

t.test('a HEAD that misses is forwarded as HEAD, and leaves nothing behind', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  t.equal(detail(await house.get('/a', {}, { method: 'HEAD' })), 'request-method')
  t.equal(house.origin.requests[0]?.method, 'HEAD')
  t.equal(detail(await house.get('/a')), 'uri-miss')
})

t.test('each variant that Vary names is stored beside the others', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'Accept-Language' })
      response.end(request.headers['accept-language'] ?? 'none')
    },
  })
  for (const language of ['de', 'fr', 'en']) await house.get('/a', { 'Accept-Language': language })
  for (const language of ['fr', 'de', 'en']) {
    const hit = await house.get('/a', { 'Accept-Language': language })
    t.equal(detail(hit), 'fresh')
    t.equal(hit.body.toString(), language)
  }
  t.equal(detail(await house.get('/a')), 'vary-miss')
  t.equal(house.origin.requests.length, 4)
})

t.test('a client that has it already gets 304 from cache', async t => {
  const house = await startProxy(t, {
    origin: counting({ 'Cache-Control': 'max-age=60', ETag: '"v1"', 'Last-Modified': 'Wed, 01 Jan 2020 00:00:00 GMT', 'Content-Type': 'text/plain' }),
  })
  await house.get('/a')
  const byTag = await house.get('/a', { 'If-None-Match': '"x", W/"v1"' })
  t.equal(byTag.status, 304)
  t.equal(byTag.header('etag'), '"v1"')
  t.equal(byTag.header('content-type'), undefined)
  t.equal(detail(byTag), 'fresh')
  t.equal((await house.get('/a', { 'If-Modified-Since': 'Wed, 01 Jan 2020 00:00:00 GMT' })).status, 304)
  t.equal((await house.get('/a', { 'If-None-Match': '"v2"', 'If-Modified-Since': 'Wed, 01 Jan 2020 00:00:00 GMT' })).status, 200)
  t.equal(house.origin.requests.length, 1)
})

t.test("a client's own precondition does not shape the stored response", async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.headers['if-none-match'] !== undefined) {
        response.writeHead(304, { ETag: '"v1"' })
        response.end()
        return
      }
      response.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: '"v1"' })
      response.end('whole')
    },
  })
  const first = await house.get('/a', { 'If-None-Match': '"v1"' })
  t.equal(first.status, 304, 'the client gets a 304')
  t.equal(house.origin.requests[0]?.header('if-none-match'), undefined, 'the whole was requested from the origin')
  const second = await house.get('/a')
  t.equal(second.body.toString(), 'whole')
  t.equal(detail(second), 'fresh')
})

t.test('RFC 9110 §14: parts of a stored response', async t => {
  const house = await startProxy(t, { origin: (_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: '"v1"' }).end('0123456789')
  } })
  await house.get('/a')
  const part = await house.get('/a', { Range: 'bytes=2-4' })
  t.equal(part.status, 206)
  t.equal(part.header('content-range'), 'bytes 2-4/10')
  t.equal(part.body.toString(), '234')
  t.equal((await house.get('/a', { Range: 'bytes=-3' })).body.toString(), '789')
  t.equal((await house.get('/a', { Range: 'bytes=7-' })).body.toString(), '789')
  const beyond = await house.get('/a', { Range: 'bytes=10-' })
  t.equal(beyond.status, 416)
  t.equal(beyond.header('content-range'), 'bytes */10')
  t.equal((await house.get('/a', { Range: 'bytes=0-1', 'If-Range': '"v1"' })).status, 206)
  t.equal((await house.get('/a', { Range: 'bytes=0-1', 'If-Range': '"v0"' })).status, 200, 'If-Range that does not hold: the whole')
  t.equal((await house.get('/a', { Range: 'lines=0-1' })).status, 200, 'a unit that is not known is ignored')
  t.equal(house.origin.requests.length, 1)
})

t.test('RFC 9110 §13.1.5: If-Range with a date holds for a date that can stand for one version only', async t => {
  const modified = 'Tue, 14 Nov 2023 22:13:19 GMT'
  const house = await startProxy(t, {
    origin: (request, response) => {
      const date = request.url === '/old' ? 'Tue, 14 Nov 2023 22:13:20 GMT' : modified
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Last-Modified': modified, Date: date }).end('0123456789')
    },
  })
  for (const path of ['/old', '/new']) await house.get(path)
  t.equal((await house.get('/old', { Range: 'bytes=0-1', 'If-Range': modified })).status, 206)
  t.equal((await house.get('/new', { Range: 'bytes=0-1', 'If-Range': modified })).status, 200)
  t.equal((await house.get('/old', { Range: 'bytes=0-1', 'If-Range': 'Tue, 14 Nov 2023 22:13:20 GMT' })).status, 200)
})

t.test('request directives: only-if-cached, max-age, min-fresh, max-stale, no-cache, no-store', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  const refused = await house.get('/a', { 'Cache-Control': 'only-if-cached' })
  t.equal(refused.status, 504)
  t.equal(refused.header('content-type'), 'application/problem+json')
  t.match(JSON.parse(refused.body.toString()), { code: 'NOT_CACHED', status: 504 })
  t.equal(house.origin.requests.length, 0)
  await house.get('/a')
  t.equal(detail(await house.get('/a', { 'Cache-Control': 'only-if-cached' })), 'fresh')
  house.clock.advance(30_000)
  t.equal(detail(await house.get('/a', { 'Cache-Control': 'max-age=30' })), 'fresh')
  t.equal(detail(await house.get('/a', { 'Cache-Control': 'max-age=29' })), 'request-max-age')
  house.clock.advance(60_000)
  t.equal(detail(await house.get('/a', { 'Cache-Control': 'max-stale=5' })), 'max-stale')
  t.equal(detail(await house.get('/a', { 'Cache-Control': 'no-cache' })), 'request-no-cache')
  t.equal((await house.get('/a')).body.toString(), 'answer 3', 'its response is stored')
  t.equal(detail(await house.get('/a', { 'Cache-Control': 'no-cache', Range: 'bytes=0-1' })), 'request-no-cache', 'a 200 to a Range is the whole')
  t.equal(detail(await house.get('/b', { 'Cache-Control': 'no-store' })), 'request-no-store')
  t.equal(detail(await house.get('/b')), 'uri-miss')
})

t.test('fields meant for this cache alone do not reach a client, on a miss nor on a hit', async t => {
  const house = await startProxy(t, { origin: counting({ 'Surrogate-Control': 'max-age=60', 'Cache-Tag': 'a', 'Surrogate-Key': 'b', 'CDN-Cache-Control': 'max-age=60' }) })
  for (const expected of ['uri-miss', 'fresh']) {
    const answer = await house.get('/a')
    t.equal(detail(answer), expected)
    t.equal(answer.header('surrogate-control'), undefined)
    t.equal(answer.header('cache-tag'), undefined)
    t.equal(answer.header('surrogate-key'), undefined)
    t.equal(answer.header('cdn-cache-control'), 'max-age=60', 'this one is for every CDN on the way')
  }
})

t.test('query parameters that the route ignores reach neither the key nor the origin', async t => {
  const house = await startProxy(t, {
    origin: counting({ 'Cache-Control': 'max-age=60' }),
    config: { routes: [{ match: {}, origin: 'api', key: { query: { ignore: ['utm_*', 'fbclid'], sort: true } } }] },
  })
  await house.get('/a?b=2&utm_source=x&a=1')
  t.equal(house.origin.requests[0]?.target, '/a?a=1&b=2')
  t.equal(detail(await house.get('/a?a=1&fbclid=9&b=2')), 'fresh')
  t.equal((await house.purge({ urls: ['/a?fbclid=7&b=2&a=1'] })).status, 200)
  t.equal(detail(await house.get('/a?a=1&b=2')), 'uri-miss', 'and a purge names the URL as clients do')
})

t.test('a host or a scheme of its own is an entry of its own', async t => {
  const house = await startProxy(t, { origin: (request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(request.headers.host)
  } })
  t.equal((await house.get('/a', { Host: 'one.example' })).body.toString(), 'one.example')
  t.equal((await house.get('/a', { Host: 'two.example' })).body.toString(), 'two.example')
  t.equal(detail(await house.get('/a', { Host: 'ONE.example:80' })), 'fresh', 'case and the default port make no difference')
})

t.test('ignored query parameters are globs with stars anywhere: they reach neither the key nor the origin', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }),
    config: { routes: [{ match: {}, origin: 'api', key: { query: { ignore: ['utm*source', '*click*'] } } }] } })
  await house.get('/a?utm_source=x&b=1&gclickid=2')
  t.equal(house.origin.requests[0]?.target, '/a?b=1')
  for (const query of ['b=1', 'b=1&utmsource', 'click=1&b=1&utm_x_source=2']) t.equal(detail(await house.get(`/a?${query}`)), 'fresh', query)
  t.equal(detail(await house.get('/a?b=1&utm_sources=1')), 'uri-miss')
})
