// Purges and invalidation, over real sockets: a purged response is not served again, and no response in flight brings it back.
import t from 'tap'
import { rawRequest } from '../support/client.ts'
import { counting, detail, startProxy } from '../support/proxy.ts'

const tagged = counting({ 'Cache-Control': 'max-age=600', 'Cache-Tag': 'things, thing-1', ETag: '"same"' })

const kinds = [
  ['its URL, absolute', { urls: ['http://api.example/v1/a?b=c'] }],
  ['its URL with the other scheme', { urls: ['https://api.example/v1/a?b=c'] }],
  ['its path on every host', { urls: ['/v1/a?b=c'] }],
  ['a tag', { tags: ['nothing', 'thing-1'] }],
  ['every one of its tags', { tags: ['things', 'thing-1'], tagsMatch: 'all' }],
  ['a prefix', { prefixes: ['http://api.example/v1/'] }],
  ['a prefix on every host', { prefixes: ['/v1/'] }],
  ['all', { all: true }],
] as const

for (const [how, body] of kinds) {
  t.test(`a purge by ${how} makes it a miss`, async t => {
    const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', 'Cache-Tag': 'things, thing-1' }) })
    const fetch = () => house.get('/v1/a?b=c', { Host: 'api.example' })
    await fetch()
    const receipt = await house.purge(body)
    t.equal(receipt.status, 200)
    t.match(JSON.parse(receipt.body.toString()), { soft: false, replicas: { live: 1, acknowledged: 1 } })
    const after = await fetch()
    t.equal(detail(after), 'uri-miss')
    t.equal(after.body.toString(), 'answer 2')
    t.equal(detail(await fetch()), 'fresh', 'and what came after it is kept')
  })
}

for (const [how, body] of kinds) {
  t.test(`a soft purge by ${how} makes it stale, and a hard one after it a miss`, async t => {
    const house = await startProxy(t, { origin: tagged })
    const fetch = () => house.get('/v1/a?b=c', { Host: 'api.example' })
    await fetch()
    const receipt = await house.purge({ ...body, soft: true })
    t.match(JSON.parse(receipt.body.toString()), { soft: true, replicas: { live: 1, acknowledged: 1 } })
    t.equal(detail(await fetch()), 'soft-purged')
    t.equal(house.origin.requests[1]?.header('if-none-match'), '"same"', 'it is validated')
    t.equal(detail(await fetch()), 'fresh')
    await house.purge({ ...body, soft: true })
    await house.purge(body)
    t.equal(detail(await fetch()), 'uri-miss')
    t.equal(house.origin.requests[2]?.header('if-none-match'), undefined, 'there is nothing left to validate')
  })
}

t.test('a purge leaves entries alone that it does not name', async t => {
  const house = await startProxy(t, { origin: tagged })
  await house.get('/v1/a?b=c', { Host: 'api.example' })
  for (const body of [
    { urls: ['http://other.example/v1/a?b=c', '/v1/a', '/v1/*'] },
    { tags: ['thing'] },
    { tags: ['things', 'other'], tagsMatch: 'all' },
    { prefixes: ['/v2', 'http://other.example/'] },
  ]) t.equal((await house.purge(body)).status, 200)
  t.equal(detail(await house.get('/v1/a?b=c', { Host: 'api.example' })), 'fresh')
})

t.test('a purge of a URL means all its variants', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', Vary: 'Accept' }) })
  for (const accept of ['a/a', 'b/b']) await house.get('/a', { Accept: accept })
  await house.purge({ urls: ['/a'] })
  for (const accept of ['a/a', 'b/b']) t.not(detail(await house.get('/a', { Accept: accept })), 'fresh')
  await house.purge({ urls: ['/a'], soft: true })
  for (const accept of ['a/a', 'b/b']) t.equal(detail(await house.get('/a', { Accept: accept })), 'soft-purged')
})

t.test('a soft purge makes it stale: it is validated, and may still stand in', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600', ETag: '"v"', 'Cache-Tag': 'x' }) })
  await house.get('/a')
  t.match(JSON.parse((await house.purge({ tags: ['x'], soft: true })).body.toString()), { soft: true })
  const after = await house.get('/a')
  t.equal(detail(after), 'soft-purged')
  t.equal(house.origin.requests[1]?.header('if-none-match'), '"v"')
  t.equal(detail(await house.get('/a')), 'fresh')
})

t.test('a purge wins over a fetch that was in flight when it came', async t => {
  let answer: () => void = () => {}
  let count = 0
  const house = await startProxy(t, {
    origin: (_, response) => {
      const body = `answer ${++count}`
      answer = () => response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Cache-Tag': 'x' }).end(body)
      if (count > 1) answer()
    },
  })
  for (const purge of [{ tags: ['x'] }, { urls: ['/a'] }, { prefixes: ['/'] }, { all: true }]) {
    count = 0
    const early = house.get('/a', { 'Cache-Control': 'no-cache' })
    await house.origin.nth(house.origin.requests.length + 1)
    t.equal((await house.purge(purge)).status, 200)
    answer()
    t.equal((await early).body.toString(), 'answer 1', 'an earlier request gets the earlier response')
    t.equal((await house.get('/a')).body.toString(), 'answer 2', 'nobody after it does')
  }
})

