// Requests that wait for another's fetch: what they get, and for how long they wait.
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { tally } from '../support/processes.ts'
import { everyStore, type Fleet } from './fleet.ts'

t.setTimeout(240_000)

/** Requests that the origin has not responded to yet. */
let held: { request: IncomingMessage; response: ServerResponse }[] = []
const holding = (): OriginHandler => {
  held = []
  return (request, response) => void held.push({ request, response })
}

/** Responds to the oldest one. */
async function respond(status: number, fields: Readonly<Record<string, string>>, body?: string): Promise<void> {
  await eventually(() => held.length > 0)
  held.shift()?.response.writeHead(status, fields).end(body)
}

/** Twenty requests at once, ten at each replica, once all but the first wait. */
async function twenty(fleet: Fleet, path = '/a', headers: Readonly<Record<string, string>> = {}): Promise<Promise<Answer>[]> {
  const before = await fleet.waits()
  const answers = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? fleet.a : fleet.b).get(path, headers))
  await eventually(async () => await fleet.waits() >= before + 19)
  return answers
}

async function bodies(answers: readonly Promise<Answer>[]): Promise<Record<string, number>> {
  return tally((await Promise.all(answers)).map(({ body }) => body.toString()))
}

// The guards: isAwaited in policy/decide.ts, and `lifetimeMs > 0` in storedOutcome() (exchange/coalesce/outcome.ts).
for (const lifetime of ['max-age=1', 's-maxage=1', 'max-age=1, stale-while-revalidate=60', 'max-age=1, must-revalidate']) {
  everyStore.test(`an origin that is slower than the lifetime gets one request for twenty: ${lifetime}`, holding, async (test, fleet) => {
    const answers = await twenty(fleet)
    await fleet.advance(1_300)
    await respond(200, { 'cache-control': lifetime }, 'one')
    test.same(await bodies(answers), { one: 20 })
    test.equal(fleet.asked(), 1)
    test.same(tally((await Promise.all(answers)).map(answer => /fwd=uri-miss; (collapsed(?!=)|fwd-status=200)/.exec(answer.header('cache-status') ?? '')?.[1] ?? '')), {
      'collapsed': 19,
      'fwd-status=200': 1,
    })
    for (const answer of await Promise.all(answers.slice(1)))
      test.ok(answer.header('age') === undefined || Number(answer.header('age')) >= 1, 'its age says how slow the origin was')
  })
}

everyStore.test('requests after that response wait for the next one, once for all', holding, async (test, fleet) => {
  const first = await twenty(fleet)
  await fleet.advance(1_300)
  await respond(200, { 'cache-control': 'max-age=1' }, 'one')
  await Promise.all(first)
  const second = await twenty(fleet)
  await fleet.advance(1_300)
  await respond(200, { 'cache-control': 'max-age=1' }, 'two')
  test.same(await bodies(second), { two: 20 })
  test.equal(fleet.asked(), 2)
})

everyStore.test('a 304 that takes longer than the lifetime confirms the response for all that waited', holding, async (test, fleet) => {
  const fields = { 'cache-control': 'max-age=1', 'etag': '"v"' }
  const early = fleet.a.get('/a')
  await respond(200, fields, 'one')
  await early
  await fleet.advance(5_000)
  const answers = await twenty(fleet)
  await fleet.advance(1_300)
  await respond(304, fields)
  test.same(await bodies(answers), { one: 20 })
  test.equal(fleet.asked(), 2)
})

everyStore.test('a body that takes longer than the lifetime is for all that waited', holding, async (test, fleet) => {
  const lead = fleet.a.open('/a')
  await eventually(() => held.length === 1)
  const answers = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? fleet.a : fleet.b).get('/a'))
  await eventually(async () => await fleet.waits() === 10)
  held[0]?.response.writeHead(200, { 'cache-control': 'max-age=1', 'content-length': '6' }).write('one')
  ;(await lead).resume()
  await fleet.advance(1_300)
  held[0]?.response.end('two')
  test.same(await bodies(answers), { onetwo: 10 })
  test.equal(fleet.asked(), 1)
})

everyStore.test('a response that was stale at its origin serves its own client alone, and the next round waits for one fetch', holding, async (test, fleet) => {
  const answers = await twenty(fleet)
  await respond(200, { 'cache-control': 'max-age=1', 'age': '5' }, 'old')
  await eventually(() => held.length === 1)
  await eventually(async () => await fleet.waits() === 19 + 18)
  await respond(200, { 'cache-control': 'max-age=60' }, 'new')
  test.same(await bodies(answers), { old: 1, new: 19 })
  test.equal(fleet.asked(), 2)
})

