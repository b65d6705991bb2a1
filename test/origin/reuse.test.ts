// Which connections carry a further request: after a POST, after a HEAD, and never after a login of the connection itself.
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Origins } from '../../src/origin/origin.ts'
import { testCertificate } from '../support/certificate.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { startOrigin, startRawOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'
import { fetchFrom, handClock, originsOf, pass } from './origins-under-test.ts'

async function post(origins: Origins, ...fields: readonly string[]): Promise<number> {
  const passed = await pass(origins, { body: Buffer.from('x'), fields: ['host', 'a', ...fields] })
  await passed.text()
  return passed.status
}

const connections = (origin: ScriptedOrigin): number => new Set(origin.requests.map(({ socket }) => socket)).size

// Guard: `#isSurelyOpen` in http1-pool.ts. If it is always true, the second POST after 11 ms uses the old connection.
t.test('a POST takes the connection whose response has just ended, and no other', async test => {
  const clock = handClock()
  const origin = await startOrigin((_request, response) => response.end('ok'))
  const origins = originsOf({ servers: [origin.url], reuse: 'safe' }, clock)
  test.teardown(() => Promise.all([origins.close(), origin.close()]))
  for (let i = 0; i < 3; i++) {
    test.equal(await post(origins), 200)
    clock.advance(10)
  }
  test.equal(connections(origin), 1, 'within ten milliseconds')
  clock.advance(1)
  await post(origins)
  test.equal(connections(origin), 2, 'after that a new one')
  clock.advance(11)
  await Promise.all([fetchFrom(origins), fetchFrom(origins)])
  test.equal(connections(origin), 2, 'which closes none: both still serve a GET')
})

