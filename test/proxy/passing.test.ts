import { createHash, randomBytes } from 'node:crypto'
import { METHODS } from 'node:http'
import { connect } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import tap from 'tap'
import { ask, open, rawRequest } from '../support/client.ts'
import { rawHeader, startCannedOrigin, startOrigin, startRawOrigin } from '../support/scripted-origin.ts'
import { Pass } from '../../src/exchange/pass/pass.ts'
import type { ClientExchange } from '../../src/exchange/client/exchange.ts'
import { passParts, routedTo, startProxyAlone } from './proxy-under-test.ts'

/** A pass with the given action on the head of its response. */
function actingPass(exchange: ClientExchange, onResponse: Pass['onResponse']): Pass {
  return new class extends Pass {
    override onResponse = onResponse
  }(passParts, routedTo('api', exchange), 'method')
}

tap.test('every method passes, with its body', async (t) => {
  const origin = await startOrigin(async (request, response, recorded) => response.end(request.method === 'HEAD' ? undefined : await recorded.body))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const method of METHODS.filter((name) => !['CONNECT', 'TRACE', 'PURGE'].includes(name))) {
    const answer = await ask(proxy.port, { method, path: '/m', body: `body of ${method}`, headers: ['Content-Type', 'not a / media type'] })
    t.equal(answer.status, 200, method)
    if (method !== 'HEAD') t.equal(answer.body.toString(), `body of ${method}`, method)
    t.match(origin.requests.at(-1), { method, target: '/m' })
    t.equal(origin.requests.at(-1)?.header('content-type'), 'not a / media type')
    t.equal(answer.header('cache-status'), `springhouse; ${method === 'GET' || method === 'HEAD' ? 'fwd=bypass; detail=route-uncached' : 'fwd=method; detail=method'}`)
    t.equal(answer.header('via'), '1.1 springhouse')
  }
})

tap.test('bodies of 5 MiB pass byte for byte, both ways, by length and in chunks', async (t) => {
  const body = randomBytes(5 * 1024 * 1024)
  const digest = createHash('sha256').update(body).digest('hex')
  const origin = await startOrigin(async (request, response, recorded) => {
    const received = await recorded.body
    response.writeHead(200, request.url === '/sized' ? { 'content-length': String(received.length) } : {})
    response.end(received)
  })
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const path of ['/sized', '/chunked']) {
    const answer = await ask(proxy.port, path === '/sized'
      ? { method: 'PUT', path, body }
      : { method: 'POST', path, body: Readable.from([body.subarray(0, 7), body.subarray(7)]), headers: ['Transfer-Encoding', 'chunked', 'Content-Type', 'text/plain'] })
    t.equal(answer.status, 200)
    t.ok(answer.complete)
    t.equal(createHash('sha256').update(answer.body).digest('hex'), digest, path)
    t.equal(origin.requests.at(-1)?.header('content-length'), path === '/sized' ? String(body.length) : undefined)
  }
})

tap.test('a target reaches the origin as the very bytes that the client sent', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const targets = ['/a/./b', '/%7Efoo', '/a\\b', '/{x}', '//double//', '/%zz', '/a;b=c', '/x?q=%2F..%2F', '/a|b^c`', '/?', '/a?b?c', '/%E4%BD%A0', '/...', '/a..b/',
    `/${'p'.repeat(300)}`]
  for (const path of targets) {
    for (const method of ['GET', 'POST']) {
      t.equal((await ask(proxy.port, { path, method })).status, 200, path)
      t.equal(origin.requests.at(-1)?.target, path)
    }
  }
})

tap.test('a target that climbs out of its path is refused', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  for (const path of ['/a/../b', '/..', '/a/%2e%2E/b', '/a/.%2e', '/a\\..\\b', '/a/..%2fb', '/a/..%5Cb?x', '/../']) {
    const answer = await ask(proxy.port, { path })
    t.equal(answer.status, 400, path)
    t.equal(answer.header('content-type'), 'application/problem+json')
  }
  t.equal(origin.requests.length, 0)
})

