// TLS on the listener, HTTP/2 and HTTP/1.1 by ALPN: RFC 7301, RFC 9113.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { resolveConfig } from '../../src/config/load.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

const folder = mkdtempSync(join(tmpdir(), 'springhouse-tls-'))
const cert = join(folder, 'cert.pem')
const key = join(folder, 'key.pem')
writeFileSync(cert, testCertificate)
writeFileSync(key, testKey)
t.teardown(() => rmSync(folder, { recursive: true }))

type Tap = Parameters<typeof startProxy>[0]

async function secure(tap: Tap, origin: OriginHandler, proxy: object = {}): Promise<TestProxy> {
  return startProxy(tap, { origin, config: { proxy: { host: '127.0.0.1', port: 0, tls: { cert, key }, ...proxy } } })
}

function session(tap: Tap, house: TestProxy): ClientHttp2Session {
  const client = connect(house.app.proxyUrl, { ca: testCertificate })
  client.on('error', () => undefined)
  tap.teardown(async () => client.destroy())
  return client
}

interface Answer2 {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders
  readonly interim: readonly IncomingHttpHeaders[]
  readonly code: number
}

async function answerTo(stream: ClientHttp2Stream): Promise<Answer2> {
  const interim: IncomingHttpHeaders[] = []
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders = {}
  let body = ''
  stream.setEncoding('latin1')
  stream.on('headers', (early) => interim.push(early))
  stream.on('response', (head) => {
    headers = head
  })
  stream.on('trailers', (tail) => {
    trailers = tail
  })
  stream.on('data', (chunk: string) => {
    body += chunk
  })
  stream.on('error', () => undefined)
  await new Promise((resolve) => {
    stream.on('close', resolve)
  })
  return { status: Number(headers[':status']), headers, body, trailers, interim, code: stream.rstCode ?? 0 }
}

const get = (client: ClientHttp2Session, path: string, headers: OutgoingHttpHeaders = {}): Promise<Answer2> => answerTo(client.request({ ':path': path, ...headers }))

t.test("HTTP/2: miss, hit, 304, HEAD, ranges, an error of the proxy's", async t => {
  const house = await secure(t, (_, response) => {
    response.writeHead(200, ['Cache-Control', 'max-age=60', 'ETag', '"1"', 'X-Twice', 'a', 'X-Twice', 'b', 'Connection', 'X-Hop', 'X-Hop', '1'])
    response.end('0123456789')
  })
  const client = session(t, house)
  const miss = await get(client, '/a')
  t.match(miss, { status: 200, body: '0123456789', headers: { 'cache-status': /fwd=uri-miss; fwd-status=200; stored/, 'x-twice': 'a, b', 'via': '1.1 springhouse' } })
  t.notOk('x-hop' in miss.headers || 'connection' in miss.headers || 'transfer-encoding' in miss.headers)
  t.match(await get(client, '/a'), { status: 200, body: '0123456789', headers: { 'cache-status': /springhouse; hit/, 'age': '0', 'content-length': '10' } })
  t.match(await get(client, '/a', { 'if-none-match': '"1"' }), { status: 304, body: '' })
  t.match(await get(client, '/a', { range: 'bytes=2-4' }), { status: 206, body: '234', headers: { 'content-range': 'bytes 2-4/10' } })
  t.match(await get(client, '/a', { ':method': 'HEAD' }), { status: 200, body: '', headers: { 'content-length': '10' } })
  t.match(await get(client, '/b', { 'cache-control': 'only-if-cached' }), { status: 504, headers: { 'content-type': 'application/problem+json' } })
  t.match(await get(client, '/a/../b'), { status: 400 })
  t.equal(house.origin.requests.length, 1)
})

t.test('HTTP/1.1 and HTTP/2 share stored responses', async t => {
  const house = await secure(t, (_, response) => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('shared'))
  await get(session(t, house), '/a')
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpsRequest(`${house.app.proxyUrl}/a`, { ca: testCertificate, agent: false }, resolve).on('error', reject).end()
  })
  answer.resume()
  t.match(answer.headers['cache-status'], /springhouse; hit/)
  t.equal(answer.httpVersion, '1.1')
})

