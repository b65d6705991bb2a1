// The bounds of the listener: connections and requests beyond them get a 503 that says when to come back.
import { connect as connectH2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { ask, type Answer } from '../support/client.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { eventually } from '../support/log.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'
import type { ProxyOptions } from '../../src/proxy/listener/options.ts'
import { startProxyAlone, type RunningProxy } from './proxy-under-test.ts'

const tls = { cert: testCertificate, key: testKey, http2: true }

/** A proxy before an origin that responds to /held after `release`, and to all others at once. */
async function house(t: Test, options: Partial<ProxyOptions>): Promise<RunningProxy & { origin: ScriptedOrigin; release(): void }> {
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const origin = await startOrigin(async (request, response) => {
    if (request.url === '/held') await released
    response.end('here')
  })
  const proxy = await startProxyAlone({ servers: [origin.url] }, { options })
  t.teardown(async () => {
    release()
    await proxy.close()
    await origin.close()
  })
  return { ...proxy, origin, release }
}

function isBusy(t: Test, { status, header, body }: Pick<Answer, 'status' | 'header' | 'body'>): void {
  t.equal(status, 503)
  t.equal(header('retry-after'), '1')
  t.match(JSON.parse(body.toString()), { code: 'PROXY_BUSY' })
}

/** Opens a connection and sends nothing. */
async function silent(t: Test, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
  })
  return socket
}

const once = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1')))
  })

// The guard: ListenerLoad.isBeyond.
t.test('a connection beyond maxClients gets 503 and is closed; once another has closed, the next is served', async (t) => {
  const { port } = await house(t, { maxClients: 2, maxRefused: 2 })
  const first = await silent(t, port)
  await silent(t, port)
  for (const options of [{}, { method: 'POST', body: 'x'.repeat(100_000) }, { headers: ['Connection', 'keep-alive'] }]) {
    const refused = await ask(port, options)
    isBusy(t, refused)
    t.equal(refused.header('connection'), 'close')
  }
  const handshake = await silent(t, port)
  handshake.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
  t.match(await once(handshake), /^HTTP\/1\.1 503 /)
  first.destroy()
  await eventually(async () => (await ask(port)).status === 200)
})

t.test('a connection that was accepted beyond the bound is served if there is room at its request', async (t) => {
  const { port } = await house(t, { maxClients: 1, maxRefused: 1 })
  const first = await silent(t, port)
  const second = await silent(t, port)
  first.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await new Promise((resolve) => {
    first.once('close', resolve).resume()
  })
  for (let i = 0; i < 2; i++) {
    second.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    t.match(await once(second), /^HTTP\/1\.1 200 /)
  }
})

// The guard: #closeOldest.
t.test('however many silent clients hold connections, the newest client gets its 503', async (t) => {
  const { port } = await house(t, { maxClients: 1, maxRefused: 2 })
  const sockets: Socket[] = []
  for (let i = 0; i < 12; i++) sockets.push(await silent(t, port))
  isBusy(t, await ask(port))
  await eventually(() => sockets.slice(1, 10).every((socket) => socket.closed || socket.destroyed || socket.readableEnded || (socket.resume(), false)))
  t.equal(sockets[0]?.closed, false, 'a served connection is not closed')
})

t.test('over TLS the response is the same, over HTTP/1.1 and HTTP/2, and the session ends', async (t) => {
  const { port } = await house(t, { maxClients: 1, maxRefused: 4, tls })
  await silent(t, port)
  const http1 = connectTls({ port, host: '127.0.0.1', ca: testCertificate, ALPNProtocols: ['http/1.1'] })
  http1.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.match(await once(http1), /^HTTP\/1\.1 503 [^]*retry-after: 1\r\n[^]*connection: close\r\n/i)
  http1.destroy()
  const session = connectH2(`https://127.0.0.1:${port}`, { ca: testCertificate })
  session.on('error', () => undefined)
  const stream = session.request({ ':path': '/' })
  const status = new Promise<unknown>((resolve) => {
    stream.once('response', (fields) => resolve([fields[':status'], fields['retry-after']]))
  })
  stream.resume()
  t.same(await status, [503, '1'])
  await new Promise((resolve) => {
    session.once('close', resolve)
  })
})

t.test('half handshakes beyond both bounds are closed', async (t) => {
  const { port } = await house(t, { maxClients: 1, maxRefused: 1, tls })
  const sockets: Socket[] = []
  for (let i = 0; i < 4; i++) sockets.push(await silent(t, port))
  for (const socket of sockets) socket.resume()
  await eventually(() => sockets.filter(({ closed }) => closed).length === 2)
})

// The guard: the count in ListenerLoad.begin.
for (const secure of [false, true]) {
  t.test(`a request beyond maxRequests gets 503, and its connection goes on (${secure ? 'HTTP/2' : 'HTTP/1.1'})`, async (t) => {
    const { port, origin, release } = await house(t, { maxRequests: 2, ...(secure && { tls }) })
    if (!secure) {
      const held = [ask(port, { path: '/held' }), ask(port, { path: '/held', method: 'POST', body: 'x' })]
      await origin.nth(2)
      const socket = await silent(t, port)
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      t.match(await once(socket), /^HTTP\/1\.1 503 [^]*retry-after: 1\r\n/i)
      release()
      for (const each of held) t.equal((await each).status, 200)
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      t.match(await once(socket), /^HTTP\/1\.1 200 /)
    } else {
      const session = connectH2(`https://127.0.0.1:${port}`, { ca: testCertificate })
      t.teardown(() => session.destroy())
      const status = (path: string): Promise<unknown> =>
        new Promise((resolve) => {
          session.request({ ':path': path }).on('response', (fields) => resolve(fields[':status'])).resume()
        })
      const held = [status('/held'), status('/held')]
      await origin.nth(2)
      t.equal(await status('/'), 503)
      release()
      t.same(await Promise.all(held), [200, 200])
      await eventually(async () => await status('/') === 200)
    }
  })
}

// The guard: `delivered`, which counts a request out whichever way it ends.
t.test('a client that leaves gives its place back', async (t) => {
  const { port, origin } = await house(t, { maxRequests: 1 })
  const socket = await silent(t, port)
  socket.write('GET /held HTTP/1.1\r\nHost: a\r\n\r\n')
  await origin.nth(1)
  isBusy(t, await ask(port))
  socket.destroy()
  await eventually(async () => (await ask(port)).status === 200)
})
