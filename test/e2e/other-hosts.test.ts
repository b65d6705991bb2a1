// Origins that are somebody else's virtual host: Host, a base path, client certificates, sockets of the file system, a health path.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { systemClock } from '../../src/clock.ts'
import { parseConfigText } from '../../src/config/file.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { testCertificate } from '../support/certificate.ts'
import { eventually } from '../support/log.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { tlsFiles } from '../support/tls-files.ts'
import { testKey } from '../support/certificate.ts'

const folder = mkdtempSync(join(tmpdir(), 'springhouse-sockets-'))
t.teardown(() => rmSync(folder, { recursive: true }))

async function house(test: Test, origin: object, more: object = {}): Promise<TestProxy> {
  const api = await startOrigin((_, response) => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('body'))
  test.teardown(() => api.close())
  return startProxy(test, { origin: api, config: { origins: { api: { servers: [api.url], ...origin } }, routes: [{ origin: 'api' }], ...more } })
}

async function serverOn(test: Test, path: string, seen: (request: IncomingMessage) => string): Promise<Server> {
  const server = createServer((request, response) => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(seen(request)))
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
  test.teardown(() =>
    new Promise<void>((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  )
  return server
}

// Fails without `fieldsOf` in origin/pool/server.ts.
t.test('hostHeader decides the Host of servers, and the key and X-Forwarded-Host keep that of the client', async (t) => {
  const url = new URL('http://127.0.0.1:1')
  for (const [hostHeader, expected] of [['client', 'shop.example'], ['origin', undefined], ['vhost.example', 'vhost.example'], ['vhost.example:8443',
    'vhost.example:8443']] as const) {
    const { get, origin } = await house(t, { hostHeader })
    await get('/a', { Host: 'shop.example' })
    t.equal(detail(await get('/a', { Host: 'shop.example' })), 'fresh')
    t.equal(detail(await get('/a', { Host: 'other.example' })), 'uri-miss', 'another host is another key')
    await get('/a', { Host: 'shop.example' }, { method: 'POST', body: 'x' })
    url.href = origin.url
    const own = expected ?? url.host
    t.same(origin.requests.map((request) => request.header('host')), [own, expected === 'shop.example' ? 'other.example' : own, own], hostHeader)
    t.same(origin.requests.map((request) => request.header('x-forwarded-host')), ['shop.example', 'other.example', 'shop.example'])
  }
})

t.test('a base path goes before the path of each request, WebSockets and health checks included', async (t) => {
  const targets: string[] = []
  const server = createServer((request, response) => {
    targets.push(`${request.method} ${request.url}`)
    response.end('ok')
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, request) => {
    targets.push(`WS ${request.url}`)
    socket.close()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/v1/`
  const config = { origins: { api: { servers: [url], hostHeader: 'vhost.example', health: { path: '/up', intervalMs: 100 } } }, routes: [{ origin: 'api' }] }
  const proxy = await startProxy(t, { origin: (_, response) => response.end(), config, clock: systemClock })
  for (const path of ['/', '/a%2Fb?c=/d', '//x', '/?y']) t.equal((await proxy.get(path)).status, 200)
  await proxy.get('/p', {}, { method: 'POST', body: 'x' })
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/ws?a`)
  await new Promise((resolve) => {
    socket.on('close', resolve)
  })
  await eventually(() => targets.includes('GET /base/v1/up'))
  t.same(targets.filter((target) => target !== 'GET /base/v1/up'), ['GET /base/v1/', 'GET /base/v1/a%2Fb?c=/d', 'GET /base/v1//x', 'GET /base/v1/?y', 'POST /base/v1/p',
    'WS /base/v1/ws?a'])
})

t.test('unix: is a socket of this machine, by any spelling, over HTTP/1.1 and HTTP/2', async (t) => {
  const path = join(folder, 'api.sock')
  await serverOn(t, path, (request) => `${request.headers.host} ${request.url}`)
  for (const url of [`unix:${path}`, `unix://${path}`]) {
    const proxy = await house(t, { servers: [url], hostHeader: 'origin' })
    t.equal(String((await proxy.get('/a?b')).body), 'localhost /a?b')
    t.equal(detail(await proxy.get('/a?b')), 'fresh')
    t.equal(String((await proxy.get('/p', {}, { method: 'POST', body: 'x' })).body), 'localhost /p')
    t.match(JSON.parse(String((await proxy.admin('/v1/origins')).body)), { origins: [{ url: `unix:${path}`, healthy: true }] })
  }
  const gone = await house(t, { servers: [`unix:${join(folder, 'none.sock')}`] })
  t.equal((await gone.get('/')).status, 502)
  t.same(resolveConfig({ origins: { api: { servers: ['unix:///run/a.sock weight=2', 'HTTP://API:80/base/'] } } }).origins.api?.servers, ['unix:/run/a.sock weight=2',
    'http://api/base'])
})

// Fails without `ownTls`.
t.test('a client certificate is shown to servers that require one, over HTTP/1.1 and HTTP/2', async (t) => {
  const { cert, key } = tlsFiles(t)
  const server = createSecureServer({ cert: testCertificate, key: testKey, ca: testCertificate, requestCert: true, rejectUnauthorized: true, allowHTTP1: true },
    (request, response) => response.end(request.httpVersion))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.teardown(() => server.close())
  const servers = [`https://127.0.0.1:${(server.address() as AddressInfo).port}`]
  for (const http2 of [false, true]) {
    const { get, app } = await house(t, { servers, http2, tls: { ca: cert, cert, key } })
    t.equal(String((await get('/')).body), http2 ? '2.0' : '1.1')
    const without = await house(t, { servers, http2, tls: { ca: cert } })
    t.equal((await without.get('/')).status, 502)
    await app.close()
    await without.app.close()
  }
})

t.test('the health path is the proxy’s own: 200, 503 while it stops, and every other path is the origins’', async (t) => {
  const { get, origin, app } = await house(t, {}, { proxy: { host: '127.0.0.1', port: 0, healthPath: '/-/up', shutdownDelayMs: 300 } })
  const up = await get('/-/up?x=1', { Host: 'any.example' })
  t.match([up.status, String(up.body), up.header('cache-control')], [200, 'ok\n', 'no-store'])
  t.match([(await get('/-/up', {}, { method: 'HEAD' })).status, origin.requests.length], [200, 0])
  for (const path of ['/-/up/', '/-/upper', '/-/UP']) await get(path)
  await get('/-/up', {}, { method: 'POST' })
  t.equal(origin.requests.length, 4)
  const closed = app.close({ delayed: true })
  const last = await get('/-/up')
  t.match([last.status, String(last.body)], [503, 'stopping\n'])
  await closed
})

t.test('keys that begin with x- are a place for anchors', async (t) => {
  const text =
    'x-common: &common { balance: round-robin, hostHeader: origin }\nx-unused: ${NOT_SET}\norigins:\n  a: { <<: *common, servers: [http://a] }\n  b: { <<: *common, servers: [http://b] }\nroutes: [ { origin: a } ]\n'
  const config = resolveConfig(parseConfigText(text, 'f.yaml'))
  t.match(config.origins, { a: { balance: 'round-robin', hostHeader: 'origin' }, b: { balance: 'round-robin' } })
  t.throws(() => resolveConfig(parseConfigText('origins: { a: { servers: [http://a], x-b: 1 } }', 'f')), /origins\.a\.x-b: unknown key/)
})
