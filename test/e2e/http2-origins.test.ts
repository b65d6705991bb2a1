// A whole proxy before origins that speak HTTP/2 over TLS: stored responses, passes, and responses that break off.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { resolveConfig } from '../../src/config/load.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { ask, open } from '../support/client.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { answer, data, goaway, head, resetStream, startFrameOrigin, startHttp2Origin, type FrameConnection, type Http2Origin, type StreamHandler } from '../support/http2-origin.ts'
import { frameType } from '../hostile/frames.ts'

const folder = mkdtempSync(join(tmpdir(), 'springhouse-h2-origins-'))
const ca = join(folder, 'ca.pem')
const key = join(folder, 'key.pem')
writeFileSync(ca, testCertificate)
writeFileSync(key, testKey)
t.teardown(() => rmSync(folder, { recursive: true }))

interface Tap {
  teardown(close: () => Promise<void>): void
}

function houseBefore(tap: Tap, servers: readonly string[], proxy: object = {}): Promise<TestProxy> {
  return startProxy(tap, {
    origin: () => undefined,
    config: {
      origins: { api: { servers, http2: true, tls: { ca }, balance: 'round-robin' } },
      routes: [{ match: {}, origin: 'api' }],
      proxy: { host: '127.0.0.1', port: 0, ...proxy },
    },
  })
}

async function before(tap: Tap, handler: StreamHandler, proxy?: object): Promise<{ house: TestProxy; origin: Http2Origin }> {
  const origin = await startHttp2Origin(handler)
  const house = await houseBefore(tap, [origin.url], proxy)
  tap.teardown(() => origin.close())
  return { house, origin }
}

t.test('miss, hit, validation, HEAD, and a response that is not stored', async t => {
  const { house, origin } = await before(t, (stream, headers) => {
    const fields = { 'cache-control': 'max-age=50', 'etag': '"1"', 'x-a': ['1', '2'] }
    if (headers['if-none-match'] === '"1"') return stream.respond({ ...fields, ':status': 304 }, { endStream: true })
    stream.respond(fields)
    return stream.end('whole')
  })
  const miss = await house.get('/a?b', { Cookie: 'x=1', Connection: 'x-hop', 'X-Hop': '1' })
  t.match(miss, { status: 200, complete: true })
  t.match(miss.header('cache-status'), /fwd=uri-miss; fwd-status=200/)
  t.equal(miss.header('x-a'), '1, 2')
  t.match((await house.get('/b')).header('cache-status'), /stored/)
  t.match((await house.get('/b')).header('cache-status'), /springhouse; hit/)
  house.clock.advance(51_000)
  const validated = await house.get('/b')
  t.match(validated.header('cache-status'), /fwd-status=304/)
  t.equal(validated.body.toString(), 'whole')
  const [first] = origin.requests as [IncomingHttpHeaders]
  t.match(first, { ':authority': `127.0.0.1:${house.port}`, ':path': '/a?b', ':scheme': 'https', 'cookie': 'x=1', 'via': '1.1 springhouse',
    'x-forwarded-host': `127.0.0.1:${house.port}` })
  t.notOk(['host', 'connection', 'x-hop', 'transfer-encoding', 'keep-alive'].some(name => name in first))
  t.equal(origin.sessions.length, 1)
})

t.test('a truncated response is never stored, and is truncated for the client: a GET and a POST', async t => {
  const ways: Record<string, (connection: FrameConnection, stream: number) => void> = {
    'RST_STREAM, NO_ERROR': (connection, stream) => connection.send(resetStream(stream, 0)),
    'RST_STREAM, CANCEL': (connection, stream) => connection.send(resetStream(stream, 8)),
    'GOAWAY, and the end': (connection, stream) => connection.socket.end(goaway(stream)),
    'the end': connection => connection.socket.end(),
    'a reset socket': connection => connection.socket.destroy(),
    'less than its length': (connection, stream) => connection.send(data(stream, '', true)),
  }
  for (const [how, breakOff] of Object.entries(ways)) {
    const origin = await startFrameOrigin((connection, stream) => {
      connection.send(head(stream, [['cache-control', 'max-age=60'], ...(how === 'less than its length' ? [['content-length', '10']] as const : [])]), data(stream, 'half'))
      breakOff(connection, stream)
    })
    const house = await houseBefore(t, [origin.url])
    t.teardown(() => origin.close())
    for (const method of ['GET', 'POST']) {
      // The head may have been on its way already, or not.
      const got = await house.get('/a', {}, { method, ...(method === 'POST' ? { body: 'x' } : {}) }).catch(() => undefined)
      t.ok(got === undefined || got.status === 502 || !got.complete, `${how}: ${method}`)
    }
    t.equal((await house.get('/a', { 'Cache-Control': 'only-if-cached' })).status, 504, how)
  }
})

