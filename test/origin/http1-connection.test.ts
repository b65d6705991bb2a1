// The own HTTP/1.1 connection: what it takes for a response, when it carries another request, and what it never sends.
import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { startRawOrigin, type RawOrigin } from '../support/scripted-origin.ts'
import { fetchFrom, originsOf, pass } from './origins-under-test.ts'

type Tap = Parameters<typeof startOriginOf>[0]

/** An origin that calls `respond` for each request head. */
async function startOriginOf(test: { teardown(close: () => Promise<void>): void }, respond: (socket: Socket, head: string, number: number) => void): Promise<RawOrigin> {
  let number = 0
  const origin = await startRawOrigin((socket) => {
    let seen = ''
    socket.on('data', (bytes: Buffer) => {
      seen += bytes.toString('latin1')
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        const head = seen.slice(0, end)
        seen = seen.slice(end + 4)
        respond(socket, head, ++number)
      }
    })
  })
  test.teardown(() => origin.close())
  return origin
}

const whole = (body: string, ...fields: readonly string[]): string =>
  `HTTP/1.1 200 OK\r\n${fields.map((field) => `${field}\r\n`).join('')}Content-Length: ${body.length}\r\n\r\n${body}`

function originsFor(test: Tap, origin: RawOrigin, config: Parameters<typeof originsOf>[0] = {}): ReturnType<typeof originsOf> {
  const origins = originsOf({ servers: [origin.url], retries: 0, ...config })
  test.teardown(() => origins.close())
  return origins
}

// Guard: `resume` in `#finish`. Without it the second response is never read.
t.test('a body that ends while it is paused leaves a connection that reads on', async (test) => {
  const origin = await startOriginOf(test, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
    setImmediate(() => socket.write('hello'))
  })
  const origins = originsFor(test, origin)
  for (let i = 0; i < 3; i++) {
    const got = await fetchFrom(origins, {}, { onData: (exchange) => {
      exchange.pause()
      setImmediate(() => exchange.resume())
    } })
    test.equal(got.body.toString(), 'hello')
  }
  test.equal(origin.connections.length, 1)
})

// Guard: `beginAfterPoll` in `dispatch`. Without it the planted bytes are the response to the second request (GHSA-35p6-xmwp-9g52).
t.test('a response that came before its request is no response', async (test) => {
  const origin = await startOriginOf(test, (socket, _head, number) => socket.write(whole(`real ${number}`)))
  const origins = originsFor(test, origin)
  test.equal((await fetchFrom(origins)).body.toString(), 'real 1')
  // It has arrived when the request is made, and has not been read.
  origin.connections[0]?.write(whole('planted'))
  test.equal((await fetchFrom(origins)).body.toString(), 'real 2')
  test.equal(origin.connections.length, 2)
})

// Guards: the same, and that a request which has not been sent goes over a new socket.
t.test('a connection that the server has just closed carries no POST', async (test) => {
  const origin = await startOriginOf(test, (socket) => socket.write(whole('ok')))
  const origins = originsFor(test, origin)
  for (const close of ['end', 'resetAndDestroy'] as const) {
    test.equal((await fetchFrom(origins)).status, 200)
    origin.connections.at(-1)?.[close]()
    test.equal((await pass(origins, { body: Buffer.from('x') })).status, 200, close)
  }
  test.same(origins.status().map(({ consecutiveFailures, pending }) => [consecutiveFailures, pending]), [[0, 0]])
})

// Guard: `isWhole` in `#finish`. Without it the rest of the body is the server's next request.
t.test('a response before the end of its request ends the upload and the connection, and the rest of the body is discarded', async (test) => {
  const origin = await startOriginOf(test, (socket) => socket.write(whole('too much')))
  const origins = originsFor(test, origin)
  const body = new Readable({ read: () => undefined })
  body.push('a part')
  const passed = await pass(origins, { body })
  test.equal(await passed.text(), 'too much')
  test.equal(body.readableFlowing, true, 'a client that still sends reaches its response')
  body.push('more')
  body.push(null)
  await once(body, 'end')
  test.equal((await fetchFrom(origins)).status, 200)
  test.equal(origin.connections.length, 2)
})

