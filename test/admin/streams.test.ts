// Event streams: bounded in number, time and memory, and a slow reader learns what it lost.
import { once } from 'node:events'
import tap from 'tap'
import { EventStreams } from '../../src/admin/event-streams.ts'
import type { AdminProblem } from '../../src/admin/problems.ts'
import { Tail } from '../../src/observe/tail.ts'
import { manualClock } from '../support/manual-clock.ts'

/** All text of a stream until it ends. */
async function textOf(body: AsyncIterable<Buffer | string>): Promise<string> {
  let text = ''
  for await (const chunk of body) text += String(chunk)
  return text
}

tap.test('a stream says when to come back, sends events and comments, and ends after its time', async (t) => {
  const streams = new EventStreams({ commentMs: 5, lastsMs: 60 })
  const stream = streams.open()
  stream.send('stats', '{"a":1}')
  // The timers do not hold the process; this test does.
  const hold = setInterval(() => {}, 1_000)
  const text = await textOf(stream.body)
  clearInterval(hold)
  t.match(text, /^retry: 2000\n\nevent: stats\ndata: \{"a":1\}\n\n(?:: still here\n\n)+$/)
  t.equal(streams.count, 0)
  stream.send('stats', '{}')
  t.pass('events after the end are lost')
})

// The guard: the bound in EventStream.send. Without it a reader that stops reading takes memory without end.
tap.test('a slow reader loses events, and learns how many once it reads', async (t) => {
  const streams = new EventStreams({ heldBytes: 1_000 })
  const stream = streams.open()
  const event = JSON.stringify({ text: 'x'.repeat(300) })
  for (let i = 0; i < 10; i++) stream.send('request', event)
  t.ok(stream.body.readableLength < 2_000, `holds ${stream.body.readableLength} bytes`)
  const lost = streams.dropped
  t.ok(lost > 0)
  let text = ''
  stream.body.on('data', (chunk: Buffer) => (text += String(chunk)))
  await once(stream.body, 'data')
  stream.send('request', event)
  stream.end()
  await once(stream.body, 'end')
  t.match(text, `event: dropped\ndata: {"count":${lost}}\n\n`)
})

tap.test('beyond the most streams there is a 503 with Retry-After, until one is closed', async (t) => {
  const streams = new EventStreams({ most: 2 })
  const [first] = [streams.open(), streams.open()]
  try {
    streams.open()
    t.fail('opens a third')
  } catch (error) {
    t.match(error, { code: 'TOO_MANY_STREAMS', status: 503, fields: { 'retry-after': '5' } } as Partial<AdminProblem>)
  }
  first?.body.destroy()
  await once(first?.body as NodeJS.EventEmitter, 'close')
  streams.open()
  t.equal(streams.count, 2)
  streams.close()
})

const request = { outcome: 'miss', reason: 'uri-miss', status: 200, method: 'GET', host: 'api.example', route: 'api@*/', ms: 12 } as const

tap.test('while nobody watches nothing is made, and each filter lets its requests through', async (t) => {
  const tail = new Tail(manualClock(), 50)
  t.equal(tail.isWatched, false)
  let made = 0
  const offer = (over: Partial<Parameters<Tail['offer']>[0]> = {}, target = '/v1/a?q=***'): void => tail.offer({ ...request, ...over }, () => target, () => `{"n":${++made}}`)
  offer()
  t.equal(made, 0)
  const passes = (filter: Parameters<Tail['watch']>[0], ...offered: Parameters<typeof offer>): boolean => {
    const taken: string[] = []
    const stop = tail.watch(filter, { take: (line) => void taken.push(line), drop: () => t.fail('has room') })
    offer(...offered)
    stop()
    return taken.length === 1
  }
  t.ok(passes({}))
  t.ok(passes({ outcome: 'miss', reason: 'uri-miss', route: 'api@*/', host: 'api.example', path: '/v1/', method: 'GET', status: '2xx', minMs: 12 }))
  for (const filter of [{ outcome: 'hit' }, { reason: 'stale' }, { route: 'other' }, { host: 'api' }, { path: '/v2' }, { method: 'POST' }, { status: '5xx' }, { status: '204' }, {
    minMs: 13,
  }, { notStored: 'cookie' }])
    t.notOk(passes(filter), JSON.stringify(filter))
  t.ok(passes({ status: '503' }, { status: 503 }))
  t.ok(passes({ status: '5xx' }, { status: 503 }))
  t.ok(passes({ notStored: 'cookie' }, { notStored: 'cookie' }))
  t.ok(passes({ sample: 1 }))
  t.equal(tail.isWatched, false)
})

tap.test('all watchers together get so many requests a second, and each learns of the others', async (t) => {
  const clock = manualClock()
  const tail = new Tail(clock, 3)
  const seen: string[] = []
  let dropped = 0
  tail.watch({}, { take: (line) => void seen.push(line), drop: () => void dropped++ })
  for (let i = 0; i < 5; i++) tail.offer(request, () => '/', () => String(i))
  t.same([seen, dropped], [['0', '1', '2'], 2])
  clock.advance(1_000)
  tail.offer(request, () => '/', () => 'later')
  t.equal(seen.at(-1), 'later')
})

tap.test('a watcher in another process gets what it missed, and is removed when it no longer polls', async (t) => {
  const clock = manualClock()
  const tail = new Tail(clock, 50)
  t.same(tail.poll('one', { status: '5xx' }), { lines: [], dropped: 0 })
  tail.offer(request, () => '/', () => 'a')
  tail.offer({ ...request, status: 503 }, () => '/', () => 'b')
  t.same(tail.poll('one', { status: '5xx' }), { lines: ['b'], dropped: 0 })
  t.same(tail.poll('one', { status: '5xx' }), { lines: [], dropped: 0 })
  clock.advance(6_000)
  tail.poll('two', {})
  clock.advance(6_000)
  tail.poll('three', {})
  t.equal(tail.isWatched, true)
  tail.offer(request, () => '/', () => 'c')
  t.same(tail.poll('two', {}), { lines: [], dropped: 0 }, 'it begins anew')
})
