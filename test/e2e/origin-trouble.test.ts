// Validation and stale responses, over real sockets: RFC 9111 §4.2.4 and §4.3, RFC 5861.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { detail, startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'

/** An origin whose next behaviour a test sets. */
function scripted(first: (request: IncomingMessage, response: ServerResponse) => void) {
  const script = { next: first }
  return { script, origin: (request: IncomingMessage, response: ServerResponse) => script.next(request, response) }
}

const answer = (body: string, fields: Readonly<Record<string, string>>) => (_: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(200, fields)
  response.end(body)
}

t.test('a stale response is validated, and a 304 makes it fresh with the fields it brings', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"', 'X-A': 'old', 'X-B': 'stays' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (request, response) => {
    t.equal(request.headers['if-none-match'], '"v1"')
    response.writeHead(304, { ETag: '"v1"', 'Cache-Control': 'max-age=120', 'X-A': 'new' }).end()
  }
  const validated = await house.get('/a')
  t.equal(validated.status, 200)
  t.equal(validated.body.toString(), 'one')
  t.equal(validated.header('x-a'), 'new')
  t.equal(validated.header('x-b'), 'stays')
  t.equal(validated.header('cache-status'), 'springhouse; fwd=stale; fwd-status=304; stored; detail=stale')
  house.clock.advance(119_000)
  const hit = await house.get('/a')
  t.equal(detail(hit), 'fresh', 'for the lifetime that the 304 gave')
  t.equal(hit.header('x-a'), 'new')
  t.equal(hit.body.toString(), 'one')
})

t.test('a large stale response that a 304 confirms is sent whole', async t => {
  const body = randomBytes(5 * 1024 * 1024)
  const { script, origin } = scripted((_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: '"v1"' }).end(body)
  })
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (_, response) => {
    response.writeHead(304, { ETag: '"v1"', 'Cache-Control': 'max-age=60' }).end()
  }
  const validated = await house.get('/a')
  t.match(validated.header('cache-status'), /fwd-status=304/)
  t.equal(validated.complete, true)
  t.equal(validated.body.equals(body), true)
})

t.test('a client that has the validated response gets 304, and the origin gets the stored validator', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (request, response) => {
    t.equal(request.headers['if-none-match'], '"v1"')
    response.writeHead(304, { ETag: '"v1"' }).end()
  }
  t.equal((await house.get('/a', { 'If-None-Match': '"v1"' })).status, 304)
})

t.test('a 200 to a validation replaces the stored response', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = answer('two', { 'Cache-Control': 'max-age=60', ETag: '"v2"' })
  t.equal((await house.get('/a')).body.toString(), 'two')
  const hit = await house.get('/a')
  t.equal(hit.body.toString(), 'two')
  t.equal(detail(hit), 'fresh')
})

t.test('a 304 that names another tag confirms nothing: the whole response is requested from the origin', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (request, response) => {
    if (request.headers['if-none-match'] !== undefined) response.writeHead(304, { ETag: '"v9"' }).end()
    else answer('nine', { 'Cache-Control': 'max-age=60', ETag: '"v9"' })(request, response)
  }
  t.equal((await house.get('/a')).body.toString(), 'nine')
  t.equal(house.origin.requests.length, 3)
})

t.test('requests that wait for a validation wait on when its 304 was of no use', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  const held: (() => void)[] = []
  script.next = (request, response) => {
    if (request.headers['if-none-match'] !== undefined) held.push(() => response.writeHead(304, { ETag: '"v9"' }).end())
    else held.push(() => answer('nine', { 'Cache-Control': 'max-age=60', ETag: '"v9"' })(request, response))
  }
  const validating = house.get('/a')
  await house.origin.nth(2)
  const waiting = [house.get('/a'), house.get('/a')]
  await eventually(async () => JSON.parse((await house.admin('/v1/stats')).body.toString()).waits === 2)
  held[0]?.()
  await house.origin.nth(3)
  // The connection of the 304 is idle by now: followers that were to be released would have been.
  await house.get('/b', { 'Cache-Control': 'only-if-cached' })
  held[1]?.()
  t.same((await Promise.all([validating, ...waiting])).map(({ body }) => body.toString()), ['nine', 'nine', 'nine'])
  t.equal(house.origin.requests.length, 3)
})

