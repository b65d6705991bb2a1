// A route that fetches the whole for requests that want a part of it (`rangeFetch: whole`).
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { tally } from '../support/processes.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { everyStore } from './fleet.ts'

t.setTimeout(120_000)

type Fields = Readonly<Record<string, string>>
const fields = { 'cache-control': 'max-age=60', 'etag': '"v"', 'content-type': 'text/plain' }
const sized = { ...fields, 'content-length': '10' }
const whole = { cache: { rangeFetch: 'whole' } }

/** Requests that the origin has not responded to, the oldest first. */
let held: { request: IncomingMessage; response: ServerResponse }[] = []
const holding = (): (request: IncomingMessage, response: ServerResponse) => void => {
  held = []
  return (request, response) => void held.push({ request, response })
}

async function next(): Promise<{ range: string | undefined; response: ServerResponse }> {
  await eventually(() => held.length > 0)
  const { request, response } = held.shift() as (typeof held)[number]
  return { range: request.headers.range, response }
}

const shown = (answer: Answer): string => `${answer.status} ${answer.header('content-range') ?? ''} ${answer.complete ? '' : 'cut '}${answer.body.toString()}`

/** Waits until so many requests have waited for another's fetch. */
async function waiting(house: TestProxy, count: number): Promise<void> {
  await eventually(async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { waits: number }).waits === count)
}

async function scene(test: Test, cache: Readonly<Record<string, unknown>> = {}): Promise<TestProxy> {
  return startProxy(test, { origin: holding(), host: 'api.example.com', cache: { rangeFetch: 'whole', ...cache } })
}

// The guards: `fetchesWhole` in rangeToFetch (exchange/coalesce/fetch-turn.ts) and in fetchVariant (exchange/routed-request.ts).
everyStore.test('twenty different parts of a cold object, and the whole, are one fetch', holding, async (test, fleet) => {
  const first = fleet.a.get('/a', { Range: 'bytes=0-0' })
  await eventually(() => held.length === 1)
  const others = Array.from({ length: 19 }, (_, i) => (i % 2 === 0 ? fleet.a : fleet.b).get('/a', { Range: `bytes=${i % 10}-${i % 10}` }))
  const all = fleet.b.get('/a')
  await eventually(async () => await fleet.waits() >= 20)
  const { range, response } = await next()
  test.equal(range, undefined)
  response.writeHead(200, sized).write('abcde')
  test.equal(shown(await first), '206 bytes 0-0/10 a', 'its part is there before the whole')
  test.equal((await first).header('cache-status'), 'springhouse; fwd=uri-miss; fwd-status=200; stored; detail=range-miss')
  response.end('fghij')
  const bodies = (await Promise.all(others)).map(answer => answer.body.toString())
  test.same(bodies, Array.from({ length: 19 }, (_, i) => 'abcdefghij'[i % 10]))
  test.equal((await all).body.toString(), 'abcdefghij')
  test.equal(fleet.asked(), 1)
}, whole)

everyStore.test('a purge in between: a later part is of the later fetch', holding, async (test, fleet) => {
  const early = fleet.a.get('/a', { Range: 'bytes=8-9' })
  const old = await next()
  old.response.writeHead(200, sized).write('abcde')
  test.equal((await fleet.purge({ urls: ['http://api.example.com/a'] })).status, 200)
  const late = [fleet.a.get('/a', { Range: 'bytes=0-1' }), fleet.b.get('/a', { Range: 'bytes=2-3' })]
  const { range, response } = await next()
  test.equal(range, undefined)
  response.writeHead(200, { ...sized, etag: '"w"' }).end('ABCDEFGHIJ')
  test.same((await Promise.all(late)).map(shown), ['206 bytes 0-1/10 AB', '206 bytes 2-3/10 CD'])
  old.response.end('fghij')
  test.equal(shown(await early), '206 bytes 8-9/10 ij')
  test.equal(shown(await fleet.b.get('/a', { Range: 'bytes=8-9' })), '206 bytes 8-9/10 IJ')
  test.equal(fleet.asked(), 2)
}, whole)

