import tap from 'tap'
import { connect } from 'node:net'
import { fieldLineValues, fieldValue } from '../../src/http/fields.ts'
import { closedPort, startCannedOrigin, startOrigin, startRawOrigin } from '../support/scripted-origin.ts'
import { fetchFrom, originsOf } from './origins-under-test.ts'

tap.test('a response comes through whole: status, field lines, body', async (t) => {
  const body = Buffer.alloc(3_000_000, 'spring')
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, ['ETag', '"1"', 'X-Many', '1', 'X-Many', '2', 'Content-Length', String(body.length)])
    response.end(body)
  })
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const got = await fetchFrom(origins)
  t.equal(got.error, undefined)
  t.equal(got.status, 200)
  t.strictSame(fieldLineValues(got.fields, 'x-many'), ['1', '2'])
  t.equal(fieldValue(got.fields, 'etag'), '"1"')
  t.ok(got.body.equals(body))
})

tap.test('the target goes out as the very bytes that came in', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const targets = ['/a/./b', '/%7Efoo', '/a\\b', '/{x}', '//a//b', '/%zz', '/a|b^c`', '/?', '/a?b=c?d#e', '/a/../b']
  for (const target of targets) t.equal((await fetchFrom(origins, { target })).status, 200, target)
  t.strictSame(origin.requests.map(({ target }) => target), targets)
})

tap.test('the fields go out as given, Host included, and nothing else but Connection', async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  await fetchFrom(origins, { fields: ['host', 'www.example.com', 'x-a', '1', 'x-a', '2'] })
  t.strictSame(origin.requests[0]?.rawHeaders, ['host', 'www.example.com', 'connection', 'keep-alive', 'x-a', '1', 'x-a', '2'])
})

tap.test("bytes that cannot be sent are the client's error, not the origin's", async (t) => {
  const origin = await startOrigin((_request, response) => response.end())
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  for (const target of ['/a b', '/a\tb', 'a', '/\u{1f600}']) {
    const got = await fetchFrom(origins, { target })
    t.equal(got.error?.code, 'BAD_REQUEST', target)
    t.equal(got.headSeen, false)
  }
  t.equal((await fetchFrom(origins, { fields: ['host', 'a', 'x', 'a\nb'] })).error?.code, 'BAD_REQUEST')
  t.strictSame(origins.status().map(({ pending, consecutiveFailures }) => [pending, consecutiveFailures]), [[0, 0]])
  t.equal((await fetchFrom(origins)).status, 200, 'and the connection is still good')
})

tap.test('HEAD, 204 and 304 have no body, whatever their Content-Length says', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(request.url === '/304' ? 304 : request.url === '/204' ? 204 : 200, request.url === '/204' ? {} : { 'content-length': '10' })
    response.end(request.method === 'HEAD' || request.url !== '/' ? undefined : '0123456789')
  })
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  for (const [method, target, status] of [['HEAD', '/', 200], ['GET', '/204', 204], ['GET', '/304', 304]] as const) {
    const got = await fetchFrom(origins, { method, target })
    t.equal(got.error, undefined)
    t.equal(got.status, status)
    t.equal(got.body.length, 0)
  }
})

tap.test('interim responses arrive before the head, trailers at the end', async (t) => {
  const origin = await startCannedOrigin('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n')
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const got = await fetchFrom(origins)
  t.strictSame(got.interims, [103])
  t.equal(got.body.toString(), 'ok')
  t.strictSame(got.trailers, ['x-sum', '1'])
})

tap.test('a body that stops short is an error, in each of the three framings', async (t) => {
  const framings = {
    'by length': 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234',
    'by chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n',
    'by the end of the connection': 'HTTP/1.1 200 OK\r\n\r\n01234',
    'by the end of the connection, as announced': 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n01234',
    'by length, on a connection to be closed': 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n01234',
    'by chunks, on a connection to be closed': 'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n',
  }
  for (const [name, bytes] of Object.entries(framings)) {
    for (const how of ['end', 'resetAndDestroy'] as const) {
      // The only honest end of a message that the end of the connection delimits.
      if (name.startsWith('by the end') && how === 'end') continue
      // The reset comes when the bytes have arrived, for it would overtake them.
      const origin = await startRawOrigin((socket) => socket.once('data', () => socket.write(bytes)))
      const origins = originsOf({ servers: [origin.url] })
      const got = await fetchFrom(origins, {}, { onData: () => void origin.connections[0]?.[how]() })
      t.equal(got.error?.code, 'ORIGIN_TRUNCATED', `${name}, ${how}`)
      t.equal(got.headSeen, true)
      t.equal(got.body.toString(), '01234')
      await origins.close()
      await origin.close()
    }
  }
})

