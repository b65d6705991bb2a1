// Sessions over a proxy, with the embedded store: from the first field to the last log-out.
import { webcrypto } from 'node:crypto'
import t from 'tap'
import { ask } from '../support/client.ts'
import { detail, startProxy } from '../support/proxy.ts'
import { obedient, problem, seen, Visitor } from './support.ts'

const house = await startProxy(t, {
  origin: obedient(),
  config: {
    sessions: { enabled: true, headers: { 'x-user': 'user', 'x-tenant': 'tenant' }, csrf: { trustedOrigins: ['https://app.example'] } },
    routes: [
      { match: { path: '/off/' }, origin: 'api', identity: { sources: [] } },
      { match: { path: '/users/' }, origin: 'api', identity: { required: true } },
      { match: { path: '/oauth/' }, origin: 'api', identity: { login: 'any' } },
      { match: { path: '/never/' }, origin: 'api', identity: { login: 'never' } },
      { match: { path: '/realm/' }, origin: 'api', identity: { realm: 'another' } },
      { match: {}, origin: 'api' },
    ],
  },
})
const visitor = (cookie?: string): Visitor => new Visitor(house.port, cookie)

t.test('a visitor costs nothing: no cookie, no field, and shared responses', async t => {
  const one = visitor()
  const first = await one.send('/page')
  t.equal(seen(first).claims, null)
  t.equal(one.cookie, undefined)
  t.equal(detail(await visitor().send('/page')), 'fresh')
  t.match(first.header('vary'), /Cookie, Authorization/)
  t.match(first.header('cache-control'), 'max-age=60')
})

t.test('a basket, a log-in, another change, and a log-out', async t => {
  const one = visitor()
  const begun = await one.do('{"data":{"basket":[1],"n":9007199254740993}}')
  t.match(one.setCookie, /^__Host-session=shs1[\w-]{65}; Path=\/; HttpOnly; SameSite=Lax; Secure$/)
  t.equal(begun.header('cache-control'), 'no-store')
  t.equal(begun.header('springhouse-session-set'), undefined)
  const anonymous = await one.claims()
  t.match(anonymous, { iss: 'springhouse', aud: 'api', ver: 1, data: { basket: [1] }, sub: undefined })
  const field = seen(await one.send('/who', { 'X-Cc': 'no-store' })).headers['springhouse-session']?.split('.')[1]
  t.match(Buffer.from(field ?? '', 'base64url').toString(), /"n":9007199254740993/, 'big integers stay as they are')
  const planted = one.cookie as string
  await one.do({ login: 'zoë', data: { tenant: 'é b' }, remember: true, label: 'phone' })
  t.match(one.setCookie, /; Max-Age=2592000$/)
  const claims = await one.claims()
  t.match(claims, { sub: 'zoë', data: { basket: [1], tenant: 'é b' }, ver: 2 })
  t.equal(typeof claims?.['auth_time'], 'number')
  t.equal(Number(claims?.['exp']) - Number(claims?.['iat']), 60)
  const { headers } = seen(await one.send('/who', { 'X-Cc': 'no-store', 'X-User': 'forged', X_Tenant: 'forged', Cookie: `a=b; ${one.cookie}; c=d` }))
  t.match(headers, { 'x-user': 'zo%C3%AB', 'x-tenant': '%C3%A9%20b', cookie: 'a=b; c=d' })
  t.notOk('x_tenant' in headers)
  t.equal(await visitor(planted).claims(), null, 'a planted session is not the logged-in one')
  t.equal((await one.do({ data: { tenant: null } })).header('set-cookie'), undefined, 'an ordinary answer sets no cookie')
  t.match(await one.claims(), { ver: 3, data: { tenant: undefined, basket: [1] } })
  await one.do({ logout: true })
  t.match(one.setCookie, /^__Host-session=; .*Max-Age=0$/)
  t.equal(await one.claims(), null)
})

