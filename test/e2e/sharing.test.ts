// Sharing between clients: one fetch for many, and nothing private for any other client.
import t from 'tap'
import { counting, detail, startProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'

t.test('a hundred at once for one cold key make one request to the origin', async t => {
  let answer: () => void = () => {}
  const house = await startProxy(t, { origin: (_, response) => {
    answer = () => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('one')
  } })
  const all = Array.from({ length: 100 }, () => house.get('/a'))
  await house.origin.nth(1)
  const stats = async () => JSON.parse((await house.admin('/v1/stats')).body.toString()) as { hits: number; coalesced: number; waits: number }
  await eventually(async () => (await stats()).waits === 99)
  answer()
  const answers = await Promise.all(all)
  t.equal(answers.every(one => one.body.toString() === 'one'), true)
  t.equal(house.origin.requests.length, 1)
  const statuses = answers.map(one => one.header('cache-status'))
  t.equal(statuses.filter(status => status === 'springhouse; fwd=uri-miss; collapsed; ttl=60; detail=uri-miss').length, 99, 'RFC 9211 §2.6')
  t.match(await stats(), { hits: 0, coalesced: 99 })
})

t.test('requests for a response that may not be stored do not queue behind one another', async t => {
  const held: (() => void)[] = []
  const house = await startProxy(t, {
    origin: (request, response) => {
      const send = () => response.writeHead(200, { 'Cache-Control': 'no-store' }).end('x')
      if (request.url === '/a' && held.length < 50 && request.headers['x-hold'] !== undefined) held.push(send)
      else send()
    },
  })
  t.equal(detail(await house.get('/a')), 'no-store', 'once, to know it')
  const all = Array.from({ length: 50 }, () => house.get('/a', { 'X-Hold': '1' }))
  await house.origin.nth(51)
  t.equal(held.length, 50, 'all of them are at the origin at once')
  for (const send of held) send()
  t.equal((await Promise.all(all)).every(one => one.status === 200), true)
})

t.test('a client whose response is current does not keep others from sharing the next one', async t => {
  let count = 0
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.headers['if-none-match'] !== undefined) response.writeHead(304, { ETag: '"v"' }).end()
      else response.writeHead(200, { 'Cache-Control': ++count === 1 ? 'no-store' : 'max-age=60', ETag: '"v"' }).end('x')
    },
  })
  t.equal(detail(await house.get('/a')), 'no-store')
  house.clock.advance(50_000)
  t.equal((await house.get('/a', { 'If-None-Match': '"v"' })).status, 304, 'it gets the request as the client sent it')
  house.clock.advance(50_000)
  t.equal((await house.get('/a', { 'If-None-Match': '"v"' })).status, 304)
  t.equal(house.origin.requests[2]?.header('if-none-match'), undefined, 'a minute after it was found uncacheable the whole is requested again')
  t.equal(detail(await house.get('/a')), 'fresh')
})

t.test('requests that waited for a private response each get their own', async t => {
  let release: () => void = () => {}
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  const house = await startProxy(t, {
    origin: async (request, response) => {
      await gate
      response.writeHead(200, { 'Cache-Control': 'private, max-age=60' }).end(request.headers['x-user'])
    },
  })
  const users = ['ann', 'bob', 'cat', 'dan']
  const all = users.map(user => house.get('/me', { 'X-User': user }))
  await house.origin.nth(1)
  release()
  t.same((await Promise.all(all)).map(one => one.body.toString()), users)
})

t.test('a lead that fails is replaced, and its followers get a response', async t => {
  let count = 0
  let fail: () => void = () => {}
  const house = await startProxy(t, {
    origin: (_, response) => {
      if (++count === 1) fail = () => response.writeHead(500).end('broken')
      else response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('fine')
    },
  })
  const first = house.get('/a')
  await house.origin.nth(1)
  const second = house.get('/a')
  fail()
  t.equal((await first).status, 500)
  t.equal((await second).body.toString(), 'fine')
})

t.test('RFC 9111 §3.5: the response to Authorization is for that client, unless the origin says otherwise', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': request.url === '/public' ? 'public, max-age=60' : 'max-age=60' }).end(request.headers.authorization ?? 'nobody')
    },
  })
  t.equal(detail(await house.get('/a', { Authorization: 'Bearer ann' })), 'authorization')
  t.equal((await house.get('/a', { Authorization: 'Bearer bob' })).body.toString(), 'Bearer bob')
  await house.get('/public', { Authorization: 'Bearer ann' })
  t.equal(detail(await house.get('/public', { Authorization: 'Bearer bob' })), 'fresh')
})

t.test('the response to Cookie is for that client; one stored without a cookie may serve a request that has one', async t => {
  const house = await startProxy(t, { origin: (request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(request.headers.cookie ?? 'nobody')
  } })
  t.equal(detail(await house.get('/a', { Cookie: 'sid=ann' })), 'cookie')
  t.equal((await house.get('/a', { Cookie: 'sid=bob' })).body.toString(), 'sid=bob')
  t.equal((await house.get('/a')).body.toString(), 'nobody')
  t.equal(detail(await house.get('/a', { Cookie: 'sid=bob' })), 'fresh')
})

t.test('a Set-Cookie reaches the client that it was sent to, and no other', async t => {
  const house = await startProxy(t, { origin: (_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60, private="set-cookie"', 'Set-Cookie': 'sid=1' }).end('x')
  } })
  t.equal((await house.get('/a')).header('set-cookie'), 'sid=1')
  const hit = await house.get('/a')
  t.equal(detail(hit), 'fresh')
  t.equal(hit.header('set-cookie'), undefined)
})

t.test('fields that steer an application without being in the key do not reach it', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  await house.get('/a', { 'X-Forwarded-Host': 'evil.example', 'X-Original-URL': '/admin', 'X-HTTP-Method-Override': 'DELETE', 'X-Forwarded-For': '9.9.9.9' })
  const [seen] = house.origin.requests
  t.equal(seen?.header('x-forwarded-host'), `127.0.0.1:${house.port}`)
  t.equal(seen?.header('x-original-url'), undefined)
  t.equal(seen?.header('x-http-method-override'), undefined)
  t.equal(seen?.header('x-forwarded-for'), '127.0.0.1')
})

t.test('a GET with content is passed on and neither stored nor served from cache', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  await house.get('/a')
  const passed = await house.get('/a', {}, { body: 'content' })
  t.equal(detail(passed), 'request-body')
  t.equal(passed.body.toString(), 'answer 2')
  t.equal((await house.get('/a')).body.toString(), 'answer 1')
})

t.test('two Host fields are refused', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60' }) })
  const refused = await house.get('/a', {}, { headers: ['Host', 'a.example', 'Host', 'b.example'] })
  t.equal(refused.status, 400)
  t.equal(house.origin.requests.length, 0)
})
