// HTTP/2 from hostile clients: an origin receives HTTP/1.1 with one reading, or nothing; and floods delay no other client.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectSession, type IncomingHttpHeaders } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { testCertificate, testKey } from '../support/certificate.ts'
import { startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import type { Recorded } from '../support/scripted-origin.ts'
import { connect2, endHeaders, endStream, fieldBlock, frame, frameType } from './frames.ts'
import { startRecorder } from './recorder.ts'

const folder = mkdtempSync(join(tmpdir(), 'springhouse-h2-'))
const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
writeFileSync(tls.cert, testCertificate)
writeFileSync(tls.key, testKey)
t.teardown(() => rmSync(folder, { recursive: true }))

type Tap = Parameters<typeof startProxy>[0]
type Fields = readonly (readonly [string, string])[]

async function before(tap: Tap) {
  const origin = await startRecorder()
  tap.teardown(() => origin.close())
  const house = await startProxy(tap, { origin: () => undefined,
    config: { origins: { api: { servers: [origin.url] } }, routes: [{ match: {}, origin: 'api' }], proxy: { host: '127.0.0.1', port: 0, tls, maxHeaderBytes: 16_384 } } })
  return { house, origin }
}

/** The status of a plain request on a connection of its own. */
function plain(url: string, fields: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const session = connectSession(url, { ca: testCertificate })
    session.on('error', reject)
    const stream = session.request({ ':path': '/plain', ...fields })
    stream.on('response', (headers: IncomingHttpHeaders) => {
      resolve(Number(headers[':status']))
    })
    stream.on('error', reject)
    stream.on('close', () => session.destroy())
    stream.resume()
  })
}

const smuggled = 'x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n'
const get: Fields = [[':method', 'GET'], [':scheme', 'https'], [':authority', 'h'], [':path', '/a']]
const having = (name: string, value: string): Fields => get.map(([field, was]) => [field, field === name ? value : was])
const lacking = (name: string): Fields => get.filter(([field]) => field !== name)

