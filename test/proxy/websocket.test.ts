import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import tap from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { SpringhouseError } from '../../src/errors.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { ask, rawRequest } from '../support/client.ts'
import { closedPort, startOrigin, startRawOrigin } from '../support/scripted-origin.ts'
import { handled } from '../../src/exchange/handle.ts'
import { passFor, startProxyAlone } from './proxy-under-test.ts'

function handshakeFor(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`
}

/** Returns the status of the response in place of a WebSocket. */
async function refusal(socket: WebSocket): Promise<number | undefined> {
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  socket.on('error', () => undefined)
  socket.terminate()
  return response.statusCode
}

async function startEcho(secure = false): Promise<{ port: number; handshakes: IncomingMessage[]; close(): Promise<void> }> {
  const handshakes: IncomingMessage[] = []
  const server = secure ? createTlsServer({ cert: testCertificate, key: testKey }) : createServer()
  const echo = new WebSocketServer({ server })
  echo.on('connection', (socket, request) => {
    handshakes.push(request)
    socket.on('message', (data, binary) => socket.send(data, { binary }))
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    handshakes,
    close: () =>
      new Promise((resolve) => {
        for (const client of echo.clients) client.terminate()
        server.close(() => resolve())
      }),
  }
}

tap.test("a WebSocket is echoed through, text and binary, with the client's fields at the origin", async (t) => {
  const echo = await startEcho()
  const proxy = await startProxyAlone({ servers: [`http://127.0.0.1:${echo.port}`] })
  t.teardown(async () => {
    await proxy.close()
    await echo.close()
  })
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/chat/./room?x=1`, ['v2.chat', 'v1.chat'], {
    headers: { Cookie: 'session=1', Authorization: 'Bearer x', 'X-Custom': 'y', 'X-Forwarded-For': '1.1.1.1', 'X-Original-URL': '/admin', Host: 'chat.example.com' },
    origin: 'http://app.example.com',
  })
  await once(socket, 'open')
  t.equal(socket.protocol, 'v2.chat')
  for (const message of ['hello', Buffer.from([0, 255, 1])]) {
    const answer = once(socket, 'message') as Promise<[Buffer, boolean]>
    socket.send(message)
    const [data, binary] = await answer
    t.ok(data.equals(Buffer.from(message)))
    t.equal(binary, typeof message !== 'string')
  }
  const [handshake] = echo.handshakes
  t.equal(handshake?.url, '/chat/room?x=1')
  t.match(handshake?.headers, {
    cookie: 'session=1',
    authorization: 'Bearer x',
    'x-custom': 'y',
    origin: 'http://app.example.com',
    host: 'chat.example.com',
    'x-forwarded-for': '127.0.0.1',
    via: '1.1 springhouse',
    'sec-websocket-protocol': 'v2.chat,v1.chat',
  })
  t.notOk(handshake?.headers['x-original-url'])
  const closed = once(socket, 'close')
  socket.close(4001, 'enough')
  await closed
})

tap.test('a WebSocket to a TLS origin is verified as the configuration says', async (t) => {
  const echo = await startEcho(true)
  t.teardown(() => echo.close())
  for (const [tls, works] of [[{ ca: testCertificate }, true], [{ ca: testCertificate, servername: 'origin.test' }, true], [{}, false]] as const) {
    const proxy = await startProxyAlone({ servers: [`https://127.0.0.1:${echo.port}`], tls })
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`)
    socket.on('open', () => socket.send('sealed'))
    const got = await Promise.race([once(socket, 'message').then(([data]) => String(data)), refusal(socket)])
    t.equal(got, works ? 'sealed' : 502)
    socket.terminate()
    await proxy.close()
  }
})

tap.test("a WebSocket goes to an address of the server's name, and is verified against the name", async (t) => {
  for (const secure of [false, true]) {
    const echo = await startEcho(secure)
    const server = `${secure ? 'https' : 'http'}://origin.test:${echo.port}`
    const proxy = await startProxyAlone({ servers: [server], ...(secure && { tls: { ca: testCertificate } }) }, { resolve: async () => ['127.0.0.1'] })
    t.teardown(async () => {
      await proxy.close()
      await echo.close()
    })
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`, { headers: { Host: 'chat.example.com' } })
    socket.on('open', () => socket.send('hello'))
    await once(socket, 'message')
    t.equal(echo.handshakes[0]?.headers.host, 'chat.example.com')
    socket.terminate()
  }
})

tap.test('an origin that cannot be reached is a 502 before the WebSocket opens', async (t) => {
  const proxy = await startProxyAlone({ servers: [`http://127.0.0.1:${await closedPort()}`] })
  t.teardown(() => proxy.close())
  t.equal(await refusal(new WebSocket(`ws://127.0.0.1:${proxy.port}/`)), 502)
  t.equal((await ask(proxy.port)).status, 502, 'the proxy is alive')
})

