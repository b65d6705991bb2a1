// Followers that read a response while it arrives: which of them may, and what they get if it fails.
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { ask, open } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { adminSettings, detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { everyStore } from './fleet.ts'

t.setTimeout(120_000)

type Fields = Readonly<Record<string, string>>
const storable = { 'cache-control': 'max-age=60', 'etag': '"v"' }
const sized = { ...storable, 'content-length': '6' }

/** Requests at the origin, which the test responds to. */
class Held {
  readonly all: { request: IncomingMessage; response: ServerResponse }[] = []

  readonly origin = (request: IncomingMessage, response: ServerResponse): void => void this.all.push({ request, response })

  /** Sends the head and the first bytes to request number `nth`, from 0. */
  async begin(nth: number, fields: Fields, bytes: string, status = 200): Promise<ServerResponse> {
    await eventually(() => this.all.length > nth)
    const { response } = this.all[nth] as Held['all'][number]
    response.writeHead(status, fields).write(bytes)
    return response
  }
}

/** A client that reads a response as it comes. */
class Reader {
  text = ''
  ended = false
  readonly response: IncomingMessage

  constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('latin1')
    response.on('data', (chunk: string) => {
      this.text += chunk
    })
    response.on('error', () => undefined)
    response.on('close', () => {
      this.ended = true
    })
  }

  get cacheStatus(): string {
    return String(this.response.headers['cache-status'])
  }

  /** Waits for these bytes: they are all that it has. */
  async has(text: string): Promise<void> {
    await eventually(() => this.text === text)
  }

  /** Waits for the end. Returns the body, and whether it is whole. */
  async end(): Promise<string> {
    await eventually(() => this.ended)
    return this.response.complete ? this.text : `${this.text} (cut)`
  }
}

function read(port: number, path: string, headers: Fields = {}, method = 'GET'): Promise<Reader> {
  return new Promise((resolve, reject) => {
    open(port, { path, method, headers: Object.entries({ Host: 'api.example.com', ...headers }).flat() }, response => resolve(new Reader(response))).on('error', reject)
  })
}

interface Scene extends TestProxy {
  readonly held: Held
  read(headers?: Fields, method?: string): Promise<Reader>
  waits(): Promise<number>
}

async function scene(test: Test, cache: Readonly<Record<string, unknown>> = {}, config: Readonly<Record<string, unknown>> = {}): Promise<Scene> {
  const held = new Held()
  const house = await startProxy(test, { origin: held.origin, host: 'api.example.com', cache, config })
  return Object.assign(house, {
    held,
    read: (headers: Fields = {}, method = 'GET') => read(house.port, '/a', headers, method),
    waits: async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { waits: number }).waits,
  })
}

let fleetHeld = new Held()
const holding = (): Held['origin'] => {
  fleetHeld = new Held()
  return fleetHeld.origin
}

// The guard: lead.share in #openTee (exchange/fill/fill.ts).
everyStore.test('a second client of a slow body has its first bytes while the others are on their way', holding, async (test, fleet) => {
  for (const [nth, fields] of [sized, storable].entries()) {
    const lead = fleet.a.open(`/${nth}`)
    const response = await fleetHeld.begin(nth, fields, 'one')
    const first = new Reader(await lead)
    await first.has('one')
    const second = new Reader(await fleet.a.open(`/${nth}`))
    await second.has('one')
    test.match(second.cacheStatus, /fwd=uri-miss; collapsed; ttl=\d+; detail=uri-miss/)
    test.equal(second.response.headers['content-length'], (fields as Fields)['content-length'])
    response.end('two')
    test.same([await first.end(), await second.end()], ['onetwo', 'onetwo'])
    test.equal((await fleet.b.get(`/${nth}`)).body.toString(), 'onetwo')
    test.equal(fleet.asked(), nth + 1)
  }
})

t.test('followers that came before the head read it too, and a client that leaves takes nothing from them', async test => {
  const { held, read: get, waits } = await scene(test)
  const early = get()
  await eventually(() => held.all.length === 1)
  const later = [get(), get()]
  await eventually(async () => await waits() === 2)
  const response = await held.begin(0, sized, 'one')
  const readers = await Promise.all(later)
  for (const reader of readers) await reader.has('one')
  ;(await early).response.destroy()
  readers[0]?.response.destroy()
  response.end('two')
  test.equal(await readers[1]?.end(), 'onetwo')
  test.equal(held.all.length, 1)
})

