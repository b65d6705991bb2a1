// Origins that break HTTP/2, or break off (RFC 9113): their frames are made by hand. No truncated response is taken for whole,
// and unprocessed requests are sent again.
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { fieldsIn } from '../../src/origin/transport/http2-frames.ts'
import type { Origins } from '../../src/origin/origin.ts'
import { fetchFrom, handClock, originsOf, pass, type Passed } from '../origin/origins-under-test.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { answer, concurrentStreams, data, goaway, head, resetStream, startFrameOrigin, startHttp2Origin, type FrameConnection, type FrameOrigin } from '../support/http2-origin.ts'
import { closedPort } from '../support/scripted-origin.ts'
import { endHeaders, endStream, fieldBlock, frame, frameType } from './frames.ts'

interface Tap {
  teardown(close: () => Promise<void>): void
}

const noError = 0
const internalError = 2
const refused = 7
const cancel = 8
const calm = 11

function http2(servers: readonly { readonly url: string }[], config: object = {}): Origins {
  return originsOf({ http2: true, tls: { ca: testCertificate }, servers: servers.map(({ url }) => url), ...config })
}

async function standing(tap: Tap, handler: Parameters<typeof startFrameOrigin>[0], settings?: Buffer): Promise<{ origin: FrameOrigin; origins: Origins }> {
  const origin = await startFrameOrigin(handler, settings)
  const origins = http2([origin])
  tap.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  return { origin, origins }
}

function post(origins: Origins, body: Readable | string, target = '/'): Promise<Passed> {
  return pass(origins, { target, fields: ['host', 'h'], body: typeof body === 'string' ? Readable.from([Buffer.from(body)], { objectMode: false }) : body })
}

const bodySent = (connection: FrameConnection, stream: number): string =>
  Buffer.concat(connection.heard.filter((heard) => heard.type === frameType.data && heard.stream === stream).map(({ payload }) => payload)).toString()

t.test('a response whose END_STREAM was not seen is truncated, however it broke off', async t => {
  const ways: Record<string, (connection: FrameConnection, stream: number) => void> = {
    'NO_ERROR': (connection, stream) => connection.send(head(stream), data(stream, 'half'), resetStream(stream, noError)),
    'CANCEL': (connection, stream) => connection.send(head(stream), data(stream, 'half'), resetStream(stream, cancel)),
    'INTERNAL_ERROR': (connection, stream) => connection.send(head(stream), data(stream, 'half'), resetStream(stream, internalError)),
    'REFUSED_STREAM, too late': (connection, stream) => connection.send(head(stream), data(stream, 'half'), resetStream(stream, refused)),
    'the end of the connection': (connection, stream) => connection.socket.end(Buffer.concat([head(stream), data(stream, 'half')])),
    'a cut connection': (connection, stream) => connection.socket.write(Buffer.concat([head(stream), data(stream, 'half')]), () => connection.socket.destroy()),
    'GOAWAY with an error': (connection, stream) => connection.send(head(stream), data(stream, 'half'), goaway(stream, internalError)),
    'GOAWAY, and the end of the connection': (connection, stream) => connection.socket.end(Buffer.concat([head(stream), data(stream, 'half'), goaway(stream)])),
    'GOAWAY that takes it back': (connection, stream) => connection.send(head(stream), data(stream, 'half'), goaway(0)),
    'a length that is not met, and NO_ERROR': (connection, stream) => connection.send(head(stream, [['content-length', '10']]), data(stream, 'half'), resetStream(stream, noError)),
  }
  for (const [how, breakOff] of Object.entries(ways)) {
    let requests = 0
    const origin = await startFrameOrigin((connection, stream) => (requests++ === 0 ? breakOff(connection, stream) : connection.send(answer(stream, 'whole'))))
    const origins = http2([origin])
    const got = await fetchFrom(origins)
    t.match(got, { status: 200, headSeen: true, error: { code: 'ORIGIN_TRUNCATED' } }, how)
    t.equal((await fetchFrom(origins)).body.toString(), 'whole', 'the next one gets its response')
    t.strictSame([origins.status()[0]?.pending, requests], [0, 2])
    await origins.close()
    await origin.close()
  }
})