t.test('a request that comes after a purge does not wait for a fetch that began before it', async t => {
  let count = 0
  const held: (() => void)[] = []
  const house = await startProxy(t, {
    origin: (_, response) => {
      const body = `answer ${++count}`
      const send = () => response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(body)
      if (count === 1) held.push(send)
      else send()
    },
  })
  const early = house.get('/a')
  await house.origin.nth(1)
  await house.purge({ urls: ['/a'] })
  t.equal((await house.get('/a')).body.toString(), 'answer 2')
  held[0]?.()
  t.equal((await early).body.toString(), 'answer 1')
  t.equal((await house.get('/a')).body.toString(), 'answer 2', 'and the late end of the first does not replace it')
})

t.test('a 304 does not bring back a response that was purged while the validation was in flight', async t => {
  let confirm: () => void = () => {}
  let count = 0
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.headers['if-none-match'] === undefined) response.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: '"v"' }).end(`answer ${++count}`)
      else confirm = () => response.writeHead(304, { ETag: '"v"', 'Cache-Control': 'max-age=600' }).end()
    },
  })
  await house.get('/a')
  house.clock.advance(61_000)
  const validating = house.get('/a')
  await house.origin.nth(2)
  await house.purge({ all: true })
  confirm()
  t.equal((await validating).body.toString(), 'answer 2', 'the whole is requested instead')
  t.equal((await house.get('/a')).body.toString(), 'answer 2')
})

t.test('a stale response that was purged does not stand in when the origin fails', async t => {
  let fail: () => void = () => {}
  let count = 0
  const house = await startProxy(t, {
    origin: (_, response) => {
      if (++count === 1) response.writeHead(200, { 'Cache-Control': 'max-age=60, stale-if-error=600' }).end('old')
      else fail = () => response.writeHead(503).end('no')
    },
  })
  await house.get('/a')
  house.clock.advance(61_000)
  const failing = house.get('/a')
  await house.origin.nth(2)
  await house.purge({ all: true })
  fail()
  t.equal((await failing).status, 503)
})

t.test('RFC 9111 §4.4: an unsafe request invalidates its URL, Location and Content-Location, when it succeeds', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.method === 'GET') response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('x')
      else response.writeHead(request.headers['x-fail'] === undefined ? 201 : 500, { Location: '/b', 'Content-Location': '/c' }).end()
    },
  })
  const details = async () => [detail(await house.get('/a')), detail(await house.get('/b')), detail(await house.get('/c')), detail(await house.get('/d'))]
  await details()
  t.equal((await house.get('/a', { 'X-Fail': '1' }, { method: 'POST', body: 'x' })).status, 500)
  t.same(await details(), ['fresh', 'fresh', 'fresh', 'fresh'], 'a failure invalidates nothing')
  const made = await house.get('/a', {}, { method: 'POST', body: 'x' })
  t.equal(made.status, 201)
  t.equal(made.header('cache-status'), 'springhouse; fwd=method; detail=method')
  t.same(await details(), ['uri-miss', 'uri-miss', 'uri-miss', 'fresh'])
  await house.get('/a', {}, { method: 'M-SEARCH', body: 'x' })
  t.same((await details())[0], 'uri-miss', 'a method that is not known counts as unsafe')
})

t.test('RFC 9112 §3.2.2: an unsafe request in absolute-form invalidates the URL of its target, whatever Host says', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=600' }) })
  await house.get('/a', { Host: 'api.example' })
  await rawRequest(house.port, 'POST http://api.example/a HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  t.equal(detail(await house.get('/a', { Host: 'api.example' })), 'uri-miss')
})

t.test('RFC 9875: an unsafe request may invalidate groups', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.method === 'GET') response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Cache-Groups': '"list", "other"' }).end('x')
      else response.writeHead(204, { 'Cache-Group-Invalidation': '"list"' }).end()
    },
  })
  await house.get('/a')
  await house.get('/unrelated', {}, { method: 'POST', body: 'x' })
  t.equal(detail(await house.get('/a')), 'uri-miss')
})

t.test('explain shows the decision that would be taken, and why', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60', 'Cache-Tag': 'x' }) })
  const explain = async (url: string) => JSON.parse((await house.admin(`/v1/explain?url=${encodeURIComponent(url)}`)).body.toString())
  t.match(await explain('http://api.example/a'), { decision: { action: 'fetch', reason: 'uri-miss' }, variants: [] })
  await house.get('/a', { Host: 'api.example' })
  house.clock.advance(10_000)
  t.match(await explain('http://api.example/a'), {
    decision: { action: 'serve', reason: 'fresh', section: /RFC 9111 §4\.2/ },
    variants: [{ ageMs: 10_000, lifetimeMs: 60_000, freshness: 'fresh', tags: ['x'], bytes: 8, verdict: 'valid' }],
  })
  await house.purge({ tags: ['x'] })
  t.match(await explain('http://api.example/a'), { decision: { action: 'fetch', reason: 'uri-miss' } })
  t.equal(house.origin.requests.length, 1, 'the origin is not contacted')
})
