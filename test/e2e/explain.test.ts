// Explain, end to end: the steps of a request, the field that decided, the last responses that were not stored, and a dry try.
import t from 'tap'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import { routeRequest } from '../../src/exchange/routed-request.ts'
import type { Explanation } from '../../src/exchange/explain/explanation.ts'
import { tryAtOrigin } from '../../src/exchange/explain/try.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { detail, startProxy, token, type TestProxy } from '../support/proxy.ts'
import { ask, type Answer } from '../support/client.ts'
import { startOrigin, type OriginHandler } from '../support/scripted-origin.ts'
import { originsOf } from '../origin/origins-under-test.ts'
import { manualClock } from '../support/manual-clock.ts'
import type { Clock } from '../../src/clock.ts'

const at = (path: string): string => `http://api.example${path}`

async function explain(house: TestProxy<Clock>, path: string, more: object = {}): Promise<Explanation> {
  const answer = await house.admin('/v1/explain', { url: at(path), ...more })
  t.equal(answer.status, 200)
  return JSON.parse(String(answer.body)) as Explanation
}

/** Sends the fields that the path names, as JSON in base64url. */
const obedient: OriginHandler = (request, response) => {
  const [status, fields] = JSON.parse(Buffer.from((request.url ?? '').slice(1).split('?')[0] ?? '', 'base64url').toString()) as [number, Record<string, string | string[]>]
  response.writeHead(status, fields).end(request.method === 'HEAD' ? undefined : 'body')
}
const pathOf = (status: number, fields: Record<string, string | string[]>): string => `/${Buffer.from(JSON.stringify([status, fields])).toString('base64url')}`

interface Case {
  readonly status?: number
  readonly sent: Record<string, string | string[]>
  readonly request?: Record<string, string>
  readonly reason: string
  readonly field?: string
  readonly value?: string
  readonly meaning?: RegExp
}

const cases: readonly Case[] = [
  { sent: { 'Cache-Control': 'max-age=60, no-store' }, reason: 'no-store', field: 'Cache-Control', value: 'max-age=60, no-store',
    meaning: /no-store \(Cache-Control: max-age=60, no-store\)/ },
  { sent: { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'no-store' }, reason: 'no-store', field: 'CDN-Cache-Control', value: 'no-store' },
  { sent: { 'Cache-Control': 'private, max-age=60' }, reason: 'private', field: 'Cache-Control', value: 'private, max-age=60' },
  { sent: { 'Cache-Control': 'max-age=60' }, request: { Authorization: 'Bearer secret' }, reason: 'authorization', field: 'Authorization' },
  { sent: { 'Cache-Control': 'max-age=60' }, request: { Cookie: 'sid=secret; theme=dark; bare-secret' }, reason: 'cookie', field: 'Cookie', value: 'sid, theme',
    meaning: /Cookie \(sid, theme\)/ },
  { sent: { 'Cache-Control': 'max-age=60', 'Set-Cookie': ['lb=secret; Path=/', 'sid=secret'] }, reason: 'set-cookie', field: 'Set-Cookie', value: 'lb, sid',
    meaning: /cookie \(lb, sid\)/ },
  { sent: { 'Cache-Control': 'max-age=60', 'Vary': '*' }, reason: 'vary-star', field: 'Vary', value: '*' },
  { status: 500, sent: {}, reason: 'status', meaning: /status \(500\)/ },
  { status: 299, sent: { 'Cache-Control': 'max-age=60, must-understand' }, reason: 'must-understand', field: 'Cache-Control', meaning: /\(299\)/ },
  { sent: { 'Cache-Control': 'max-age=0' }, reason: 'not-fresh', field: 'Cache-Control', value: 'max-age=0' },
  { sent: { 'Expires': '0' }, reason: 'not-fresh', field: 'Expires', value: '0' },
  { sent: {}, reason: 'no-lifetime' },
  { sent: { 'Cache-Control': 'max-age=60s' }, reason: 'bad-lifetime', field: 'Cache-Control', value: 'max-age=60s', meaning: /here Cache-Control: max-age=60s/ },
  { sent: { 'Cache-Control': 'max-age=60' }, request: { 'Cache-Control': 'no-store' }, reason: 'request-no-store', field: 'Cache-Control', value: 'no-store' },
  { status: 206, sent: { 'Cache-Control': 'max-age=60' }, reason: 'partial' },
  { sent: { 'Cache-Control': 'max-age=60', 'Content-Length': '9999999999' }, reason: 'too-large', field: 'Content-Length', value: '9999999999' },
  { sent: { 'Cache-Control': 'max-age=60', 'Cache-Groups': 'no list' }, reason: 'bad-cache-groups', field: 'Cache-Groups', value: 'no list' },
  { sent: { 'Cache-Control': 'max-age=60', 'Content-Type': 'text/event-stream' }, reason: 'incomplete', field: 'Content-Type', value: 'text/event-stream' },
  { sent: { 'Cache-Control': 'max-age=60', 'Cache-Tag': 'x'.repeat(2_000) }, reason: 'too-many-tags', field: 'cache-tag' },
  { sent: { 'Cache-Control': `no-store, x="${'y'.repeat(200)}\u00e9"` }, reason: 'no-store', field: 'Cache-Control', value: `no-store, x="${'y'.repeat(67)}…` },
]

