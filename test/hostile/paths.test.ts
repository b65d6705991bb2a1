// A path that is spelt in another way leads to nothing that its own route would not have given.
import { connect } from 'node:http2'
import t from 'tap'
import { ask, rawRequest } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

// It names its visitor, and says nothing about caching that would protect him.
const personal: OriginHandler = (request, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end(`page of ${request.headers.cookie ?? 'nobody'}`)
}

type Setting = Readonly<Record<string, unknown>>
const lax: Setting = { cookies: 'ignore' }

function guarded(t: Parameters<typeof startProxy>[0], path: string, cache: Setting): Promise<TestProxy> {
  return startProxy(t, { origin: personal, config: { routes: [{ match: { path }, origin: 'api', cache }, { match: {}, origin: 'api', cache: lax }] } })
}

const spellings: readonly string[] = [
  '/account',
  '/%61ccount',
  '/a%63count',
  '/%61%63%63%6f%75%6e%74',
  '/%61%63%63%6F%75%6E%74',
  '/account;x=1',
  '/account;jsessionid=1',
  '/account%20',
  '/account%00',
  '/account%3fx',
  '/account%23x',
  '/account.',
  '//account',
  '///account',
  '//h/account',
  '/./account',
  '/%2e/account',
  '/.;x/account',
  '/;x/account',
  '/;/account',
  '/account/.',
  '/account//',
  '/account%2f',
  '/account%5c',
  '/account\\x',
  '/\\account',
  '/%5caccount',
  '/%5Caccount',
  '/%2faccount',
  '/%2Faccount',
  '/%2561ccount',
  '/%25%36%31ccount',
  '/%2525%36%31ccount',
  '/%%361ccount',
  '/x/%252e%252e/account',
  '/Account',
  '/%41ccount',
  '/ACCOUNT',
  '/acc%00ount',
  '/%09/account',
  '/%EF%BD%81ccount',
  '/%u0061ccount',
  '/%c1%a1ccount',
  '/%2e%252e/account',
]

// Fails without matchRoute's normal form (`/%61ccount`) and its plainest forms (the others).
for (const [guard, cache] of [['uncached', { mode: 'bypass' }], ['for its asker alone', { cookies: 'private' }]] as const) {
  t.test(`a page that is ${guard} is given to no stranger, however its path is spelt`, async t => {
    const house = await guarded(t, '/account', cache)
    for (const path of spellings) {
      const victim = await house.get(path, { Cookie: 'victim' })
      if (victim.status !== 400) t.equal(String(victim.body), 'page of victim', `${path} is answered`)
      t.equal(house.origin.requests.filter(({ target }) => target === path).length, victim.status === 400 ? 0 : 1, `${path} arrives byte for byte, or not at all`)
      for (const stranger of [await house.get(path), await house.get(path, {}, { method: 'HEAD' }), await house.get(path, { Range: 'bytes=0-3' })]) {
        t.notMatch(String(stranger.body), /victim/, path)
      }
    }
  })
}

t.test('the same for a configuration that spells its path in another way', async t => {
  for (const [configured, path] of [['/%61ccount', '/account'], ['/caf\u00e9', '/caf%C3%A9'], ['/caf\u00e9', '/caf%c3%a9'], ['/caf%c3%a9', '/caf%C3%A9'], ['/./account',
    '/account'], ['/ACCOUNT', '/account'], ['/a%2Fb', '/a/./b'], ['/a;v=1', '/a;v=1/x']] as const) {
    const house = await guarded(t, configured, { cookies: 'private' })
    await house.get(path, { Cookie: 'victim' })
    t.equal(String((await house.get(path)).body), 'page of nobody', `${configured} guards ${path}`)
  }
})

t.test('a path that leads out of a shared route at some origins is not shared', async t => {
  const house = await startProxy(t, { origin: personal,
    config: { routes: [{ match: { path: '/public/' }, origin: 'api', cache: lax }, { match: {}, origin: 'api', cache: { cookies: 'private' } }] } })
  for (const path of ['/%70ublic/x', '/./public/x', '/public/%252e%252e/account', '/Public/x', '/public%2fx', '/public;x/y']) {
    await house.get(path, { Cookie: 'victim' })
    t.equal(String((await house.get(path)).body), 'page of nobody', path)
  }
  await house.get('/public/a%2fb', { Cookie: 'someone' })
  t.equal(detail(await house.get('/public/a%2fb')), 'fresh', 'an odd path that stays within its route is cached')
})

t.test('the reason is in Cache-Status, and explained', async t => {
  const house = await guarded(t, '/account', { mode: 'bypass' })
  const host = `127.0.0.1:${house.port}`
  t.equal((await house.get('//account')).header('cache-status'), 'springhouse; fwd=bypass; detail=ambiguous-path')
  t.equal(detail(await house.get('/%61ccount')), 'route-uncached')
  t.match(JSON.parse(String((await house.admin('/v1/explain', { url: `http://${host}//account` })).body)), { decision: { action: 'pass', reason: 'ambiguous-path' }, variants: [] })
})

