// Coalescing in one process: which request fetches next when a fetch brings nothing, and waits that do not happen.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { Coalescer } from '../../src/exchange/coalesce/coalescer.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import { open } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { manualClock } from '../support/manual-clock.ts'
import { purge } from '../support/purge.ts'
import { faraway, startHandler } from './handler-under-test.ts'

const url = { authority: 'a.example', target: '/' }

const never = (): undefined => undefined

t.test('only the first settling of a fetch counts, and a later fetch is not disturbed by it', async t => {
  const coalescer = new Coalescer(createLocalPurgeLog({ clock: manualClock() }), 60_000)
  const stamp = createLocalPurgeLog({ clock: manualClock() }).applied
  const lead = coalescer.beginFetch('k', stamp)
  const released: string[] = []
  lead.hold({ hasEntry: false, token: 'a', whenAwaited: () => {}, release: outcome => {
    released.push(outcome)
  } })
  t.equal(coalescer.joinFetch('k', { url }), lead)
  const waited = lead.follow({ hasLeft: false }, never)
  const next = coalescer.beginFetch('k', stamp)
  lead.settle('stored')
  lead.settle('failed')
  t.same(await waited, { kind: 'ended', outcome: 'stored' })
  t.same(released, ['stored'])
  t.equal(coalescer.joinFetch('k', { url }), next)
  next.settle('failed')
  t.equal(coalescer.joinFetch('k', { url }), undefined)
})

t.test('a lead that began before a purge that may touch it is not joined', async t => {
  const log = createLocalPurgeLog({ clock: manualClock() })
  const coalescer = new Coalescer(log, 60_000)
  const lead = coalescer.beginFetch('k', log.applied)
  await log.append(purge({ urls: [{ authority: 'a.example', target: '/other' }] }), 0)
  t.equal(coalescer.joinFetch('k', { url }), lead)
  await log.append(purge({ tags: ['its tags are not known yet'] }), 0)
  t.equal(coalescer.joinFetch('k', { url }), undefined)
})

// The guard: #pass in exchange/coalesce/coalescer.ts.
t.test('followers of a fetch that takes too long wait for the next one, and clients that have left lead nothing', async t => {
  const coalescer = new Coalescer(createLocalPurgeLog({ clock: manualClock() }), 1)
  const slow = coalescer.beginFetch('k', '')
  const gone = slow.follow({ hasLeft: true }, never)
  const [first, second, third] = [1, 2, 3].map(() => slow.follow({ hasLeft: false }, never))
  slow.begin()
  t.same(await gone, { kind: 'ended', outcome: 'failed' })
  const taken = await first
  if (taken?.kind !== 'leads') throw new Error('it leads')
  t.equal(coalescer.joinFetch('k', { url }), taken.lead, 'requests that come now wait for the younger one')
  slow.settle('failed')
  taken.lead.begin()
  const again = await second
  if (again?.kind !== 'leads') throw new Error('it leads')
  taken.lead.settle('stored')
  t.same(await third, { kind: 'ended', outcome: 'stored' }, 'whichever fetch is first')
  again.lead.settle('failed')
  t.equal(coalescer.joinFetch('k', { url }), undefined)
})

const stored = { 'Cache-Control': 'max-age=60' }

/** An origin whose responses the test sends, one by one. */
function scripted(): { held: ServerResponse[]; origin: (request: IncomingMessage, response: ServerResponse) => void } {
  const held: ServerResponse[] = []
  return { held, origin: (_, response) => {
    held.push(response)
  } }
}

// After its head: before it, the request would be sent again. And before its body, which followers would read.
function breakOff(response: ServerResponse | undefined): void {
  response?.writeHead(200, { ...stored, 'Content-Length': 10 }).flushHeaders()
  setImmediate(() => response?.destroy())
}

const counters = (): Counters => new Counters()
for (const [where, store] of [['near', undefined], ['far away', faraway]] as const) {
  t.test(`with a store that is ${where}, a follower fetches in place of a lead that failed; the third time each for itself`, async t => {
    const { held, origin } = scripted()
    const counted = counters()
    const bench = await startHandler(t, { origin, parts: { observer: counted }, ...(store !== undefined && { store }) })
    const all = Array.from({ length: 20 }, () => bench.get('/a'))
    await eventually(() => held.length === 1 && counted.snapshot().waits === 19)
    breakOff(held[0])
    await eventually(() => held.length === 2 && counted.snapshot().waits === 19 + 18)
    breakOff(held[1])
    await eventually(() => held.length === 2 + 18)
    for (const one of held.slice(2)) one.writeHead(200, stored).end('x')
    const answers = await Promise.all(all)
    t.equal(answers.filter(({ complete, body }) => complete && body.toString() === 'x').length, 18)
    t.equal(answers.filter(({ complete }) => !complete).length, 2, 'whose fetches broke off')
    t.equal(answers.filter(answer => answer.header('cache-status') === 'springhouse; fwd=uri-miss; fwd-status=200; stored; collapsed=?0; detail=uri-miss').length, 19,
      'they, and the second of those who broke off')
  })
}