t.test('a response that is not stored is explained by the field that decided, without secrets; a try says the same', async t => {
  const house = await startProxy(t, { origin: obedient, host: 'api.example' })
  for (const { status = 200, sent, request = {}, reason, field, value, meaning } of cases) {
    const path = pathOf(status, sent)
    if (reason !== 'too-large') {
      const answer = await house.get(path, request)
      t.equal(detail(answer), reason, `${reason} is the detail`)
    }
    const [last] = (await explain(house, path, { headers: request })).last
    const { tried } = await explain(house, path, { headers: request, try: true })
    for (const shown of reason === 'too-large' ? [tried] : [last, tried]) {
      t.match(shown, { status, reason, section: String, meaning: meaning ?? String, advice: String, ...(field !== undefined && { field }), ...(value !== undefined && { value }) })
      if (field === undefined) t.notOk(shown !== undefined && 'field' in shown, reason)
      t.notMatch(JSON.stringify(shown), /secret/, reason)
    }
  }
})

// The guard: `slice` in OwnUnstored.noteDigest.
t.test('the last three responses are kept, newest first, and neither hits nor HEAD write any', async t => {
  let number = 0
  const house = await startProxy(t, {
    host: 'api.example',
    origin: (request, response) =>
      void response.writeHead(200, request.url === '/hit' ? { 'Cache-Control': 'max-age=60' } : { 'Cache-Control': 'no-store', 'Set-Cookie': `c${++number}=1` }).end(),
  })
  t.same((await explain(house, '/a')).last, [])
  for (let i = 0; i < 5; i++) {
    await house.get('/a')
    house.clock.advance(1_000)
  }
  const { last, decision, steps } = await explain(house, '/a')
  t.equal(last.length, 3)
  t.same(last.map(({ atMs }) => house.clock.now() - atMs), [1_000, 2_000, 3_000])
  t.match(last[0], { status: 200, replica: 'local', reason: 'no-store', of: 'response' })
  t.match(decision, { action: 'fetch', reason: 'uri-miss', section: 'RFC 9211 §2.2', meaning: /Nothing is stored/, advice: /why its last response was not stored/ })
  t.match(steps.slice(-2), [{ step: 'response', outcome: 'yes', value: '200, by local' }, { step: 'storing', outcome: 'no', reason: 'no-store', field: 'Cache-Control' }])
  await house.get('/hit')
  await house.get('/hit')
  await house.get('/b', {}, { method: 'HEAD' })
  t.same((await explain(house, '/hit')).last, [])
  t.same((await explain(house, '/b')).last, [], 'HEAD')
})

