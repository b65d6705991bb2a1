// A fill from its first lookup to its end, over stores that are far away, and with clients and origins that leave.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { detail } from '../support/proxy.ts'
import { open } from '../support/client.ts'
import { faraway, startHandler } from './handler-under-test.ts'

const validated = (body: string | Buffer) => (request: IncomingMessage, response: ServerResponse): void => {
  if (request.headers['if-none-match'] !== undefined) response.writeHead(304, { ETag: '"v"', 'Cache-Control': 'max-age=60' }).end()
  else response.writeHead(200, { ETag: '"v"', 'Cache-Control': 'max-age=60' }).end(body)
}

t.test('a 304 yields a response with the stored body, also from a store that takes its time', async t => {
  const bench = await startHandler(t, { store: faraway, origin: validated('stored') })
  await bench.get('/a')
  bench.clock.advance(61_000)
  const answer = await bench.get('/a')
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'stored')
  t.equal(answer.header('cache-status'), 'springhouse; fwd=stale; fwd-status=304; stored; detail=stale')
  t.equal(detail(await bench.get('/a')), 'fresh')
  t.equal(bench.handler.filling, 0)
})

t.test('a 304 from an origin that then closes the connection yields one response, and a whole one', async t => {
  const bench = await startHandler(t, {
    store: faraway,
    origin: (request, response) => {
      if (request.headers['if-none-match'] === undefined) return validated('stored')(request, response)
      response.writeHead(304, { ETag: '"v"', 'Cache-Control': 'max-age=60', Connection: 'close' })
      response.end(() => request.socket.destroy())
    },
  })
  await bench.get('/a')
  bench.clock.advance(61_000)
  const answer = await bench.get('/a')
  t.equal(answer.body.toString(), 'stored')
  t.equal(answer.complete, true)
})

t.test('a stale response stands in, also from a store that takes its time', async t => {
  let broken = false
  const bench = await startHandler(t, {
    store: faraway,
    origin: (request, response) => {
      if (broken) response.writeHead(503).end('no')
      else validated('stored')(request, response)
    },
  })
  await bench.get('/a')
  bench.clock.advance(61_000)
  broken = true
  const answer = await bench.get('/a')
  t.equal(answer.body.toString(), 'stored')
  t.equal(detail(answer), 'origin-5xx')
  t.equal(bench.handler.filling, 0)
})

t.test('a store that fails costs no client its response', async t => {
  const failing = async (): Promise<never> => {
    throw new Error('lost')
  }
  const bench = await startHandler(t, {
    store: store => ({ ...faraway(store), refresh: failing, remove: failing, write: (key, meta) => ({ ...store.write(key, meta), commit: failing }) }),
    origin: validated(randomBytes(100_000)),
  })
  t.equal((await bench.get('/a')).body.length, 100_000)
  t.equal((await bench.get('/a')).body.length, 100_000)
  t.equal(bench.handler.filling, 0)
})

t.test('a route to an origin that is not there yields a problem, every time', async t => {
  const bench = await startHandler(t, {
    origin: validated('x'),
    parts: { origins: { request: () => {
      throw new Error('no such origin')
    } } as never },
  })
  for (let i = 0; i < 2; i++) t.equal((await bench.get('/a')).status, 500)
  t.equal(bench.handler.filling, 0)
})

t.test('a response that was looked up before is not used once purges may have been missed', async t => {
  let current = true
  let broken = false
  const bench = await startHandler(t, {
    log: log => Object.defineProperty(Object.create(log), 'isCaughtUp', { value: () => current }),
    origin: (request, response) => {
      if (request.headers['if-none-match'] !== undefined) current = false
      if (broken) response.writeHead(503).end('no')
      else validated('stored')(request, response)
    },
  })
  await bench.get('/a')
  bench.clock.advance(61_000)
  const confirmed = await bench.get('/a')
  t.equal(confirmed.body.toString(), 'stored')
  t.equal(bench.origin.requests.length, 3, 'the whole is requested after the 304')
  bench.clock.advance(61_000)
  current = true
  broken = true
  t.equal((await bench.get('/a')).status, 503, 'and a stale one does not stand in')
})

t.test('requests that wait for a fetch do not wait for a client that does not read', async t => {
  const body = randomBytes(10_000_000)
  const bench = await startHandler(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(body)
    },
  })
  const stuck = await new Promise<IncomingMessage>(resolve => {
    open(bench.port, { path: '/a' }, resolve)
  })
  stuck.pause()
  t.equal((await bench.get('/a')).body.equals(body), true)
  stuck.destroy()
})
