// The guard around the methods that put fields on the wire: a refusal by Node ends one exchange.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { ClientExchange } from '../../src/exchange/client/exchange.ts'
import { noObserver } from '../../src/exchange/client/observer.ts'
import { Http1Response } from '../../src/proxy/listener/http1-response.ts'
import { sendHint, sendHead, sendHeadAlone, sendTrailers } from '../../src/exchange/client/sending.ts'
import { handled } from '../../src/exchange/handle.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { secureClients } from '../support/secure-clients.ts'
import { exchangeFor } from '../support/exchange.ts'
import { startProxyAlone } from '../proxy/proxy-under-test.ts'

const source = fileURLToPath(new URL('../../../src', import.meta.url))

// Node's own methods, and those of the port under which they are guarded.
const nodesOwn =
  /\.(?:writeHead|writeHeader|writeEarlyHints|addTrailers|setTrailer|additionalHeaders|writeContinue|writeProcessing|writeInformation|flushHeaders|setHeader|setHeaders|appendHeader|respond|respondWithFD|respondWithFile|sendTrailers|pushStream)\(/g
const guarded = /\.put(?:Head|HeadAlone|Interim|Trailers)\(/g
const sending = join('exchange', 'client', 'sending.ts')
// The admin listener's event streams send fields of their own alone.
const adminStreams = join('admin', 'event-streams.ts')
const http1 = join('proxy', 'listener', 'http1-response.ts')
const http2 = join('proxy', 'listener', 'http2-response.ts')

/** Calls in a source, by its path: `file: .call(`. */
function callsIn(file: string, text: string, calls: RegExp): string[] {
  return [...text.matchAll(calls)].map(([call]) => `${file}: ${call}`)
}

/** Calls that are not where they may be. */
function misplaced(files: readonly (readonly [file: string, text: string])[]): string[] {
  const put = files.flatMap(([file, text]) => callsIn(file, text, guarded))
  const sent = files.flatMap(([file, text]) => callsIn(file, text, nodesOwn))
  return [...put.filter(call => !call.startsWith(sending)), ...sent.filter(call => !call.startsWith(http1) && !call.startsWith(http2) && call !== `${adminStreams}: .writeHead(`)]
}

t.test('nothing else in the sources calls the methods that Node throws from', async t => {
  const files = readdirSync(source, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => relative(source, join(entry.parentPath, entry.name)))
    .filter(file => !file.startsWith(join('cli', 'demo'))) // an origin of its own, with scripted responses
    .map(file => [file, readFileSync(join(source, file), 'utf8')] as const)
  const callers = (file: string, calls: RegExp): string[] => [...new Set(files.filter(([name]) => name === file).flatMap(([name, text]) => callsIn(name, text, calls)))].sort()
  t.same(callers(sending, guarded), ['Head', 'HeadAlone', 'Interim', 'Trailers'].map(name => `${sending}: .put${name}(`), 'the check finds those that are guarded')
  t.same(callers(http1, nodesOwn), ['addTrailers', 'flushHeaders', 'writeContinue', 'writeEarlyHints', 'writeHead', 'writeProcessing'].map(name => `${http1}: .${name}(`))
  t.same(callers(http2, nodesOwn), ['additionalHeaders', 'respond', 'sendTrailers'].map(name => `${http2}: .${name}(`))
  t.same(misplaced(files), [])
  for (const [file, text] of [['exchange/fill/fill.ts', 'response.putHead(200, [])'], [http1, 'response.putHead(200, [])'], ['proxy/proxy.ts', 'raw.writeHead(200)'], [sending,
    'response.writeHead(200)']] as const) {
    t.equal(misplaced([...files, [file, text]]).length, 1, `a planted call in ${file} is found`)
  }
})

const tls = { cert: testCertificate, key: testKey, http2: true }

/** Fields and statuses that Node would not send, over one protocol or the other. */
const unsendable: readonly (readonly [status: number, fields: readonly string[]])[] = [
  [200, ['x', 'a\r\nb']],
  [200, ['x y', '1']],
  [200, ['', '1']],
  [200, [':status', '200']],
  [200, ['etag', '1', 'etag', '2']],
  [200, ['x', 'y'.repeat(70_000)]],
  [200, Array.from({ length: 4_000 }, (_, i) => `x${i}`)],
  [200, ['x']],
  [99, []],
  [1000, []],
  [101, []],
  [Number.NaN, []],
  [200, ['x', undefined as unknown as string]],
  [200, ['x', '\u0100']],
]

t.test('each ends its own exchange, with a 500 where nothing has been sent, and the next request gets its response', async t => {
  let told = 0
  const taken: unknown[] = []
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
    options: { tls },
    observer: { ...noObserver, count: (event) => {
      if (event === 'unsendable') told++
    } },
    handle: (exchange) => {
      const { head, response } = exchange
      const found = unsendable[Number(head.url?.slice(1))]
      if (found === undefined) {
        if (sendHead(exchange, 200, ['content-length', '5'])) response.end('plain')
        return handled
      }
      const sent = sendHead(exchange, found[0], [...found[1]])
      taken.push(sent)
      if (sent) response.end()
      return handled
    },
  })
  const clients = secureClients(proxy.port)
  t.teardown(async () => {
    clients.close()
    await proxy.close()
  })
  for (const protocol of ['h1', 'h2'] as const) {
    for (const [number, [status, fields]] of unsendable.entries()) {
      taken.length = 0
      const before = told
      const answer = await clients.ask(protocol, `/${number}`)
      const said = `${protocol} ${status} ${JSON.stringify(fields)}`
      t.equal(taken.length, 1, said)
      if (taken[0] === false) {
        t.ok(answer.status === 500 || answer.broken !== undefined, said)
        t.equal(told, before + 1, 'it is counted')
      }
      t.match(await clients.ask(protocol, '/plain'), { status: 200, body: 'plain', broken: undefined }, `${said}: on the same connection`)
    }
  }
})