t.test('the steps show how far a request comes, and the key its parts', async t => {
  const house = await startProxy(t, {
    host: 'api.example',
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Vary': 'Accept-Language' }).end(),
    config: {
      routes: [{ match: { path: '/off/' }, origin: 'api', cache: { mode: 'bypass' } }, { match: {}, origin: 'api',
        key: { headers: ['x-tenant'], cookies: ['lang', 'tz'], query: { ignore: ['utm_*'] } } }],
    },
  })
  const headers = { 'X-Tenant': 'acme', 'Cookie': 'lang=de; other=x', 'RSC': '1', 'Accept-Language': 'de' }
  const miss = await explain(house, '/items?utm_a=1&page=2', { headers })
  t.same(miss.keyParts, [
    { part: 'route', value: 'api@*/', source: 'route' },
    { part: 'scheme', value: 'http', source: 'request' },
    { part: 'host', value: 'api.example', source: 'request' },
    { part: 'path', value: '/items', source: 'request' },
    { part: 'query', value: 'page=2', source: 'request' },
    { part: 'x-tenant', value: 'acme', source: 'field' },
    { part: 'lang', value: 'de', source: 'cookie' },
    { part: 'tz', value: null, source: 'cookie' },
    { part: 'rsc', value: '1', source: 'field' },
  ])
  t.same(miss.steps, [
    { step: 'route', outcome: 'yes', value: 'api@*/' },
    { step: 'key', outcome: 'yes', value: 'route · scheme · host · path · query · x-tenant · lang · tz · rsc' },
    { step: 'request', outcome: 'yes', value: 'GET' },
    { step: 'lookup', outcome: 'no', value: 'nothing' },
    { step: 'decision', outcome: 'fetch', reason: 'uri-miss', section: 'RFC 9211 §2.2' },
    { step: 'response', outcome: 'unknown' },
  ])
  const pass = await explain(house, '/off/x')
  t.match(pass.decision, { action: 'pass', reason: 'route-uncached', section: 'configuration cache.mode', meaning: 'The cache mode of the route api@*/off is bypass.' })
  t.same(pass.steps.at(-1), { step: 'request', outcome: 'no', value: 'GET', reason: 'route-uncached', section: 'configuration cache.mode' })
  const plain = { 'X-Tenant': 'acme', 'Accept-Language': 'de' }
  await house.get('/items', plain)
  house.clock.advance(8_000)
  const hit = await explain(house, '/items', { headers: plain })
  t.match(hit.decision, { action: 'serve', reason: 'fresh', meaning: 'The stored response is within its freshness lifetime, for another 52 s.' })
  t.match(hit.steps.slice(3), [{ step: 'lookup', outcome: 'yes', value: '1 variant' }, { outcome: 'serve' }, { step: 'response', value: '200' }, { step: 'storing',
    outcome: 'yes' }])
  t.match((await explain(house, '/items', { headers: { 'X-Tenant': 'acme' } })).decision, { reason: 'vary-miss',
    meaning: /responses \(1\) were selected by other request fields \(accept-language\)/ })
  t.match((await explain(house, '/items', { headers: { ...plain, 'Cache-Control': 'max-age=5' } })).decision, {
    meaning: 'The stored response is older (8 s) than the request accepts (max-age=5).',
  })
  const { id } = JSON.parse(String((await house.purge({ all: true, soft: true })).body)) as { id: string }
  t.match((await explain(house, '/items', { headers: plain })).decision, { reason: 'soft-purged', meaning: `A soft purge (${id}) made the stored response stale.` })
  await house.purge({ all: true })
  t.match((await explain(house, '/items', { headers: plain })).steps[3], { step: 'lookup', value: '1 variant, 1 purged' })
})