for (const soft of [false, true]) {
  everyStore.test(`a request after a ${soft ? 'soft ' : ''}purge does not get the response that is on its way`, holding, async (test, fleet) => {
    const early = await twenty(fleet)
    await fleet.advance(1_300)
    test.equal((await fleet.purge({ urls: ['http://api.example.com/a'], soft })).status, 200)
    const late = fleet.b.get('/a')
    await eventually(() => held.length === 2)
    await respond(200, { 'cache-control': 'max-age=1' }, 'old')
    await respond(200, { 'cache-control': 'max-age=1' }, 'new')
    test.equal((await late).body.toString(), 'new')
    await drain(test, early)
  })
}

/** Responds to every request until these have ended. */
async function drain(test: Test, answers: readonly Promise<Answer>[]): Promise<void> {
  let done = false
  const all = Promise.all(answers).then(() => {
    done = true
  })
  await eventually(() => {
    for (const { response } of held.splice(0)) response.writeHead(200, { 'cache-control': 'max-age=60' }).end('new')
    return done
  })
  await all
  test.ok(done)
}

everyStore.test('a client that wants a younger response than the one on its way gets one', holding, async (test, fleet) => {
  const lead = fleet.a.get('/a')
  await eventually(() => held.length === 1)
  const answers = [fleet.a.get('/a', { 'Cache-Control': 'max-age=1' }), fleet.b.get('/a')]
  await eventually(async () => await fleet.waits() === 2)
  await fleet.advance(3_000)
  await respond(200, { 'cache-control': 'max-age=2' }, 'one')
  await respond(200, { 'cache-control': 'max-age=2' }, 'two')
  test.same(await Promise.all([lead, ...answers].map(async answer => (await answer).body.toString())), ['one', 'two', 'one'])
})

const impatient = { config: { cache: { coalesceWait: '1s' } } }

// The guards: #arm in exchange/coalesce/coalescer.ts in a process, and HolderWait in exchange/coalesce/acquire-lease.ts among processes.
everyStore.test('a fetch that hangs binds its followers for coalesceWait: then one more request fetches, and the next after the next wait', holding, async (test, fleet) => {
  const answers = await twenty(fleet)
  for (const count of [2, 3]) {
    await eventually(() => held.length >= count)
    await fleet.b.get('/another', { 'Cache-Control': 'only-if-cached' })
    test.equal(held.length, count, 'one more, not all')
  }
  held.pop()?.response.writeHead(200, { 'cache-control': 'max-age=60' }).end('third')
  await eventually(async () => (await fleet.a.get('/a', { 'Cache-Control': 'only-if-cached' })).status === 200)
  await respond(200, { 'cache-control': 'max-age=60' }, 'first')
  await respond(200, { 'cache-control': 'max-age=60' }, 'second')
  test.same(await bodies(answers), { first: 1, second: 1, third: 18 })
  test.equal(fleet.asked(), 3)
}, impatient)

everyStore.test('if the fetch that hung ends after all, its response is for all that wait', holding, async (test, fleet) => {
  const answers = await twenty(fleet)
  await eventually(() => held.length === 2)
  await respond(200, { 'cache-control': 'max-age=60' }, 'first')
  await eventually(async () => (await fleet.a.get('/a', { 'Cache-Control': 'only-if-cached' })).status === 200)
  const second = held.shift()?.response
  await settledBut(answers, 1)
  second?.writeHead(200, { 'cache-control': 'max-age=60' }).end('second')
  test.same(await bodies(answers), { first: 19, second: 1 })
  test.equal(fleet.asked(), 2)
}, impatient)

