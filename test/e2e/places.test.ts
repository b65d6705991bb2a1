// Places at a server: waiting requests have an end, and WebSockets and event streams take no places of requests.
import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { ServerHttp2Stream } from 'node:http2'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { open, type Answer } from '../support/client.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { eventually } from '../support/log.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { tlsFiles } from '../support/tls-files.ts'

const busy = { status: 503, retryAfter: '1', code: 'ORIGIN_BUSY' }

function problemOf(answer: Answer): unknown {
  return { status: answer.status, retryAfter: answer.header('retry-after'), code: (JSON.parse(answer.body.toString()) as { code: string }).code }
}

/** Returns the status of the only server. */
async function serverOf(proxy: TestProxy): Promise<{ pending: number; streams: number; healthy: boolean }> {
  const { body } = await proxy.admin('/v1/origins')
  return (JSON.parse(body.toString()) as { origins: [{ pending: number; streams: number; healthy: boolean }] }).origins[0]
}

/** An origin whose event streams stay open until `end` is called, over HTTP/1.1 or HTTP/2. */
interface Streaming {
  readonly settings: Readonly<Record<string, unknown>>
  /** Event streams that are open. */
  open(): number
  /** Ends the oldest event stream. */
  end(): void
}

const fields = (target: string): Record<string, string> => ({ 'content-type': target.startsWith('/events') ? 'Text/Event-Stream; charset=utf-8' : 'text/plain',
  'cache-control': 'no-store' })

async function streamsOverHttp1(test: Test): Promise<Streaming> {
  const streams: ServerResponse[] = []
  const origin = await startOrigin((request, response) => {
    response.writeHead(200, fields(request.url as string))
    if (!request.url?.startsWith('/events') || request.method === 'HEAD') return response.end('whole')
    response.write('data: 1\n\n')
    streams.push(response)
  })
  test.teardown(() => origin.close())
  return { settings: { servers: [origin.url] }, open: () => streams.length, end: () => streams.shift()?.end() }
}

async function streamsOverHttp2(test: Test): Promise<Streaming> {
  const streams: ServerHttp2Stream[] = []
  const origin = await startHttp2Origin((stream, headers) => {
    stream.respond({ ':status': 200, ...fields(headers[':path'] as string) })
    if (!headers[':path']?.startsWith('/events') || headers[':method'] === 'HEAD') return void stream.end('whole')
    stream.write('data: 1\n\n')
    streams.push(stream)
  })
  test.teardown(() => origin.close())
  return { settings: { servers: [origin.url], http2: true, tls: { ca: tlsFiles(test).cert } }, open: () => streams.length, end: () => streams.shift()?.end() }
}

async function proxyBefore(test: Test, settings: Readonly<Record<string, unknown>>): Promise<TestProxy> {
  const origin = await startOrigin((_request, response) => response.end())
  test.teardown(() => origin.close())
  return startProxy(test, { origin, config: { origins: { api: settings } } })
}

/** Opens an event stream, and resolves after its head. The client leaves with the test. */
async function subscribe(test: Test, { port }: TestProxy, path = '/events', cookie?: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const request = open(port, { path, ...(cookie !== undefined && { headers: ['Cookie', cookie] }) }, response => {
      response.on('error', () => undefined)
      response.resume()
      if (response.statusCode === 200) resolve(() => request.destroy())
      else reject(new Error(`status ${response.statusCode}`))
    })
    request.on('error', () => undefined)
    test.teardown(() => request.destroy())
  })
}