t.test('an unknown, malformed or doubled credential is nobody, and its cookie is not taken back', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  const cookie = one.cookie as string
  const token = cookie.slice(cookie.indexOf('=') + 1)
  const another = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
  const unknown = [another, `shs1${'a'.repeat(65)}`, 'shs1', 'x', '', `"${token}"`, 'a'.repeat(5000)]
  for (const value of unknown) {
    const answer = await visitor(`__Host-session=${value}`).send('/who')
    t.equal(seen(answer).claims, null, value.slice(0, 20))
    t.equal(seen(answer).headers['cookie'], undefined)
    t.equal(answer.header('set-cookie'), undefined)
  }
  for (const twice of [`${cookie}; ${cookie}`, `${cookie}; __Host-session=x`, `__Host-session=; ${cookie}`]) {
    const answer = await visitor(twice).send('/who')
    t.equal(seen(answer).claims, null)
    t.equal(detail(answer), 'identity')
    t.match(answer.header('cache-control'), /private/)
  }
  const both = await one.send('/who', { Authorization: `Bearer ${token}` })
  t.equal(seen(both).claims, null)
  t.equal(seen(both).headers['authorization'], undefined)
  t.equal(seen(await visitor().send('/who2', { Authorization: `bearer  ${token}`, 'X-Cc': 'no-store' })).claims?.['sub'], 'ann', 'as a token')
  t.equal(seen(await visitor().send('/who2', { Authorization: 'Basic abc', 'X-Cc': 'no-store' })).headers['authorization'], 'Basic abc')
})

t.test('a token in place of a cookie', async t => {
  const one = visitor()
  const answer = await one.do({ login: 'ann', transport: 'token' })
  t.match(one.token, /^shs1/)
  t.equal(answer.header('set-cookie'), undefined)
  t.match(await one.claims(), { sub: 'ann' })
  await one.do({ logout: true })
  t.equal(await one.claims(), null)
  t.equal(problem(await one.send('/users/me')), '401 TOKEN_INVALID')
})

t.test('a route that requires a user', async t => {
  const one = visitor()
  const refused = await one.send('/users/me')
  t.equal(problem(refused), '401 SESSION_REQUIRED')
  t.equal(refused.header('www-authenticate'), 'Bearer')
  const preflight = await one.send('/users/me', { Origin: 'https://x.example', 'Access-Control-Request-Method': 'PUT' }, { method: 'OPTIONS' })
  t.equal(preflight.status, 200)
  await one.do({ data: { a: 1 } })
  t.equal(problem(await one.send('/users/me')), '401 SESSION_REQUIRED', 'an anonymous session has no user')
  await one.do({ login: 'ann' })
  t.equal((await one.send('/users/me')).status, 200)
})

t.test('a session is accepted in its own realm alone', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  t.equal(await one.claims('/realm/who'), null)
  t.match(await one.claims(), { sub: 'ann' })
})

t.test('instructions that are not allowed change nothing, and are a 502', async t => {
  const one = visitor()
  await one.do({ login: 'ann', data: { a: 1 } })
  for (const wrong of ['{', '[]', '{"x":1}', '{"data":{"a":1,"a":2}}', '{"logout":true,"data":{}}', `{"data":{"a":"${'x'.repeat(5000)}"}}`]) {
    t.equal(problem(await one.do(wrong)), '502 SESSION_INSTRUCTION_INVALID', wrong.slice(0, 30))
  }
  t.match(await one.claims(), { ver: 1, data: { a: 1 } })
  t.equal(problem(await one.do({ login: 'eve' }, '/never/')), '502 SESSION_INSTRUCTION_INVALID')
  t.equal(problem(await one.send('/login', { 'X-Do': '{"login":"eve"}' })), '502 SESSION_INSTRUCTION_INVALID', 'by GET')
  t.equal(problem(await visitor().send('/login', { 'X-Do': '{"login":"eve"}' })), '502 SESSION_INSTRUCTION_INVALID', 'a visitor by GET')
  t.equal(problem(await one.do({ data: { b: 1 } }, '/off/')), '502 SESSION_INSTRUCTION_INVALID')
  t.match(await one.claims(), { sub: 'ann', ver: 1 })
  const oauth = visitor()
  await oauth.send('/oauth/callback', { 'X-Do': '{"login":"eve"}' })
  t.match(await oauth.claims(), { sub: 'eve' })
})

t.test('a change is carried out whatever the status', async t => {
  const one = visitor()
  for (const status of ['201', '302', '404', '500', '503']) {
    await one.do({ data: { status } }, '/do', { 'X-Status': status })
    t.match(await one.claims(), { data: { status } })
  }
})

