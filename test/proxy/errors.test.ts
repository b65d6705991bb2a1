import { Agent } from 'node:http'
import { connect } from 'node:net'
import tap from 'tap'
import { SpringhouseError, errorCatalogue } from '../../src/errors.ts'
import type { Answer } from '../support/client.ts'
import { ask, rawRequest } from '../support/client.ts'
import { closedPort, startCannedOrigin, startOrigin, startRawOrigin } from '../support/scripted-origin.ts'
import { Pass } from '../../src/exchange/pass/pass.ts'
import type { RequestHandler } from '../../src/proxy/dispatch.ts'
import { passParts, routedTo, startProxyAlone } from './proxy-under-test.ts'

function isProblem(t: Pick<typeof tap, 'ok' | 'equal' | 'strictSame' | 'notMatch'>, answer: Answer, code: keyof typeof errorCatalogue, name: string): void {
  const { status, sentence, proxyError } = errorCatalogue[code]
  t.equal(answer.status, status, name)
  t.equal(answer.header('content-type'), 'application/problem+json')
  const requestId = answer.header('x-request-id')
  t.ok(requestId)
  t.strictSame(JSON.parse(answer.body.toString()), { type: 'about:blank', title: sentence, status, code, requestId })
  t.equal(answer.header('proxy-status'), proxyError === undefined ? undefined : `springhouse; error=${proxyError}`)
  t.notMatch(answer.body.toString() + answer.rawHeaders.join(), /127\.0\.0\.1|no-such-host|undici|fastify/i, 'names nothing inside')
}

tap.test('each way in which an origin fails is a problem of its own, which names no address', async (t) => {
  const hanging = await startRawOrigin(() => undefined)
  const resetting = await startRawOrigin((socket) => socket.once('data', () => socket.resetAndDestroy()))
  const garbage = await startCannedOrigin('SSH-2.0-OpenSSH\r\n\r\n')
  const smuggling = await startCannedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  const impossible = await startCannedOrigin('HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n')
  const plain = await startOrigin(() => undefined)
  t.teardown(async () => {
    for (const origin of [hanging, resetting, garbage, smuggling, impossible, plain]) await origin.close()
  })
  const cases = [
    ['ORIGIN_REFUSED', `http://127.0.0.1:${await closedPort()}`],
    ['ORIGIN_DNS', 'http://no-such-host.invalid'],
    ['ORIGIN_RESET', resetting.url],
    ['ORIGIN_TIMEOUT', hanging.url],
    ['ORIGIN_MALFORMED', garbage.url],
    ['ORIGIN_MALFORMED', smuggling.url],
    ['ORIGIN_MALFORMED', impossible.url],
    ['ORIGIN_TLS', plain.url.replace('http:', 'https:')],
  ] as const
  for (const [code, url] of cases) {
    const proxy = await startProxyAlone({ servers: [url], timeouts: { connectMs: 5_000, headersMs: 50, idleMs: 50, queueMs: 5_000 } })
    for (const method of ['GET', 'POST', 'PROPFIND']) {
      const answer = await ask(proxy.port, method === 'GET' ? {} : { method, body: 'x'.repeat(100_000) })
      isProblem(t, answer, code, `${method} ${code}`)
      t.equal(answer.header('cache-status'), 'springhouse; fwd=bypass')
    }
    await proxy.close()
  }
})

tap.test("an origin's own errors are its own: passed as they are, and never repeated", async (t) => {
  const origin = await startOrigin((_request, response) => response.writeHead(503, { 'retry-after': '1' }).end('busy'))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const answer = await ask(proxy.port)
  t.equal(answer.status, 503)
  t.equal(answer.body.toString(), 'busy')
  t.equal(origin.requests.length, 1)
})

tap.test('a request that no route takes is a 404 problem', async (t) => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, { handle: () => {
    throw new SpringhouseError('NO_ROUTE')
  } })
  t.teardown(() => proxy.close())
  for (const method of ['GET', 'POST', 'M-SEARCH']) isProblem(t, await ask(proxy.port, { method, path: '/x/y' }), 'NO_ROUTE', method)
})

tap.test('a pool that is full responds with 503', async (t) => {
  const origin = await startOrigin(() => undefined)
  const proxy = await startProxyAlone({ servers: [origin.url], maxConnections: 1, maxQueue: 0 })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  ask(proxy.port).catch(() => undefined)
  await origin.nth(1)
  isProblem(t, await ask(proxy.port), 'ORIGIN_BUSY', 'busy')
})