t.test('a condition is judged by the head: the follower has its 304 before the body has come', async test => {
  const { held, read: get } = await scene(test)
  const lead = get()
  const response = await held.begin(0, sized, 'one')
  await (await lead).has('one')
  const conditional = await get({ 'If-None-Match': '"v"' })
  test.equal(conditional.response.statusCode, 304)
  response.end('two')
  test.equal(await (await lead).end(), 'onetwo')
})

t.test('HEAD, and a range, are requests of their own', async test => {
  const { held, read: get } = await scene(test)
  const lead = get()
  const response = await held.begin(0, sized, 'one')
  await (await lead).has('one')
  const head = get({}, 'HEAD')
  await eventually(() => held.all.length === 2)
  held.all[1]?.response.writeHead(200, sized).end()
  test.equal(await (await head).end(), '')
  const part = get({ Range: 'bytes=0-1' })
  await eventually(() => held.all.length === 3)
  held.all[2]?.response.writeHead(206, { ...storable, 'content-range': 'bytes 0-1/6' }).end('on')
  test.equal(await (await part).end(), 'on')
  response.end('two')
  test.equal(await (await lead).end(), 'onetwo')
})

// The guard: `arriving` in exchange/fill/response-storer.ts, which is undefined for them.
for (const [what, fields] of Object.entries(
  { 'private': { 'cache-control': 'private, max-age=60' }, 'with Set-Cookie': { ...storable, 'set-cookie': 'a=b' }, 'no-store': { 'cache-control': 'no-store' },
    'an event stream': { ...storable, 'content-type': 'text/event-stream' } } as Record<string, Fields>,
)) {
  t.test(`a response that is ${what} is read by its own client alone`, async test => {
    const { held, read: get, waits } = await scene(test)
    const lead = get()
    await eventually(() => held.all.length === 1)
    const other = get()
    await eventually(async () => await waits() === 1)
    const first = await held.begin(0, fields, 'mine')
    await (await lead).has('mine')
    const second = await held.begin(1, fields, 'yours')
    first.end()
    second.end()
    test.same([await (await lead).end(), await (await other).end()], ['mine', 'yours'])
  })
}

// The guard: `decide` in exchange/coalesce/reading.ts.
for (const [what, fields, status, headers] of [
  ['Vary', { ...storable, vary: 'X-Lang' }, 200, { 'X-Lang': 'de' }],
  ['max-age of the request', { ...storable, age: '30' }, 200, { 'Cache-Control': 'max-age=10' }],
  ['a lifetime that was over when it came', { 'cache-control': 'max-age=60', 'age': '61' }, 200, {}],
  ['no-cache', { ...storable, 'cache-control': 'max-age=60, no-cache' }, 200, {}],
  ['a 403 that credentials might avoid', { 'cache-control': 'public, max-age=60' }, 403, { Authorization: 'Bearer x' }],
] as [string, Fields, number, Fields][]) {
  t.test(`a follower that the stored response would not serve does not read it: ${what}`, async test => {
    const { held, read: get, waits } = await scene(test)
    const lead = get()
    await eventually(() => held.all.length === 1)
    const other = get(headers)
    await eventually(async () => await waits() === 1)
    const first = await held.begin(0, fields, 'mine', status)
    await (await lead).has('mine')
    first.end()
    const second = await held.begin(1, fields, 'yours', status)
    second.end()
    test.same([await (await lead).end(), await (await other).end()], ['mine', 'yours'])
  })
}

t.test('an error that may be stored is read as it arrives; a stale response goes before it', async test => {
  const { held, read: get, clock, waits } = await scene(test, { ttl: { status: { 404: '10s' } } })
  const lead = get()
  const gone = await held.begin(0, {}, 'no', 404)
  await (await lead).has('no')
  const other = await get()
  await other.has('no')
  test.equal(other.response.statusCode, 404)
  gone.end('ne')
  test.equal(await other.end(), 'none')
  clock.advance(11_000)

  const good = get()
  ;(await held.begin(1, { 'cache-control': 'max-age=1, stale-if-error=600' }, 'good')).end()
  test.equal(await (await good).end(), 'good')
  clock.advance(5_000)
  const stale = [get(), get()]
  await eventually(async () => held.all.length === 3 && await waits() === 2)
  await held.begin(2, {}, 'failing', 503)
  // The second has waited in vain, and fetches for itself.
  await held.begin(3, {}, 'failing', 503)
  for (const each of stale) test.equal(await (await each).end(), 'good')
})