t.test('a response with a malformed field is a 502, and nothing of it is stored', async t => {
  const origin = await startFrameOrigin((connection, stream) =>
    connection.send(head(stream, [['last-modified', 'Thu, 01 Jan 2015 00:00:00 GMT'], ['cache-control', 'private\0']]), data(stream, 'for one', true))
  )
  const house = await houseBefore(t, [origin.url])
  t.teardown(() => origin.close())
  t.match(await house.get('/a'), { status: 502 })
  t.match((await house.get('/a')).body.toString(), /ORIGIN_MALFORMED/)
  t.match(await ask(house.port, { method: 'POST', path: '/a', body: 'x' }), { status: 502 })
})

t.test('uploads, 103 and trailers, on requests that pass the cache by', async t => {
  const { house } = await before(t, async stream => {
    let length = 0
    for await (const chunk of stream) length += (chunk as Buffer).length
    stream.additionalHeaders({ ':status': 103, 'link': '</a.css>' })
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
    stream.end(String(length))
  })
  for (const method of ['GET', 'POST']) {
    const early: unknown[] = []
    const got = await new Promise<{ body: string; trailers: unknown }>((resolve, reject) => {
      const request = open(house.port, { method, ...(method === 'POST' ? { body: Buffer.alloc(3_000_000) } : {}) }, response => {
        let body = ''
        response.setEncoding('latin1')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => resolve({ body, trailers: response.trailers }))
      })
      request.on('information', ({ statusCode }: { statusCode: number }) => early.push(statusCode))
      request.on('error', reject)
    })
    t.match(got, { body: method === 'GET' ? '0' : '3000000', trailers: { 'x-sum': '1' } })
    t.strictSame(early, [103])
  }
})

t.test('HTTP/2 on both sides: streams to streams', async t => {
  const { house, origin } = await before(t, (stream, headers) => {
    stream.respond({ 'cache-control': 'no-store' })
    if (headers[':method'] === 'POST') stream.pipe(stream)
    else stream.end(headers[':path'])
  }, { tls: { cert: ca, key } })
  const client = connect(house.app.proxyUrl, { ca: testCertificate })
  t.teardown(async () => client.destroy())
  const read = async (stream: ReturnType<typeof client.request>): Promise<string> => {
    let body = ''
    for await (const chunk of stream) body += String(chunk)
    return body
  }
  const got = await Promise.all(Array.from({ length: 100 }, (_, n) => {
    if (n % 4 > 0) return read(client.request({ ':path': `/${n}` }))
    const stream = client.request({ ':path': `/${n}`, ':method': 'POST' })
    stream.end(`posted ${n}`)
    return read(stream)
  }))
  t.ok(got.every((body, n) => body === (n % 4 > 0 ? `/${n}` : `posted ${n}`)))
  t.equal(origin.sessions.length, 1)
})

t.test('an upload that the client aborts is never complete for the origin', async t => {
  const { house, origin } = await before(t, stream => stream.resume())
  const request = open(house.port, { method: 'POST' }, () => undefined)
  request.on('error', () => undefined)
  // `open` has ended an empty one; this is one that goes on.
  request.destroy()
  const other = open(house.port, { method: 'PATCH', headers: ['Content-Length', '100'], body: 'half' }, () => undefined)
  other.on('error', () => undefined)
  let stream: ServerHttp2Stream | undefined
  for (let i = 1; stream === undefined; i++) {
    const candidate = await origin.nth(i)
    if (origin.requests[i - 1]?.[':method'] === 'PATCH') stream = candidate
  }
  let ended = false
  stream.on('end', () => {
    ended = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted
  })
  const closed = new Promise(resolve => stream.once('close', resolve))
  other.destroy()
  await closed
  t.equal(stream.rstCode, constants.NGHTTP2_CANCEL)
  t.notOk(ended)
})