t.test('the origin receives HTTP/1.1, in one reading', async t => {
  const house = await secure(t, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: String(Buffer.concat(chunks)) })))
  })
  const client = session(t, house)
  const posted = client.request({ ':method': 'POST', ':path': '/a/./b?x', ':authority': 'api.example.com', 'cookie': ['a=1', 'b=2'], 'te': 'trailers' })
  posted.write('hello ')
  posted.end('world')
  const seen = JSON.parse((await answerTo(posted)).body) as { headers: IncomingHttpHeaders; body: string }
  t.match(seen, { method: 'POST', url: '/a/./b?x', body: 'hello world',
    headers: { 'host': 'api.example.com', 'cookie': 'a=1; b=2', 'transfer-encoding': 'chunked', 'via': '2.0 springhouse', 'x-forwarded-proto': 'https',
      'x-forwarded-for': '127.0.0.1' } })
  t.notOk(Object.keys(seen.headers).some((name) => name.startsWith(':') || name === 'te'))
  const sized = client.request({ ':method': 'PUT', ':path': '/', 'content-length': '2' })
  sized.end('ab')
  t.match(JSON.parse((await answerTo(sized)).body), { headers: { 'content-length': '2' }, body: 'ab' })
  t.match(await get(client, '/', { ':authority': 'a', 'host': 'b' }), { status: 400 }, 'two hosts')
  t.match(await get(client, '/', { ':method': 'TRACE' }), { status: 405 })
})

t.test('an upload that the client breaks off is never complete for the origin', async t => {
  const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    return Buffer.concat([head, payload])
  }
  const reset = (code: number) => (socket: TLSSocket): void => void socket.write(frame(3, 0, 1, Buffer.from([0, 0, 0, code])))
  const breaks: Record<string, (socket: TLSSocket) => void> = {
    'by CANCEL': reset(constants.NGHTTP2_CANCEL),
    'by NO_ERROR': reset(constants.NGHTTP2_NO_ERROR),
    'by closing the connection': socket => socket.end(),
    'by resetting the connection': socket => socket.destroy(),
    'by less than its length': socket => socket.write(frame(0, 1, 1, Buffer.alloc(0))),
  }
  // HPACK by hand: POST, https, /, x, and a length where one is wanted. Node's own client ends a stream before it resets it.
  const fields = (length: boolean): Buffer =>
    Buffer.concat([Buffer.from([0x83, 0x87, 0x84, 0x41, 1]), Buffer.from('x'), length ? Buffer.from([0x0f, 0x0d, 3, 0x31, 0x30, 0x30]) : Buffer.alloc(0)])
  for (const [how, breakOff] of Object.entries(breaks)) {
    let ended = false
    const house = await secure(t, (request) => {
      request.on('end', () => {
        ended = true
      }).resume()
    })
    const socket = connectTls({ port: house.port, host: '127.0.0.1', ca: testCertificate, ALPNProtocols: ['h2'], servername: 'localhost' })
    socket.on('error', () => undefined)
    await once(socket, 'secureConnect')
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(Buffer.concat([frame(4, 0, 0, Buffer.alloc(0)), frame(1, 4, 1, fields(how.endsWith('length'))), frame(0, 0, 1, Buffer.from('half'))]))
    const { body } = await house.origin.nth(1)
    const outcome = body.then(() => 'whole', () => 'cut')
    breakOff(socket)
    t.equal(await outcome, 'cut', how)
    t.notOk(ended)
    socket.destroy()
  }
})

t.test('a response that the origin breaks off is never complete for the client', async t => {
  const house = await secure(t, (_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' })
    response.write('half', () => response.socket?.resetAndDestroy())
  })
  const client = session(t, house)
  for (const method of ['GET', 'POST']) {
    const stream = client.request({ ':method': method, ':path': '/' })
    stream.end()
    const answer = await answerTo(stream)
    t.not(answer.code, constants.NGHTTP2_NO_ERROR, method)
  }
  t.match(await get(client, '/b', { 'cache-control': 'only-if-cached' }), { status: 504 }, 'the session lives')
})

t.test('103 and trailers, on a miss and on a passed request', async t => {
  const house = await secure(t, (_, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</a.css>; rel=preload', 'X-Other': '1' })
    response.writeHead(200)
    response.write('abc')
    response.addTrailers({ 'X-Sum': '1' })
    response.end()
  })
  const client = session(t, house)
  for (const method of ['GET', 'POST']) {
    const stream = client.request({ ':method': method, ':path': '/' })
    stream.end()
    t.match(await answerTo(stream), { status: 200, body: 'abc', trailers: { 'x-sum': '1' },
      interim: [{ ':status': 102 }, { ':status': 103, 'link': '</a.css>; rel=preload', 'x-other': '1' }] }, method)
  }
})