tap.test("the origin learns the client's address, and nothing that the client made up", async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  await ask(proxy.port, { method: 'POST',
    headers: ['Host', 'api.example.com', 'X-Forwarded-For', '1.1.1.1', 'X-Original-URL', '/admin', 'X-A', '1', 'X-A', '2', 'Connection', 'X-Secret', 'X-Secret', '1', 'Cookie',
      'a=b'] })
  const seen = origin.requests[0]
  t.equal(seen?.header('host'), 'api.example.com')
  t.equal(seen?.header('x-forwarded-for'), '127.0.0.1')
  t.equal(seen?.header('x-forwarded-proto'), 'http')
  t.equal(seen?.header('x-forwarded-host'), 'api.example.com')
  t.equal(seen?.header('forwarded'), 'for=127.0.0.1;host="api.example.com";proto=http')
  t.equal(seen?.header('via'), '1.1 springhouse')
  t.match(seen?.header('x-request-id'), /^[\w-]{36}$/)
  t.equal(seen?.header('x-original-url'), undefined)
  t.equal(seen?.header('x-secret'), undefined)
  t.equal(seen?.header('cookie'), 'a=b')
  t.equal(seen?.header('x-a'), '1, 2')
})

tap.test('a trusted proxy in front is believed, and its request id kept if it is safe to log', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const proxy = await startProxyAlone({ servers: [origin.url] }, { options: { trustProxy: ['loopback'] } })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  await ask(proxy.port, { headers: ['X-Forwarded-For', '1.1.1.1', 'X-Request-Id', 'abc-123'] })
  t.equal(origin.requests[0]?.header('x-forwarded-for'), '1.1.1.1, 127.0.0.1')
  t.equal(origin.requests[0]?.header('x-request-id'), 'abc-123')
  for (const id of ['a b', 'x'.repeat(129), '"', 'caf\xe9']) {
    await ask(proxy.port, { headers: ['X-Request-Id', id] })
    t.match(origin.requests.at(-1)?.header('x-request-id'), /^[\w-]{36}$/)
  }
})

tap.test("the client gets the origin's fields, less those of the connection and those for caches", async (t) => {
  const origin = await startCannedOrigin(
    'HTTP/1.1 418 Teapot\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Hop: 1\r\nConnection: X-Hop\r\nKeep-Alive: timeout=5\r\nVia: 1.1 inner\r\nCache-Status: inner; hit\r\n'
      + 'Surrogate-Control: max-age=1\r\nSurrogate-Key: k\r\nCache-Tag: t\r\nCache-Groups: "g"\r\nX-Latin: caf\xe9\r\nLocation: /a\\b\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok',
  )
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const answer = await ask(proxy.port)
  t.equal(answer.status, 418)
  t.equal(answer.body.toString(), 'ok')
  t.strictSame(answer.rawHeaders.filter((_text, i) => i % 2 === 1 && answer.rawHeaders[i - 1]?.toLowerCase() === 'set-cookie'), ['a', 'b'])
  t.equal(answer.header('via'), '1.1 inner, 1.1 springhouse')
  t.equal(answer.header('cache-status'), 'inner; hit, springhouse; fwd=bypass; detail=route-uncached')
  t.equal(answer.header('x-latin'), 'caf\xe9')
  t.equal(answer.header('location'), '/a\\b')
  t.equal(answer.header('cache-groups'), '"g"')
  for (const name of ['x-hop', 'surrogate-control', 'surrogate-key', 'cache-tag', 'proxy-authenticate']) t.equal(answer.header(name), undefined, name)
})

tap.test('HEAD, 204 and 304 pass without a body, and HEAD with its length', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(Number(request.url?.slice(1)), request.method === 'HEAD' ? { 'content-length': '10' } : {}).end()
  })
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const head = await ask(proxy.port, { method: 'HEAD', path: '/200' })
  t.equal(head.header('content-length'), '10')
  for (const status of [204, 304]) {
    const answer = await ask(proxy.port, { path: `/${status}`, headers: ['If-None-Match', '"a"'] })
    t.equal(answer.status, status)
    t.equal(answer.header('content-length'), undefined)
    t.ok(answer.complete)
  }
})

