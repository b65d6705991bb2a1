// HTTP/2 to origins (RFC 9113), before node:http2 servers: what is sent, what comes back, and how many sessions it takes.
import { once } from 'node:events'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import tap from 'tap'
import type { Clock } from '../../src/clock.ts'
import type { OriginConfig } from '../../src/origin/config.ts'
import type { OriginExchange, Origins } from '../../src/origin/origin.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { startHttp1Bytes, startHttp2Origin } from '../support/http2-origin.ts'
import { closedPort } from '../support/scripted-origin.ts'
import { fetchFrom, handClock, originsOf, pass } from './origins-under-test.ts'

const http2 = (config: Partial<OriginConfig>, clock?: Clock): Origins => originsOf({ http2: true, tls: { ca: testCertificate }, ...config }, clock)

const bytes = (...chunks: string[]): Readable => Readable.from(chunks.map((chunk) => Buffer.from(chunk)), { objectMode: false })

tap.test('a request as it is sent, and its response as it is received', async (t) => {
  const origin = await startHttp2Origin((stream) => {
    stream.respond({ ':status': 200, 'x-a': ['1', '2'], 'set-cookie': ['a=1', 'b=2'], 'x-latin': 'caf\xe9' })
    stream.end('whole')
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const fields = ['host', 'api.example.com:8443', 'cookie', 'a=1; b=2', 'x-a', '1', 'x-a', '2', 'connection', 'close', 'keep-alive', '1', 'transfer-encoding', 'chunked', 'upgrade',
    'x', 'te', 'gzip', 'proxy-connection', 'x', 'if-none-match', '"1"', 'if-none-match', '"2"', '__proto__', 'x', 'x-latin', 'caf\xe9', 'x-space', ' x ']
  const got = await fetchFrom(origins, { target: '/a/./b?{x}', fields })
  t.match(got, { status: 200, error: undefined })
  t.equal(got.body.toString(), 'whole')
  t.strictSame(got.fields.slice(0, 10), ['x-a', '1', 'x-a', '2', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-latin', 'caf\xe9'], 'lines stay lines')
  const seen = Object.fromEntries(Object.entries(origin.requests[0] ?? {}))
  t.strictSame(seen, { ':method': 'GET', ':scheme': 'https', ':authority': 'api.example.com:8443', ':path': '/a/./b?{x}', 'cookie': 'a=1; b=2', 'x-a': '1, 2',
    'if-none-match': '"1", "2"', 'x-latin': 'caf\xe9', 'x-space': 'x', ['__proto__']: 'x' })
  t.equal((await fetchFrom(origins, { fields: [] })).status, 200)
  t.equal(origin.requests[1]?.[':authority'], `127.0.0.1:${origin.port}`, "without Host the server's own authority")
})

tap.test("a request that HTTP/2 forbids is the client's error, and costs no session", async (t) => {
  const origin = await startHttp2Origin((stream) => {
    stream.respond()
    stream.end()
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  for (const [name, value] of [['x', 'a\r\nb: c'], ['x', 'a\0b'], ['x y', '1'], ['', '1'], [':path', '/'], ['x', '\u0100']] as const) {
    t.equal((await fetchFrom(origins, { fields: ['host', 'h', name, value] })).error?.code, 'BAD_REQUEST', `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
  }
  t.equal((await fetchFrom(origins, { fields: ['host', 'h', 'content-type', 'a', 'content-type', 'b'] })).error?.code, 'BAD_REQUEST', 'of which there is one, twice')
  t.equal((await fetchFrom(origins, { target: '/a b' })).error?.code, 'BAD_REQUEST')
  t.equal((await fetchFrom(origins, { fields: ['host', 'h', 'content-length', '5'] })).error?.code, 'BAD_REQUEST', 'the length of a body that there is not')
  t.equal((await fetchFrom(origins)).status, 200)
  t.strictSame([origin.requests.length, origin.sessions.length, origins.status()[0]?.pending], [1, 1, 0])
})

tap.test('if a server does not choose h2, HTTP/1.1 is used over the same connection', async (t) => {
  const versions: string[] = []
  let connections = 0
  const server = createHttpsServer({ cert: testCertificate, key: testKey }, (request, response) => {
    versions.push(`${request.method} ${request.httpVersion}`)
    request.resume().on('end', () => response.end('old'))
  })
  server.on('secureConnection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const clock = handClock()
  const origins = http2({ servers: [`https://127.0.0.1:${(server.address() as AddressInfo).port}`] }, clock)
  t.teardown(async () => {
    await origins.close()
    server.closeAllConnections()
    server.close()
  })
  t.equal(await (await pass(origins, { body: bytes('x') })).text(), 'old')
  t.equal(connections, 1, 'a POST too')
  t.equal((await fetchFrom(origins)).body.toString(), 'old')
  t.equal(connections, 1)
  clock.advance(60_001)
  const both = await Promise.all([fetchFrom(origins), fetchFrom(origins)])
  t.strictSame(both.map(({ body }) => body.toString()), ['old', 'old'], 'it gets a request again after a minute')
  t.equal(connections, 2)
  t.strictSame(versions, ['POST 1.1', 'GET 1.1', 'GET 1.1', 'GET 1.1'])
})

tap.test('without TLS it is HTTP/2 from the first byte, or no connection', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    stream.respond()
    stream.end(String(headers[':scheme']))
  }, { secure: false })
  const old = await startHttp1Bytes('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
  const origins = http2({ servers: [old.url, origin.url] })
  const alone = http2({ servers: [old.url] })
  t.teardown(async () => {
    await origins.close()
    await alone.close()
    await origin.close()
    await old.close()
  })
  t.equal((await fetchFrom(origins)).body.toString(), 'http')
  t.equal(await (await pass(origins, { body: bytes('x') })).text(), 'http', 'nothing was sent, so a POST goes to another server as well')
  t.equal((await fetchFrom(alone)).error?.code, 'ORIGIN_UNREACHABLE')
})

tap.test('TLS is verified, and a server that cannot be reached is passed over', async (t) => {
  const names: unknown[] = []
  const origin = await startHttp2Origin((stream) => {
    names.push((stream.session?.socket as { servername?: unknown } | undefined)?.servername)
    stream.respond()
    stream.end()
  })
  t.teardown(() => origin.close())
  const outcome = async (config: Partial<OriginConfig>): Promise<string | number | undefined> => {
    const origins = originsOf({ http2: true, ...config })
    const got = await fetchFrom(origins)
    await origins.close()
    return got.error?.code ?? got.status
  }
  t.equal(await outcome({ servers: [origin.url] }), 'ORIGIN_CERTIFICATE')
  t.equal(await outcome({ servers: [origin.url], tls: { ca: testCertificate, servername: 'else.test' } }), 'ORIGIN_CERTIFICATE')
  t.equal(await outcome({ servers: [origin.url], tls: { ca: testCertificate, servername: 'origin.test' } }), 200)
  t.equal(await outcome({ servers: [origin.url], tls: { rejectUnauthorized: false } }), 200)
  t.strictSame(names, ['origin.test', false])
  t.type(await outcome({ servers: [origin.url], tls: { ca: 'no certificate' } }), 'string', 'and nothing that stands for a certificate takes the process down')
  const gone = `https://127.0.0.1:${await closedPort()}`
  t.equal(await outcome({ servers: [gone], tls: { ca: testCertificate } }), 'ORIGIN_REFUSED')
  t.equal(await outcome({ servers: [gone, origin.url], tls: { ca: testCertificate }, retries: 0 }), 200)
})

tap.test('one session carries many requests', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    stream.respond()
    stream.end(headers[':path'])
  })
  const origins = http2({ servers: [origin.url], maxConnections: 200 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => fetchFrom(origins, { target: `/${n}` })))
  t.ok(answers.every(({ body }, n) => body.toString() === `/${n}`))
  t.equal(await (await pass(origins, { body: bytes('x') })).text(), '/')
  t.equal(origin.sessions.length, 1, 'POSTs too')
})

tap.test('as many as the server allows on each, and as many as maxConnections says on all; the others wait, or are too many', async (t) => {
  const held: (() => void)[] = []
  const origin = await startHttp2Origin((stream) =>
    held.push(() => {
      stream.respond()
      stream.end()
    }), { settings: { maxConcurrentStreams: 2 } })
  const origins = http2({ servers: [origin.url], maxConnections: 5, maxQueue: 2 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const all = Array.from({ length: 8 }, () => fetchFrom(origins))
  t.equal((await (all[7] as (typeof all)[0])).error?.code, 'ORIGIN_BUSY')
  await origin.nth(5)
  t.equal(origin.sessions.length, 3)
  t.equal(origins.status()[0]?.pending, 7)
  t.equal(origin.streams.length, 5)
  for (let i = 0; i < 7; i++) {
    await origin.nth(i + 1)
    held[i]?.()
  }
  t.strictSame((await Promise.all(all.slice(0, 7))).map(({ status }) => status), Array.from({ length: 7 }, () => 200))
  t.equal(origin.sessions.length, 3)
  t.equal(origins.status()[0]?.pending, 0)
})

tap.test('uploads that come slowly leave streams for others', async (t) => {
  const origin = await startHttp2Origin(async (stream, headers) => {
    for await (const _ of stream);
    stream.respond()
    stream.end(String(headers[':method']))
  })
  const origins = http2({ servers: [origin.url], maxConnections: 4 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const bodies = Array.from({ length: 4 }, () => new Readable({ read: () => undefined }))
  const answers = bodies.map((body) => {
    body.push('some')
    return pass(origins, { body })
  })
  await origin.nth(3)
  for (let i = 0; i < 3; i++) t.equal((await fetchFrom(origins)).body.toString(), 'GET', 'a stream is left')
  t.equal(origin.requests.filter((headers) => headers[':method'] === 'POST').length, 3, 'and not for a fourth upload')
  for (const body of bodies) body.push(null)
  for (const answer of answers) t.equal(await (await answer).text(), 'POST', 'each has its turn')
})

tap.test('a request that is aborted while waiting leaves the queue', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    if (headers[':path'] !== '/held') {
      stream.respond()
      stream.end()
    }
  })
  const origins = http2({ servers: [origin.url], maxConnections: 1 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const sink = { onHead: () => undefined, onData: () => undefined, onEnd: () => undefined, onError: () => undefined }
  const holding = origins.request({ origin: 'api', method: 'GET', target: '/held', fields: ['host', 'h'] }, sink)
  await origin.nth(1)
  origins.request({ origin: 'api', method: 'GET', target: '/waits', fields: ['host', 'h'] }, sink).abort()
  t.equal(origins.status()[0]?.pending, 1)
  const next = fetchFrom(origins, { target: '/next' })
  holding.abort()
  t.equal((await next).status, 200)
  t.equal(origin.streams[0]?.rstCode, constants.NGHTTP2_CANCEL)
  t.strictSame(origin.requests.map((headers) => headers[':path']), ['/held', '/next'])
  t.equal(origin.sessions.length, 1)
})

tap.test('HEAD, 204, 304, trailers, 1xx', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    switch (headers[':path']) {
      case '/204':
        return stream.respond({ ':status': 204 }, { endStream: true })
      case '/304':
        return stream.respond({ ':status': 304, 'content-length': '10', 'etag': '"1"' }, { endStream: true })
      case '/early':
        stream.additionalHeaders({ ':status': 102 })
        stream.additionalHeaders({ ':status': 103, 'link': '</a>' })
        break
      case '/head':
        return stream.respond({ 'content-length': '10' }, { endStream: true })
    }
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
    return stream.end('body')
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  t.match(await fetchFrom(origins, { target: '/204' }), { status: 204, error: undefined })
  const unchanged = await fetchFrom(origins, { target: '/304' })
  t.match(unchanged, { status: 304, error: undefined })
  t.strictSame(unchanged.fields.slice(0, 4), ['content-length', '10', 'etag', '"1"'])
  t.match(await fetchFrom(origins, { target: '/head', method: 'HEAD' }), { status: 200, error: undefined })
  t.match(await fetchFrom(origins, { target: '/early' }), { status: 200, interims: [102, 103], trailers: ['x-sum', '1'], error: undefined })
  const interims: unknown[] = []
  const trailers: unknown[] = []
  const passed = await pass(origins, { method: 'GET', target: '/early', onInterim: (status, fields) => interims.push(status, fields), onTrailers: (lines) => trailers.push(lines) })
  t.equal(await passed.text(), 'body')
  t.strictSame([interims, trailers], [[102, [], 103, ['link', '</a>']], [['x-sum', '1']]])
  t.equal(origin.sessions.length, 1)
})

tap.test('a body goes along, of any size, at the pace of the server', async (t) => {
  const origin = await startHttp2Origin(async (stream) => {
    let length = 0
    for await (const chunk of stream) length += (chunk as Buffer).length
    stream.respond()
    stream.end(String(length))
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  t.equal(await (await pass(origins, { body: bytes('some ', 'chunks'), fields: ['host', 'h', 'content-length', '11'] })).text(), '11')
  t.equal(origin.requests[0]?.['content-length'], '11')
  const chunk = Buffer.alloc(100_000)
  t.equal(await (await pass(origins, { body: Readable.from(Array.from({ length: 100 }, () => chunk), { objectMode: false }) })).text(), '10000000')
  t.notOk('content-length' in (origin.requests[1] ?? {}))
})

tap.test('a server that does not read holds the sender of the body, and nobody else', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    if (headers[':path'] === '/other') {
      stream.respond()
      stream.end()
    }
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let given = 0
  const chunk = Buffer.alloc(16_384)
  const body = new Readable({
    read() {
      given += chunk.length
      this.push(chunk)
    },
  })
  pass(origins, { body }).catch(() => undefined)
  const stream = await origin.nth(1)
  for (let i = 0; i < 50; i++) t.equal((await fetchFrom(origins, { target: '/other' })).status, 200)
  const before = given
  t.ok(before < 500_000, `${before} bytes were taken`)
  stream.resume()
  for (let i = 0; i < 100; i++) await once(stream, 'data')
  t.ok(given > before)
  // The rest of a body is read and discarded, and this one has no end.
  body.destroy()
  stream.close(constants.NGHTTP2_CANCEL)
})

tap.test('a body that its sender aborts never seems complete, and costs only its stream', async (t) => {
  let outcome: Promise<string> | undefined
  const origin = await startHttp2Origin((stream, headers) => {
    if (headers[':path'] === '/ok') {
      stream.respond()
      return stream.end()
    }
    let ended = false
    stream.on('end', () => {
      ended = !stream.aborted && stream.rstCode === 0
    })
    stream.resume()
    outcome = once(stream, 'close').then(() => (ended ? 'whole' : 'cut'))
    return undefined
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  for (const how of ['error', 'close', 'length', 'abort'] as const) {
    const before = origin.streams.length
    const body = new Readable({ read: () => undefined })
    let abort: (() => void) | undefined
    const passed = pass(origins, { body, fields: ['host', 'h', ...(how === 'length' ? ['content-length', '100'] : [])], senderGone: () => true, onAbortable: (give) => {
      abort = give
    } })
    passed.catch(() => undefined)
    body.push(Buffer.from('half'))
    const stream = await origin.nth(before + 1)
    await once(stream, 'data')
    if (how === 'abort') abort?.()
    else if (how === 'length') body.push(null)
    else body.destroy(how === 'error' ? new Error('gone') : undefined)
    t.equal(await outcome, 'cut', how)
    if (how !== 'abort') await t.rejects(passed, { code: 'CLIENT_GONE' })
  }
  t.equal((await fetchFrom(origins, { target: '/ok' })).status, 200)
  t.equal(origin.sessions.length, 1)
  t.equal(origins.status()[0]?.consecutiveFailures, 0, "it is not the server's failure")
})

tap.test('a response before the end of the request body is complete, and the rest of the body is dropped (§8.1)', async (t) => {
  const origin = await startHttp2Origin((stream) => {
    stream.respond({ ':status': 413 })
    stream.end('too much')
    stream.on('finish', () => stream.close(constants.NGHTTP2_NO_ERROR))
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const body = new Readable({ read: () => undefined })
  body.push(Buffer.alloc(10))
  const answer = await pass(origins, { body })
  t.equal(answer.status, 413)
  t.equal(await answer.text(), 'too much')
  body.push(Buffer.alloc(1_000_000))
  body.push(null)
  await once(body, 'end')
  t.equal(origins.status()[0]?.pending, 0)
})

tap.test('an aborted request costs its stream, and not the session', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    stream.respond()
    if (headers[':path'] === '/long') stream.write('begun')
    else stream.end('whole')
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  await new Promise<void>((resolve) => {
    const exchange: OriginExchange = origins.request({ origin: 'api', method: 'GET', target: '/long', fields: ['host', 'h'] }, {
      onHead: () => undefined,
      onData: () => {
        exchange.abort()
        resolve()
      },
      onEnd: () => t.fail('it ended'),
      onError: () => t.fail('it was told'),
    })
  })
  const stream = origin.streams[0] as ServerHttp2Stream
  if (!stream.closed) await once(stream, 'close')
  t.equal(stream.rstCode, constants.NGHTTP2_CANCEL)
  t.equal((await fetchFrom(origins)).body.toString(), 'whole')
  t.equal(origin.sessions.length, 1)
})

tap.test('timeouts apply to each request: to the head, to the body, and not to an event stream', async (t) => {
  const origin = await startHttp2Origin((stream, headers) => {
    if (headers[':path'] === '/silent') return
    stream.respond(headers[':path'] === '/events' ? { 'content-type': 'text/event-stream' } : {})
    if (headers[':path'] === '/stops') stream.write('begun')
    else if (headers[':path'] === '/events' || headers[':path'] === '/paused') stream.write('x')
    else stream.end('whole')
  })
  const origins = http2({ servers: [origin.url], timeouts: { connectMs: 5_000, headersMs: 60, idleMs: 60, queueMs: 5_000 } })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const events = fetchFrom(origins, { target: '/events' })
  await origin.nth(1)
  let resume: () => void = () => undefined
  const paused = fetchFrom(origins, { target: '/paused' }, { onHead: (exchange) => {
    exchange.pause()
    resume = () => exchange.resume()
  } })
  await origin.nth(2)
  const [silent, stops] = await Promise.all([fetchFrom(origins, { target: '/silent' }), fetchFrom(origins, { target: '/stops' })])
  t.match(silent, { error: { code: 'ORIGIN_TIMEOUT' }, headSeen: false })
  t.match(stops, { error: { code: 'ORIGIN_TIMEOUT' }, headSeen: true })
  const silentStream = origin.streams[origin.requests.findIndex((headers) => headers[':path'] === '/silent')] as ServerHttp2Stream
  if (!silentStream.closed) await once(silentStream, 'close')
  t.equal(silentStream.rstCode, constants.NGHTTP2_CANCEL)
  for (const stream of origin.streams.slice(0, 2)) stream.end('y')
  t.equal((await events).body.toString(), 'xy')
  resume()
  t.equal((await paused).body.toString(), 'xy', 'nor with what nobody takes')
  t.equal((await fetchFrom(origins)).body.toString(), 'whole')
  t.equal(origins.status()[0]?.consecutiveFailures, 0)
})

tap.test('a session on which nothing comes any more is not used again', async (t) => {
  let mute = true
  const origin = await startHttp2Origin((stream) => {
    if (!mute) {
      stream.respond()
      stream.end()
    }
  })
  const origins = http2({ servers: [origin.url], timeouts: { connectMs: 5_000, headersMs: 60, idleMs: 60, queueMs: 5_000 } })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_TIMEOUT')
  mute = false
  t.equal((await fetchFrom(origins)).status, 200)
  t.equal(origin.sessions.length, 2)
})

tap.test('a session that has been idle for long is not used again', async (t) => {
  const clock = handClock()
  const origin = await startHttp2Origin((stream) => {
    stream.respond()
    stream.end()
  })
  const origins = http2({ servers: [origin.url] }, clock)
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  await fetchFrom(origins)
  clock.advance(60_000)
  await fetchFrom(origins)
  t.equal(origin.sessions.length, 1)
  clock.advance(60_001)
  await fetchFrom(origins)
  t.equal(origin.sessions.length, 2)
})

tap.test('a paused response blocks no other request, and gets at most a window', async (t) => {
  let written = 0
  const origin = await startHttp2Origin((stream, headers) => {
    stream.respond()
    if (headers[':path'] !== '/endless') return void stream.end('whole')
    const chunk = Buffer.alloc(16_384)
    const more = (): void => {
      do written += chunk.length
      while (!stream.destroyed && stream.write(chunk))
    }
    stream.on('drain', more)
    more()
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let exchange: OriginExchange | undefined
  let given = 0
  let onMore: (() => void) | undefined
  await new Promise<void>((resolve) => {
    exchange = origins.request({ origin: 'api', method: 'GET', target: '/endless', fields: ['host', 'h'] }, {
      onHead: () => {
        exchange?.pause()
        resolve()
      },
      onData: (chunk) => {
        given += chunk.length
        onMore?.()
      },
      onEnd: () => undefined,
      onError: () => undefined,
    })
  })
  for (let i = 0; i < 50; i++) t.equal((await fetchFrom(origins)).body.toString(), 'whole')
  t.equal(given, 0)
  t.ok(written <= 262_144 + 65_536, `${written} bytes were sent`)
  const before = written
  exchange?.resume()
  await new Promise<void>((resolve) => {
    onMore = () => {
      if (given > 1_000_000) resolve()
    }
  })
  t.ok(written > before)
  exchange?.abort()
  t.equal(origin.sessions.length, 1)
})

tap.test('a complete response is delivered completely, even if its session is lost while it is not read', async (t) => {
  const origin = await startHttp2Origin((stream) => {
    stream.respond()
    stream.end(Buffer.alloc(100_000, 'x'))
  })
  const origins = http2({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const got = await fetchFrom(origins, {}, {
    onHead: (exchange) => {
      exchange.pause()
      const [session] = origin.sessions
      session?.once('close', () => exchange.resume())
      session?.close()
    },
  })
  t.equal(got.error, undefined)
  t.equal(got.body.length, 100_000)
})

tap.test('health checks are made over HTTP/2, and statuses are retried on another server if the route says so', async (t) => {
  let status = 500
  const checked = await startHttp2Origin((stream, headers) => {
    stream.respond({ ':status': headers[':path'] === '/healthz' ? status : 503 })
    stream.end('checked')
  })
  const other = await startHttp2Origin((stream) => {
    stream.respond()
    stream.end('other')
  })
  const origins = http2({ servers: [checked.url, other.url], health: { path: '/healthz', intervalMs: 5 } })
  t.teardown(async () => {
    await origins.close()
    await checked.close()
    await other.close()
  })
  const until = async (verdict: boolean): Promise<void> => {
    while (origins.status()[0]?.healthy !== verdict) await checked.nth(checked.streams.length + 1)
  }
  await until(false)
  t.equal((await fetchFrom(origins)).body.toString(), 'other')
  status = 204
  await until(true)
  t.match(checked.requests[0], { ':authority': `127.0.0.1:${checked.port}`, 'user-agent': 'springhouse-health' })
  for (let i = 0; i < 4; i++) t.equal((await fetchFrom(origins, { retryOn: [503] })).body.toString(), 'other')
  t.ok(origins.status()[0]?.healthy)
  t.ok(checked.sessions.length <= 2, 'one for checks, one for requests')
})