/** Requests without content, and whether they may reach the origin (as they are, and once). */
const heads: readonly (readonly [name: string, fields: Fields, may: boolean])[] = [
  ['a plain one', get, true],
  ...['', 'a', '*', '?a', 'a b', '/a b', '/a\r\nX: 1', `/${smuggled}`, '/a\n', '/a\r', '/a\0', '/a\t', '/a#b', '/#', 'http://evil/a', '/..', '/a/%2e%2e/b', '/a HTTP/1.1', '\\a',
    '/a\x7f'].map((path): [string, Fields, boolean] => [`:path ${JSON.stringify(path)}`, having(':path', path), path === 'http://evil/a']),
  ...['/\\', '/a//b', '/%00', '/%0d%0a', '/caf\xe9', '/a?b?c', '/;', '//a'].map((
    path,
  ): [string, Fields, boolean] => [`:path ${JSON.stringify(path)}`, having(':path', path), true]),
  ...['', 'u@h', 'h/a', 'h a', 'h\r\nX: 1', `h${smuggled}`, 'h\0', 'h,evil', 'h?a', 'h#a', 'h:80:80', 'h:x', '"h"', 'h\\', 'h\t', 'caf\xe9', 'h\n'].map((
    authority,
  ): [string, Fields, boolean] => [`:authority ${JSON.stringify(authority)}`, having(':authority', authority), false]),
  ...['get', 'G ET', 'GET / HTTP/1.1\r\nHost: h\r\n\r\nGET', 'GET\r\n', 'GET\0', '', 'CONNECT', 'TRACE', 'PURGE', 'BAN', 'GÉT', '"GET"', 'PRI', 'FOO'].map((
    method,
  ): [string, Fields, boolean] => [`:method ${JSON.stringify(method)}`, having(':method', method), false]),
  ...['http', 'ftp', '', 'https\r\nX: 1', 'HTTPS', 'https://evil/?'].map((
    scheme,
  ): [string, Fields, boolean] => [`:scheme ${JSON.stringify(scheme)}`, having(':scheme', scheme), true]),
  ...[':method', ':path', ':scheme', ':authority'].map((name): [string, Fields, boolean] => [`no ${name}`, lacking(name), false]),
  ...get.map((pseudo): [string, Fields, boolean] => [`${pseudo[0]} twice`, [...get, pseudo], false]),
  ['another :path behind', [...get, [':path', '/evil']], false],
  ['a pseudo-field behind a field', [...lacking(':path'), ['x', '1'], [':path', '/a']], false],
  ['an unknown pseudo-field', [...get, [':evil', '1']], false],
  ['a pseudo-field of answers', [...get, [':status', '200']], false],
  ['an extended CONNECT', [...having(':method', 'CONNECT'), [':protocol', 'websocket']], false],
  ['a Host that says the same', [...get, ['host', 'h']], true],
  ['a Host that says otherwise', [...get, ['host', 'evil']], false],
  ['two Hosts', [...get, ['host', 'h'], ['host', 'evil']], false],
  ['two Hosts and no :authority', [...lacking(':authority'), ['host', 'h'], ['host', 'evil']], false],
  ['a Host alone', [...lacking(':authority'), ['host', 'h']], true],
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'].map((
    name,
  ): [string, Fields, boolean] => [`${name}: a field of the connection`, [...get, [name, name === 'transfer-encoding' ? 'chunked' : 'x']], true]),
  ['te that is not trailers', [...get, ['te', 'gzip']], true],
  ...['X-Upper', 'x y', 'x:y', 'x\r\ny', 'x\0y', '', ' x', 'x ', 'caf\xe9', 'x\ty', 'x(y'].map((
    name,
  ): [string, Fields, boolean] => [`name ${JSON.stringify(name)}`, [...get, [name, '1']], true]),
  ...['a\r\nX-Evil: 1', smuggled, 'a\0b', 'a\nb', 'a\rb', ' a', 'a ', '\ta', 'a\x01b', 'a\x7fb'].map((
    value,
  ): [string, Fields, boolean] => [`value ${JSON.stringify(value)}`, [...get, ['x', value]], true]),
  ['a length of what does not come', [...get, ['content-length', '5']], false],
  ['two lengths', [...get, ['content-length', '0'], ['content-length', '5']], false],
  ['a length that is none', [...get, ['content-length', '+0']], false],
  ['Via three times this one', [...get, ['via', '1.1 springhouse, 1.1 springhouse, 1.1 springhouse']], false],
  ['60 KB of fields', [...get, ...Array.from({ length: 60 }, (_, i): [string, string] => [`x${i}`, 'x'.repeat(1_000)])], false],
  ['a field of 60 KB', [...get, ['x', 'x'.repeat(60_000)]], false],
  ['3,000 fields', [...get, ...Array.from({ length: 3_000 }, (_, i): [string, string] => [`a${i}`, ''])], false],
  ['1,000 fields', [...get, ...Array.from({ length: 1_000 }, (_, i): [string, string] => [`a${i}`, ''])], true],
]

/** A field block in frames of at most 16 KiB. */
function headersOf(fields: Fields, stream: number, flags: number): Buffer {
  const block = fieldBlock(fields)
  const parts: Buffer[] = []
  for (let at = 0; at === 0 || at < block.length; at += 16_384) {
    const last = at + 16_384 >= block.length ? endHeaders : 0
    parts.push(frame(at === 0 ? frameType.headers : frameType.continuation, (at === 0 ? flags : 0) | last, stream, block.subarray(at, at + 16_384)))
  }
  return Buffer.concat(parts)
}

t.test('requests without content', async t => {
  const { house, origin } = await before(t)
  for (const [name, fields, may] of heads) {
    origin.forget()
    const client = await connect2(house.port)
    client.socket.write(headersOf(fields, 1, endStream))
    await client.until(({ type, stream }) => type === frameType.goaway || (stream === 1 && (type === frameType.headers || type === frameType.reset)))
    client.socket.destroy()
    const faults = origin.readings().flatMap(({ fault, rest }) => fault ?? (rest === '' ? [] : 'half a request'))
    t.same(faults, [], name)
    const seen = origin.requests()
    t.ok(seen.length <= (may ? 1 : 0), `${name}: ${seen.map(({ line }) => line).join()}`)
    const path = fields.find(([field]) => field === ':path')?.[1]
    if (seen.length === 1 && path?.startsWith('/') === true) t.equal(seen[0]?.line, `GET ${path} HTTP/1.1`, name)
    t.notOk(seen.some(request => request.fields.some(([field]) => /^(?:x-evil|:.*)$/i.test(field))), name)
  }
  t.equal(await plain(house.app.proxyUrl), 200)
  t.equal(await plain(house.app.proxyUrl, { expect: 'something' }), 200, 'an expectation that nobody knows')
})