t.test('followers wait for no client that does not read its response: it goes on without that client', async t => {
  const body = randomBytes(10_000_000)
  let asked = 0
  const bench = await startHandler(t, {
    origin: (_, response) => {
      asked++
      response.writeHead(200, stored).end(body)
    },
  })
  const stuck = await new Promise<IncomingMessage>(resolve => {
    open(bench.port, { path: '/a' }, resolve)
  })
  stuck.pause()
  const all = Array.from({ length: 10 }, () => bench.get('/a'))
  for (const answer of await Promise.all(all)) t.ok(answer.body.equals(body))
  t.equal(asked, 1)
  stuck.destroy()
  await eventually(() => bench.handler.filling === 0)
})

t.test('requests that wait for a validation do not wait for its client to read the response', async t => {
  const body = randomBytes(10_000_000)
  const { held, origin } = scripted()
  const counted = counters()
  const bench = await startHandler(t, { store: faraway, origin, parts: { observer: counted } })
  const fields = { ...stored, ETag: '"v"' }
  const first = bench.get('/a')
  await eventually(() => held.length === 1)
  held[0]?.writeHead(200, fields).end(body)
  await first
  bench.clock.advance(61_000)
  const stuck = new Promise<IncomingMessage>(resolve => {
    open(bench.port, { path: '/a' }, response => {
      response.pause()
      resolve(response)
    })
  })
  await eventually(() => held.length === 2)
  const waiting = bench.get('/a')
  await eventually(() => counted.snapshot().waits === 1)
  held[1]?.writeHead(304, fields).end()
  t.equal((await waiting).body.equals(body), true)
  t.equal(held.length, 2)
  ;(await stuck).destroy()
  await eventually(() => bench.handler.filling === 0)
})

t.test('a response that must be validated each time is fetched by all at once, once that is known', async t => {
  const { held, origin } = scripted()
  const counted = counters()
  const bench = await startHandler(t, { origin, parts: { observer: counted } })
  const fields = { 'Cache-Control': 'max-age=0', 'ETag': '"v"' }
  const first = bench.get('/a')
  await eventually(() => held.length === 1)
  held[0]?.writeHead(200, fields).end('one')
  await first
  const all = Array.from({ length: 10 }, () => bench.get('/a'))
  await eventually(() => held.length === 11)
  t.equal(counted.snapshot().waits, 0)
  for (const one of held.slice(1)) {
    t.equal(one.req.headers['if-none-match'], '"v"')
    one.writeHead(304, fields).end()
  }
  t.equal((await Promise.all(all)).every(answer => answer.body.toString() === 'one'), true)

  // Once a response may be used without validation, they wait for one another again.
  bench.clock.advance(1000)
  const turning = bench.get('/a')
  await eventually(() => held.length === 12)
  held[11]?.writeHead(304, { ...fields, 'Cache-Control': 'max-age=60' }).end()
  await turning
  bench.clock.advance(61_000)
  const leading = bench.get('/a')
  await eventually(() => held.length === 13)
  const following = bench.get('/a')
  await eventually(() => counted.snapshot().waits === 1)
  held[12]?.writeHead(304, { ...fields, 'Cache-Control': 'max-age=60' }).end()
  t.equal((await following).header('cache-status'), 'springhouse; fwd=stale; collapsed; ttl=60; detail=stale')
  await leading
})

t.test('no request waits while purges may have been missed, since nothing could be kept', async t => {
  const { held, origin } = scripted()
  const counted = counters()
  const bench = await startHandler(t, {
    origin,
    parts: { observer: counted },
    log: log => Object.defineProperty(Object.create(log), 'isCaughtUp', { value: () => false }),
  })
  const all = Array.from({ length: 10 }, () => bench.get('/a'))
  await eventually(() => held.length === 10)
  for (const one of held) one.writeHead(200, stored).end('x')
  await Promise.all(all)
  t.equal(counted.snapshot().waits, 0)
})