t.test('a response that does not agree with itself is malformed, and so is one that HTTP/2 does not have', async t => {
  const ok = (...fields: (readonly [string, string])[]) => (stream: number): Buffer => Buffer.concat([head(stream, fields), data(stream, 'half', true)])
  const only = (status: string, fields: (readonly [string, string])[] = []) => (stream: number): Buffer => head(stream, fields, { status, end: true })
  const block = (stream: number, fields: (readonly [string, string])[], flags = endHeaders | endStream): Buffer => frame(frameType.headers, flags, stream, fieldBlock(fields))
  const kinds: Record<string, (stream: number) => Buffer> = {
    'less than its length': ok(['content-length', '10']),
    'more than its length': ok(['content-length', '2']),
    'nothing of its length': only('200', [['content-length', '10']]),
    'two lengths': ok(['content-length', '4'], ['content-length', '4']),
    'two lengths that differ': ok(['content-length', '4'], ['content-length', '5']),
    'a length that is none': ok(['content-length', '+4']),
    'a list of lengths': ok(['content-length', '4, 4']),
    'a body on 204': stream => Buffer.concat([head(stream, [], { status: '204' }), data(stream, 'half', true)]),
    'a body on 304': stream => Buffer.concat([head(stream, [], { status: '304' }), data(stream, 'half', true)]),
    'a length on 204': only('204', [['content-length', '4']]),
    'no status': stream => block(stream, [['x', '1']]),
    'two of them': stream => block(stream, [[':status', '200'], [':status', '200']]),
    'a status behind a field': stream => block(stream, [['x', '1'], [':status', '200']]),
    ...Object.fromEntries(['000', '099', '20', '2000', '600', '999', 'abc', '', '-20', '2 0'].map(status => [`status ${JSON.stringify(status)}`, only(status)])),
    '101': only('101'),
    '101 that goes on': stream => Buffer.concat([head(stream, [], { status: '101' }), answer(stream, 'half')]),
    'a 103 that is all': only('103'),
    'a pseudo-field of requests': stream => block(stream, [[':status', '200'], [':path', '/']]),
    'an unknown pseudo-field': stream => block(stream, [[':status', '200'], [':x', '/']]),
    ...Object.fromEntries(
      ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
        name => [`${name}: of the connection`, ok([name, name === 'transfer-encoding' ? 'chunked' : 'x'])],
      ),
    ),
    ...Object.fromEntries(
      ['X-Upper', 'x y', 'x:y', 'x\r\ny', 'x\0y', '', ' x', 'caf\xe9', 'x(y'].map(name => [`name ${JSON.stringify(name)}`, ok(['cache-control', 'max-age=60'], [name, '1'])]),
    ),
    ...Object.fromEntries(
      ['private\r\nx: 1', 'private\0', 'private\n', 'a\rb', ' private', 'private ', '\tprivate', 'a\x01b', 'a\x7fb'].map(
        value => [`value ${JSON.stringify(value)}`, ok(['cache-control', value], ['x', '1'])],
      ),
    ),
    'a second head': stream => Buffer.concat([head(stream), head(stream), data(stream, 'half', true)]),
    'trailers that do not end it': stream => Buffer.concat([head(stream), data(stream, 'half'), block(stream, [['x', '1']], endHeaders)]),
    'trailers with a status': stream => Buffer.concat([head(stream), data(stream, 'half'), block(stream, [[':status', '200']])]),
    'trailers with a malformed field': stream => Buffer.concat([head(stream), data(stream, 'half'), block(stream, [['x', 'a\0b']])]),
    'DATA without a head': stream => data(stream, 'half', true),
    'DATA behind a 103': stream => Buffer.concat([head(stream, [], { status: '103' }), data(stream, 'half', true)]),
    '1xx without end': stream => Buffer.concat(Array.from({ length: 200 }, () => head(stream, [], { status: '103' }))),
    'a promise': stream =>
      frame(5, endHeaders, stream, Buffer.concat([Buffer.from([0, 0, 0, 2]), fieldBlock([[':method', 'GET'], [':path', '/'], [':scheme', 'https'], [':authority', 'x']])])),
    'a frame that is too long': stream => frame(frameType.data, 0, stream, 'x'.repeat(20_000)),
    'HTTP/1.1': () => Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    'a block that cannot be read': stream => frame(frameType.headers, endHeaders | endStream, stream, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    'SETTINGS that are none': () => frame(frameType.settings, 0, 0, 'x'),
    'DATA on a stream that nobody opened': () => data(99, 'x'),
  }
  for (const [kind, bytes] of Object.entries(kinds)) {
    let requests = 0
    const origin = await startFrameOrigin((connection, stream) => connection.send(requests++ === 0 ? bytes(stream) : answer(stream, 'whole')))
    const origins = http2([origin])
    const got = await fetchFrom(origins)
    t.equal(got.error?.code, 'ORIGIN_MALFORMED', kind)
    t.strictSame([got.trailers, (await fetchFrom(origins)).body.toString(), origins.status()[0]?.pending, origins.status()[0]?.consecutiveFailures], [[], 'whole', 0, 0])
    await origins.close()
    await origin.close()
  }
  const origin = await startFrameOrigin((connection, stream) => connection.send(answer(stream, 'half')))
  const origins = http2([origin])
  t.equal((await fetchFrom(origins, { method: 'HEAD' })).error?.code, 'ORIGIN_MALFORMED', 'a body on HEAD')
  await origins.close()
  await origin.close()
})