tap.test('a body that stops short at the origin stops short at the client, in each framing', async (t) => {
  for (const framing of ['Content-Length: 10', 'Transfer-Encoding: chunked', 'X-By: close']) {
    const origin = await startRawOrigin((socket) =>
      socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${framing.includes('chunked') ? '5\r\n01234\r\n' : '01234'}`))
    )
    const proxy = await startProxyAlone({ servers: [origin.url] })
    const got = await new Promise<{ body: string; complete: boolean }>((resolve, reject) => {
      open(proxy.port, {}, (response) => {
        let body = ''
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString()
          origin.connections[0]?.resetAndDestroy()
        })
        response.on('error', () => undefined)
        response.on('close', () => resolve({ body, complete: response.complete }))
      }).on('error', reject)
    })
    t.strictSame(got, { body: '01234', complete: false }, framing)
    await proxy.close()
    await origin.close()
  }
})

tap.test('a client that announces its body with Expect gets a 100, and the origin gets no Expect', async (t) => {
  const origin = await startOrigin(async (_request, response, recorded) => response.end(await recorded.body))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const answer = await new Promise<string>((resolve) => {
    let seen = ''
    let sent = false
    const socket = connect(proxy.port, '127.0.0.1', () => socket.write('POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n'))
    socket.on('data', (chunk) => {
      seen += chunk.toString()
      if (sent || !seen.startsWith('HTTP/1.1 100 Continue\r\n\r\n')) return
      sent = true
      socket.write('hello')
    })
    socket.on('close', () => resolve(seen))
  })
  t.match(answer, /HTTP\/1\.1 200 OK[^]*hello/)
  t.equal(origin.requests[0]?.header('expect'), undefined)
})

tap.test('an upload is read no faster than the origin takes it', async (t) => {
  const origin = await startRawOrigin((socket) => socket.pause())
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const size = 64_000_000
  const body = new PassThrough()
  const request = open(proxy.port, { method: 'POST', headers: ['Content-Length', String(size)], body }, () => undefined)
  request.on('error', () => undefined)
  const chunk = Buffer.alloc(1_000_000)
  let written = 0
  let turns = 0
  // Until nothing has drained for two thousand turns of the loop: then every buffer from here to the origin is full. A
  // proxy that read on regardless would take it all.
  await new Promise<void>((resolve) => {
    const write = (): void => {
      turns = 0
      while (written < size) {
        written += chunk.length
        if (!body.write(chunk)) return
      }
    }
    const watch = (): void => {
      if (++turns > 2_000 || written >= size) resolve()
      else setImmediate(watch)
    }
    body.on('drain', write)
    write()
    watch()
  })
  t.ok(written < size, `it stood after ${written} bytes`)
  request.destroy()
})

tap.test('a client that leaves in the middle of its upload takes the origin request with it, and harms no server', async (t) => {
  const broken = new Promise<string>((resolve) => {
    void startOrigin((_request, _response, recorded) => recorded.body.then(() => resolve('whole'), () => resolve('broken off'))).then(async (origin) => {
      const proxy = await startProxyAlone({ servers: [origin.url] })
      t.teardown(async () => {
        await proxy.close()
        await origin.close()
      })
      const socket = connect(proxy.port, '127.0.0.1', () => socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234'))
      await origin.nth(1)
      socket.destroy()
      await origin.requests[0]?.body.catch(() => undefined)
      t.equal(proxy.origins.status()[0]?.consecutiveFailures, 0)
    })
  })
  t.equal(await broken, 'broken off')
})

tap.test('a small upload by an idempotent method survives a server that is killed before it responds', async (t) => {
  const received: string[] = []
  // Takes the whole request, and dies of it.
  const dying = await startRawOrigin((socket) =>
    socket.on('data', (chunk) => {
      received.push(chunk.toString('latin1').slice(-4))
      if (received.at(-1) === 'tail') socket.resetAndDestroy()
    })
  )
  const well = await startOrigin(async (_request, response, recorded) => response.end(await recorded.body))
  t.teardown(async () => {
    await dying.close()
    await well.close()
  })
  const body = `${'x'.repeat(1_000)}tail`
  for (const [method, sent, headers, status] of [
    ['PUT', body, [], 200],
    ['DELETE', body, [], 200],
    ['GET', body, [], 200],
    ['PUT', `${'x'.repeat(65_532)}tail`, [], 200],
    ['POST', body, [], 502],
    ['PATCH', body, [], 502],
    ['PUT', `${'x'.repeat(65_533)}tail`, [], 502],
  ] as const) {
    // Each its own: a pool remembers which server has failed it.
    const proxy = await startProxyAlone({ servers: [dying.url, well.url] })
    received.length = 0
    const answer = await ask(proxy.port, { method, body: sent, headers })
    t.ok(received.includes('tail'), `${method}: the first was sent it`)
    t.equal(answer.status, status, `${method} of ${sent.length} bytes`)
    if (status === 200) t.equal(String(answer.body), sent)
    await proxy.close()
  }
  t.equal(well.requests.length, 4, 'a request that may not be sent twice was not')
})

tap.test('a small upload that its client aborts is not sent at all', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const socket = connect(proxy.port, '127.0.0.1')
  socket.end('PUT /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello')
  await new Promise((resolve) => {
    socket.on('close', resolve).resume()
  })
  await ask(proxy.port, { path: '/next' })
  t.strictSame(origin.requests.map(({ target }) => target), ['/next'])
})

tap.test('a client that leaves while it waits frees the origin of it', async (t) => {
  let closed: (() => void) | undefined
  const gone = new Promise<void>((resolve) => {
    closed = resolve
  })
  const origin = await startOrigin((request) => void request.socket.on('close', () => closed?.()))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const request = open(proxy.port, {}, () => undefined)
  request.on('error', () => undefined)
  await origin.nth(1)
  request.destroy()
  await gone
  t.pass('closed at the origin')
})

tap.test('the response to a passed request can be acted on before the client sees it', async (t) => {
  const origin = await startOrigin((_request, response) => response.writeHead(201, { 'x-a': '1' }).end('made'))
  const seen: unknown[] = []
  const proxy = await startProxyAlone({ servers: [origin.url] }, {
    handle: exchange =>
      actingPass(exchange, async (status, fields) => {
        const { head: request } = exchange
        seen.push(request.method, request.url, status, rawHeader(fields, 'x-a'))
        await new Promise((resolve) => setImmediate(resolve))
        seen.push('acted')
        if (request.url === '/fails') throw new Error('secret')
        return undefined
      }),
  })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const answer = await ask(proxy.port, { method: 'POST', path: '/a/./b?c' })
  t.strictSame(seen, ['POST', '/a/./b?c', 201, '1', 'acted'])
  t.equal(answer.body.toString(), 'made')
  const failed = await ask(proxy.port, { method: 'POST', path: '/fails' })
  t.equal(failed.status, 500)
  t.notMatch(failed.body.toString(), /secret/)
})

tap.test('a client that leaves while its response is acted on does no harm', async (t) => {
  const origin = await startOrigin((_request, response) => response.end('x'.repeat(1_000_000)))
  let entered: (() => void) | undefined
  const inside = new Promise<void>((resolve) => {
    entered = resolve
  })
  const proxy = await startProxyAlone({ servers: [origin.url], maxConnections: 1, maxQueue: 1 }, {
    handle: exchange =>
      actingPass(exchange, () => {
        const { head, response } = exchange
        if (head.method !== 'POST') return undefined
        entered?.()
        return new Promise((resolve) => response.onClose(() => setImmediate(() => resolve(undefined))))
      }),
  })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const request = open(proxy.port, { method: 'POST' }, () => undefined)
  request.on('error', () => undefined)
  await inside
  request.destroy()
  t.equal((await ask(proxy.port)).body.length, 1_000_000, 'and the only connection is free again')
})

tap.test('a keep-alive connection carries one passed request after another', async (t) => {
  const origin = await startOrigin(async (request, response, recorded) => response.end(`${request.url} ${(await recorded.body).toString()}`))
  const proxy = await startProxyAlone({ servers: [origin.url] })
  t.teardown(async () => {
    await proxy.close()
    await origin.close()
  })
  const answers = await rawRequest(proxy.port, 'POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none'
    + 'GET /2 HTTP/1.1\r\nHost: h\r\n\r\n'
    + 'POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n'
    + 'GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  t.match(answers, /\/1 one[^]*\/2 [^]*\/3 three[^]*\/4 /)
  t.equal(origin.requests.length, 4)
})