t.test('content: the length that was announced and the end that was meant', async t => {
  const { house, origin } = await before(t)
  const post = [...having(':method', 'POST')]
  const data = (text: string, end: boolean): Buffer => frame(frameType.data, end ? endStream : 0, 1, text)
  const cases: readonly (readonly [string, Buffer, string | undefined])[] = [
    ['in one piece', Buffer.concat([headersOf(post, 1, 0), data('hello', true)]), 'hello'],
    ['in pieces', Buffer.concat([headersOf(post, 1, 0), data('hel', false), data('lo', false), data('', true)]), 'hello'],
    ['what looks like the end of chunks', Buffer.concat([headersOf(post, 1, 0), data('0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n', true)]),
      '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['with its length', Buffer.concat([headersOf([...post, ['content-length', '5']], 1, 0), data('hello', true)]), 'hello'],
    ['longer than its length', Buffer.concat([headersOf([...post, ['content-length', '5']], 1, 0), data('hello, and GET /smuggled HTTP/1.1', true)]), undefined],
    ['shorter than its length', Buffer.concat([headersOf([...post, ['content-length', '50']], 1, 0), data('hello', true)]), undefined],
    ['with two lengths', Buffer.concat([headersOf([...post, ['content-length', '5'], ['content-length', '6']], 1, 0), data('hello', true)]), undefined],
    ['with a coding', Buffer.concat([headersOf([...post, ['transfer-encoding', 'chunked']], 1, 0), data('0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n', true)]), undefined],
    ['with a coding and a length', Buffer.concat([headersOf([...post, ['transfer-encoding', 'chunked'], ['content-length', '5']], 1, 0), data('hello', true)]), undefined],
    ['never ended', Buffer.concat([headersOf(post, 1, 0), data('hello', false)]), undefined],
    ['reset', Buffer.concat([headersOf(post, 1, 0), data('hello', false), frame(frameType.reset, 0, 1, Buffer.from([0, 0, 0, 8]))]), undefined],
    ['with trailers', Buffer.concat([headersOf(post, 1, 0), data('hello', false), headersOf([['x-sum', '1']], 1, endStream)]), 'hello'],
    ['with trailers that frame',
      Buffer.concat([headersOf(post, 1, 0), data('hello', false), headersOf([['content-length', '500'], ['transfer-encoding', 'chunked']], 1, endStream)]), undefined],
    ['with a pseudo-field in its trailers', Buffer.concat([headersOf(post, 1, 0), data('hello', false), headersOf([[':path', '/evil']], 1, endStream)]), undefined],
  ]
  for (const [name, bytes, body] of cases) {
    origin.forget()
    const client = await connect2(house.port)
    client.socket.write(bytes)
    const patience = setTimeout(() => client.socket.destroy(), /never|reset/.test(name) ? 300 : 10_000)
    await client.until(({ type, stream }) => type === frameType.goaway || (stream === 1 && (type === frameType.headers || type === frameType.reset)))
    clearTimeout(patience)
    client.socket.destroy()
    const readings = origin.readings()
    t.same(readings.flatMap(({ fault }) => fault ?? []), [], name)
    const bodies = origin.requests().map(request => request.body)
    t.ok(bodies.length === 0 ? body === undefined : bodies.length === 1 && bodies[0] === (body ?? 'hello') && name !== 'never ended' && name !== 'reset',
      `${name}: ${JSON.stringify(bodies)}`)
    if (/length|reset|never/.test(name) && body === undefined) t.same(bodies, [], name)
    t.notOk(origin.requests().some(({ line }) => line.includes('smuggled') || line.includes('evil')), name)
  }
})

t.test('an upload that stops, or whose response comes before its end, ends with its response, and is never complete', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.url === '/early') response.end('enough')
    },
    config: { proxy: { host: '127.0.0.1', port: 0, tls, headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 } },
  })
  for (const [path, status] of [['/stops', 408], ['/early', 200]] as const) {
    const session = connectSession(house.app.proxyUrl, { ca: testCertificate })
    const stream = session.request({ ':method': 'POST', ':path': path })
    stream.write('half')
    const answered = once(stream, 'response') as Promise<[IncomingHttpHeaders]>
    const closed = once(stream.resume(), 'close')
    t.equal((await answered)[0][':status'], status, path)
    await closed
    t.equal(stream.rstCode, 0, `${path}: without an error`)
    t.ok(stream.readableEnded, `${path}: behind the whole answer`)
    session.destroy()
  }
  t.equal(house.origin.requests.length, 2)
  await t.rejects((house.origin.requests[0] as Recorded).body, 'for the origin it was not complete')
  // After an early response, the origin receives no more of the request.
  await eventually(() => house.origin.requests[1]?.socket.destroyed === true)
})

