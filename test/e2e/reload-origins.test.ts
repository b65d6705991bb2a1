// A reload takes up other origins: requests in flight end where they are, and the next ones go to the new servers.
import { readdirSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { eventually } from '../support/log.ts'
import { adminSettings, startProxy, type TestProxy } from '../support/proxy.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from '../support/scripted-origin.ts'
import { tlsFiles } from '../support/tls-files.ts'

type Setting = Readonly<Record<string, unknown>>

async function server(test: Test, handler: OriginHandler): Promise<ScriptedOrigin> {
  const origin = await startOrigin(handler)
  test.teardown(() => origin.close())
  return origin
}

const named = (name: string): OriginHandler => (_request, response) => void response.writeHead(200, { 'Cache-Control': 'no-store' }).end(name)

async function reload(proxy: { app: TestProxy['app'] }, origins: Setting, routes: readonly Setting[] = [{ match: {}, origin: 'api' }]): Promise<void> {
  await proxy.app.reload(resolveConfig({ admin: adminSettings, origins, routes }))
}

const bodyOf = async (proxy: TestProxy, path = '/'): Promise<string> => {
  const { status, body } = await proxy.get(path)
  return status === 200 ? body.toString() : String(status)
}

async function urls(proxy: TestProxy): Promise<string[]> {
  const { origins } = JSON.parse((await proxy.admin('/v1/origins')).body.toString()) as { origins: { origin: string; url: string }[] }
  return origins.map(({ origin, url }) => `${origin} ${url}`)
}

// Guard: `reconfigure` and `remove` in origin/pool/pool.ts.
t.test('servers and origins are added, changed and removed', async test => {
  const held: ServerResponse[] = []
  const a = await server(test, (request, response) => request.url === '/held' ? void held.push(response) : named('a')(request, response, undefined as never))
  const [b, c] = [await server(test, named('b')), await server(test, named('c'))]
  const proxy = await startProxy(test, { origin: a })
  test.equal(await bodyOf(proxy), 'a')
  const inFlight = [bodyOf(proxy, '/held'), proxy.get('/held', {}, { method: 'POST', body: 'x' }).then(({ body }) => body.toString())]
  await eventually(() => held.length === 2)

  await reload(proxy, { api: { servers: [b.url] } })
  test.equal(await bodyOf(proxy), 'b', 'another server')
  test.strictSame(await urls(proxy), [`api ${b.url}`])
  const routes = [{ match: { path: '/new' }, origin: 'new' }, { match: {}, origin: 'api' }]
  await reload(proxy, { api: { servers: [b.url, c.url], balance: 'round-robin' }, new: { servers: [c.url] } }, routes)
  test.strictSame([await bodyOf(proxy), await bodyOf(proxy)].sort(), ['b', 'c'], 'one more server')
  test.equal(await bodyOf(proxy, '/new'), 'c', 'one more origin')
  await reload(proxy, { api: { servers: [c.url] } })
  test.equal(await bodyOf(proxy, '/new'), 'c', 'its route is gone with it')
  test.strictSame(await urls(proxy), [`api ${c.url}`])
  await reload(proxy, { api: { servers: [a.url] } })
  test.equal(await bodyOf(proxy), 'a', 'a server may come back')

  for (const response of held) response.end('finished')
  test.strictSame(await Promise.all(inFlight), ['finished', 'finished'], 'requests in flight have ended on the old server')
})

t.test('an origin that is removed finishes what was routed to it, also a request that still waits for a connection', async test => {
  const held: ServerResponse[] = []
  const a = await server(test, (_request, response) => void held.push(response))
  const b = await server(test, named('b'))
  const proxy = await startProxy(test, { origin: a, config: { origins: { api: { servers: [a.url], maxConnections: 1 } } } })
  const requests = [bodyOf(proxy, '/1'), bodyOf(proxy, '/2')]
  await eventually(() => held.length === 1)
  for (let i = 0; i < 3; i++) {
    await reload(proxy, { other: { servers: [b.url] } }, [{ match: {}, origin: 'other' }])
    proxy.clock.advance(200_000)
  }
  test.equal(await bodyOf(proxy), 'b')
  held[0]?.end('first')
  await eventually(() => held.length === 2)
  held[1]?.end('second')
  test.strictSame((await Promise.all(requests)).sort(), ['first', 'second'])
  await reload(proxy, { api: { servers: [b.url] } })
  test.equal(await bodyOf(proxy), 'b', 'the name may come back')
})

t.test('a server that remains keeps its connections and its failures; other limits and TLS begin anew', async test => {
  const a = await server(test, named('a'))
  const dead = await server(test, (request) => request.socket.destroy())
  const proxy = await startProxy(test, { origin: a })
  const settings = { servers: [a.url, dead.url], balance: 'round-robin' }
  await reload(proxy, { api: settings })
  for (let i = 0; i < 8; i++) await bodyOf(proxy)
  const healthy = async (): Promise<boolean[]> =>
    (JSON.parse((await proxy.admin('/v1/origins')).body.toString()) as { origins: { healthy: boolean }[] }).origins.map(({ healthy: is }) => is)
  test.strictSame(await healthy(), [true, false])
  const connections = (): number => new Set(a.requests.map(({ socket }) => socket)).size
  const before = connections()
  const b = await server(test, named('b'))
  await reload(proxy, { api: { ...settings, servers: [...settings.servers, b.url], retries: 2 } })
  test.strictSame(await healthy(), [true, false, true])
  for (let i = 0; i < 4; i++) await bodyOf(proxy)
  test.equal(connections(), before, 'over the same connection')
  await reload(proxy, { api: { ...settings, maxConnections: 3 } })
  test.strictSame(await healthy(), [true, true])

  const secure = createTlsServer({ cert: testCertificate, key: testKey }, (_request, response) => response.end('secure'))
  await new Promise<void>(resolve => secure.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    secure.close()
    secure.closeAllConnections()
  })
  const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`
  await reload(proxy, { api: { servers: [url] } })
  test.equal(await bodyOf(proxy), '502', 'its certificate is not trusted')
  await reload(proxy, { api: { servers: [url], tls: { ca: tlsFiles(test).cert } } })
  test.equal(await bodyOf(proxy), 'secure')
  await test.rejects(reload(proxy, { api: { servers: [url], tls: { ca: '/nowhere.pem' } } }), { message: /nowhere\.pem/ })
  test.equal(await bodyOf(proxy), 'secure', 'a reload that fails changes nothing')
})

// Guard: `retire` in origin/pool/server.ts, which ends the health checks.
t.test('the health checks of a server that was removed end', async test => {
  const [a, b] = [await server(test, named('a')), await server(test, named('b'))]
  const health = { path: '/up', intervalMs: '100ms' }
  const proxy = await startProxy(test, { origin: a, clock: systemClock, config: { origins: { api: { servers: [a.url], health } } } })
  await a.nth(1)
  await reload(proxy, { api: { servers: [b.url], health } })
  const checks = a.requests.length
  // Five intervals of the other server. A check may have begun before the reload.
  await b.nth(5)
  test.ok(a.requests.length <= checks + 1, `${a.requests.length - checks} checks after the reload`)
})

// Guard: `remain` in pool.ts and retire(): if a leaving server destroyed its connections, requests would be lost.
t.test('reloads under load lose no request, and leave no connection behind', async test => {
  const [a, b] = [await server(test, named('a')), await server(test, named('b'))]
  const proxy = await startProxy(test, { origin: a, clock: systemClock })
  const wrong: string[] = []
  const stop = new AbortController()
  let sent = 0
  const client = async (number: number): Promise<void> => {
    while (!stop.signal.aborted) {
      sent++
      const { status, body } = await proxy.get(`/${number}`, {}, number % 2 === 0 ? {} : { method: 'POST', body: 'x' })
      if (status !== 200 || !['a', 'b'].includes(body.toString())) wrong.push(`${status} ${body.toString()}`)
    }
  }
  const clients = Array.from({ length: 6 }, (_, number) => client(number))
  const configs: readonly Setting[] = [
    { api: { servers: [a.url] } },
    { api: { servers: [b.url] } },
    { api: { servers: [a.url, b.url] } },
    { api: { servers: [b.url], maxConnections: 4 } },
    { api: { servers: [a.url], reuse: 'always' }, more: { servers: [b.url] } },
  ]
  const sockets = (): number => readdirSync('/proc/self/fd').length
  const reloads = Number(process.env.RELOADS ?? 60)
  let before = 0
  for (let i = 0; i < reloads; i++) {
    await reload(proxy, configs[i % configs.length] as Setting)
    const enough = sent + 6
    await eventually(() => sent >= enough)
    if (i === configs.length) before = sockets()
  }
  stop.abort()
  await Promise.all(clients)
  test.strictSame(wrong, [])
  // Idle connections of servers that have left are closed; those of the last configuration stay.
  await eventually(() => sockets() <= before + 20)
  test.comment(`${reloads} reloads, ${sent} requests, ${sockets()} descriptors, ${before} before`)
})