// The guard: Fill.onHead waits for the identity before it stores or sends anything.
t.test("an instruction in a cacheable response to a visitor's GET: carried out, never stored, never shared", async t => {
  const one = visitor()
  const first = await one.send('/landing', { 'X-Do': '{"data":{"seen":true}}' })
  t.equal(first.status, 200)
  t.match(one.setCookie, /^__Host-session=shs1/)
  t.equal(first.header('cache-control'), 'no-store')
  t.match(await one.claims(), { data: { seen: true } })
  const second = await visitor().send('/landing')
  t.equal(second.header('set-cookie'), undefined)
  t.notMatch(detail(second), /fresh/)
  const at500 = visitor()
  t.equal((await at500.send('/landing500', { 'X-Do': '{"data":{"seen":1}}', 'X-Status': '500' })).status, 500)
  t.match(await at500.claims(), { data: { seen: 1 } })
  const head = visitor()
  await head.send('/landing-by-head', { 'X-Do': '{"data":{"seen":2}}' }, { method: 'HEAD' })
  t.match(await head.claims(), { data: { seen: 2 } })
})

t.test('if and retry: a counter without a lost count, and a conflict without retry', async t => {
  const one = visitor()
  await one.do({ data: { n: 0 } })
  t.equal(problem(await one.do({ data: { n: 9 }, if: 7 })), '409 SESSION_CONFLICT')
  t.equal(problem(await visitor().do({ data: { n: 9 }, if: 7 })), '409 SESSION_CONFLICT', 'there is no session')
  await visitor().do({ data: { n: 9 }, if: 0 })
  const answers = await Promise.all(Array.from({ length: 4 }, () => one.send('/count', { 'X-Do': 'count' }, { method: 'POST', body: 'the same body' })))
  t.same(answers.map(({ status }) => status), [200, 200, 200, 200])
  t.ok(answers.every(answer => seen(answer).body === 'the same body'))
  t.match(await one.claims(), { data: { n: 4 } })
})

t.test('an old request writes nothing to a session that has ended, and takes no cookie back', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  const old = one.cookie as string
  await one.do({ login: 'ann' })
  t.not(one.cookie, old)
  t.equal(await visitor(old).claims(), null)
  const late = visitor(old)
  const answer = await late.do({ logout: true })
  t.equal(answer.header('set-cookie'), undefined)
  t.match(await one.claims(), { sub: 'ann' })
})

t.test('rotation', async t => {
  const one = visitor()
  await one.do({ login: 'ann', remember: true })
  const old = one.cookie as string
  await one.do({ rotate: true })
  t.match(one.setCookie, /Max-Age=25(?:92000|91999)$/)
  t.not(one.cookie, old)
  t.match(await visitor(old).claims(), { sub: 'ann' }, 'until the new one is used')
  t.match(await one.claims(), { sub: 'ann' })
  t.match(await visitor(old).claims(), { sub: 'ann' }, 'within the grace')
  house.clock.advance(11_000)
  t.equal(await visitor(old).claims(), null)
  t.equal(await one.claims(), null, 'its use ends the session')
})

t.test('log out everywhere', async t => {
  const [one, other] = [visitor(), visitor()]
  await one.do({ login: 'bob' })
  await other.do({ login: 'bob' })
  await one.do({ logout: 'others' })
  t.match(await one.claims(), { sub: 'bob' })
  t.equal(await other.claims(), null)
  await other.do({ login: 'bob' })
  await other.do({ logout: 'everywhere' })
  t.equal(await one.claims(), null)
  t.equal(await other.claims(), null)
})

t.test('sessions end: idle, and in the end however often they are used', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  house.clock.advance(26 * 60_000)
  t.match(await one.claims(), { sub: 'ann' })
  house.clock.advance(29 * 60_000)
  t.match(await one.claims(), { sub: 'ann' })
  house.clock.advance(31 * 60_000)
  t.equal(await one.claims(), null)
  const used = visitor()
  await used.do({ login: 'ann' })
  for (let i = 0; i < 28; i++) {
    house.clock.advance(25 * 60_000)
    t.match(await used.claims(), { sub: 'ann' })
  }
  house.clock.advance(25 * 60_000)
  t.equal(await used.claims(), null)
})

