// Partial content through the whole proxy, over the embedded store: RFC 9110 §14 and §15.3.7, RFC 9111 §3.3 and §3.4.
import t from 'tap'
import { open, rawRequest } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { ranged } from '../support/ranged-origin.ts'
import { bytes, is, large, partialContract, parts, scene, small } from './partial-contract.ts'

partialContract(t, undefined)

t.test('a response that a Range may have shaped is never stored as the whole', async t => {
  const shapes: Record<string, { range: string; status: number; fields?: Record<string, string> }> = {
    '/unit': { range: 'items=0-4', status: 200 },
    '/no-unit': { range: '0-4', status: 200 },
    '/says-so': { range: 'bytes=0-4', status: 200, fields: { 'Content-Range': 'bytes 0-4/10' } },
    '/error': { range: 'bytes=abc', status: 400 },
    '/gone': { range: 'bytes=0-4', status: 404 },
    '/moved': { range: 'bytes=0-4', status: 301, fields: { Location: '/elsewhere' } },
    '/several': { range: 'bytes=0-0,9-9', status: 206, fields: { 'Content-Type': 'multipart/byteranges; boundary=x' } },
    '/no-range': { range: 'bytes=0-4', status: 206 },
    '/no-store': { range: 'bytes=0-4', status: 206, fields: { 'Content-Range': 'bytes 0-4/10', 'Cache-Control': 'no-store' } },
    '/cookie': { range: 'bytes=0-4', status: 206, fields: { 'Content-Range': 'bytes 0-4/10', 'Set-Cookie': 'a=b' } },
  }
  const house = await scene(t, undefined, {
    origin: has => (request, response) => {
      const shape = shapes[request.url ?? '']
      if (request.headers.range === undefined || shape === undefined) response.writeHead(200, has.fields).end(small)
      else response.writeHead(shape.status, { ...has.fields, ...shape.fields }).end('01234')
    },
  })
  for (const [path, { range, status }] of Object.entries(shapes)) {
    const answer = await house.get(path, { Range: range })
    is(t, answer, status, '01234')
    t.notMatch(answer.header('cache-status'), '; stored', path)
    is(t, await house.get(path), 200, small, 'uri-miss')
  }
})

t.test('a response to If-Range without the fields that the client already has is no part for others', async t => {
  const house = await scene(t, undefined, {
    origin: has => (request, response, recorded) => {
      const { 'Content-Type': _, ...fields } = has.fields
      return ranged(request.headers['if-range'] === undefined ? has : { ...has, fields })(request, response, recorded)
    },
  })
  is(t, await house.get('/a', { ...bytes(0, 4), 'If-Range': '"v1"' }), 206, '01234', 'partial')
  t.equal((await house.get('/a', bytes(0, 3))).header('content-type'), 'text/plain')
  is(t, await house.get('/a', { ...bytes(4, 9), 'If-Range': '"v1"' }), 206, '456789', 'part-only')
  t.equal((await house.get('/a')).header('content-type'), 'text/plain', 'but with what is stored it is the whole')
  t.equal(house.origin.requests.length, 3)
})

t.test('each variant has parts of its own', async t => {
  const house = await scene(t, undefined, {
    origin: has => (request, response, recorded) => {
      const language = request.headers['accept-language'] ?? ''
      return ranged({ body: Buffer.from(language.repeat(5)), fields: { ...has.fields, Vary: 'Accept-Language', ETag: '"same"' } })(request, response, recorded)
    },
  })
  is(t, await house.get('/a', { ...bytes(0, 4), 'Accept-Language': 'de' }), 206, 'deded')
  is(t, await house.get('/a', { ...bytes(5, 9), 'Accept-Language': 'fr' }), 206, 'rfrfr', 'vary-miss')
  is(t, await house.get('/a', { ...bytes(0, 4), 'Accept-Language': 'de' }), 206, 'deded', 'fresh')
  t.same(await parts(house), ['206 0-4/10', '206 5-9/10'])
  is(t, await house.get('/a', { 'Accept-Language': 'fr' }), 200, 'frfrfrfrfr')
  t.same(await parts(house), ['200 whole', '206 0-4/10'])
})

t.test('requests for the whole wait for the request that completes it', async t => {
  let release: (() => void) | undefined
  const house = await scene(t, undefined, {
    origin: has => async (request, response, recorded) => {
      if (request.headers.range === 'bytes=5-')
        await new Promise<void>(resolve => {
          release = resolve
        })
      return ranged(has)(request, response, recorded)
    },
  })
  await house.get('/a', bytes(0, 4))
  const answers = [house.get('/a'), house.get('/a'), house.get('/a')]
  await eventually(() => release !== undefined)
  // A request for a part goes to the origin beside it, and waits for no other.
  is(t, await house.get('/a', bytes(6, 7)), 206, '67')
  release?.()
  for (const answer of await Promise.all(answers)) is(t, answer, 200, small)
  t.same(house.asked(), ['bytes=0-4', 'bytes=5- "v1"', 'bytes=6-7'])
})