// The guard: isFetched in exchange/refresh.ts. With joinFetch in its place, the refresh of the second replica takes the lease over.
everyStore.test('a refresh that hangs is not begun again by requests that are served a stale response meanwhile', holding, async (test, fleet) => {
  const first = fleet.a.get('/a')
  await respond(200, { 'cache-control': 'max-age=1, stale-while-revalidate=600' }, 'old')
  await first
  await fleet.advance(5_000)
  const waits = await fleet.waits()
  for (const replica of [fleet.a, fleet.b, fleet.a, fleet.b]) test.equal((await replica.get('/a')).body.toString(), 'old')
  await eventually(() => held.length === 1)
  if (fleet.a !== fleet.b) await eventually(async () => await fleet.waits() === waits + 1)
  // Its wait began later, and is as long.
  const hanging = [fleet.a.get('/b')]
  await eventually(() => held.length === 2)
  hanging.push(fleet.b.get('/b'))
  await eventually(() => held.length === 3)
  test.same(held.map(({ request }) => request.url), ['/a', '/b', '/b'])
  for (let i = 0; i < 3; i++) await respond(200, { 'cache-control': 'max-age=60' }, 'new')
  await Promise.all(hanging)
}, impatient)

/** Resolves when all but `count` of them have ended. */
async function settledBut(answers: readonly Promise<Answer>[], count: number): Promise<void> {
  let ended = 0
  for (const answer of answers)
    void answer.then(() => {
      ended++
    })
  await eventually(() => ended >= answers.length - count)
}

const range = { 'accept-ranges': 'bytes', 'cache-control': 'max-age=60', 'etag': '"v"' }

// The guard: the range in fetchVariant (exchange/routed-request.ts). Without it in mayShare() twenty requests fetch twenty times.
everyStore.test('the same range of a cold object is fetched once for twenty requests', holding, async (test, fleet) => {
  const answers = await twenty(fleet, '/a', { Range: 'bytes=2-4' })
  const other = fleet.b.get('/a', { Range: 'bytes=0-1' })
  const whole = fleet.a.get('/a')
  await eventually(() => held.length === 3)
  for (const { request, response } of held.splice(0)) {
    const [from, to] = /(\d+)-(\d+)/.exec(request.headers.range ?? '')?.slice(1).map(Number) ?? []
    if (from === undefined || to === undefined) response.writeHead(200, range).end('abcdefghij')
    else response.writeHead(206, { ...range, 'content-range': `bytes ${from}-${to}/10` }).end('abcdefghij'.slice(from, to + 1))
  }
  test.same(await bodies(answers), { cde: 20 })
  for (const answer of await Promise.all(answers)) test.equal(answer.header('content-range'), 'bytes 2-4/10')
  test.equal((await other).body.toString(), 'ab')
  test.equal((await whole).body.toString(), 'abcdefghij')
})

everyStore.test('an origin that ignores Range, or is slower than the lifetime, is no reason to fetch again', holding, async (test, fleet) => {
  const first = await twenty(fleet, '/a', { Range: 'bytes=2-4' })
  await respond(200, range, 'abcdefghij')
  test.same(await bodies(first), { abcdefghij: 1, cde: 19 })
  const second = await twenty(fleet, '/b', { Range: 'bytes=2-4' })
  await fleet.advance(1_300)
  await respond(206, { ...range, 'cache-control': 'max-age=1', 'content-range': 'bytes 2-4/10' }, 'cde')
  test.same(await bodies(second), { cde: 20 })
  test.equal(fleet.asked(), 2)
})

everyStore.test('a range that may not be stored keeps nobody waiting, and says nothing of the whole', holding, async (test, fleet) => {
  const answers = await twenty(fleet, '/a', { Range: 'bytes=2-4' })
  await respond(206, { 'cache-control': 'no-store', 'content-range': 'bytes 2-4/10' }, 'cde')
  await eventually(() => held.length === 19)
  for (const { response } of held.splice(0)) response.writeHead(206, { 'cache-control': 'no-store', 'content-range': 'bytes 2-4/10' }).end('cde')
  test.same(await bodies(answers), { cde: 20 })
  const whole = await twenty(fleet)
  await respond(200, range, 'abcdefghij')
  test.same(await bodies(whole), { abcdefghij: 20 })
})

everyStore.test('a request for a range after a purge does not wait for a fetch of it from before', holding, async (test, fleet) => {
  const early = await twenty(fleet, '/a', { Range: 'bytes=2-4' })
  test.equal((await fleet.purge({ urls: ['http://api.example.com/a'] })).status, 200)
  const late = fleet.b.get('/a', { Range: 'bytes=2-4' })
  await eventually(() => held.length === 2)
  await respond(206, { ...range, 'content-range': 'bytes 2-4/10' }, 'cde')
  await respond(206, { ...range, 'etag': '"w"', 'content-range': 'bytes 2-4/10' }, 'CDE')
  test.equal((await late).body.toString(), 'CDE')
  await drain(test, early)
})