t.test('a 304 that says no-store takes the entry away', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (_, response) => {
    response.writeHead(304, { ETag: '"v1"', 'Cache-Control': 'no-store' }).end()
  }
  const validated = await house.get('/a')
  t.equal(validated.body.toString(), 'one')
  t.equal(detail(validated), 'no-store')
  script.next = answer('two', { 'Cache-Control': 'max-age=60' })
  t.equal((await house.get('/a')).body.toString(), 'two')
})

t.test('RFC 9110 §6.6.1: a 304 without Date is of the moment at which it came', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin: (request, response) => {
    response.sendDate = false
    origin(request, response)
  } })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (_, response) => {
    response.writeHead(304, { ETag: '"v1"' }).end()
  }
  t.equal(detail(await house.get('/a')), 'stale')
  const hit = await house.get('/a')
  t.equal(detail(hit), 'fresh')
  t.equal(hit.header('age'), '0')
})

t.test('fields of a 304 meant for this cache alone reach no client, also when they are not kept', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (_, response) => {
    response.writeHead(304, { ETag: '"v1"', 'Surrogate-Control': 'no-store', 'Cache-Tag': 'x', Age: '7' }).end()
  }
  const shown = await house.get('/a')
  t.equal(detail(shown), 'no-store')
  t.equal(shown.header('surrogate-control'), undefined)
  t.equal(shown.header('cache-tag'), undefined)
  t.equal(shown.header('age'), '7', 'and its age is sent once')
})

t.test('stale-while-revalidate: the stale response at once, one fetch behind it', async t => {
  const fields = { 'Cache-Control': 'max-age=60, stale-while-revalidate=30', 'X-Who': '' }
  const { script, origin } = scripted(answer('one', fields))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(70_000)
  let release: () => void = () => {}
  script.next = (request, response) => {
    release = () => answer('two', fields)(request, response)
  }
  const [first, second] = await Promise.all([house.get('/a', { 'X-Client': '7' }), house.get('/a')])
  for (const stale of [first, second]) {
    t.equal(stale?.body.toString(), 'one')
    t.equal(detail(stale as never), 'stale-while-revalidate')
    t.match(stale?.header('cache-status'), /hit; ttl=-10/)
  }
  const refresh = await house.origin.nth(2)
  t.equal(refresh.header('x-client') ?? '7', '7', 'with the fields of a client')
  release()
  await t.resolves((async () => {
    while ((await house.get('/a', { 'Cache-Control': 'only-if-cached' })).body.toString() !== 'two');
  })(), 'then it is fresh')
  t.equal(house.origin.requests.filter(request => request.target === '/a').length, 2, 'two requests, one refresh')
})

t.test('stale-if-error: a stale response stands in for a 5xx and for a lost connection', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60, stale-if-error=300' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = (_, response) => {
    response.writeHead(503).end('no')
  }
  const on503 = await house.get('/a')
  t.equal(on503.status, 200)
  t.equal(on503.body.toString(), 'one')
  t.equal(detail(on503), 'stale-if-error')
  script.next = request => {
    request.socket.destroy()
  }
  t.equal(detail(await house.get('/a')), 'stale-if-error')
  house.clock.advance(300_000)
  const beyond = await house.get('/a')
  t.equal(beyond.status, 502, 'not past its allowance')
  t.equal(beyond.header('content-type'), 'application/problem+json')
})

t.test('without an allowance a stale response stands in while the origin cannot be reached', async t => {
  const { script, origin } = scripted(answer('one', { 'Cache-Control': 'max-age=60' }))
  const house = await startProxy(t, { origin })
  await house.get('/a')
  house.clock.advance(61_000)
  script.next = request => {
    request.socket.destroy()
  }
  const stale = await house.get('/a')
  t.equal(stale.body.toString(), 'one')
  t.equal(detail(stale), 'origin-unreachable')
})

for (const forbidding of ['must-revalidate', 'proxy-revalidate', 's-maxage=60']) {
  t.test(`${forbidding}: never stale, a real 502 instead`, async t => {
    const { script, origin } = scripted(answer('one', { 'Cache-Control': `max-age=60, ${forbidding}, stale-if-error=300`, ETag: '"v1"' }))
    const house = await startProxy(t, { origin })
    await house.get('/a')
    house.clock.advance(61_000)
    script.next = request => {
      request.socket.destroy()
    }
    const failed = await house.get('/a')
    t.equal(failed.status, 502)
    t.match(failed.header('proxy-status'), /^springhouse; error=/)
    t.notMatch(failed.body.toString(), new RegExp(`127\\.0\\.0\\.1|${house.origin.port}`), 'and it names no inside address')
    t.equal(failed.header('cache-control'), 'no-store')
  })
}