tap.test('an internal fault is a 500 without details', async (t) => {
  const faults: Record<string, Pick<RequestHandler, 'handle'>> = {
    'handle throws': { handle: () => {
      throw new Error('127.0.0.1 secret')
    } },
    'handle rejects': { handle: () => Promise.reject(new Error('127.0.0.1 secret')) },
    'handle returns later, and then rejects': { handle: async () => {
      await Promise.resolve()
      throw new Error('127.0.0.1 secret')
    } },
    'the pool is unknown': { handle: exchange => new Pass(passParts, routedTo('elsewhere', exchange), 'method') },
  }
  for (const [name, parts] of Object.entries(faults)) {
    const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, parts)
    isProblem(t, await ask(proxy.port), 'INTERNAL', name)
    await proxy.close()
  }
})

tap.test('an error of the catalogue that handle throws becomes its problem', async (t) => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, { handle: () => {
    throw new SpringhouseError('NOT_CACHED')
  } })
  t.teardown(() => proxy.close())
  isProblem(t, await ask(proxy.port), 'NOT_CACHED', 'only-if-cached')
})

tap.test('TRACE is not allowed, CONNECT not implemented', async (t) => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] })
  t.teardown(() => proxy.close())
  const trace = await ask(proxy.port, { method: 'TRACE' })
  isProblem(t, trace, 'METHOD_NOT_ALLOWED', 'TRACE')
  t.match(trace.header('allow'), /GET/)
  const tunnel = await rawRequest(proxy.port, 'CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n')
  t.match(tunnel, /^HTTP\/1\.1 501 Not Implemented\r\n[^]*application\/problem\+json[^]*METHOD_NOT_IMPLEMENTED/)
})

tap.test('a message that is not HTTP is a 400 problem, and the connection is closed', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('reached'))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const messages = {
    'no HTTP at all': 'hello\r\n\r\n',
    'length beside chunks': 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'two lengths': 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'a space before the colon': 'GET / HTTP/1.1\r\nHost: h\r\nX-A : 1\r\n\r\n',
    'a folded line': 'GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n',
    'a bare CR': 'GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\rX-B: 2\r\n\r\n',
    'no Host': 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
  }
  for (const [name, bytes] of Object.entries(messages)) {
    const answer = await rawRequest(proxy.port, bytes)
    t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, name)
    t.match(answer, /application\/problem\+json/, name)
  }
  t.equal(origin.requests.length, 0)
})