// The guards: allowTry in admin/explain.ts; `headOf` in try.ts never writes to a store.
t.test('a try sends one GET with the given fields, stores nothing, and needs the scope purge', async t => {
  const house = await startProxy(t, {
    host: 'api.example',
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Cache-Tag': 'a' }).end('body'),
    config: {
      admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'test', token, scopes: ['read', 'purge'] }, { name: 'reader', token: 'a-token-that-reads-alone', scopes: ['read'] }] },
      routes: [{ match: { path: '/off/' }, origin: 'api', cache: { mode: 'bypass' } }, { match: {}, origin: 'api' }],
    },
  })
  const { tried, decision, last } = await explain(house, '/x?y=1', { try: true,
    headers: { 'Accept-Language': 'de', 'If-None-Match': '"a"', 'Range': 'bytes=0-1', 'X-Custom': 'z' } })
  t.match(tried, { status: 200, ms: 0, stored: true, lifetimeMs: 60_000, tags: ['a'], vary: [] })
  t.match([decision.reason, last], ['range-miss', []])
  t.equal(house.origin.requests.length, 1)
  const [sent] = house.origin.requests
  t.match([sent?.method, sent?.target, sent?.header('host'), sent?.header('accept-language')], ['GET', '/x?y=1', 'api.example', 'de'])
  t.same([sent?.header('if-none-match'), sent?.header('range')], [undefined, undefined], 'as a fetch that may be stored')
  t.match(sent?.header('x-request-id'), /^explain-/)
  t.equal((await explain(house, '/x?y=1')).decision.reason, 'uri-miss', 'nothing is stored')
  t.match((await explain(house, '/off/x', { try: true })).tried, { status: 200, stored: false, reason: 'route-uncached' })
  t.match((await explain(house, '/length', { try: true, headers: { 'Content-Length': '5' } })).tried, { status: 200, stored: false, reason: 'request-body' })

  const count = house.origin.requests.length
  const adminPort = Number(new URL(house.app.adminUrl).port)
  const asReader = (body: object): Promise<Answer> =>
    ask(adminPort, { path: '/v1/explain', method: 'POST', body: JSON.stringify(body),
      headers: ['Authorization', 'Bearer a-token-that-reads-alone', 'Content-Type', 'application/json'] })
  t.match(JSON.parse(String((await asReader({ url: at('/x'), try: true })).body)), { status: 403, scope: 'purge' })
  t.equal((await asReader({ url: at('/x'), try: false })).status, 200)
  t.match(JSON.parse(String((await house.admin('/v1/explain', { url: at('/x'), method: 'POST', try: true })).body)), { status: 400, errors: [{ path: 'method' }] })
  t.equal(house.origin.requests.length, count)
  t.match(house.log.filter(({ msg }) => msg === 'audit'), [{ action: 'try', what: at('/x?y=1'), status: 200 }, {}, {}, { token: 'reader', action: 'try', status: 403 }, {
    status: 400,
  }])
})

t.test('a try ends with an error that says why: at an origin that fails, and at one that does not respond', async t => {
  const house = await startProxy(t, { host: 'api.example', origin: (_request, response) => void response.destroy() })
  const failed = await explain(house, '/x', { try: true })
  t.match(failed.tried, { error: 'ORIGIN_RESET', meaning: String })
  t.same(failed.steps.at(-1), { step: 'response', outcome: 'no', value: 'ORIGIN_RESET' })
  const silent = await startOrigin(() => undefined)
  const clock = manualClock()
  const origins = originsOf({ servers: [silent.url] }, clock)
  t.teardown(async () => {
    await origins.close()
    await silent.close()
  })
  const client = { address: '127.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: false, requestId: 'x' } as const
  const routes = compileRoutes(resolveConfig({ origins: { api: { servers: [silent.url] } }, routes: [{ match: {}, origin: 'api' }] }))
  const asked = routeRequest(routes, { method: 'GET', url: '/', rawHeaders: ['Host', 'h'] }, client, 'springhouse')
  if (typeof asked === 'string') throw new Error(asked)
  t.match(await tryAtOrigin({ origins, clock, timeoutMs: 1 }, asked, undefined), { error: 'ORIGIN_TIMEOUT' })
})
