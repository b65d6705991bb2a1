// RFC 9110 §9.3.3, RFC 9111 §4 and §4.4: a response to POST that serves a later GET, and survives only the invalidation of its
// own POST.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { open } from '../support/client.ts'
import { detail, overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'

type Replica = TestProxy<Clock>
type Fields = Readonly<Record<string, string | string[]>>

const post = { method: 'POST', body: 'change' } as const
const month = 30 * 86_400_000

/** Settings of the origin: the fields of its responses to POST, and events to wait for before the head and the end of a response. */
interface Script {
  fields: Fields
  status: number
  body: Buffer
  beforeHead: Promise<void>
  beforeEnd: Promise<void>
  made: number
}

interface Site {
  readonly script: Script
  readonly origin: ScriptedOrigin
  readonly a: Replica
  /** Over Redis the other replica, in memory the same proxy. */
  readonly b: Replica
}

/** The time of the origin is the real one: over Redis the proxies' is too, and in memory it makes no difference. */
function own(url: string, more: Fields = {}): Fields {
  return { 'Content-Location': url, Date: new Date().toUTCString(), Expires: new Date(Date.now() + month).toUTCString(), ...more }
}

async function startReplicas(t: Test, kind: string, cache: Record<string, unknown> = {}): Promise<Site> {
  const nothing = Promise.resolve()
  const script: Script = { fields: own('/a'), status: 200, body: Buffer.from('made by post'), beforeHead: nothing, beforeEnd: nothing, made: 0 }
  const origin = await startOrigin(async (request: IncomingMessage, response: ServerResponse) => {
    if (request.method !== 'POST') {
      response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(`get ${++script.made}`)
      return
    }
    const { fields, status, body, beforeHead, beforeEnd } = script
    await beforeHead
    response.writeHead(status, fields)
    const half = body.length >> 1
    response.write(body.subarray(0, half))
    await beforeEnd
    response.end(body.subarray(half))
  })
  t.teardown(() => origin.close())
  const redis = kind === 'redis' ? await startRedis() : undefined
  if (redis !== undefined) t.teardown(() => redis.stop())
  const start = async (): Promise<Replica> => {
    const house = await startProxy<Clock>(t, { origin, host: 'api.example', clock: systemClock, cache, ...(redis !== undefined && { config: overRedis(redis.url) }) })
    await eventually(async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current)
    return house
  }
  const a = await start()
  return { script, origin, a, b: redis === undefined ? a : await start() }
}

function gate(): { opened: Promise<void>; open(): void } {
  let release = (): void => {}
  const opened = new Promise<void>(resolve => {
    release = resolve
  })
  return { opened, open: () => release() }
}

for (const kind of ['memory', 'redis']) {
  t.test(`over ${kind}`, async t => {
    t.test('a POST whose response represents its own URL serves later GETs and HEADs, here and elsewhere', async t => {
      const { script, origin, a, b } = await startReplicas(t, kind)
      script.fields = own('http://api.example/a', { 'Content-Encoding': 'x-own', ETag: '"p1"', 'Cache-Tag': 'x', 'X-A': '1', 'Content-Length': String(script.body.length) })
      const answer = await a.get('/a', {}, post)
      t.equal(answer.body.toString(), 'made by post')
      t.equal(answer.header('cache-status'), 'springhouse; fwd=method; stored; detail=method')
      t.equal(answer.header('cache-tag'), undefined)
      for (const house of [a, b]) {
        const hit = await house.get('/a')
        t.equal(detail(hit), 'fresh')
        t.equal(hit.body.toString(), 'made by post')
        t.equal(hit.header('content-encoding'), 'x-own', 'in its coding, as it was received')
        t.equal(hit.header('x-a'), '1')
        t.equal((await house.get('/a', { 'If-None-Match': '"p1"' })).status, 304)
        const head = await house.get('/a', {}, { method: 'HEAD' })
        t.equal(detail(head), 'fresh')
        t.equal(head.header('content-length'), '12')
      }
      t.equal(detail(await a.get('/a', {}, post)), 'method', 'but never another POST')
      t.equal(origin.requests.length, 2)
      t.equal((await a.purge({ tags: ['x'] })).status, 200)
      t.equal(detail(await b.get('/a')), 'uri-miss', 'and a later purge of its tag kills it')
    })

    t.test('the bytes are the same, with and without an announced length, and a body over the bound is only passed on', async t => {
      const { script, a } = await startReplicas(t, kind, { maxEntryBytes: '2MiB' })
      for (const [size, announced, stored] of [[1_500_000, true, true], [1_500_000, false, true], [3_000_000, true, false], [3_000_000, false, false], [0, true, true], [0, false,
        true]] as const) {
        script.body = randomBytes(size)
        script.fields = own('/a', announced ? { 'Content-Length': String(size) } : {})
        t.equal((await a.get('/a', {}, post)).body.equals(script.body), true, `${size} passed on`)
        const after = await a.get('/a')
        t.equal(detail(after), stored ? 'fresh' : 'uri-miss', `${size} ${announced ? 'announced' : 'in chunks'}`)
        if (stored) t.equal(after.body.equals(script.body), true)
      }
    })

    const unfit: readonly [sentence: string, change: { status?: number; fields?: Fields; request?: Readonly<Record<string, string>>; path?: string }][] = [
      ['without explicit freshness', { fields: { 'Content-Location': '/a', ETag: '"x"', 'Last-Modified': 'Wed, 01 Jan 2020 00:00:00 GMT' } }],
      ['without Content-Location', { fields: { 'Cache-Control': 'max-age=60' } }],
      ['with another Content-Location', { fields: own('/a/1') }],
      ['with another query', { fields: own('/a?b') }],
      ["with another origin's", { fields: own('http://other.example/a') }],
      ['with two', { fields: own('/a', { 'Content-Location': ['/a', '/a'] }) }],
      ['that made something', { status: 201 }],
      ['that failed', { status: 404 }],
      ['that is private', { fields: own('/a', { 'Cache-Control': 'private' }) }],
      ['that says no-store', { fields: own('/a', { 'Cache-Control': 'no-store' }) }],
      ['to a request that says no-store', { request: { 'Cache-Control': 'no-store' } }],
      ['that sets a cookie', { fields: own('/a', { 'Set-Cookie': 'a=b' }) }],
      ['to a request with Authorization', { request: { Authorization: 'Bearer x' } }],
      ['to a request with Cookie', { request: { Cookie: 'a=b' } }],
      ['that varies by everything', { fields: own('/a', { Vary: '*' }) }],
    ]
    t.test('a response that may not be shared is not stored', async t => {
      const { script, a } = await startReplicas(t, kind)
      for (const [sentence, change] of unfit) {
        script.status = change.status ?? 200
        script.fields = change.fields ?? own('/a')
        const answer = await a.get('/a', change.request, post)
        t.equal(answer.body.toString(), 'made by post', sentence)
        t.notMatch(answer.header('cache-status'), /stored/, sentence)
        t.not((await a.get('/a')).body.toString(), 'made by post', sentence)
        await a.purge({ all: true })
      }
    })

    t.test("Vary is read from the POST's fields, and Authorization may be shared where the origin says so", async t => {
      const { script, a } = await startReplicas(t, kind)
      script.fields = own('/a', { Vary: 'Accept', 'Cache-Control': 'public, max-age=60' })
      await a.get('/a', { Accept: 'a/a', Authorization: 'Bearer x' }, post)
      t.equal(detail(await a.get('/a', { Accept: 'a/a' })), 'fresh')
      t.equal(detail(await a.get('/a', { Accept: 'b/b' })), 'vary-miss')
    })

    t.test('the response stored before is invalidated, whether or not the response to POST is stored', async t => {
      const { script, a, b } = await startReplicas(t, kind)
      await a.get('/a')
      await a.get('/a', {}, post)
      t.equal((await b.get('/a')).body.toString(), 'made by post')
      script.fields = {}
      await a.get('/a', {}, post)
      t.equal((await b.get('/a')).body.toString(), 'get 2')
    })

    const purges: readonly [by: string, body: Record<string, unknown>][] = [
      ['URL', { urls: ['http://api.example/a'] }],
      ['path', { urls: ['/a'] }],
      ['tag', { tags: ['x'] }],
      ['tags', { tags: ['x', 'y'], tagsMatch: 'all' }],
      ['prefix', { prefixes: ['/'] }],
      ['all', { all: true }],
    ]
    t.test('a purge that comes while the origin works on it keeps it out, from any replica', async t => {
      const { script, origin, a, b } = await startReplicas(t, kind)
      script.fields = own('/a', { 'Cache-Tag': 'x, y' })
      for (const soft of [false, true]) {
        for (const [by, body] of purges) {
          const held = gate()
          script.beforeHead = held.opened
          const answer = a.get('/a', {}, post)
          await origin.nth(origin.requests.length + 1)
          t.equal((await b.purge({ ...body, soft })).status, 200)
          held.open()
          t.notMatch((await answer).header('cache-status'), /stored/, `${soft ? 'soft' : 'hard'} by ${by}`)
          t.match((await b.get('/a')).body.toString(), /^get/, `${soft ? 'soft' : 'hard'} by ${by}`)
        }
      }
      script.beforeHead = Promise.resolve()
      await b.purge({ all: true })
      await a.get('/a', {}, post)
      t.equal((await b.get('/a')).body.toString(), 'made by post', 'and one before it does not')
      const held = gate()
      script.beforeHead = held.opened
      const answer = a.get('/a', {}, post)
      await origin.nth(origin.requests.length + 1)
      for (const body of [{ urls: ['/b'] }, { tags: ['z'] }, { tags: ['x', 'z'], tagsMatch: 'all' }, { prefixes: ['/a/'] }]) await b.purge(body)
      held.open()
      await answer
      t.equal((await b.get('/a')).body.toString(), 'made by post', 'nor one that names something else')
    })

    t.test('two POSTs in flight at once: neither is stored, because their order at the origin is unknown', async t => {
      const { script, origin, a, b } = await startReplicas(t, kind)
      const held = gate()
      script.beforeHead = held.opened
      const first = a.get('/a', {}, post)
      await origin.nth(1)
      script.beforeHead = Promise.resolve()
      script.body = Buffer.from('second')
      await b.get('/a', {}, post)
      t.equal((await a.get('/a')).body.toString(), 'second', 'until the first has its response the second counts')
      held.open()
      t.notMatch((await first).header('cache-status'), /stored/)
      for (const house of [a, b]) t.match((await house.get('/a')).body.toString(), /^get/)
    })

    t.test('a purge that comes while its body is on its way keeps it out; a soft one makes it stale', async t => {
      const { script, a, b } = await startReplicas(t, kind)
      for (const [body, expected] of [[{ tags: ['x'] }, 'uri-miss'], [{ urls: ['/a'] }, 'uri-miss'], [{ tags: ['x'], soft: true }, 'soft-purged']] as const) {
        script.fields = own('/a', { 'Cache-Tag': 'x' })
        const held = gate()
        script.beforeEnd = held.opened
        const answer = new Promise<string>(resolve => {
          open(a.port, { method: 'POST', path: '/a', headers: ['Host', 'api.example'] }, response => {
            let text = ''
            void b.purge(body).then(() => held.open())
            response.on('data', (chunk: Buffer) => {
              text += chunk.toString()
            })
            response.on('end', () => resolve(text))
          })
        })
        t.equal(await answer, 'made by post')
        t.equal(detail(await b.get('/a')), expected)
        await a.purge({ all: true })
      }
    })

    t.test('a truncated body is truncated for the client, and not stored', async t => {
      const { script, origin, a } = await startReplicas(t, kind)
      for (const fields of [own('/a'), own('/a', { 'Content-Length': String(script.body.length) })]) {
        script.fields = fields
        const held = gate()
        script.beforeEnd = held.opened
        const complete = new Promise<boolean>(resolve => {
          open(a.port, { method: 'POST', path: '/a', headers: ['Host', 'api.example'] }, response => {
            response.once('data', () => origin.requests.at(-1)?.socket.destroy())
            response.on('error', () => undefined)
            response.on('close', () => resolve(response.complete))
          })
        })
        t.equal(await complete, false)
        held.open()
        t.match((await a.get('/a')).body.toString(), /^get/)
        await a.purge({ all: true })
      }
    })

    t.test('a client that leaves takes the copy with it', async t => {
      const { script, a, origin } = await startReplicas(t, kind)
      const held = gate()
      script.beforeEnd = held.opened
      const request = open(a.port, { method: 'POST', path: '/a', headers: ['Host', 'api.example'] }, () => request.destroy())
      request.on('error', () => undefined)
      const { socket } = await origin.nth(1)
      await new Promise<void>(resolve => {
        if (socket.destroyed) resolve()
        else socket.on('close', () => resolve())
      })
      held.open()
      t.match((await a.get('/a')).body.toString(), /^get/)
    })

    t.test('a route that does not cache stores no POST either', async t => {
      const { a } = await startReplicas(t, kind, { mode: 'bypass' })
      await a.get('/a', {}, post)
      t.match((await a.get('/a')).body.toString(), /^get/)
    })
  })
}