t.test('a response that turns out too large goes on for all that read it, and is not stored', async test => {
  const { held, read: get } = await scene(test, { maxEntryBytes: '4' })
  const lead = get()
  const response = await held.begin(0, storable, 'one')
  await (await lead).has('one')
  const other = await get()
  await other.has('one')
  response.write('two')
  await other.has('onetwo')
  ;(await lead).response.destroy()
  const next = get()
  await eventually(() => held.all.length === 2)
  held.all[1]?.response.writeHead(200, storable).end('x')
  test.equal(await (await next).end(), 'x')
  response.end('three')
  test.equal(await other.end(), 'onetwothree')
})

// The guards: the checksum in RepeatedBody (exchange/deliver/resumed-body.ts); joinFetch in exchange/continuation.ts, without which each
// of them fetches.
for (const [what, rest, ends] of [['has the same', 'onetwo', 'onetwo'], ['has something else', 'ONETWO', 'one (cut)']] as const) {
  for (const fields of [sized, storable]) {
    const length = 'content-length' in fields ? 'with' : 'without'
    t.test(`if the fetch breaks off and the origin ${what}, ${length} a length, it is fetched once more, and each follower: ${ends}`, async test => {
      const { held, read: get } = await scene(test)
      const lead = get()
      const response = await held.begin(0, fields, 'one')
      await (await lead).has('one')
      const others = [await get(), await get(), await get()]
      for (const other of others) await other.has('one')
      response.destroy()
      test.equal(await (await lead).end(), 'one (cut)')
      const again = await held.begin(1, fields, rest.slice(0, 4))
      again.end(rest.slice(4))
      for (const other of others) test.equal(await other.end(), ends)
      test.equal(await (await get()).end(), rest, 'which is stored')
      test.equal(held.all.length, 2)
    })
  }
}

everyStore.test('a fetch that breaks off is fetched once for those that read it and those that wait, in both processes', holding, async (test, fleet) => {
  const lead = fleet.a.open('/a')
  const response = await fleetHeld.begin(0, sized, 'one')
  await new Reader(await lead).has('one')
  const reading = [new Reader(await fleet.a.open('/a')), new Reader(await fleet.a.open('/a'))]
  for (const reader of reading) await reader.has('one')
  const before = await fleet.waits()
  const elsewhere = [fleet.b.get('/a'), fleet.b.get('/a')]
  await eventually(async () => await fleet.waits() === before + 2)
  response.destroy()
  ;(await fleetHeld.begin(1, sized, 'one')).end('two')
  for (const reader of reading) test.equal(await reader.end(), 'onetwo')
  for (const other of elsewhere) {
    const body = await other.then(answer => answer.body.toString(), () => 'cut')
    test.equal(body, 'onetwo')
  }
  test.equal(fleet.asked(), 2)
})

// The guard: `decide` in readingFrom and storedNow (exchange/continuation.ts).
t.test('if the response depends on the request by then, a follower that it does not match fetches for itself', async test => {
  const { held, read: get } = await scene(test)
  const lead = get({ 'X-Lang': 'en' })
  const response = await held.begin(0, sized, 'one')
  await (await lead).has('one')
  const english = await get({ 'X-Lang': 'en' })
  const spanish = await get({ 'X-Lang': 'es' })
  for (const other of [english, spanish]) await other.has('one')
  response.destroy()
  ;(await held.begin(1, { ...sized, vary: 'X-Lang' }, 'one')).end('two')
  test.equal(held.all[1]?.request.headers['x-lang'], 'en')
  ;(await held.begin(2, { ...sized, vary: 'X-Lang' }, 'one')).end('dos')
  test.same([await english.end(), await spanish.end()], ['onetwo', 'onedos'])
})

t.test('if the response is for one client by then, each follower fetches for itself', async test => {
  const { held, read: get } = await scene(test)
  const mine = { ...sized, 'cache-control': 'private' }
  const lead = get()
  const response = await held.begin(0, sized, 'one')
  await (await lead).has('one')
  const others = [await get(), await get()]
  for (const other of others) await other.has('one')
  response.destroy()
  ;(await held.begin(1, mine, 'one')).end('TWO')
  for (const nth of [2, 3]) (await held.begin(nth, mine, 'one')).end(`tw${nth}`)
  test.same(new Set([await others[0]?.end(), await others[1]?.end()]), new Set(['onetw2', 'onetw3']))
  test.equal(held.all.length, 4)
})

t.test('if the second fetch breaks off as well, the response of each follower is truncated', async test => {
  const { held, read: get } = await scene(test)
  const lead = get()
  const response = await held.begin(0, sized, 'one')
  await (await lead).has('one')
  const others = [await get(), await get()]
  for (const other of others) await other.has('one')
  response.destroy()
  const again = await held.begin(1, sized, 'onet')
  for (const other of others) await other.has('onet')
  again.destroy()
  for (const other of others) test.equal(await other.end(), 'onet (cut)')
  test.equal(held.all.length, 2)
})