for (const [protocol, start] of [['HTTP/1.1', streamsOverHttp1], ['HTTP/2', streamsOverHttp2]] as const) {
  // Guard: `becomesStream` in origin/pool/server.ts. Without it the first GET waits for an event stream to end.
  t.test(`event streams over ${protocol} take no places of requests, and have a bound of their own`, async test => {
    const streaming = await start(test)
    const proxy = await proxyBefore(test, { ...streaming.settings, maxConnections: 1, maxQueue: 0, maxStreams: 2 })
    // Both ways of a request to the origin: a fetch for the cache, and a passed request.
    await subscribe(test, proxy, '/events/1')
    const leave = await subscribe(test, proxy, '/events/2', 'user=1')
    for (const method of ['GET', 'POST', 'HEAD']) test.equal((await proxy.get('/', {}, { method })).status, 200, method)
    test.match(problemOf(await proxy.get('/events/3')), busy)
    test.match(problemOf(await proxy.get('/events/3', {}, { method: 'POST' })), busy)
    test.equal((await proxy.get('/events/3', {}, { method: 'HEAD' })).status, 200, 'a HEAD is no stream')
    test.match(await serverOf(proxy), { streams: 2, pending: 0, healthy: true })
    test.match((await proxy.admin('/metrics')).body.toString(), /^springhouse_origin_server_streams\{[^}]*\} 2$/m)
    // A place is free again once the origin ends the stream, or the client leaves.
    streaming.end()
    await eventually(async () => (await serverOf(proxy)).streams === 1)
    await subscribe(test, proxy, '/events/4')
    leave()
    await eventually(async () => (await serverOf(proxy)).streams === 1)
    await subscribe(test, proxy, '/events/5')
    test.equal((await proxy.get('/')).status, 200)
  })

  // Guard: `queueMs` in origin/request/origin-request.ts. Without it the second request waits for ever.
  t.test(`a request waits for a connection over ${protocol} as long as queueMs, and then gets 503`, async test => {
    const held: (() => void)[] = []
    const origin = protocol === 'HTTP/1.1' ?
      await startOrigin((_request, response) => held.push(() => response.end('late'))) :
      await startHttp2Origin(stream => {
        stream.respond()
        held.push(() => stream.end('late'))
      })
    test.teardown(() => origin.close())
    const proxy = await proxyBefore(test, { servers: [origin.url], ...(protocol === 'HTTP/2' && { http2: true, tls: { ca: tlsFiles(test).cert } }), maxConnections: 1, maxQueue: 2,
      timeouts: { queueMs: '20ms', connectMs: protocol === 'HTTP/2' ? '500ms' : '2s' } })
    const first = proxy.get('/first')
    await eventually(() => held.length === 1)
    test.match(problemOf(await proxy.get('/second')), busy)
    test.match(problemOf(await proxy.get('/second', {}, { method: 'POST' })), busy, 'a passed request too')
    test.match(await serverOf(proxy), { pending: 1, healthy: true }, 'they have left the queue')
    test.match((await proxy.admin('/metrics')).body.toString(), /^springhouse_origin_errors_total\{code="ORIGIN_BUSY"\} [12]$/m)
    held[0]?.()
    test.equal((await first).status, 200)
    const next = proxy.get('/third')
    await eventually(() => held.length === 2)
    held[1]?.()
    test.equal((await next).status, 200)
  })
}

// Guard: `hasRoom('stream')`. Without places of their own eight WebSockets use up maxConnections and maxQueue.
t.test('eight WebSockets leave every place for requests', async test => {
  const server = createServer((_request, response) => response.end('plain'))
  const echo = new WebSocketServer({ server })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    for (const client of echo.clients) client.terminate()
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const proxy = await proxyBefore(test, { servers: [url], maxConnections: 4, maxQueue: 4, maxStreams: 8 })
  const dial = (): WebSocket => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`)
    socket.on('error', () => undefined)
    test.teardown(() => socket.terminate())
    return socket
  }
  const sockets = await Promise.all(Array.from({ length: 8 }, async () => {
    const socket = dial()
    await once(socket, 'open')
    return socket
  }))
  test.equal((await proxy.get('/')).status, 200)
  const ninth = dial()
  const [, response] = await once(ninth, 'unexpected-response') as [unknown, { statusCode: number; headers: Record<string, string> }]
  test.match(response, { statusCode: 503, headers: { 'retry-after': '1' } })
  sockets[0]?.close()
  await eventually(async () => (await serverOf(proxy)).streams === 7)
  await once(dial(), 'open')
})

t.test('streams count for the balance: the next request goes to the server with fewer of them', async test => {
  const served: string[] = []
  const start = (name: string) =>
    startOrigin((request, response) => {
      served.push(`${name} ${request.url}`)
      response.writeHead(200, fields(request.url as string))
      if (request.url === '/events') response.write('data: 1\n\n')
      else response.end()
    })
  const [a, b] = [await start('a'), await start('b')]
  test.teardown(() => Promise.all([a.close(), b.close()]))
  const proxy = await proxyBefore(test, { servers: [a.url, b.url] })
  await subscribe(test, proxy)
  const [first] = served
  const other = first === 'a /events' ? 'b' : 'a'
  for (const path of ['/1', '/2', '/3']) await proxy.get(path)
  test.strictSame(served.slice(1), ['/1', '/2', '/3'].map(path => `${other} ${path}`))
})
