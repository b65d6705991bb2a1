// requestHeaders: which fields of a client reach an origin whose response others may share.
import t from 'tap'
import { startProxy, type TestProxy } from '../support/proxy.ts'

const steering = { 'X-Feature': 'beta', 'User-Agent': 'odd', 'Accept-Language': 'de', 'X-Tenant': 'a', 'Authorization': 'Bearer x' }

async function house(tap: Parameters<typeof startProxy>[0], requestHeaders: unknown, key: object = {}): Promise<TestProxy> {
  return startProxy(tap, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60, public' })
      response.end(JSON.stringify(request.headers))
    },
    config: { routes: [{ match: {}, origin: 'api', requestHeaders, key }] },
  })
}

t.test('strict: only fields that are keyed, negotiated or judged', async t => {
  const { get } = await house(t, 'strict', { headers: ['x-tenant'] })
  const seen = JSON.parse(String((await get('/a', steering)).body)) as Record<string, string>
  t.match(seen, { 'accept-language': 'de', 'authorization': 'Bearer x', 'x-tenant': 'a', 'via': '1.1 springhouse', 'x-forwarded-for': '127.0.0.1' })
  t.strictSame([seen['x-feature'], seen['user-agent']], [undefined, undefined])
  const posted = JSON.parse(String((await get('/a', steering, { method: 'POST' })).body)) as Record<string, string>
  t.match(posted, { 'x-feature': 'beta', 'user-agent': 'odd' }, 'a passed response is for no other client')
})

// The guard: `traceparent` and `tracestate` in strictFields.
t.test('strict: trace context reaches the origin and is in no key; baggage does not reach it', async t => {
  const { get } = await house(t, 'strict')
  const trace = { 'Traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'tracestate': 'congo=t61rcWkgMzE', 'baggage': 'tenant=a' }
  const seen = JSON.parse(String((await get('/a', trace)).body)) as Record<string, string>
  t.same([seen['traceparent'], seen['tracestate'], seen['baggage']], [trace.Traceparent, trace.tracestate, undefined])
  t.match((await get('/a', { ...trace, Traceparent: '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })).header('cache-status'), /hit/)
  t.match((await get('/a')).header('cache-status'), /hit/)
})

t.test('strict: the response to a POST, which is forwarded with every field, is for no other client', async t => {
  const { get } = await startProxy(t, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Location': '/a' })
      response.end(`${request.method} ${String(request.headers['x-feature'])}`)
    },
    config: { routes: [{ match: {}, origin: 'api', requestHeaders: 'strict' }] },
  })
  t.equal(String((await get('/a', steering, { method: 'POST' })).body), 'POST beta')
  t.equal(String((await get('/a')).body), 'GET undefined')
})

t.test('strict, and the fields that the route allows beside it; all', async t => {
  const allowing = await house(t, { allow: ['User-Agent'] })
  const seen = JSON.parse(String((await allowing.get('/a', steering)).body)) as Record<string, string>
  t.equal(seen['user-agent'], 'odd')
  t.notOk(seen['x-feature'])
  const all = await house(t, 'all')
  t.match(JSON.parse(String((await all.get('/a', steering)).body)), { 'x-feature': 'beta' })
})

t.test('explain names the fields that reach the origin and are in no key', async t => {
  const question = { url: 'http://x/a', method: 'GET', headers: { 'x-feature': 'beta', 'accept': '*/*' } }
  const { admin, port } = await house(t, 'all')
  question.url = `http://127.0.0.1:${port}/a`
  t.strictSame((JSON.parse(String((await admin('/v1/explain', question)).body)) as { unkeyed: unknown }).unkeyed, ['x-feature'])
  const strict = await house(t, 'strict')
  t.strictSame((JSON.parse(String((await strict.admin('/v1/explain', question)).body)) as { unkeyed: unknown }).unkeyed, [])
})