// Guards: `surelyOpenMs` and `beginAfterPoll`. POSTS and IDLE_MS make the run longer.
t.test('servers that close idle connections after 50 milliseconds lose no POST, and receive none twice', async test => {
  const received = new Map<string, number>()
  const server = createServer((request, response) => {
    const id = request.headers['x-id'] as string
    received.set(id, (received.get(id) ?? 0) + 1)
    // Given so, no Keep-Alive announces the time.
    response.setHeader('Connection', 'keep-alive')
    response.end('ok')
  })
  server.keepAliveTimeout = Number(process.env.IDLE_MS ?? 50)
  // Later Node versions add a second by default.
  Object.assign(server, { keepAliveTimeoutBuffer: 0 })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  let sockets = 0
  server.on('connection', () => sockets++)
  const origins = originsOf({ servers: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`], reuse: 'safe', retries: 0 }, systemClock)
  test.teardown(async () => {
    await origins.close()
    server.closeAllConnections()
    server.close()
  })
  const count = Number(process.env.POSTS ?? 2_000)
  const gap = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
  let sent = 0
  // Several clients; some pause for about as long as the server keeps an idle connection.
  const client = async (pauseEvery: number): Promise<void> => {
    while (sent < count) {
      const id = String(sent++)
      test.equal(await post(origins, 'x-id', id).catch((error: Error) => error.message), 200, `POST ${id}`)
      if (Number(id) % pauseEvery === 0) await gap(server.keepAliveTimeout - 5 + Number(id) % 11)
    }
  }
  await Promise.all([client(17), client(29), client(41), client(1_000_000)])
  test.equal(received.size, sent)
  test.strictSame([...received.values()].filter(times => times !== 1), [])
  test.comment(`${sent} POSTs, ${sockets} connections`)
})

t.test('a HEAD keeps its connection', async test => {
  const origin = await startOrigin((request, response) => {
    response.setHeader('Content-Length', 5)
    response.end(request.method === 'HEAD' ? undefined : 'whole')
  })
  const origins = originsOf({ servers: [origin.url] })
  test.teardown(() => Promise.all([origins.close(), origin.close()]))
  for (const method of ['HEAD', 'GET', 'HEAD', 'HEAD'] as const) test.equal((await fetchFrom(origins, { method })).status, 200)
  test.equal(connections(origin), 1)
  test.notMatch(origin.requests[0]?.header('connection'), /close/)
})

t.test('bytes after the response to a HEAD are no response to the next request', async test => {
  let number = 0
  const origin = await startRawOrigin(socket => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      number++
      const head = 'HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n'
      const planted = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted'
      socket.write(bytes.toString().startsWith('HEAD') ? `${head}${planted}` : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal')
    })
  })
  const origins = originsOf({ servers: [origin.url] })
  test.teardown(() => Promise.all([origins.close(), origin.close()]))
  for (let i = 0; i < 20; i++) {
    test.equal((await fetchFrom(origins, { method: 'HEAD' })).status, 200)
    test.equal((await fetchFrom(origins)).body.toString(), 'real')
  }
  test.equal(number, 40)
})

// Guard: `serveNoOther`. Without it the second client is served as the first.
t.test('a connection over which somebody has logged in serves nobody else', async test => {
  const users = new WeakMap<Socket, string>()
  const challenges: Readonly<Record<string, string | string[]>> = {
    '/ntlm': 'NTLM',
    '/negotiate': ['Basic realm="a"', 'Negotiate'],
    '/list': 'Basic realm="a", nTlM',
    '/basic': 'Basic realm="Negotiate this"',
  }
  const origin = await startOrigin((request, response) => {
    const { socket, url = '', headers: { authorization } } = request
    if (authorization !== undefined) users.set(socket, authorization)
    const challenge = challenges[url]
    if (challenge !== undefined) {
      // As a server that has begun a login with this connection.
      users.set(socket, url)
      response.writeHead(401, { 'WWW-Authenticate': challenge })
    }
    response.end(users.get(socket) ?? 'nobody')
  })
  const origins = originsOf({ servers: [origin.url] })
  test.teardown(() => Promise.all([origins.close(), origin.close()]))
  const fields = ['host', 'a']
  const stranger = async (): Promise<string> => (await fetchFrom(origins, { fields })).body.toString()
  for (const authorization of ['NTLM TlRMTVNTUAAB', 'Negotiate YII', 'negotiate YII', 'nego2 x', 'NTLM']) {
    for (const method of ['GET', 'HEAD'] as const) {
      await fetchFrom(origins, { method, fields: [...fields, 'authorization', authorization] })
      test.equal(await stranger(), 'nobody', `${method} with ${authorization}`)
    }
    await post(origins, 'authorization', authorization)
    test.equal(await stranger(), 'nobody', `POST with ${authorization}`)
  }
  for (const target of ['/ntlm', '/negotiate', '/list']) {
    await fetchFrom(origins, { target, fields })
    test.equal(await stranger(), 'nobody', target)
  }
  const before = connections(origin)
  for (const authorization of ['Basic YTpi', 'Bearer ntlm-is-not-meant']) await fetchFrom(origins, { fields: [...fields, 'authorization', authorization] })
  test.equal(connections(origin), before, 'other schemes keep their connection')
})

t.test('the same over HTTP/2: a session over which somebody has logged in takes no more requests', async test => {
  const origin = await startHttp2Origin((stream, headers) => {
    stream.respond({ ':status': headers[':path'] === '/ntlm' ? 401 : 200, ...(headers[':path'] === '/ntlm' && { 'www-authenticate': 'NTLM' }) })
    stream.end()
  })
  const origins = originsOf({ servers: [origin.url], http2: true, tls: { ca: testCertificate } })
  test.teardown(() => Promise.all([origins.close(), origin.close()]))
  await fetchFrom(origins)
  await fetchFrom(origins, { fields: ['host', 'a', 'authorization', 'Negotiate YII'] })
  test.equal(origin.sessions.length, 1)
  await fetchFrom(origins, { target: '/ntlm' })
  test.equal(origin.sessions.length, 2)
  await fetchFrom(origins)
  test.equal(origin.sessions.length, 3)
})