// The guard: `received` in #openPart and #combine (exchange/fill/response-storer.ts): without it the second client waits for the end.
t.test('the same range is read as it arrives, and goes on if the fetch breaks off', async test => {
  const { held, read: get } = await scene(test)
  const part = { ...storable, 'content-range': 'bytes 2-7/10', 'content-length': '6' }
  const range = { Range: 'bytes=2-7' }
  const lead = get(range)
  const response = await held.begin(0, part, 'one', 206)
  await (await lead).has('one')
  const others = [await get(range), await get(range)]
  for (const other of others) {
    await other.has('one')
    test.equal(other.response.headers['content-range'], 'bytes 2-7/10')
  }
  response.destroy()
  const again = await held.begin(1, part, 'onet', 206)
  test.equal(held.all[1]?.request.headers.range, 'bytes=2-7')
  again.end('wo')
  for (const other of others) test.equal(await other.end(), 'onetwo')
  test.equal(held.all.length, 2)
})

// The guards: mayMatch in joinFetch (exchange/coalesce/coalescer.ts), and purgeState in exchange/coalesce/reading.ts for requests that waited.
for (const [what, invalidate] of Object.entries({
  'a purge': (house: Scene) => house.purge({ urls: ['http://api.example.com/a'] }),
  'a soft purge': (house: Scene) => house.purge({ urls: ['http://api.example.com/a'], soft: true }),
  'a purge by tag': (house: Scene) => house.purge({ tags: ['x'] }),
  'an unsafe method': (house: Scene) => {
    const deleted = ask(house.port, { path: '/a', method: 'DELETE', headers: ['Host', 'api.example.com'] })
    void eventually(() => house.held.all.some(({ request }) => request.method === 'DELETE')).then(() =>
      house.held.all.splice(house.held.all.findIndex(({ request }) => request.method === 'DELETE'), 1)[0]?.response.writeHead(204).end()
    )
    return deleted
  },
})) {
  t.test(`${what} lets no later request read what is on its way; earlier readers get all of it`, async test => {
    const house = await scene(test)
    const { held, read: get } = house
    const lead = get()
    const response = await held.begin(0, { ...sized, 'cache-tag': 'x' }, 'old')
    await (await lead).has('old')
    const early = await get()
    await early.has('old')
    await invalidate(house)
    const late = get()
    ;(await held.begin(1, sized, 'newest')).end()
    test.equal(await (await late).end(), 'newest')
    response.end('one')
    test.same([await (await lead).end(), await early.end()], ['oldone', 'oldone'])
    test.equal((await house.get('/a')).body.toString(), 'newest')
  })

  t.test(`${what} before the head: a request that waits does not read that response either`, async test => {
    const house = await scene(test)
    const { held, read: get, waits } = house
    const lead = get()
    await eventually(() => held.all.length === 1)
    const waiting = get()
    await eventually(async () => await waits() === 1)
    await invalidate(house)
    const response = await held.begin(0, { ...sized, 'cache-tag': 'x' }, 'old')
    await (await lead).has('old')
    response.end('one')
    ;(await held.begin(1, sized, 'newest')).end()
    test.equal(await (await waiting).end(), 'newest')
  })
}

t.test('after a reload that changes which requests share responses, no request reads what began before it', async test => {
  const { held, read: get, app, origin } = await scene(test)
  const lead = get()
  const response = await held.begin(0, sized, 'old')
  await (await lead).has('old')
  const early = await get()
  await early.has('old')
  await app.reload(
    resolveConfig({ proxy: { host: '127.0.0.1', port: 0 }, admin: adminSettings, origins: { api: { servers: [origin.url] } },
      routes: [{ match: {}, origin: 'api', key: { headers: ['x-tenant'] } }] }),
  )
  const late = get()
  ;(await held.begin(1, sized, 'newest')).end()
  test.equal(await (await late).end(), 'newest')
  response.end('one')
  test.same([await (await lead).end(), await early.end()], ['oldone', 'oldone'])
})

t.test('each outcome is counted and explained as before', async test => {
  const { held, read: get, admin, get: whole } = await scene(test)
  const lead = get()
  const response = await held.begin(0, sized, 'one')
  await (await lead).has('one')
  const other = await get()
  await other.has('one')
  response.end('two')
  await other.end()
  await (await lead).end()
  test.equal(detail(await whole('/a')), 'fresh')
  const stats = JSON.parse((await admin('/v1/stats')).body.toString()) as { outcomes: Record<string, number> }
  test.match(stats.outcomes, { miss: 1, coalesced: 1, hit: 1 })
})