t.test('each part is sent as its bytes arrive, several parts in one response too; conditions and bad ranges are judged by the head', async test => {
  const house = await scene(test)
  const parts = [house.get('/a', { Range: 'bytes=1-2' })]
  const { response } = await next()
  const ask = async (headers: Fields): Promise<string> => shown(await house.get('/a', headers))
  response.writeHead(200, sized).write('abcde')
  await Promise.all(parts)
  test.equal(await ask({ Range: 'bytes=20-' }), '416 bytes */10 ')
  test.equal(await ask({ 'Range': 'bytes=1-2', 'If-None-Match': '"v"' }), '304  ')
  test.equal(await ask({ 'Range': 'bytes=1-2', 'If-Range': '"v"' }), '206 bytes 1-2/10 bc')
  test.match(await ask({ Range: 'bytes=0-0,3-3' }), /^206 {2}--[\s\S]*bytes 0-0\/10\r\n\r\na\r\n[\s\S]*bytes 3-3\/10\r\n\r\nd\r\n/)
  const late = [ask({ Range: 'bytes=-2' }), ask({ 'Range': 'bytes=1-2', 'If-Range': '"w"' }), ask({ Range: 'lines=1' })]
  // A unit other than bytes is the origin's own.
  const other = await next()
  test.equal(other.range, 'lines=1')
  other.response.writeHead(206, { ...fields, 'content-range': 'lines 1-1/1' }).end('line')
  response.end('fghij')
  test.same(await Promise.all(late), ['206 bytes 8-9/10 ij', '200  abcdefghij', '206 lines 1-1/1 line'])
})

// The guard: supersede() before the refetch (exchange/fill/fill.ts).
t.test('an object that becomes private leaves nothing in service that it supersedes', async test => {
  const house = await scene(test)
  const first = house.get('/a', { Range: 'bytes=0-1' })
  ;(await next()).response.writeHead(200, { ...sized, 'cache-control': 'max-age=1, stale-if-error=600' }).end('abcdefghij')
  await first
  house.clock.advance(5_000)
  const second = house.get('/a', { Range: 'bytes=0-1' })
  ;(await next()).response.writeHead(200, { ...sized, 'cache-control': 'private' }).flushHeaders()
  const part = await next()
  test.equal(part.range, 'bytes=0-1')
  part.response.writeHead(206, { ...fields, 'cache-control': 'private', 'content-range': 'bytes 0-1/10' }).end('xy')
  test.equal(shown(await second), '206 bytes 0-1/10 xy')
  const failing = house.get('/a')
  ;(await next()).response.writeHead(503, { 'cache-control': 'no-store' }).end('down')
  test.equal(shown(await failing), '503  down')
})

// The guards: `bodyBytes === Infinity` in exchange/coalesce/reading.ts, and `announcedBytes >= 0` in #relay (exchange/fill/fill.ts).
t.test('without a length, parts are sent when the whole is stored', async test => {
  const house = await scene(test)
  const part = house.get('/a', { Range: 'bytes=-2' })
  const { response } = await next()
  response.writeHead(200, fields).write('abcde')
  await eventually(() => house.origin.requests.length === 1)
  const other = house.get('/a', { Range: 'bytes=0-1' })
  await waiting(house, 1)
  response.end('fghij')
  test.same([shown(await part), shown(await other)], ['206 bytes 8-9/10 ij', '206 bytes 0-1/10 ab'])
  test.equal(detail(await house.get('/a', { Range: 'bytes=0-1' })), 'fresh')
})