tap.test('a body that is delimited by an orderly end of the connection is whole', async (t) => {
  const origin = await startCannedOrigin('HTTP/1.1 200 OK\r\n\r\n01234', (socket) => socket.end())
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const got = await fetchFrom(origins)
  t.equal(got.error, undefined)
  t.equal(got.body.toString(), '01234')
})

tap.test('a coding that nobody knows leaves the body to the end of the connection, which must be in order', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: abcdef\r\n\r\n01234'
  for (const [finish, error] of [['end', undefined], ['resetAndDestroy', 'ORIGIN_TRUNCATED']] as const) {
    const origin = await startCannedOrigin(head, (socket) => socket[finish]())
    const origins = originsOf({ servers: [origin.url], retries: 0 })
    const got = await fetchFrom(origins)
    t.equal(got.error?.code, error)
    t.strictSame(got.fields, [], 'the field is of that hop')
    if (error === undefined) t.equal(got.body.toString(), '01234')
    await origins.close()
    await origin.close()
  }
})

tap.test('a reset while the body is paused fails the request, and not the process', async (t) => {
  const origin = await startRawOrigin((socket) => socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(300_000)}`)))
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let paused = false
  const got = await fetchFrom(origins, {}, {
    onData: (exchange) => {
      if (paused) return
      paused = true
      exchange.pause()
      setImmediate(() => {
        origin.connections[0]?.resetAndDestroy()
        setImmediate(() => exchange.resume())
      })
    },
  })
  t.equal(got.error?.code, 'ORIGIN_TRUNCATED')
})

tap.test('an end that comes while the body is paused waits for the sink, and harms no process', async (t) => {
  const size = 1_000
  for (const framing of ['X-By: close', 'Connection: close\r\nContent-Length: 1000', `Content-Length: ${size}`]) {
    const origin = await startCannedOrigin(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${'x'.repeat(size)}`, (socket) => socket.end())
    const origins = originsOf({ servers: [origin.url] })
    let paused = false
    const got = await fetchFrom(origins, {}, {
      onData: (exchange) => {
        paused = true
        exchange.pause()
        // Resumed when the origin has long ended its side of the connection.
        const resume = (): void => {
          paused = false
          exchange.resume()
        }
        const [connection] = origin.connections
        if (connection?.writableFinished === true) setImmediate(resume)
        else connection?.on('finish', () => setImmediate(resume))
      },
    })
    t.equal(got.error, undefined, framing)
    t.equal(got.body.length, size)
    t.notOk(paused, 'the end came after resume')
    await origins.close()
    await origin.close()
  }
})