t.test('cross-site requests are refused before any backend is contacted', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  const own = `http://127.0.0.1:${house.port}`
  const post = async (fields: Readonly<Record<string, string>>, who = one): Promise<number> => (await who.send('/csrf', fields, { method: 'POST' })).status
  const before = house.origin.requests.length
  for (const who of [one, visitor()]) {
    t.equal(await post({ 'Sec-Fetch-Site': 'cross-site' }, who), 403)
    t.equal(await post({ 'Sec-Fetch-Site': 'same-site', Origin: own }, who), 403)
    t.equal(await post({ Origin: 'https://evil.example' }, who), 403)
    t.equal(await post({ Origin: 'null' }, who), 403)
    t.equal(await post({ Origin: `${own}.evil.example` }, who), 403)
  }
  t.equal(problem(await one.send('/csrf', { Origin: 'null' }, { method: 'POST' })), '403 CSRF_REFUSED')
  t.equal(house.origin.requests.length, before)
  t.equal(await post({ 'Sec-Fetch-Site': 'same-origin' }), 200)
  t.equal(await post({ 'Sec-Fetch-Site': 'none' }), 200)
  t.equal(await post({ Origin: own }), 200)
  t.equal(await post({ Origin: 'https://app.example', 'Sec-Fetch-Site': 'cross-site' }), 200, 'trusted')
  t.equal(await post({}), 200, 'no browser')
  t.equal((await one.send('/csrf', { 'Sec-Fetch-Site': 'cross-site' })).status, 200, 'a GET')
  t.equal((await one.send('/off/csrf', { 'Sec-Fetch-Site': 'cross-site' }, { method: 'POST' })).status, 200, 'a route without sessions')
  const api = visitor()
  await api.do({ login: 'ann', transport: 'token' })
  t.equal(await post({ Origin: 'https://evil.example' }, api), 200, 'by token alone')
  const handshake = ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version', '13']
  t.equal((await ask(house.port, { path: '/socket', headers: ['Cookie', one.cookie as string, 'Origin', 'https://evil.example', ...handshake] })).status, 403)
})

t.test('the public keys are on the proxy listener, and a signed field verifies', async t => {
  const answer = await ask(house.port, { path: '/.well-known/springhouse/jwks.json' })
  t.equal(answer.header('content-type'), 'application/jwk-set+json')
  t.match(answer.header('cache-control'), 'max-age=300')
  const { keys: [key] } = JSON.parse(answer.body.toString()) as { keys: (webcrypto.JsonWebKey & { kid: string })[] }
  const one = visitor()
  await one.do({ login: 'ann' })
  const [header = '', payload = '', signature = ''] = seen(await one.send('/who')).headers['springhouse-session']?.split('.') ?? []
  t.same(JSON.parse(Buffer.from(header, 'base64url').toString()), { alg: 'EdDSA', kid: key?.kid, typ: 'springhouse-session+jwt' })
  const imported = await webcrypto.subtle.importKey('jwk', { ...key, alg: undefined } as unknown as webcrypto.JsonWebKey, { name: 'Ed25519' }, false, ['verify'])
  t.equal(await webcrypto.subtle.verify({ name: 'Ed25519' }, imported, Buffer.from(signature, 'base64url'), Buffer.from(`${header}.${payload}`)), true)
  t.equal((await ask(house.port, { path: '/.well-known/springhouse/jwks.jsonx' })).header('content-type'), 'application/json', 'another path is the origin')
})

t.test('an origin cannot set the session cookie, nor a session by trailers', async t => {
  const answer = await visitor().send('/set', { 'X-Cookie': '__Host-session=planted; Path=/', 'X-Cc': 'no-store' })
  t.equal(answer.header('set-cookie'), undefined)
  t.equal((await visitor().send('/set2', { 'X-Cookie': 'other=fine', 'X-Cc': 'no-store' })).header('set-cookie'), 'other=fine')
})

t.test('a route without sources serves logged-in clients from the cache, and its origin learns nothing', async t => {
  const one = visitor()
  await one.do({ login: 'ann' })
  const first = await one.send('/off/page')
  t.equal(seen(first).claims, null)
  t.equal(seen(first).headers['cookie'], undefined)
  t.equal(detail(await one.send('/off/page')), 'fresh')
  t.equal(detail(await visitor().send('/off/page')), 'fresh')
})