t.test('a head that is too large is said to be', async t => {
  for (const fields of [[['x', 'x'.repeat(40_000)], ['y', 'y'.repeat(40_000)]], Array.from({ length: 5_000 }, (_, i) => [`a${i}`, ''])] as const) {
    const { origins } = await standing(t, (connection, stream) => {
      const block = fieldBlock([[':status', '200'], ...fields] as [string, string][])
      connection.send(frame(frameType.headers, endStream, stream, block.subarray(0, 16_000)))
      for (let at = 16_000; at < block.length; at += 16_000)
        connection.send(frame(frameType.continuation, at + 16_000 >= block.length ? endHeaders : 0, stream, block.subarray(at, at + 16_000)))
    })
    t.match((await fetchFrom(origins)).error?.code, 'ORIGIN_FIELDS_TOO_LARGE')
  }
  const { origins } = await standing(t, (connection, stream) => connection.send(head(stream, Array.from({ length: 300 }, (_, i) => [`a${i}`, '']), { end: true })))
  t.equal((await fetchFrom(origins)).fields.length, 600, 'many fields are all there')
  const { origins: calmed } = await standing(t, (connection, stream) => connection.send(resetStream(stream, calm)))
  t.equal((await fetchFrom(calmed)).error?.code, 'ORIGIN_RESET', 'a server that refuses for its load does not say so')
})

t.test('100 is skipped, and 103 forwarded', async t => {
  const { origins } = await standing(t,
    (connection, stream) =>
      connection.send(head(stream, [], { status: '100' }), head(stream, [['link', 'x']], { status: '103' }), head(stream, [], { status: '100' }), answer(stream, 'whole')))
  const got = await fetchFrom(origins)
  t.match(got, { interims: [103], status: 200, error: undefined })
  t.equal(got.body.toString(), 'whole')
})

t.test('a head with padding, priority and a change of the table is as good as another', async t => {
  const { origins } = await standing(t, (connection, stream) => {
    const block = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 16]), Buffer.from([0x20]), fieldBlock([[':status', '200'], ['x', '1']]), Buffer.alloc(3)])
    connection.send(frame(frameType.headers, endHeaders | endStream | 0x8 | 0x20, stream, block))
  })
  t.match(await fetchFrom(origins), { status: 200, fields: ['x', '1'], error: undefined })
})