t.test('floods are cut off, and others are served', async t => {
  const { house, origin } = await before(t)
  const block = fieldBlock(get)
  const floods: Readonly<Record<string, () => Generator<Buffer>>> = {
    'CONTINUATION without end': function*() {
      yield frame(frameType.headers, 0, 1, block)
      for (let i = 0; i < 5_000; i++) yield frame(frameType.continuation, 0, 1, fieldBlock([[`x${i}`, 'x'.repeat(500)]]))
    },
    'CONTINUATION of nothing': function*() {
      yield frame(frameType.headers, 0, 1, block)
      for (let i = 0; i < 50_000; i++) yield frame(frameType.continuation, 0, 1)
    },
    'rapid reset': function*() {
      for (let i = 0; i < 5_000; i++)
        yield Buffer.concat([frame(frameType.headers, endHeaders | endStream, i * 2 + 1, fieldBlock(having(':path', `/r${i}`))),
          frame(frameType.reset, 0, i * 2 + 1, Buffer.from([0, 0, 0, 8]))])
    },
    'settings': function*() {
      for (let i = 0; i < 50_000; i++) yield frame(frameType.settings, 0, 0)
    },
    'pings': function*() {
      for (let i = 0; i < 50_000; i++) yield frame(frameType.ping, 0, 0, '12345678')
    },
    'empty data': function*() {
      yield frame(frameType.headers, endHeaders, 1, fieldBlock(having(':method', 'POST')))
      for (let i = 0; i < 50_000; i++) yield frame(frameType.data, 0, 1)
    },
    'streams beyond the limit': function*() {
      for (let i = 0; i < 1_000; i++) yield frame(frameType.headers, endHeaders, i * 2 + 1, fieldBlock(having(':method', 'POST')))
    },
    'a window that never opens': function*() {
      // SETTINGS_INITIAL_WINDOW_SIZE 0
      yield frame(frameType.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]))
      for (let i = 0; i < 100; i++) yield frame(frameType.headers, endHeaders | endStream, i * 2 + 1, block)
    },
    'nonsense': function*() {
      for (let i = 0; i < 100; i++) yield frame(i % 20, 255, i, 'nonsense')
    },
    'a frame beyond its limit': function*() {
      yield frame(frameType.headers, endHeaders | endStream, 1, Buffer.alloc(20_000))
    },
    'a compression bomb': function*() {
      // A field of 4,000 bytes goes into the table, and is then named by a byte each.
      yield frame(frameType.headers, endHeaders | endStream, 1,
        Buffer.concat([block, Buffer.from([0x40]), fieldBlock([['x', 'x'.repeat(4_000)]]).subarray(1), Buffer.alloc(10_000, 0xbe)]))
    },
  }
  for (const [name, flood] of Object.entries(floods)) {
    origin.forget()
    const rss = process.memoryUsage().rss
    const client = await connect2(house.port)
    // A single listener for the whole flood: its end is aborted once, however often the socket is full.
    const cut = new AbortController()
    client.socket.once('close', () => cut.abort())
    for (const part of flood()) {
      if (client.socket.destroyed) break
      if (!client.socket.write(part)) await once(client.socket, 'drain', { signal: cut.signal }).catch(() => {})
    }
    t.equal(await plain(house.app.proxyUrl), 200, name)
    t.same(origin.readings().flatMap(({ fault }) => fault ?? []), [], name)
    const grown = (process.memoryUsage().rss - rss) / 1_000_000
    t.ok(grown < 200, `${name}: ${grown.toFixed()} MB, ${client.socket.destroyed ? 'cut' : 'left open'}, ${origin.requests().length} at the origin`)
    client.socket.destroy()
  }
})