// The guard: isTooLong (proxy/listener/http2-response.ts), with its bytes for each line. Without them nghttp2 ends the session, and every stream on it.
t.test('many short fields end their own exchange, and leave the other streams of the session', async t => {
  const short = Array.from({ length: 5_000 }, (_, i) => [i.toString(36).padStart(3, '0'), '']).flat()
  let held: ClientExchange | undefined
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
    options: { tls },
    handle: (exchange) => {
      const { head: { url }, response } = exchange
      if (url === '/held') held = exchange
      else if (url === '/head') sendHead(exchange, 200, [...short])
      else {
        if (url === '/hints') sendHint(response, 103, [...short.map((part, i) => (i % 2 === 0 ? part : 'a')), 'link', '</a>; rel=preload'])
        sendHead(exchange, 200, [])
        if (url === '/trailers') sendTrailers(exchange, short)
        response.end('plain')
      }
      return handled
    },
  })
  const clients = secureClients(proxy.port)
  t.teardown(async () => {
    clients.close()
    await proxy.close()
  })
  const first = clients.ask('h2', '/held')
  t.match(await clients.ask('h2', '/head'), { status: 500 })
  t.match(await clients.ask('h2', '/hints'), { status: 200, interim: [], body: 'plain' }, 'a client that gets no hints loses nothing')
  t.ok((await clients.ask('h2', '/trailers')).broken)
  if (held !== undefined && sendHead(held, 200, [])) held.response.end('first')
  t.match(await first, { status: 200, body: 'first', broken: undefined })
})

t.test('a second head truncates the response that the first has begun', async t => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
    options: { tls },
    handle: (exchange) => {
      sendHead(exchange, 200, [])
      exchange.response.write(Buffer.from('half'))
      sendHead(exchange, 200, [])
      return handled
    },
  })
  const clients = secureClients(proxy.port)
  t.teardown(async () => {
    clients.close()
    await proxy.close()
  })
  for (const protocol of ['h1', 'h2'] as const) t.ok((await clients.ask(protocol, '/')).broken, protocol)
})

t.test('trailers that cannot be sent truncate the response, and the process goes on', async t => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, {
    options: { tls },
    handle: (exchange) => {
      const { head: { url }, response } = exchange
      sendHead(exchange, 200, [])
      sendHeadAlone(exchange)
      response.write(Buffer.from('half'))
      sendTrailers(exchange, url === '/good' ? ['x', '1', 'x', '2', 'y', '3'] : url === '/twice' ? ['etag', '1', 'etag', '2'] : ['x', 'a\nb'])
      response.end()
      return handled
    },
  })
  const clients = secureClients(proxy.port)
  t.teardown(async () => {
    clients.close()
    await proxy.close()
  })
  for (const protocol of ['h1', 'h2'] as const) {
    t.ok((await clients.ask(protocol, '/bad')).broken, protocol)
    t.match(await clients.ask(protocol, '/good'), { body: 'half', trailers: ['x', '1', 'x', '2', 'y', '3'], broken: undefined }, protocol)
  }
  t.ok((await clients.ask('h2', '/twice')).broken)
})

t.test('over a plain connection the 500 has its own phrase', async t => {
  const server = createServer({ ServerResponse: Http1Response }, (request, response) => {
    sendHead(exchangeFor(request, { response }), 200, ['x', 'a\nb'])
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
  })
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.equal(answer.status, 500)
  t.equal(answer.statusText, 'Internal Server Error')
})