t.test('a large body goes through both ways, at the pace of the slower', async t => {
  const size = 20_000_000
  const house = await secure(t, (request, response) => {
    if (request.method === 'GET') return void response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(Buffer.alloc(size, 'x'))
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.on('end', () => response.end(String(bytes)))
  })
  const client = session(t, house)
  for (let times = 0; times < 2; times++) t.equal((await get(client, '/large')).body.length, size)
  const upload = client.request({ ':method': 'POST', ':path': '/' })
  upload.end(Buffer.alloc(size))
  t.equal((await answerTo(upload)).body, String(size))
})

t.test('many streams at once get each its own response', async t => {
  const house = await secure(t,
    (request, response) => response.writeHead(200, { 'Cache-Control': Number(request.url?.slice(1)) % 2 === 0 ? 'max-age=60' : 'no-store' }).end(request.url))
  const client = session(t, house)
  const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => get(client, `/${n % 100}`).then(({ body }) => body === `/${n % 100}`)))
  t.ok(answers.every(Boolean))
})

t.test('a stop lets streams end, and sends their session away', async t => {
  const held: (() => void)[] = []
  const house = await secure(t, (_, response) => {
    held.push(() => response.end('done'))
  })
  const client = session(t, house)
  const waiting = get(client, '/slow')
  await house.origin.nth(1)
  const goaway = once(client, 'goaway')
  const closed = house.app.close()
  await goaway
  held[0]?.()
  t.match(await waiting, { status: 200, body: 'done' })
  await closed
})

t.test('WebSockets over TLS, and http2: false', async t => {
  const house = await secure(t, (_, response) => response.end(), { tls: { cert, key, http2: false } })
  const socket = connectTls({ port: house.port, host: '127.0.0.1', ca: testCertificate, ALPNProtocols: ['h2', 'http/1.1'], servername: 'localhost' })
  await once(socket, 'secureConnect')
  t.equal((socket as TLSSocket).alpnProtocol, 'http/1.1')
  socket.destroy()
  const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  echo.on('connection', (peer) => peer.on('message', (data) => peer.send(data)))
  await once(echo, 'listening')
  const { port } = echo.address() as { port: number }
  const other = await startProxy(t, { origin: (_, response) => response.end(),
    config: { proxy: { host: '127.0.0.1', port: 0, tls: { cert, key } }, origins: { api: { servers: [`http://127.0.0.1:${port}`] } } } })
  const client = new WebSocket(other.app.proxyUrl.replace('https', 'wss'), { ca: testCertificate })
  client.on('open', () => client.send('sealed'))
  const [data] = (await once(client, 'message')) as [Buffer]
  t.equal(String(data), 'sealed')
  client.terminate()
  echo.close()
})

t.test('certificates are read again on a reload, and one that does not fit is refused whole', async t => {
  const mine = { cert: join(folder, 'mine.pem'), key }
  writeFileSync(mine.cert, testCertificate)
  const house = await secure(t, (_, response) => response.end('ok'), { tls: mine })
  const config = resolveConfig({ proxy: { host: '127.0.0.1', port: 0, tls: mine },
    admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'test', token: 'a-token-for-the-tests-of-the-house' }] }, origins: { api: { servers: [house.origin.url] } } })
  writeFileSync(mine.cert, 'nonsense')
  await t.rejects(house.app.reload(config), /proxy\.tls\.cert: .* holds no certificate in PEM/)
  t.match(await get(session(t, house), '/'), { status: 200 }, 'the running one stays')
  writeFileSync(mine.cert, testCertificate)
  await house.app.reload(config)
  t.match(await get(session(t, house), '/'), { status: 200 })
})

t.test('files that cannot be read are reported by check', async t => {
  const problems = (): unknown => {
    try {
      return resolveConfig({ proxy: { tls: { cert: '/nowhere/cert.pem', key } }, origins: { api: { servers: ['https://api:1'], tls: { ca: '/nowhere/ca.pem' } } } })
    } catch (error) {
      return (error as { problems?: unknown }).problems
    }
  }
  t.match(problems(), [
    { path: 'proxy.tls.cert', message: 'cannot read /nowhere/cert.pem' },
    { path: 'origins.api.tls.ca', message: 'cannot read /nowhere/ca.pem' },
  ])
})