t.test('a request that a server refused goes elsewhere, with its body, whatever the method (§8.7)', async t => {
  const refusing = await startFrameOrigin((connection, stream) => connection.send(resetStream(stream, refused)))
  const other = await startHttp2Origin(async stream => {
    let body = ''
    for await (const chunk of stream) body += String(chunk)
    stream.respond()
    stream.end(body)
  })
  t.teardown(async () => {
    await refusing.close()
    await other.close()
  })
  // Not one of the tries that `retries` counts, and no failure.
  const origins = http2([refusing, other], { retries: 0 })
  for (let i = 0; i < 6; i++) t.equal(await (await post(origins, 'not lost')).text(), 'not lost')
  t.equal((await fetchFrom(origins)).status, 200)
  t.match(origins.status(), [{ healthy: true, consecutiveFailures: 0, pending: 0 }, { healthy: true, pending: 0 }])
  await origins.close()
  const alone = http2([refusing])
  await t.rejects(post(alone, 'x'), { code: 'ORIGIN_RESET' }, 'not for ever')
  t.equal(alone.status()[0]?.pending, 0)
  await alone.close()
})

t.test('a request that was refused over HTTP/2 goes to a server that speaks HTTP/1.1, with its body', async t => {
  const refusing = await startFrameOrigin((connection, stream) => connection.send(resetStream(stream, refused)))
  const old = createHttpsServer({ cert: testCertificate, key: testKey }, (request, response) => {
    if (request.url === '/healthz') response.end()
    else request.pipe(response)
  })
  await new Promise<void>(resolve => old.listen(0, '127.0.0.1', resolve))
  const origins = http2([refusing, { url: `https://127.0.0.1:${(old.address() as AddressInfo).port}` }], { health: { path: '/healthz', intervalMs: 3_600_000 } })
  t.teardown(async () => {
    await origins.close()
    old.closeAllConnections()
    old.close()
    await refusing.close()
  })
  for (let i = 0; i < 4; i++) t.equal(await (await post(origins, 'not lost')).text(), 'not lost')
})

t.test('the only server, which refuses for a moment, gets the request again', async t => {
  const { origin, origins } = await standing(t, (connection, stream, before) => connection.send(before === 0 ? resetStream(stream, refused) : answer(stream, 'taken')))
  t.equal(await (await post(origins, 'x')).text(), 'taken')
  t.strictSame([origin.connections.length, bodySent(origin.connections[0] as FrameConnection, 3)], [1, 'x'])
})

t.test('a server that refused gets the request again when the others are down', async t => {
  for (const first of [0, 1]) {
    const refusing = await startFrameOrigin((connection, stream, before) => connection.send(before === 0 ? resetStream(stream, refused) : answer(stream, 'taken')))
    const gone = { url: `https://127.0.0.1:${await closedPort()}` }
    const origins = http2(first === 0 ? [refusing, gone] : [gone, refusing], { retries: 0 })
    t.equal(await (await post(origins, 'x')).text(), 'taken')
    await origins.close()
    await refusing.close()
  }
})

t.test('a body of which more was taken than is kept is not sent again', async t => {
  const { origins } = await standing(t, (connection, stream, before) => {
    if (before > 0) return connection.send(answer(stream, 'taken'))
    const much = Buffer.from([0, 0x7f, 0xff, 0xff])
    connection.send(frame(frameType.window, 0, 0, much), frame(frameType.window, 0, stream, much))
    let length = 0
    const look = (): void => {
      length = connection.heard.filter(({ type }) => type === frameType.data).reduce((sum, { payload }) => sum + payload.length, 0)
      if (length < 400_000) return
      connection.socket.off('frame', look)
      connection.send(resetStream(stream, refused))
    }
    connection.socket.on('frame', look)
    return undefined
  })
  const chunk = Buffer.alloc(50_000)
  let left = 1_000
  const long = new Readable({ read() {
    this.push(left-- > 0 ? chunk : null)
  } })
  await t.rejects(post(origins, long), { code: 'ORIGIN_RESET' })
  t.equal(await (await post(origins, 'x')).text(), 'taken')
})