tap.test('another server takes the handshake when one cannot be reached, or resets before it has responded', async (t) => {
  const echo = await startEcho()
  const resetting = await startRawOrigin((socket) => socket.once('data', () => socket.resetAndDestroy()))
  const proxy = await startProxyAlone({ servers: [`http://127.0.0.1:${await closedPort()}`, resetting.url, `http://127.0.0.1:${echo.port}`], balance: 'round-robin', retries: 2 })
  t.teardown(async () => {
    await proxy.close()
    await echo.close()
    await resetting.close()
  })
  for (let i = 1; i <= 3; i++) {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`)
    await once(socket, 'open')
    t.equal(echo.handshakes.length, i)
    const closed = once(socket, 'close')
    socket.close()
    await closed
  }
})

tap.test("an origin's response in place of a WebSocket is forwarded", async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(request.url === '/old' ? 426 : 401, ['WWW-Authenticate', 'Bearer', 'Connection', 'keep-alive, X-Hop', 'X-Hop', '1', 'X-Kept', '1', 'Cache-Tag', 't'])
    response.end('x'.repeat(200_000))
  })
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const [path, status] of [['/', 401], ['/old', 426]] as const) {
    const answer = await rawRequest(proxy.port, handshakeFor(path))
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
    t.match(answer, /\r\nX-Kept: 1\r\n/i)
    t.match(answer, /\r\nVia: 1\.1 springhouse\r\n/i)
    t.notMatch(answer, /x-hop|cache-tag/i)
    t.ok(answer.includes('x'.repeat(1000)))
  }
})

tap.test('only a 101 that names WebSocket opens a tunnel', async (t) => {
  for (const answer of [
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'RTSP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'nonsense\r\n\r\n',
  ]) {
    const origin = await startRawOrigin((socket) => socket.once('data', () => socket.write(answer)))
    const proxy = await startProxyAlone({ servers: [origin.url] })
    const seen = await rawRequest(proxy.port, handshakeFor('/'))
    t.match(seen, /^HTTP\/1\.1 502 [^]*problem\+json/, answer)
    await proxy.close()
    await origin.close()
  }
})

tap.test('a truncated response in place of a WebSocket is truncated for the client', async (t) => {
  const origin = await startRawOrigin((socket) =>
    socket.once('data', () => {
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf', () => socket.resetAndDestroy())
    })
  )
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const request = httpRequest({ host: '127.0.0.1', port: proxy.port,
    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' } })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  response.on('error', () => undefined)
  await new Promise((resolve) => {
    response.on('close', resolve)
  })
  t.equal(response.statusCode, 403)
  t.equal(response.complete, false)
})

tap.test('extensions are between client and origin; bytes sent before the handshake is over are not lost', async (t) => {
  const server = createServer()
  const deflating = new WebSocketServer({ server, perMessageDeflate: true })
  deflating.on('connection', (socket) => {
    socket.send('first')
    socket.on('message', (data) => socket.send(data))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy = await startProxyAlone({ servers: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] })
  t.teardown(async () => {
    for (const client of deflating.clients) client.terminate()
    await proxy.close()
    server.close()
  })
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`, { perMessageDeflate: true })
  const [first] = (await once(socket, 'message')) as [Buffer]
  t.equal(String(first), 'first')
  t.match(socket.extensions, 'permessage-deflate')
  const large = 'springhouse '.repeat(100_000)
  socket.send(large)
  const [echoed] = (await once(socket, 'message')) as [Buffer]
  t.ok(String(echoed) === large)
  socket.terminate()
})