// The guard: `!storer.open` in onHead (exchange/fill/fill.ts), and hit-for-miss, which a part does not clear.
for (const [what, unstorable] of [['too large', { ...fields, 'content-length': '1000' }], ['private', { ...sized, 'cache-control': 'private' }]] as [string, Fields][]) {
  t.test(`an object that is ${what} is fetched in parts, and the whole is tried once a minute`, async test => {
    const house = await scene(test, { maxEntryBytes: '100' })
    const isLarge = what === 'too large'
    const partFields = { ...(isLarge ? fields : unstorable), 'content-length': '2' }
    const respondPart = async (): Promise<string | undefined> => {
      const { range, response } = await next()
      response.writeHead(206, { ...partFields, 'content-range': `${range?.replace('=', ' ')}/1000` }).end('xy')
      return range
    }
    const first = house.get('/a', { Range: 'bytes=0-1' })
    const trial = await next()
    test.equal(trial.range, undefined)
    trial.response.writeHead(200, unstorable).flushHeaders()
    test.equal(await respondPart(), 'bytes=0-1')
    test.equal(shown(await first), '206 bytes 0-1/1000 xy')
    await eventually(() => trial.response.destroyed)
    for (const range of ['bytes=100-101', 'bytes=300-301']) {
      const part = house.get('/a', { Range: range })
      test.equal(await respondPart(), range)
      test.equal((await part).status, 206)
    }
    house.clock.advance(61_000)
    const later = house.get('/a', { Range: 'bytes=600-601' })
    const again = await next()
    test.equal(again.range, undefined)
    again.response.writeHead(200, unstorable).flushHeaders()
    await respondPart()
    await later
  })
}

t.test('an object that turns out too large is fetched in parts by those that have none of their bytes yet', async test => {
  const house = await scene(test, { maxEntryBytes: '8' })
  const part = house.get('/a', { Range: 'bytes=-2' })
  const { response } = await next()
  response.writeHead(200, fields).write('abcde')
  response.end('fghij')
  const again = await next()
  test.equal(again.range, 'bytes=-2')
  again.response.writeHead(206, { ...fields, 'content-range': 'bytes 8-9/10' }).end('ij')
  test.equal(shown(await part), '206 bytes 8-9/10 ij')
})

t.test('if the fetch breaks off, a client that has nothing yet fetches its part, and one that has some continues', async test => {
  const house = await scene(test)
  const [none, some] = [house.get('/a', { Range: 'bytes=7-8' }), house.get('/a', { Range: 'bytes=3-8' })]
  const { response } = await next()
  await waiting(house, 1)
  response.writeHead(200, sized).write('abcde')
  await house.get('/a', { Range: 'bytes=3-4' })
  response.destroy()
  const asked: (string | undefined)[] = []
  for (let i = 0; i < 2; i++) {
    const { range, response: again } = await next()
    asked.push(range)
    if (range === undefined) again.writeHead(200, sized).end('abcdefghij')
    else again.writeHead(206, { ...fields, 'content-range': 'bytes 7-8/10' }).end('hi')
  }
  test.same(tally(asked.map(range => range ?? 'whole')), { 'whole': 1, 'bytes=7-8': 1 })
  test.same([shown(await none), shown(await some)], ['206 bytes 7-8/10 hi', '206 bytes 3-8/10 defghi'])
})

t.test('a stale object is validated once for all parts; an error, or a redirect, reaches the client as it is', async test => {
  const house = await scene(test)
  const fill = house.get('/a', { Range: 'bytes=0-1' })
  ;(await next()).response.writeHead(200, sized).end('abcdefghij')
  await fill
  house.clock.advance(61_000)
  const stale = house.get('/a', { Range: 'bytes=4-5' })
  const { range, response } = await next()
  test.same([range, response.req.headers['if-none-match']], [undefined, '"v"'])
  response.writeHead(304, fields).end()
  test.equal(shown(await stale), '206 bytes 4-5/10 ef')
  house.clock.advance(61_000)
  const changed = house.get('/a', { Range: 'bytes=4-5' })
  ;(await next()).response.writeHead(200, { ...sized, etag: '"w"' }).end('ABCDEFGHIJ')
  test.equal(shown(await changed), '206 bytes 4-5/10 EF')
  for (const status of [404, 302]) {
    const gone = house.get('/b', { Range: 'bytes=4-5' })
    ;(await next()).response.writeHead(status, { 'cache-control': 'no-store', 'location': '/c' }).end('gone')
    test.equal(shown(await gone), `${status}  gone`)
  }
})