t.test('GOAWAY: streams beyond it are sent over a new session, streams within it are finished, POSTs among them (§6.8)', async t => {
  for (const error of [noError, internalError]) {
    let sessions: FrameConnection | undefined
    const origin = await startFrameOrigin((connection, stream, before) => {
      sessions ??= connection
      if (connection !== sessions) return connection.send(answer(stream, `new ${bodySent(connection, stream)}`))
      // The fourth request brings it on; the first two are let in.
      if (before === 3) connection.send(goaway(3, error), ...(error === noError ? [answer(1, 'first'), answer(3, 'second')] : []))
      return undefined
    })
    const origins = http2([origin], { retries: 0 })
    const answers: Promise<string>[] = []
    for (const body of ['1', '2', '3', '4']) {
      answers.push(post(origins, body).then(async got => got.text(), (failure: { code: string }) => failure.code))
      const at = answers.length
      if (at === 1) {
        while (origin.connections.length === 0)
          await new Promise<void>(resolve => {
            setImmediate(resolve)
          })
      }
      if (at < 4) await (origin.connections[0] as FrameConnection).until(({ type, stream }) => type === frameType.headers && stream === at * 2 - 1)
    }
    const got = await Promise.all(answers)
    t.strictSame(got.slice(0, 2), error === noError ? ['first', 'second'] : ['ORIGIN_RESET', 'ORIGIN_RESET'], 'which may have been processed')
    t.match(got.slice(2), [/^new/, /^new/])
    t.equal(origin.connections.length, 2)
    t.strictSame([3, 1].map(stream => bodySent(origin.connections[1] as FrameConnection, stream)).sort(), ['3', '4'], 'each with its body')
    t.equal((await fetchFrom(origins)).body.toString().startsWith('new'), true)
    t.equal(origins.status()[0]?.pending, 0)
    await origins.close()
    await origin.close()
  }
})

t.test('a server that is restarted in order again and again loses no request', async t => {
  const take = (): ReturnType<typeof startHttp2Origin> =>
    startHttp2Origin(async stream => {
      let body = ''
      for await (const chunk of stream) body += String(chunk)
      stream.respond()
      stream.end(body)
    })
  const origin = await take()
  const origins = http2([origin], { retries: 0 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  let done = 0
  const lost: unknown[] = []
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let i = 0; i < 60; i++) {
      const body = `${client}-${i}`
      const text = await post(origins, body).then(async got => got.text(), (failure: { code: string }) => failure.code)
      if (text !== body) lost.push(text)
      // GOAWAY on every session that there is.
      if (++done % 15 === 0) { for (const session of origin.sessions) if (!session.closed) session.close() }
    }
  })
  await Promise.all(clients)
  t.strictSame(lost, [])
  t.ok(origin.sessions.length > 10, `${origin.sessions.length} sessions`)
})

t.test('any other reset follows the rule of HTTP/1.1: only repeatable requests, only before the first byte, only elsewhere', async t => {
  for (const [how, breakOff] of [
    ['a reset', (connection, stream) => connection.send(resetStream(stream, internalError))],
    ['NO_ERROR', (connection, stream) => connection.send(resetStream(stream, noError))],
    ['a cut connection', connection => connection.socket.destroy()],
  ] as [string, (connection: FrameConnection, stream: number) => void][]) {
    const broken = await startFrameOrigin(breakOff)
    const other = await startFrameOrigin((connection, stream) => connection.send(answer(stream, 'other')))
    const origins = http2([broken, other])
    t.equal((await fetchFrom(origins)).body.toString(), 'other', how)
    await fetchFrom(origins)
    await t.rejects(post(origins, 'x'), { code: 'ORIGIN_RESET' }, `${how}: a POST`)
    t.equal(other.connections.flatMap(({ heard }) => heard).filter(({ type }) => type === frameType.headers).length, 2)
    await origins.close()
    await broken.close()
    await other.close()
  }
  const early = await startFrameOrigin((connection, stream) => connection.send(head(stream, [], { status: '103' }), resetStream(stream, internalError)))
  const other = await startFrameOrigin((connection, stream) => connection.send(answer(stream, 'other')))
  const origins = http2([early, other])
  t.match(await fetchFrom(origins), { error: { code: 'ORIGIN_RESET' } }, 'a byte was seen')
  await origins.close()
  await early.close()
  await other.close()
})

t.test('a session that had served and is then destroyed costs one repetition, on the same server if need be', async t => {
  const { origin, origins } = await standing(t, (connection, stream, before) => {
    if (connection === origin.connections[0] && before > 0) connection.socket.destroy()
    else connection.send(answer(stream, 'ok'))
  })
  for (let i = 0; i < 3; i++) t.equal((await fetchFrom(origins)).body.toString(), 'ok')
  t.equal(origin.connections.length, 2)
  t.equal(origins.status()[0]?.consecutiveFailures, 0)
})