t.test('a rolling restart with GOAWAY loses no request, POSTs among them', async t => {
  const handler: StreamHandler = async (stream, headers) => {
    let body = ''
    for await (const chunk of stream) body += String(chunk)
    stream.respond({ 'cache-control': 'no-store' })
    stream.end(`${String(headers[':method'])} ${body}`)
  }
  const origins = [await startHttp2Origin(handler), await startHttp2Origin(handler)]
  const house = await houseBefore(t, origins.map(({ url }) => url))
  for (const origin of origins) t.teardown(() => origin.close())
  let answered = 0
  const lost: unknown[] = []
  await Promise.all(Array.from({ length: 6 }, async (_, client) => {
    for (let i = 0; i < 50; i++) {
      const posts = i % 2 === 0
      const got = await ask(house.port, { path: `/${client}/${i}`, method: posts ? 'POST' : 'GET', ...(posts ? { body: `${client}/${i}` } : {}) })
      if (got.body.toString() !== (posts ? `POST ${client}/${i}` : 'GET ')) lost.push(`${got.status} ${got.body.toString()}`)
      if (++answered % 20 === 0) { for (const session of origins[(answered / 20) % 2]?.sessions ?? []) if (!session.closed) session.close() }
    }
  }))
  t.strictSame(lost, [])
})

t.test('a client that does not read holds a window, and no other request', async t => {
  const { house, origin } = await before(t, (stream, headers) => {
    stream.respond({ 'cache-control': 'no-store' })
    if (headers[':path'] !== '/large') return void stream.end('small')
    const chunk = Buffer.alloc(65_536)
    const more = (): void => {
      while (!stream.destroyed && stream.write(chunk));
    }
    stream.on('drain', more)
    more()
  })
  const stalled = await Promise.all(Array.from({ length: 4 }, () =>
    new Promise<{ destroy(): void }>(resolve => {
      const request = open(house.port, { path: '/large' }, response => resolve(response.pause()))
      request.on('error', () => undefined)
    })))
  for (let i = 0; i < 40; i++) t.equal((await house.get(`/${i}`)).body.toString(), 'small')
  t.equal(origin.sessions.length, 1)
  for (const response of stalled) response.destroy()
  await Promise.all(origin.streams.slice(0, 4).map(stream => (stream.closed ? undefined : new Promise(resolve => stream.once('close', resolve)))))
  t.equal((await house.get('/after')).body.toString(), 'small')
  t.equal(origin.sessions.length, 1)
})

t.test('WebSockets go over HTTP/1.1 all the same', async t => {
  const server = createHttpsServer({ cert: testCertificate, key: testKey, ALPNProtocols: ['http/1.1'] })
  const echo = new WebSocketServer({ server })
  echo.on('connection', peer => peer.on('message', message => peer.send(message)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const house = await houseBefore(t, [`https://127.0.0.1:${(server.address() as AddressInfo).port}`])
  const client = new WebSocket(`ws://127.0.0.1:${house.port}/`)
  client.on('open', () => client.send('joined'))
  const message = await new Promise<string>(resolve => {
    client.on('message', got => resolve(String(got as Buffer)))
  })
  t.equal(message, 'joined')
  client.terminate()
  echo.close()
  server.close()
})

t.test('many requests for one cold key are one stream', async t => {
  const held: ServerHttp2Stream[] = []
  const { house, origin } = await before(t, stream => held.push(stream))
  const all = Array.from({ length: 20 }, () => house.get('/cold'))
  await origin.nth(1)
  held[0]?.respond({ 'cache-control': 'max-age=60' })
  held[0]?.end('once')
  t.ok((await Promise.all(all)).every(({ body }) => body.toString() === 'once'))
  t.equal(origin.requests.length, 1)
})

t.test('the setting is off by default, and says so', async t => {
  t.equal(resolveConfig({ origins: { api: { servers: ['https://api:1'] } } }).origins['api']?.http2, false)
  const origin = await startFrameOrigin((connection, stream) => connection.send(answer(stream, 'h2')))
  const house = await startProxy(t, { origin: () => undefined, config: { origins: { api: { servers: [origin.url], tls: { ca } } }, routes: [{ match: {}, origin: 'api' }] } })
  t.teardown(() => origin.close())
  t.equal((await house.get('/')).status, 502)
  t.notOk(origin.connections.some(({ heard }) => heard.some(({ type }) => type === frameType.headers)))
})