t.test('the server says how long it keeps an idle connection', async (test) => {
  for (const [field, connections] of [['Keep-Alive: timeout=5', 1], ['Keep-Alive: timeout=2, max=100', 2], ['Keep-Alive: max=1', 1], ['Connection: close', 2], [
    'Connection: x, Close',
    2,
  ], ['Connection: keep-alive', 1]] as const) {
    const origin = await startOriginOf(test, (socket) => socket.write(whole('ok', field)))
    const origins = originsFor(test, origin)
    for (let i = 0; i < 2; i++) test.equal((await fetchFrom(origins)).status, 200)
    test.equal(origin.connections.length, connections, field)
  }
})

t.test('a connection in HTTP/1.0 is kept only if the server says so', async (test) => {
  for (const [field, connections] of [['X: 1', 2], ['Connection: keep-alive', 1], ['Connection: Keep-Alive, x', 1], ['Connection: keep-alive, close', 2]] as const) {
    const origin = await startOriginOf(test, (socket) => socket.write(whole('ok', field).replace('HTTP/1.1', 'HTTP/1.0')))
    const origins = originsFor(test, origin)
    for (let i = 0; i < 2; i++) test.equal((await fetchFrom(origins)).body.toString(), 'ok')
    test.equal(origin.connections.length, connections, field)
  }
})

// Guards: the checks of `renderRequest`, one by one.
t.test('bytes that would be another request are never sent, and cost no connection', async (test) => {
  const heads: string[] = []
  const origin = await startOriginOf(test, (socket, head) => {
    heads.push(head)
    socket.write(whole('ok'))
  })
  const origins = originsFor(test, origin)
  const host = ['host', 'a']
  const refused: Record<string, Parameters<typeof fetchFrom>[1]> = {
    'a target without a slash': { target: 'admin' },
    'a whole URL': { target: 'http://evil/' },
    'an asterisk': { target: '*' },
    'nothing': { target: '' },
    'a space in the target': { target: '/a HTTP/1.1' },
    'a line end in the target': { target: '/a\r\nX: 1' },
    'a method with a space': { method: 'GET /x' },
    'a method with a line end': { method: 'GET\r\n' },
    'a line end in a value': { fields: [...host, 'x', 'a\r\nb: c'] },
    'a line feed in a value': { fields: [...host, 'x', 'a\nb'] },
    'a zero byte in a value': { fields: [...host, 'x', 'a\0b'] },
    'a colon in a name': { fields: [...host, 'x:y', 'a'] },
    'no name': { fields: [...host, '', 'a'] },
    'a coding': { fields: [...host, 'transfer-encoding', 'chunked'] },
    'a coding in capitals': { fields: [...host, 'Transfer-Encoding', 'chunked'] },
    'a connection option': { fields: [...host, 'connection', 'close'] },
    'a length without a body': { fields: [...host, 'content-length', '5'] },
    "a length that is not the body's": { method: 'POST', body: Buffer.from('x'), fields: [...host, 'content-length', '5'] },
    'two lengths': { method: 'POST', body: Buffer.from('x'), fields: [...host, 'content-length', '1', 'content-length', '1'] },
    'a length that is no number': { method: 'POST', body: Buffer.from('x'), fields: [...host, 'content-length', '+1'] },
  }
  for (const [name, request] of Object.entries(refused)) test.equal((await fetchFrom(origins, request)).error?.code, 'BAD_REQUEST', name)
  test.same(heads, [])
  test.equal((await fetchFrom(origins)).status, 200)
  test.equal(origin.connections.length, 1, 'all of them left the same connection unused')
  test.same(origins.status().map(({ consecutiveFailures, pending }) => [consecutiveFailures, pending]), [[0, 0]])
})