tap.test('a body that is malformed is refused in its turn, behind the requests before it', async (t) => {
  const origin = await startOrigin((request, response) => response.end(request.url))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const before of [['/a'], ['/a', '/b']]) {
    const asked = before.map(path => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`).join('')
    const answer = await rawRequest(proxy.port, `${asked}POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n`)
    t.strictSame([...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status), [...before.map(() => '200'), '400'])
  }
  t.notOk(origin.requests.some(({ target }) => target === '/d'))
})

tap.test('a Host that two readers may read differently is a 400 problem', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('reached'))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const host of ['Host: a\r\nHost: b', 'Host: a\r\nhOST: a', 'Host: a/b', 'Host: u@a', 'Host: a b', 'Host: a?b', 'Host: "a"', 'Host: a\\b']) {
    t.match(await rawRequest(proxy.port, `GET / HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400 [^]*BAD_REQUEST/, host)
  }
  // Past the thousand fields that Node keeps by default.
  const many = Array.from({ length: 1_500 }, (_, i) => `a${i}:\r\n`).join('')
  t.match(await rawRequest(proxy.port, `GET / HTTP/1.1\r\nHost: a\r\n${many}Host: b\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400 /)
  t.equal(origin.requests.length, 0)
})

tap.test('HTTP/1.0 needs no Host, and gets no chunks', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.write('in ')
    response.end('chunks')
  })
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const answer = await rawRequest(proxy.port, 'GET /old HTTP/1.0\r\n\r\n')
  t.match(answer, /^HTTP\/1\.1 200 [^]*\r\n\r\nin chunks$/)
  t.notMatch(answer, /transfer-encoding/i)
  t.equal(origin.requests[0]?.header('via'), '1.0 springhouse')
})

tap.test('an absolute-form target counts, and not the Host beside it (RFC 9112 §3.2.2)', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('reached'))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const [target, host, path] of [['http://a.example/x/./y?z', 'a.example', '/x/./y?z'], ['HTTP://a.example:81', 'a.example:81', '/'], ['https://a.example?q', 'a.example',
    '/?q']] as const) {
    t.match(await rawRequest(proxy.port, `GET ${target} HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 200 /, target)
    t.equal(origin.requests.at(-1)?.header('host'), host)
    t.equal(origin.requests.at(-1)?.target, path)
  }
  for (const target of ['http://', 'ftp://a/', 'a/b', 'http://u@a/', '*', 'http:///x']) {
    t.match(await rawRequest(proxy.port, `GET ${target} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400 /, target)
  }
})

tap.test('the proxy itself responds to an OPTIONS about itself, and counts down the hops of one with hops left', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('reached'))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  t.match(await rawRequest(proxy.port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 204 [^]*Allow: /)
  t.equal((await ask(proxy.port, { method: 'OPTIONS', headers: ['Max-Forwards', '0'] })).status, 204)
  t.equal(origin.requests.length, 0)
  await ask(proxy.port, { method: 'OPTIONS', headers: ['Max-Forwards', '3'] })
  t.equal(origin.requests[0]?.header('max-forwards'), '2')
})

tap.test('a request that is too long is refused: the target with 414, the fields with 431', async (t) => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] })
  t.teardown(() => proxy.close())
  isProblem(t, await ask(proxy.port, { path: `/${'x'.repeat(8_192)}` }), 'URI_TOO_LONG', 'target')
  const answer = await rawRequest(proxy.port, `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'x'.repeat(40_000)}\r\n\r\n`)
  t.match(answer, /^HTTP\/1\.1 431 [^]*Connection: close[^]*FIELDS_TOO_LARGE/i)
})

tap.test('a request that goes in circles is refused, and two tiers of one name are not', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('reached'))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  isProblem(t, await ask(proxy.port, { headers: ['Via', '1.1 springhouse, 1.1 springhouse', 'Via', '1.0 springhouse (x)'] }), 'LOOP', 'three times')
  t.equal((await ask(proxy.port, { headers: ['Via', '1.1 springhouse, 1.1 other'] })).status, 200)
  isProblem(t, await ask(proxy.port, { headers: ['CDN-Loop', 'springhouse, SpringHouse;a=1', 'Connection', 'CDN-Loop', 'CDN-Loop', '"never closed, springhouse'] }), 'LOOP',
    'by CDN-Loop alone')
  t.equal((await ask(proxy.port, { headers: ['CDN-Loop', 'springhouse, other;by=springhouse, springhouse.example', 'Via', '1.1 springhouse'] })).status, 200)
  t.equal(origin.requests.at(-1)?.header('cdn-loop'), 'springhouse, other;by=springhouse, springhouse.example, springhouse')
})

tap.test('a head that does not arrive in time is a 408', async (t) => {
  const proxy = await startProxyAlone({ servers: ['http://127.0.0.1:1'] }, { options: { timeouts: { requestMs: 20, headersMs: 20, keepAliveMs: 1_000, stalledMs: 0 } } })
  t.teardown(() => proxy.close())
  t.match(await rawRequest(proxy.port, 'GET / HTTP/1.1\r\nHost:'), /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
})

tap.test('an upload that is refused early leaves its connection closed, not confused', async (t) => {
  const proxy = await startProxyAlone({ servers: [`http://127.0.0.1:${await closedPort()}`] })
  t.teardown(() => proxy.close())
  const answer = await new Promise<string>((resolve) => {
    let seen = ''
    const socket = connect(proxy.port, '127.0.0.1', () => socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nGET /smuggled HTTP/1.1\r\n'))
    socket.on('data', (chunk) => {
      seen += chunk.toString()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(seen))
  })
  t.match(answer, /^HTTP\/1\.1 502 [^]*Connection: close/i)
  t.equal(answer.match(/HTTP\/1\.1/g)?.length, 1)
})

tap.test('while the proxy closes, requests in flight get their responses and no connection is kept', async (t) => {
  const held: (() => void)[] = []
  const origin = await startOrigin((_request, response) => held.push(() => response.end('late')))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(() => origin.close())
  const agent = new Agent({ keepAlive: true })
  const pending = ask(proxy.port, { agent })
  await origin.nth(1)
  const closed = proxy.app.close()
  held[0]?.()
  const answer = await pending
  t.equal(answer.body.toString(), 'late')
  t.equal(answer.header('connection'), 'close', 'and its client gets the error')
  agent.destroy()
  await closed
  await proxy.origins.close()
})