t.test('a destroyed session is one failure, however many requests it carried; three take the server out', async t => {
  const clock = handClock()
  let wanted = 6
  let dead = true
  const flaky = await startFrameOrigin((connection, stream, before) => {
    if (!dead) connection.send(answer(stream, 'flaky'))
    else if (before === wanted - 1) connection.socket.destroy()
  })
  const steady = await startFrameOrigin((connection, stream) => connection.send(answer(stream, 'steady')))
  const origins = originsOf({ http2: true, tls: { ca: testCertificate }, servers: [flaky.url, steady.url] }, clock)
  t.teardown(async () => {
    await origins.close()
    await flaky.close()
    await steady.close()
  })
  const together = async (): Promise<void> => {
    const all = await Promise.all(Array.from({ length: 12 }, () => fetchFrom(origins)))
    t.ok(all.every(({ body }) => body.toString() === 'steady'))
  }
  await together()
  t.match(origins.status()[0], { healthy: true, consecutiveFailures: 1, pending: 0 })
  await together()
  await together()
  t.match(origins.status()[0], { healthy: false, consecutiveFailures: 3 })
  t.equal(flaky.connections.length, 3)
  wanted = 1
  clock.advance(1_000)
  t.equal((await fetchFrom(origins)).body.toString(), 'steady', 'one request is its trial')
  t.equal(flaky.connections.length, 4)
  dead = false
  clock.advance(2_000)
  t.ok([await fetchFrom(origins), await fetchFrom(origins)].some(({ body }) => body.toString() === 'flaky'))
  t.ok(origins.status()[0]?.healthy)
})

t.test('an aborted upload is reset, and never ended; its stream is released then', async t => {
  const clock = handClock()
  const origin = await startFrameOrigin((connection, stream, before) => {
    if (before > 2) connection.send(answer(stream, 'whole'))
  })
  const origins = originsOf({ http2: true, tls: { ca: testCertificate }, servers: [origin.url] }, clock)
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  for (const how of ['broken off', 'given up', 'answered early'] as const) {
    const body = new Readable({ read: () => undefined })
    body.push(Buffer.from('half'))
    let abort: (() => void) | undefined
    const passed = pass(origins, { fields: ['host', 'h'], body, senderGone: () => how !== 'answered early', onAbortable: give => {
      abort = give
    } })
    passed.catch(() => undefined)
    while (origin.connections.length === 0)
      await new Promise<void>(resolve => {
        setImmediate(resolve)
      })
    const [connection] = origin.connections as [FrameConnection]
    const stream = { 'broken off': 1, 'given up': 3, 'answered early': 5 }[how]
    await connection.until(heard => heard.type === frameType.data && heard.stream === stream)
    if (how === 'given up') abort?.()
    else if (how === 'broken off') body.destroy(new Error('gone'))
    else {
      connection.send(answer(stream, 'no more'))
      t.equal(await (await passed).text(), 'no more')
    }
    await connection.until(heard => heard.type === frameType.reset && heard.stream === stream)
    t.strictSame(
      connection.heard.filter(heard => heard.stream === stream && (heard.type === frameType.data || heard.type === frameType.headers) && (heard.flags & endStream) !== 0),
      [],
      how,
    )
    t.equal(connection.heard.find(heard => heard.type === frameType.reset && heard.stream === stream)?.payload.readUInt32BE(0), cancel)
  }
  t.equal((await fetchFrom(origins)).body.toString(), 'whole')
  clock.advance(60_001)
  void fetchFrom(origins)
  const [first] = origin.connections as [FrameConnection]
  await first.until(({ type }) => type === frameType.goaway)
  if (!first.socket.destroyed)
    await new Promise<void>(resolve => {
      first.socket.once('close', resolve)
    })
  t.ok(first.socket.destroyed, 'with no stream left the session ends')
})