// Guards: both calls of `#mismatch` in http1-request.ts. Bytes behind the length would be the server's next request.
t.test('a body that is longer or shorter than its Content-Length fails, and the server gets no byte too many', async (test) => {
  const received: string[] = []
  const origin = await startRawOrigin((socket, number) =>
    socket.on('data', (bytes: Buffer) => {
      received[number - 1] = (received[number - 1] ?? '') + bytes.toString('latin1')
      if (received[number - 1]?.startsWith('GET') === true) socket.write(whole('ok'))
    })
  )
  test.teardown(() => origin.close())
  const origins = originsFor(test, origin)
  for (const parts of [['123'], ['12345678'], ['1234', '5678'], ['12345', 'GET /smuggled HTTP/1.1\r\n\r\n']]) {
    const body = Readable.from(parts.map((part) => Buffer.from(part)))
    test.equal(await pass(origins, { body, fields: ['host', 'a', 'content-length', '5'] }).catch((error: { code: string }) => error.code), 'BAD_REQUEST')
    test.equal((await fetchFrom(origins)).status, 200)
  }
  for (const text of received) test.match(text, /^(?:GET [^]*?\r\n\r\n)?(?:POST [^]*?\r\n\r\n1?2?3?4?5?)?$/)
  test.ok(received.length >= 4, 'and its connection carries nothing else')
})

t.test('a request has the length of its body, or chunks, and nothing of both for a method without a body', async (test) => {
  let seen = ''
  const origin = await startRawOrigin((socket) =>
    socket.on('data', (bytes: Buffer) => {
      seen += bytes.toString('latin1')
      if (/\r\n\r\n$|x$/.test(seen)) socket.write(whole('ok'))
    })
  )
  test.teardown(() => origin.close())
  const origins = originsFor(test, origin)
  const sent = async (request: Parameters<typeof pass>[1]): Promise<string> => {
    seen = ''
    await (await pass(origins, { fields: ['host', 'h', 'x-a', '\xe9'], ...request })).text()
    return seen
  }
  const head = (method: string, connection = 'keep-alive'): string => `${method} / HTTP/1.1\r\nhost: h\r\nconnection: ${connection}\r\nx-a: \xe9\r\n`
  test.equal(await sent({ method: 'GET' }), `${head('GET')}\r\n`)
  test.equal(await sent({ method: 'POST' }), `${head('POST')}content-length: 0\r\n\r\n`)
  test.equal(await sent({ method: 'DELETE' }), `${head('DELETE')}\r\n`)
  test.equal(await sent({ method: 'POST', body: Buffer.from('max') }), `${head('POST')}content-length: 3\r\n\r\nmax`)
  test.equal(await sent({ method: 'PUT', body: Readable.from([Buffer.from('max')]) }), `${head('PUT')}transfer-encoding: chunked\r\n\r\n3\r\nmax\r\n0\r\n\r\n`)
  test.equal(await sent({ method: 'POST', body: Readable.from([]) }), `${head('POST')}content-length: 0\r\n\r\n`)
  test.equal(await sent({ method: 'POST', body: Readable.from([Buffer.from('ma'), Buffer.from('x')]), fields: ['host', 'h', 'x-a', '\xe9', 'content-length', '3'] }),
    `${head('POST')}content-length: 3\r\n\r\nmax`)
  test.equal(await sent({ method: 'DELETE', body: Buffer.from('max') }), `${head('DELETE', 'close')}content-length: 3\r\n\r\nmax`)
  const long = `${'-'.repeat(100_000)}x`
  test.equal(await sent({ method: 'POST', body: Buffer.from(long) }), `${head('POST')}content-length: 100001\r\n\r\n${long}`)
})

// Guard: the socket's path in `#wasReset`. A local socket has no address, and would seem reset.
t.test('a body that ends with the connection is whole over a local socket', async (test) => {
  const home = mkdtempSync(join(tmpdir(), 'springhouse-local-'))
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'))
  })
  server.listen(join(home, 'origin.sock'))
  await once(server, 'listening')
  const origins = originsOf({ servers: [`unix:${join(home, 'origin.sock')}`], retries: 0 })
  test.teardown(async () => {
    await origins.close()
    server.close()
    rmSync(home, { recursive: true, force: true })
  })
  const got = await fetchFrom(origins)
  test.same([got.status, got.error, got.body.toString()], [200, undefined, 'to the end'])
})
