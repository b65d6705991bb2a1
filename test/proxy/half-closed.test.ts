// A client that ends its side of the connection behind its request, as `printf … | nc` does, gets its response.
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { eventually } from '../support/log.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { startOrigin, type OriginHandler } from '../support/scripted-origin.ts'
import { startProxyAlone } from './proxy-under-test.ts'

/** Sends bytes and FIN at once, and resolves to all that comes back. */
function halfClosed(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let got = ''
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes, 'latin1'))
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      got += chunk
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(got))
    socket.on('end', () => socket.destroy())
  })
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`

const house = (t: Test, origin: OriginHandler): Promise<TestProxy> => startProxy(t, { origin })

// Fails without `httpAllowHalfOpen`: Node ends the connection before the origin has responded.
t.test('a miss, a hit, a pass and an upload get their responses behind FIN, and so do pipelined requests', async (t) => {
  const { port, origin } = await house(t, (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += String(chunk)
    })
    request.on('end', () => setImmediate(() => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(`${request.method} ${request.url} ${body}`)))
  })
  t.match(await halfClosed(port, get('/a')), /^HTTP\/1\.1 200 [^]*fwd=uri-miss[^]*GET \/a /)
  t.match(await halfClosed(port, get('/a')), /^HTTP\/1\.1 200 [^]*hit[^]*GET \/a /)
  t.match(await halfClosed(port, 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'), /^HTTP\/1\.1 200 [^]*POST \/p hello/)
  t.match(await halfClosed(port, 'POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'), /^HTTP\/1\.1 200 [^]*POST \/p hello/)
  const both = await halfClosed(port, get('/b') + get('/c'))
  t.match(both, /^HTTP\/1\.1 200 [^]*GET \/b [^]*HTTP\/1\.1 200 [^]*GET \/c /)
  t.match(await halfClosed(port, `${get('/d')}GET /half`), /^HTTP\/1\.1 200 [^]*GET \/d /, 'half a request behind it is none')
  t.equal(origin.requests.length, 6)
})

t.test('an incomplete upload is no request, whatever ends it', async (t) => {
  const { port } = await house(t, (request, response) => void request.resume().on('end', () => response.end('complete')))
  t.notMatch(await halfClosed(port, 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'), /complete/)
})

t.test('an event stream ends with its client’s side, before and after its head', async (t) => {
  let ended = 0
  const { port } = await house(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
    response.on('close', () => ended++)
  })
  t.equal(await halfClosed(port, get('/events')), '')
  await eventually(() => ended === 1)
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(get('/events')))
  socket.on('error', () => undefined)
  await new Promise((resolve) => {
    socket.once('data', resolve)
  })
  socket.end()
  await eventually(() => ended === 2)
})

// Fails without the timer of half-closed.ts: the connection would stay open for as long as the origin takes.
t.test('without a head in time the connection is closed, and the origin’s request with it', async (t) => {
  const origin = await startOrigin(() => {})
  const proxy = await startProxyAlone({ servers: [origin.url] }, { options: { halfClosedMs: 50 } })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  t.equal(await halfClosed(proxy.port, get('/slow')), '')
  await eventually(() => proxy.origins.status().every(({ pending }) => pending === 0))
})

// Fails without the check of written bytes in half-closed.ts: a client that has left would hold its connection for `idleMs`.
t.test('a body that pauses for as long ends with its connection, and with the origin’s request', async (t) => {
  const origin = await startOrigin((_, response) => {
    response.writeHead(200, { 'Cache-Control': 'no-store' }).write('begun')
  })
  const proxy = await startProxyAlone({ servers: [origin.url] }, { options: { halfClosedMs: 50 } })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  t.match(await halfClosed(proxy.port, get('/paused')), /begun/)
  await eventually(() => proxy.origins.status().every(({ pending }) => pending === 0))
})

// Fails without `yieldIfHalfClosed`: the second client would wait for the first, which may have left.
for (const method of ['GET', 'DELETE']) {
  t.test(`a ${method} of a half-closed client gives its place to a client that is there`, async (t) => {
    const held = await startOrigin((request, response) => void (request.url === '/held' ? undefined : response.end('there')))
    t.teardown(() => held.close())
    const { port, origin, get: ask } = await startProxy(t, { origin: held, config: { origins: { api: { servers: [held.url], maxConnections: 1 } }, routes: [{ origin: 'api' }] } })
    const lost = halfClosed(port, `${method} /held HTTP/1.1\r\nHost: a\r\n\r\n`)
    await origin.nth(1)
    t.equal(String((await ask('/x')).body), 'there')
    t.equal(await lost, '')
  })
}