t.test('a client that leaves while a part is in flight leaves it to later clients', async t => {
  const house = await scene(t, undefined, { has: { body: large } })
  await new Promise<void>(resolve => {
    const request = open(house.port, { path: '/a', headers: ['Range', 'bytes=0-599999'] }, response => {
      response.once('data', () => {
        request.destroy()
      })
      response.once('close', resolve)
      response.on('error', () => undefined)
    })
    request.on('error', () => undefined)
  })
  await eventually(async () => (await parts(house)).length === 1)
  await new Promise<void>(resolve => {
    const request = open(house.port, { path: '/a' }, () => undefined)
    request.on('error', () => undefined)
    request.on('close', resolve)
    void house.origin.nth(2).then(() => request.destroy())
  })
  await eventually(async () => (await parts(house)).join() === '200 whole')
  is(t, await house.get('/a'), 200, large, 'fresh')
})

t.test('nothing is put together that is longer than the route takes', async t => {
  const house = await scene(t, undefined, { has: { body: large }, config: { cache: { maxEntryBytes: 500_000 } } })
  is(t, await house.get('/a', bytes(0, 299_999)), 206, large.subarray(0, 300_000))
  is(t, await house.get('/a', bytes(300_000, 599_999)), 206, large.subarray(300_000, 600_000))
  t.same(await parts(house), ['206 300000-599999/700000'])
  is(t, await house.get('/b', bytes(0, 299_999)), 206, large.subarray(0, 300_000))
  is(t, await house.get('/b'), 200, large)
  t.same(house.asked().slice(-2), ['bytes=300000- "v1"', '-'])
  is(t, await house.get('/b', bytes(0, 599_999)), 206, large.subarray(0, 600_000))
  t.same(await parts(house), ['206 300000-599999/700000'])
})

t.test('HEAD, and statuses other than 200, take no notice of Range', async t => {
  const house = await scene(t, undefined, {
    origin: has => (request, response, recorded) => {
      if (request.url !== '/gone') return ranged(has)(request, response, recorded)
      response.writeHead(404, has.fields).end('nothing here')
    },
  })
  for (const path of ['/a', '/gone']) await house.get(path)
  const head = await house.get('/a', bytes(0, 1), { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.header('content-length'), '10')
  is(t, await house.get('/gone', bytes(0, 1)), 404, 'nothing here', 'fresh')
  t.equal(house.origin.requests.length, 2)
  await house.get('/b', bytes(0, 4))
  await house.get('/b', {}, { method: 'HEAD' })
  t.equal(house.origin.requests.at(-1)?.method, 'HEAD', 'HEAD is about the whole, of which a part knows too little')
})

t.test("a client's own precondition does not shape a stored part", async t => {
  const house = await scene(t, undefined)
  t.equal((await house.get('/a', { ...bytes(0, 4), 'If-None-Match': '"v1"' })).status, 304, 'it gets a 304')
  t.equal(house.origin.requests[0]?.header('if-none-match'), undefined)
  is(t, await house.get('/a', bytes(1, 4)), 206, '1234', 'fresh')
})

t.test('on the wire, a part is framed so that the next response on the connection begins where it should', async t => {
  const house = await scene(t, undefined)
  await house.get('/a', bytes(0, 4))
  const host = `Host: 127.0.0.1:${house.port}`
  const wire = await rawRequest(house.port, `GET /a HTTP/1.1\r\n${host}\r\nRange: bytes=1-3\r\n\r\nGET /a HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`)
  const [, part = '', whole = ''] = wire.split('HTTP/1.1 ')
  t.match(part, /^206 Partial Content\r\n[^]*\r\ncontent-length: 3\r\n[^]*\r\n\r\n123$/i)
  t.match(whole, /^200 OK\r\n[^]*\r\ncontent-length: 10\r\n[^]*\r\n\r\n0123456789$/i)
  const several = await rawRequest(house.port, `GET /a HTTP/1.1\r\n${host}\r\nRange: bytes=0-0,9-9\r\nConnection: close\r\n\r\n`)
  t.equal(several.length - several.indexOf('\r\n\r\n') - 4, Number(/^content-length: (\d+)/im.exec(several)?.[1]))
  t.match(several, /\r\n--[\w-]+--\r\n$/)
})
