// The ClientResponse over HTTP/1.1 and HTTP/2: room, clients that leave, truncation, and no content where there is none.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import t from 'tap'
import type { ClientExchange } from '../../src/exchange/client/exchange.ts'
import { writable } from '../../src/exchange/client/response.ts'
import { sendHead } from '../../src/exchange/client/sending.ts'
import { handled } from '../../src/exchange/handle.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { secureClients } from '../support/secure-clients.ts'
import { startProxyAlone } from './proxy-under-test.ts'

const tls = { cert: testCertificate, key: testKey, http2: true }

/** A listener that hands out each response, and the URL of it. */
async function responses(test: { teardown(close: () => Promise<void>): void }): Promise<{ port: number; next(): Promise<ClientExchange> }> {
  const waiting: ((exchange: ClientExchange) => void)[] = []
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
    options: { tls },
    handle: (exchange) => {
      waiting.shift()?.(exchange)
      return handled
    },
  })
  test.teardown(() => proxy.close())
  return { port: proxy.port, next: () =>
    new Promise((resolve) => {
      waiting.push(resolve)
    }) }
}

/** A client that reads the body on demand, and the way in which it leaves. */
async function client(protocol: 'h1' | 'h2', port: number): Promise<{ body(): Promise<Duplex>; leave(): void }> {
  if (protocol === 'h1') {
    const sent = httpsRequest({ host: '127.0.0.1', port, ca: testCertificate, agent: false, checkServerIdentity: () => undefined })
    sent.on('error', () => undefined)
    sent.end()
    const came = once(sent, 'response')
    came.catch(() => undefined)
    return { body: () => came.then(([response]) => response as Duplex), leave: () => sent.destroy() }
  }
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: testCertificate, checkServerIdentity: () => undefined })
  session.on('error', () => undefined)
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => undefined)
  const came = once(stream, 'response')
  came.catch(() => undefined)
  return { body: () => came.then(() => stream), leave: () => session.destroy() }
}

for (const protocol of ['h1', 'h2'] as const) {
  t.test(`${protocol}: a client that leaves is noticed, once it has and not before`, async (t) => {
    const { port, next } = await responses(t)
    const coming = next()
    const { leave } = await client(protocol, port)
    const exchange = await coming
    const { response } = exchange
    let told = 0
    const never = (): void => {
      told += 100
    }
    response.onClose(never)
    response.offClose(never)
    const left = new Promise<void>((resolve) => {
      response.onClose(() => {
        told++
        resolve()
      })
    })
    t.equal(response.hasLeft, false)
    leave()
    await left
    t.equal(response.hasLeft, true)
    t.equal(told, 1)
    await writable(response)
    sendHead(exchange, 200, [])
    response.write(Buffer.from('nobody reads it'))
    response.end()
    response.cut()
    t.pass('writes without a client are harmless, and nothing waits for room')
  })

  t.test(`${protocol}: a response that is full has room again when its client reads`, async (t) => {
    const { port, next } = await responses(t)
    const coming = next()
    const { body, leave } = await client(protocol, port)
    const exchange = await coming
    const { response } = exchange
    t.ok(sendHead(exchange, 200, []))
    const chunk = Buffer.alloc(65_536, 'x')
    let written = 0
    do written += chunk.length
    while (response.write(chunk) && written < 256 * 1024 * 1024)
    t.ok(written < 256 * 1024 * 1024, `full after ${written}`)
    // Checked at once: the system's buffers drain without the client.
    const room = writable(response)
    let read = 0
    const reader = await body()
    reader.on('data', (piece: Buffer) => {
      read += piece.length
    })
    await room
    const ended = once(reader, 'end')
    response.end()
    t.equal(response.writableEnded, true)
    await ended
    t.equal(read, written)
    leave()
  })

  // The guard over HTTP/2: Http2Response.write and end check whether Node has ended the stream. Without it the stream fails.
  t.test(`${protocol}: a truncated response is not whole, and one to HEAD has no content`, async (t) => {
    const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
      options: { tls },
      handle: (exchange) => {
        const { head: { url, method }, response } = exchange
        sendHead(exchange, url === '/304' ? 304 : 200, [])
        const room = response.write(Buffer.from('half'))
        if (method === 'HEAD' || url === '/304') t.equal(room, true, 'nothing is waited for')
        if (url === '/cut') response.cut()
        else response.end('whole')
        return handled
      },
    })
    const clients = secureClients(proxy.port)
    t.teardown(async () => {
      clients.close()
      await proxy.close()
    })
    t.ok((await clients.ask(protocol, '/cut')).broken)
    t.match(await clients.ask(protocol, '/'), { status: 200, body: 'halfwhole', broken: undefined })
    t.match(await clients.ask(protocol, '/', 'HEAD'), { status: 200, body: '', broken: undefined })
    t.match(await clients.ask(protocol, '/304'), { status: 304, body: '', broken: undefined })
    t.match(await clients.ask(protocol, '/'), { status: 200, body: 'halfwhole', broken: undefined }, 'and the connection goes on')
  })
}