tap.test('malformed responses are refused', async (t) => {
  const answers = {
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n01234',
    'two equal lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n01234',
    'a list of lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n01234',
    'length beside chunks': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'chunks beside length': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    'an undecoded coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxyz',
    'chunked not last': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
    'not HTTP': 'SSH-2.0-OpenSSH_9.0\r\n\r\n',
    'a name with a space': 'HTTP/1.1 200 OK\r\nX Name: 1\r\nContent-Length: 0\r\n\r\n',
    'a space before the colon': 'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n',
    'a NUL in a value': 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n',
    'a bare CR in a value': 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    'a status of 999': 'HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n',
    'a 101 that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'a bare 101': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'a bad chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'a head of 100 KB': `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
  }
  for (const [name, bytes] of Object.entries(answers)) {
    const origin = await startCannedOrigin(bytes, (socket) => socket.end())
    const origins = originsOf({ servers: [origin.url] })
    const got = await fetchFrom(origins)
    t.equal(got.error?.code, name === 'a head of 100 KB' ? 'ORIGIN_FIELDS_TOO_LARGE' : 'ORIGIN_MALFORMED', name)
    t.strictSame(origins.status()[0]?.pending, 0, `${name}: nothing is left pending`)
    await origins.close()
    await origin.close()
  }
})

tap.test('white space around a field value is not part of it, and its bytes are kept', async (t) => {
  const origin = await startCannedOrigin('HTTP/1.1 200 OK\r\nX-A: \t caf\xe9 \t\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n')
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const got = await fetchFrom(origins)
  t.equal(fieldValue(got.fields, 'x-a'), 'caf\xe9')
  t.equal(fieldValue(got.fields, 'x-empty'), '')
})

tap.test('each way of not responding has its own error code', async (t) => {
  const silent = await startRawOrigin(() => undefined)
  const slow = await startCannedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234')
  const closing = await startRawOrigin((socket) => socket.once('data', () => socket.end()))
  const resetting = await startRawOrigin((socket) => socket.once('data', () => socket.resetAndDestroy()))
  const plain = await startOrigin(() => undefined)
  t.teardown(async () => {
    for (const origin of [silent, slow, closing, resetting, plain]) await origin.close()
  })
  const short = { timeouts: { connectMs: 50, headersMs: 50, idleMs: 50, queueMs: 5_000 } }
  const cases = {
    ORIGIN_REFUSED: { servers: [`http://127.0.0.1:${await closedPort()}`] },
    ORIGIN_DNS: { servers: ['http://no-such-host.invalid'] },
    ORIGIN_RESET: { servers: [closing.url] },
    ORIGIN_TIMEOUT: { servers: [silent.url], ...short },
    ORIGIN_TLS: { servers: [plain.url.replace('http:', 'https:')] },
    ORIGIN_CONNECT_TIMEOUT: { servers: [silent.url.replace('http:', 'https:')], ...short },
  }
  for (const [code, config] of Object.entries(cases)) {
    const origins = originsOf(config)
    const got = await fetchFrom(origins)
    t.equal(got.error?.code, code)
    t.equal(got.headSeen, false)
    t.notMatch(got.error?.message, /127\.0\.0\.1|invalid/, 'and names no address')
    t.equal(origins.status()[0]?.pending, 0)
    await origins.close()
  }
  const reset = originsOf({ servers: [resetting.url] })
  t.equal((await fetchFrom(reset)).error?.code, 'ORIGIN_RESET')
  await reset.close()
  const idle = originsOf({ servers: [slow.url], ...short })
  const got = await fetchFrom(idle)
  t.equal(got.error?.code, 'ORIGIN_TIMEOUT')
  t.equal(got.headSeen, true, 'a body that falls silent')
  await idle.close()
})