tap.test('a reader that stalls holds its sender back, and no memory', async (t) => {
  const chunk = Buffer.alloc(1024 * 1024)
  let taken = 0
  const origin = await startRawOrigin((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      const push = (): void => {
        while (taken < 256) {
          taken++
          if (!socket.write(chunk)) return void socket.once('drain', push)
        }
      }
      push()
    })
  })
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const socket = connect(proxy.port, '127.0.0.1', () => socket.write(handshakeFor('/')))
  await once(socket, 'readable')
  // It reads no further. The system's buffers fill once; then nothing moves.
  let before = -1
  while (before !== taken) {
    before = taken
    await new Promise((resolve) => {
      setTimeout(resolve, 100)
    })
  }
  t.ok(taken < 64, `${taken} MiB of 256 were taken`)
  socket.destroy()
})

tap.test('the end of either side is the end of both', async (t) => {
  const sockets: Socket[] = []
  const origin = await startRawOrigin((socket) => {
    sockets.push(socket)
    socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
  })
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const opened = async (): Promise<Socket> => {
    const socket = connect(proxy.port, '127.0.0.1', () => socket.write(handshakeFor('/')))
    socket.on('error', () => undefined)
    await once(socket, 'data')
    return socket
  }
  const streams = (): number | undefined => proxy.origins.status()[0]?.streams
  const first = await opened()
  t.equal(streams(), 1, 'a tunnel is in flight')
  const ended = once(first, 'close')
  sockets.at(-1)?.resetAndDestroy()
  await ended
  const second = await opened()
  const gone = once(sockets.at(-1) as Socket, 'close')
  second.resetAndDestroy()
  await gone
  while (streams() !== 0)
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  t.pass('it counts no more')
})

tap.test('a WebSocket without a route, or with a target that is not fit, is refused before it opens', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const proxy = await startProxyAlone({ servers: [origin.url] }, {
    passUpgrade: exchange => {
      if (exchange.head.url === '/none') throw new SpringhouseError('NO_ROUTE')
      return passFor(exchange, 'upgrade')
    },
  })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const [path, status] of [['/none', 404], ['/a/%2e%2e/b', 400]] as const) {
    const answer = await rawRequest(proxy.port, handshakeFor(path))
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^]*application/problem\\+json`), path)
  }
  t.equal(origin.requests.length, 0)
})

tap.test('no protocol but WebSocket is changed to: the request is handled as if it had no Upgrade', async (t) => {
  const body = 'x'.repeat(3_000_000)
  const origin = await startOrigin((_request, response) => response.end(body))
  const proxy = await startProxyAlone({ servers: [origin.url] }, {
    handle: exchange => {
      if (exchange.head.url !== '/hit') return passFor(exchange, 'upgrade')
      exchange.response.end('hit')
      return handled
    },
  })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const ask2c = (method: string, path: string, rest: string): Promise<string> =>
    rawRequest(proxy.port, `${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n${rest}`)
  t.match(await ask2c('GET', '/hit', '\r\n'), /^HTTP\/1\.1 200 OK\r\n[^]*hit$/)
  const passed = await ask2c('GET', '/pass', '\r\n')
  t.match(passed, /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close/i)
  t.ok(passed.includes('x'.repeat(10_000)) && passed.length > 3_000_000, 'whole, also where the client reads slowly')
  t.equal(origin.requests[0]?.header('upgrade'), undefined)
  t.equal(origin.requests[0]?.header('http2-settings'), undefined)
  t.match(await ask2c('POST', '/pass', 'Content-Length: 5\r\n\r\nhello'), /^HTTP\/1\.1 501 [^]*METHOD_NOT_IMPLEMENTED/)
  t.equal(origin.requests.length, 1)
})

tap.test('a client that leaves before its upgrade is sorted does no harm', async (t) => {
  const echo = await startEcho()
  const proxy = await startProxyAlone({ servers: [`http://127.0.0.1:${echo.port}`] })
  t.teardown(async () => {
    await proxy.close()
    await echo.close()
  })
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      const socket = connect(proxy.port, '127.0.0.1', () => {
        socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
        if (i % 2 === 0) setImmediate(() => socket.resetAndDestroy())
        else socket.resetAndDestroy()
      })
      socket.on('close', () => resolve())
    })
  }
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`)
  await once(socket, 'open')
  t.pass('the proxy is alive')
  socket.terminate()
})