t.test('the response to a POST is not stored for a path that is ambiguous', async t => {
  const posted: OriginHandler = (request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Content-Location': request.url as string }).end(`${request.method} of ${request.headers.cookie ?? 'nobody'}`)
  }
  const house = await startProxy(t, { origin: posted,
    config: { routes: [{ match: { path: '/account' }, origin: 'api', cache: { mode: 'bypass' } }, { match: {}, origin: 'api', cache: lax }] } })
  for (const path of ['/%61ccount', '//account', '/Account']) {
    await house.get(path, { Cookie: 'victim' }, { method: 'POST' })
    t.equal(String((await house.get(path)).body), 'GET of nobody', path)
  }
})

t.test('a host with the dot of its root is guarded as the host without it', async t => {
  const house = await startProxy(t, {
    origin: personal,
    config: { routes: [{ match: { host: 'a.example', path: '/account' }, origin: 'api', cache: { mode: 'bypass' } }, { match: {}, origin: 'api', cache: lax }] },
  })
  for (const host of ['a.example', 'A.example', 'a.example.', 'a.example.:80', 'a.example:8080']) {
    await house.get('/account', { Host: host, Cookie: 'victim' })
    t.equal(String((await house.get('/account', { Host: host })).body), 'page of nobody', host)
  }
})

// Fails without the parameters in `climbs`.
t.test('.. is refused in every spelling that an origin decodes once', async t => {
  const house = await guarded(t, '/account', { mode: 'bypass' })
  for (const path of ['/x/../account', '/x/%2e%2e/account', '/x/.%2E/account', '/x%2f..%2faccount', '/x%5c..%5caccount', '/x\\..\\account', '/x/..;a=b/account',
    '/x/%2e%2e%3ba=b/account', '/account%2f..', '/..;/account']) {
    t.equal((await ask(house.port, { path })).status, 400, path)
  }
  t.match(await rawRequest(house.port, 'GET http://h/x/..;a/account HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /)
  for (const path of ['/static/..;/account', '/%2e%2e;/account', '/static/..;v=1/account', '/static/.%2e%3Bv=1/account', '/static/..;', '/static/..;%2faccount'])
    t.equal((await ask(house.port, { path })).status, 400, path)
  t.equal(house.origin.requests.length, 0)
  for (const path of ['/a..b', '/..a', '/a?b=../c', '/a?/..;/']) t.equal((await ask(house.port, { path })).status, 200, path)
})

t.test('a purge reaches every spelling that RFC 3986 takes for the same URL', async t => {
  const house = await startProxy(t, { origin: personal, cache: lax })
  const spelt = ['/%61ccount', '/account', '/./account', '/%2e/a%63count']
  const hits = async (): Promise<string[]> => (await Promise.all(spelt.map(async path => detail(await house.get(path)) === 'fresh' ? path : ''))).filter(path => path !== '')
  for (const body of [{ urls: ['/account'] }, { urls: ['/%61ccount'] }, { urls: [`http://127.0.0.1:${house.port}/x/../account`] }, { prefixes: ['/acc'] }, {
    prefixes: ['/%61c'],
  }]) {
    await hits()
    t.same(await hits(), spelt)
    await house.purge(body)
    t.same(await hits(), [], JSON.stringify(body))
  }
  await hits()
  await house.get('/a%63count', {}, { method: 'POST' })
  t.same(await hits(), [], 'and so does what an unsafe request changes')
  for (const body of [{ urls: ['//account', '/Account', '/account;x'] }, { prefixes: ['//', '/%2561'] }]) await house.purge(body)
  t.same(await hits(), spelt, 'another URL is not touched')
  const { entries } = JSON.parse(String((await house.admin('/v1/entries?prefix=/%2561c')).body)) as { entries: { url: string }[] }
  t.same(entries.map(({ url }) => url), spelt.map(() => `http://127.0.0.1:${house.port}/account`), 'they are listed as that URL')
})

// Fails without `validateRequest` for HTTP/2, and without `endOfHost` and the final dot in matchRoute.
t.test('the same over HTTP/2: dot segments with parameters, and hosts in any spelling', async t => {
  const house = await startProxy(t, {
    origin: personal,
    config: { proxy: { host: '127.0.0.1', port: 0, h2c: true }, routes: [{ match: { host: 'A.example.', path: '/account' }, origin: 'api', cache: { mode: 'bypass' } }] },
  })
  const session = connect(`http://127.0.0.1:${house.port}`)
  t.teardown(() => session.destroy())
  const status = (path: string, authority: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      session.request({ ':path': path, ':authority': authority }).on('response', fields => resolve(fields[':status'])).on('error', reject).end()
    })
  for (const path of ['/account/..;/x', '/account/%2e%2e;/x', '/account/..;v=1', '/account/..']) t.equal(await status(path, 'a.example'), 400, path)
  for (const host of ['a.example', 'A.EXAMPLE', 'a.example.', 'A.example.:8080', 'a.example:443']) t.equal(await status('/account/x', host), 200, host)
  t.equal(await status('/accounts', 'a.example'), 404)
  t.equal(await status('/account', 'b.a.example'), 404)
})
