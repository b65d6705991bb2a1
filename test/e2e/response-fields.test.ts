// Response fields that report the cache's decision to clients and to other caches: RFC 9211, RFC 9213, RFC 9110 §7.6.3.
import t from 'tap'
import { counting, detail, startProxy } from '../support/proxy.ts'

t.test('RFC 9211 §2: members of caches before it come first, in their order, and its own last', async t => {
  const house = await startProxy(t, {
    origin: counting({ 'Cache-Control': 'max-age=60', 'Cache-Status': ['OriginCache; hit; ttl=30, "Shield, north"; fwd=stale', 'edge; fwd=uri-miss; key="a, b"'] }),
  })
  const before = 'OriginCache; hit; ttl=30, "Shield, north"; fwd=stale, edge; fwd=uri-miss; key="a, b"'
  t.equal((await house.get('/a')).header('cache-status'), `${before}, springhouse; fwd=uri-miss; fwd-status=200; stored; detail=uri-miss`)
  t.equal((await house.get('/a')).header('cache-status'), `${before}, springhouse; hit; ttl=60; detail=fresh`, 'on a hit they say how the stored response came')
  t.equal((await house.get('/a', {}, { method: 'DELETE' })).header('cache-status'), `${before}, springhouse; fwd=method; detail=method`)
})

t.test('RFC 9211 §2.7: no key, whatever the request: it names the route and the origin', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }), config: { proxy: { host: '127.0.0.1', port: 0, trustProxy: true } } })
  for (const _ of ['miss', 'hit']) t.notMatch((await house.get('/a', { 'Cache-Status': 'key', 'X-Cache-Debug': '1', Pragma: 'x-get-cache-key' })).header('cache-status'), /key/)
  const explained = JSON.parse((await house.admin(`/v1/explain?url=${encodeURIComponent(`http://127.0.0.1:${house.port}/a`)}`)).body.toString()) as { key: string }
  t.match(explained.key, /\/a$/, 'explain shows it')
})

t.test('RFC 9213 §2.2: CDN-Cache-Control governs here, and is forwarded with the fields that it overrides', async t => {
  const house = await startProxy(t, { origin: counting({ 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'no-store', Expires: '0' }) })
  await house.get('/a')
  const hit = await house.get('/a')
  t.equal(detail(hit), 'fresh')
  t.equal(hit.header('cdn-cache-control'), 'max-age=60')
  t.equal(hit.header('cache-control'), 'no-store')
  t.equal(hit.header('expires'), '0')
})

t.test('RFC 8586: the origin finds this proxy in CDN-Loop, by way of the cache and past it', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  await house.get('/a', { 'CDN-Loop': 'other.example; v=1', Connection: 'CDN-Loop' })
  await house.get('/a', { 'CDN-Loop': 'other.example; v=1', Connection: 'CDN-Loop' }, { method: 'POST' })
  for (const request of house.origin.requests) t.equal(request.header('cdn-loop'), 'other.example; v=1, springhouse', request.method)
})

t.test('RFC 8297: interim responses are forwarded on a miss, and none is sent on a hit', async t => {
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('x')
    },
  })
  const seen = async (): Promise<number> => {
    let hints = 0
    const { request } = await import('node:http')
    await new Promise<void>(resolve => {
      request({ host: '127.0.0.1', port: house.port, path: '/a', agent: false }, response => response.resume().on('end', resolve)).on('information', () => {
        hints++
      }).end()
    })
    return hints
  }
  t.equal(await seen(), 1)
  t.equal(await seen(), 0)
})