tap.test('an event stream may pause for longer than other bodies, whatever its target', async (t) => {
  const origin = await startRawOrigin((socket) =>
    socket.once('data', (request) => {
      const type = String(request).includes('/events') ? 'Text/Event-Stream; charset=utf-8' : 'text/plain'
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n\r\ndata: 1\n\n`)
    })
  )
  const origins = originsOf({ servers: [origin.url], timeouts: { connectMs: 5_000, headersMs: 5_000, idleMs: 1, queueMs: 5_000 } })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  // The other request has the same timeout, and its failure shows that more than that has passed.
  const events = fetchFrom(origins, { target: '/events' })
  t.equal((await fetchFrom(origins, { target: '/text', fields: ['host', 'a', 'accept', 'text/event-stream'] })).error?.code, 'ORIGIN_TIMEOUT')
  origin.connections[0]?.end('data: 2\n\n')
  const got = await events
  t.equal(got.error, undefined)
  t.equal(got.body.toString(), 'data: 1\n\ndata: 2\n\n')
})

tap.test('a body that nobody takes may be silent, and is expected again once it is taken', async (t) => {
  const origin = await startRawOrigin((socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\nhalf')))
  const origins = originsOf({ servers: [origin.url], timeouts: { connectMs: 5_000, headersMs: 5_000, idleMs: 20, queueMs: 5_000 } })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let resume: () => void = () => undefined
  const paused = fetchFrom(origins, {}, { onData: (exchange) => {
    exchange.pause()
    resume = () => exchange.resume()
  } })
  // As long as it is paused the other one's end shows that the time has passed, three times over.
  for (let i = 0; i < 3; i++) t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_TIMEOUT')
  let over = false
  void paused.finally(() => {
    over = true
  })
  await new Promise((resolve) => {
    setImmediate(resolve)
  })
  t.notOk(over)
  resume()
  t.equal((await paused).error?.code, 'ORIGIN_TIMEOUT')
})

tap.test('a paused sink gets no call until it resumes, and then every call', async (t) => {
  const body = Buffer.alloc(2_000_000, 'x')
  const origin = await startOrigin((_request, response) => response.end(body))
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let paused = false
  let pauses = 0
  const got = await fetchFrom(origins, {}, {
    onData: (exchange) => {
      t.notOk(paused, 'no data while paused')
      // Half of them from outside of the callback, when a chunk may be on its way already.
      const pause = (): void => {
        paused = true
        pauses++
        exchange.pause()
        setImmediate(() => {
          paused = false
          exchange.resume()
        })
      }
      if (pauses % 2 === 0) pause()
      else queueMicrotask(pause)
    },
  })
  t.equal(got.error, undefined)
  t.equal(got.body.length, body.length)
  t.ok(pauses > 3)
})

tap.test('if a request is aborted, its connection to the origin is closed, and the sink gets no further call', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.write('begun')
  })
  const origins = originsOf({ servers: [origin.url], maxConnections: 1 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let heard = 0
  await new Promise<void>((resolve) => {
    const exchange = origins.request({ origin: 'api', method: 'GET', target: '/', fields: ['host', 'a'] }, {
      onHead: () => heard++,
      onData: () => {
        heard++
        exchange.abort()
        exchange.abort()
        resolve()
      },
      onEnd: () => t.fail('onEnd after abort'),
      onError: () => t.fail('onError after abort'),
    })
  })
  // The one connection is free again: the response of the next request begins.
  const second = await fetchFrom(origins, {}, { onData: () => void origins.close() })
  t.equal(second.body.toString(), 'begun')
  t.equal(heard, 2)
})

tap.test('a request that is given up while it waits for a connection never reaches the origin', async (t) => {
  const held: (() => void)[] = []
  const origin = await startOrigin((_request, response) => held.push(() => response.end()))
  const origins = originsOf({ servers: [origin.url], maxConnections: 1 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const first = fetchFrom(origins, { target: '/first' })
  await origin.nth(1)
  const waiting = origins.request({ origin: 'api', method: 'GET', target: '/waiting', fields: ['host', 'a'] }, {
    onHead: () => t.fail('onHead after abort'),
    onData: () => undefined,
    onEnd: () => t.fail('onEnd'),
    onError: () => t.fail('onError'),
  })
  t.equal(origins.status()[0]?.pending, 2)
  waiting.abort()
  t.equal(origins.status()[0]?.pending, 1)
  held[0]?.()
  await first
  const third = fetchFrom(origins, { target: '/third' })
  await origin.nth(2)
  held[1]?.()
  await third
  t.strictSame(origin.requests.map(({ target }) => target), ['/first', '/third'])
})

tap.test('beyond its connections and its queue a pool says that it is busy', async (t) => {
  const held: (() => void)[] = []
  const origin = await startOrigin((_request, response) => held.push(() => response.end()))
  const origins = originsOf({ servers: [origin.url], maxConnections: 2, maxQueue: 1 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const served = [fetchFrom(origins), fetchFrom(origins), fetchFrom(origins)]
  await origin.nth(2)
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_BUSY')
  held[0]?.()
  held[1]?.()
  await origin.nth(3)
  held[2]?.()
  for (const got of await Promise.all(served)) t.equal(got.status, 200)
})

tap.test('close ends requests in flight, and later ones', async (t) => {
  const origin = await startOrigin(() => undefined)
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(() => origin.close())
  const waiting = fetchFrom(origins)
  await origin.nth(1)
  await origins.close()
  t.equal((await waiting).error?.source, 'origin')
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_UNREACHABLE')
  await new Promise((resolve) =>
    connect(origin.port, '127.0.0.1', function(this: { destroy(): void }) {
      this.destroy()
      resolve(undefined)
    })
  )
})