t.test('SETTINGS: the proxy waits for a server that allows no stream, and uses all streams of a server that allows more', async t => {
  const { origin, origins } = await standing(t, (connection, stream, before) => {
    if (before === 0) connection.send(frame(frameType.settings, 0, 0, concurrentStreams(2)))
    if (before === 1) connection.send(answer(1, 'first'), answer(stream, 'second'))
  }, concurrentStreams(0))
  const all = [fetchFrom(origins), fetchFrom(origins)]
  while (origin.connections.length === 0)
    await new Promise<void>(resolve => {
      setImmediate(resolve)
    })
  const [connection] = origin.connections as [FrameConnection]
  await connection.until(({ type, flags }) => type === frameType.settings && (flags & 1) === 1)
  t.notOk(connection.heard.some(({ type }) => type === frameType.headers))
  connection.send(frame(frameType.settings, 0, 0, concurrentStreams(1)))
  t.strictSame((await Promise.all(all)).map(({ body }) => body.toString()), ['first', 'second'])
})

t.test('a server that takes the connection and says nothing is one that cannot be reached', async t => {
  const silent = await startFrameOrigin(() => undefined, concurrentStreams(0))
  const other = await startFrameOrigin((connection, stream) => connection.send(answer(stream, 'other')))
  const origins = http2([silent, other], { timeouts: { connectMs: 60, headersMs: 5_000, idleMs: 5_000, queueMs: 5_000 }, retries: 0 })
  t.teardown(async () => {
    await origins.close()
    await silent.close()
    await other.close()
  })
  t.equal(await (await post(origins, 'x')).text(), 'other')
  t.equal(origins.status()[0]?.consecutiveFailures, 1)
})

t.test('a stream whose reader pauses is sent a window, and the other streams go on', async t => {
  let paused: FrameConnection | undefined
  const { origin, origins } = await standing(t, (connection, stream, before) => {
    if (before > 0) return connection.send(answer(stream, 'other'))
    paused = connection
    connection.send(head(stream))
    for (let i = 0; i < 16; i++) connection.send(data(stream, 'x'.repeat(16_384)))
    return undefined
  })
  await new Promise<void>(resolve => {
    const exchange = origins.request({ origin: 'api', method: 'GET', target: '/', fields: ['host', 'h'] }, {
      onHead: () => {
        exchange.pause()
        resolve()
      },
      onData: () => t.fail('it was given some'),
      onEnd: () => undefined,
      onError: () => undefined,
    })
  })
  for (let i = 0; i < 20; i++) t.equal((await fetchFrom(origins)).body.toString(), 'other')
  t.strictSame(paused?.heard.filter(({ type, stream }) => type === frameType.window && stream === 1), [], 'its window is not opened again')
  t.equal(origin.connections.length, 1)
})

t.test('a closed pool lets no request wait', async t => {
  const origin = await startFrameOrigin(() => undefined)
  const origins = http2([origin], { maxConnections: 1 })
  const all = [fetchFrom(origins), fetchFrom(origins)]
  while (origin.connections.length === 0)
    await new Promise<void>(resolve => {
      setImmediate(resolve)
    })
  await origin.connections[0]?.until(({ type }) => type === frameType.headers)
  await origins.close()
  t.strictSame((await Promise.all(all)).map(({ error }) => error?.code), ['ORIGIN_UNREACHABLE', 'ORIGIN_UNREACHABLE'])
  t.equal((await fetchFrom(origins)).error?.code, 'ORIGIN_UNREACHABLE')
  await origin.close()
})

t.test('the fields of a block are counted without reading them', t => {
  t.equal(fieldsIn(Buffer.alloc(0)), 0)
  t.equal(fieldsIn(Buffer.from([0x88, 0x80 | 61, 0x3f, 0xe1, 0x1f, 0x41, 1, 0x61, 0x0f, 0x0d, 3, 0x31, 0x30, 0x30, 0x10, 1, 0x61, 0x81, 0x1f])), 5,
    'indexed, a table size, with and without indexing, never indexed')
  t.equal(fieldsIn(fieldBlock([['x'.repeat(300), 'y'.repeat(70_000)], ['', '']])), 2)
  for (const bad of [[0x40], [0x40, 1], [0x40, 1, 0x61, 5, 0x61], [0xff], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0, 0x7f, 0xff]])
    t.ok(Number.isNaN(fieldsIn(Buffer.from(bad))), bad.join())
  t.end()
})
