// Requests as clients' are passed on: exact bytes, bodies of any kind, and failures of the catalogue.
import { Readable } from 'node:stream'
import tap from 'tap'
import { closedPort, startCannedOrigin, startOrigin, startRawOrigin } from '../support/scripted-origin.ts'
import { originsOf, pass } from './origins-under-test.ts'

tap.test('a request goes out as it came in', async (t) => {
  const origin = await startOrigin((_request, response) => response.writeHead(200, ['X-A', '1', 'X-A', '2', 'Connection', 'X-Hop', 'X-Hop', '1']).end('whole'))
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const answer = await pass(origins, { method: 'REPORT', target: '/a/./b?{x}', fields: ['host', 'h', 'x-a', '1', 'x-a', '2'] })
  t.equal(await answer.text(), 'whole')
  t.strictSame([answer.status, answer.fields.slice(0, 4)], [200, ['x-a', '1', 'x-a', '2']])
  t.notOk(answer.fields.includes('x-hop'), 'fields of the connection stay behind')
  t.match(origin.requests[0], { method: 'REPORT', target: '/a/./b?{x}' })
  t.strictSame(origin.requests[0]?.rawHeaders, ['host', 'h', 'connection', 'keep-alive', 'x-a', '1', 'x-a', '2'])
})

tap.test('a body goes along, by length or in chunks', async (t) => {
  const origin = await startOrigin(async (_request, response, recorded) => response.end(await recorded.body))
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const chunked = await pass(origins, { method: 'POST', body: Readable.from([Buffer.from('some '), Buffer.from('chunks')], { objectMode: false }) })
  t.equal(await chunked.text(), 'some chunks')
  t.equal(origin.requests[0]?.header('transfer-encoding'), 'chunked')
  const sized = await pass(origins, { method: 'POST', fields: ['host', 'h', 'content-length', '5'], body: Readable.from([Buffer.from('sized')], { objectMode: false }) })
  t.equal(await sized.text(), 'sized')
  t.equal(origin.requests[1]?.header('content-length'), '5')
})

tap.test('a POST whose connection could not be made goes to another server, its body whole', async (t) => {
  const origin = await startOrigin(async (_request, response, recorded) => response.end(await recorded.body))
  const origins = originsOf({ servers: [`http://127.0.0.1:${await closedPort()}`, origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const answer = await pass(origins, { method: 'POST', body: Readable.from([Buffer.from('unread until it is sent')], { objectMode: false }) })
  t.equal(await answer.text(), 'unread until it is sent')
})

tap.test('a request that was sent and may have been processed is not sent again', async (t) => {
  const broken = await startRawOrigin((socket) => socket.on('data', () => socket.destroy()))
  const other = await startOrigin((_request, response) => response.end('other'))
  t.teardown(async () => {
    await broken.close()
    await other.close()
  })
  for (const method of ['POST', 'PATCH', 'LOCK', 'MKCOL']) {
    const origins = originsOf({ servers: [broken.url, other.url] })
    await t.rejects(pass(origins, { method }), { code: 'ORIGIN_RESET' }, method)
    await origins.close()
  }
  t.equal(other.requests.length, 0)
  for (const method of ['OPTIONS', 'PUT', 'DELETE', 'PROPFIND']) {
    const origins = originsOf({ servers: [broken.url, other.url] })
    t.equal(await (await pass(origins, { method })).text(), 'other', `${method}, idempotent and without a body, is (RFC 9110 §9.2.2)`)
    await origins.close()
  }
})

tap.test("failures are the catalogue's", async (t) => {
  const malformed = await startCannedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  const cut = await startRawOrigin((socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nbegun')))
  t.teardown(async () => {
    await malformed.close()
    await cut.close()
  })
  for (const [url, code] of [[`http://127.0.0.1:${await closedPort()}`, 'ORIGIN_REFUSED'], [malformed.url, 'ORIGIN_MALFORMED']] as const) {
    const origins = originsOf({ servers: [url] })
    await t.rejects(pass(origins, { method: 'GET' }), { name: 'SpringhouseError', code })
    await origins.close()
  }
  const origins = originsOf({ servers: [cut.url] })
  const answer = await pass(origins, { method: 'GET' })
  answer.body.once('data', () => cut.connections[0]?.resetAndDestroy())
  await t.rejects(answer.text(), { code: 'ORIGIN_TRUNCATED' })
  await origins.close()
})

tap.test('a response that arrives after its client left is discarded, and its connection is closed', async (t) => {
  let closed: () => void = () => undefined
  const gone = new Promise<void>((resolve) => {
    closed = resolve
  })
  const origin = await startRawOrigin((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbegun'))
    socket.on('close', () => closed())
  })
  const origins = originsOf({ servers: [origin.url] })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const heads: number[] = []
  pass(origins, { method: 'GET', senderGone: () => true, onHead: (status) => heads.push(status) }).then(() => t.fail('nobody is there'), () => t.fail('nobody is there'))
  await gone
  t.strictSame(heads, [])
})

tap.test('uploads that come slowly leave connections for others', async (t) => {
  const origin = await startOrigin(async (request, response, recorded) => {
    if (request.method === 'POST') await recorded.body
    response.end(request.method)
  })
  const origins = originsOf({ servers: [origin.url], maxConnections: 4 })
  t.teardown(async () => {
    await origins.close()
    await origin.close()
  })
  const bodies = Array.from({ length: 4 }, () => new Readable({ read: () => undefined }))
  const answers = bodies.map((body) => {
    body.push('some')
    return pass(origins, { method: 'POST', body })
  })
  await origin.nth(3)
  for (let i = 0; i < 3; i++) t.equal(await (await pass(origins, { method: 'GET' })).text(), 'GET', 'a connection is left')
  t.equal(origin.requests.filter(({ method }) => method === 'POST').length, 3, 'and not for a fourth upload')
  bodies[0]?.push(null)
  t.equal(await (await answers[0])?.text(), 'POST')
  for (const body of bodies.slice(1)) body.push(null)
  for (const answer of answers.slice(1)) t.equal(await (await answer).text(), 'POST', 'the fourth has had its turn')
})

tap.test('if a request is aborted before its response, its connection to the origin is closed', async (t) => {
  const gone = new Promise<void>((resolve) => {
    void startOrigin((request) => request.socket.on('close', () => resolve())).then(async (origin) => {
      const origins = originsOf({ servers: [origin.url] })
      t.teardown(async () => {
        await origins.close()
        await origin.close()
      })
      let abort: (() => void) | undefined
      pass(origins, { onAbortable: (give) => {
        abort = give
      } }).catch(() => undefined)
      await origin.nth(1)
      abort?.()
    })
  })
  await gone
})
