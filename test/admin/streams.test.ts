// Event streams: bounded in number, time and memory, and a slow reader learns what it lost.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import tap, { type Test } from 'tap'
import { EventStreams, type EventStream, type StreamBounds } from '../../src/admin/event-streams.ts'
import { Tail } from '../../src/observe/tail.ts'
import { eventually } from '../support/log.ts'
import { manualClock } from '../support/manual-clock.ts'

/** A server whose every response is a stream, and a raw connection that requests one. */
async function streaming(t: Test, bounds: Partial<StreamBounds>): Promise<{ streams: EventStreams; stream: EventStream; socket: Socket; ended: Promise<unknown> }> {
  const streams = new EventStreams(bounds)
  let opened: (stream: EventStream) => void = () => {}
  const first = new Promise<EventStream>((resolve) => (opened = resolve))
  const server = createServer((raw, response) => {
    const reply = { raw: response, hijack: () => undefined, getHeaders: () => ({}) }
    opened(streams.begin({ raw } as FastifyRequest, reply as object as FastifyReply))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => {
    socket.destroy()
    server.close()
  })
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  const stream = await first
  return { streams, stream, socket, ended: once(socket, 'close') }
}

tap.test('a silent stream has comments, and ends after its time', async (t) => {
  const { streams, stream, socket, ended } = await streaming(t, { commentMs: 5, longestMs: 60 })
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  stream.send('stats', { a: 1 })
  await ended
  t.match(text, /event: stats\ndata: \{"a":1\}\n\n/)
  t.ok(text.split(':\n\n').length > 3, 'comments')
  t.equal(streams.count, 0)
  stream.send('stats', {})
  t.pass('events after the end are lost')
})

// The guard: the bound in Stream.sendJson. Without it a reader that stops reading takes memory without end.
tap.test('a slow reader loses events, and learns how many once it reads', async (t) => {
  const { streams, stream, socket } = await streaming(t, { mostWaiting: 100_000 })
  // Nothing reads: the buffers of the sockets fill, and then what waits here.
  const event = { text: 'x'.repeat(10_000) }
  while (streams.dropped < 10) {
    stream.send('request', event)
    await new Promise(setImmediate)
  }
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await eventually(() => text.includes('event: dropped'))
  t.match(text, `event: dropped\ndata: {"count":${streams.dropped}}\n\n`)
  stream.end()
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
