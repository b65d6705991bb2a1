// Bearer tokens of identity providers over a proxy: what is accepted, what is shared, and what origins receive.
import { Buffer } from 'node:buffer'
import t from 'tap'
import { ask, type Answer } from '../support/client.ts'
import { detail, startProxy } from '../support/proxy.ts'
import { encoded, hmacToken, providerKey, publicJwk, signToken, startIdentityProvider } from './identity-provider.ts'
import { obedient, problem, seen, streaming, Visitor, type Claims } from './support.ts'

const rsa = providerKey('RS256', 'rsa')
const ec = providerKey('ES256', 'ec')
const ed = providerKey('EdDSA', 'ed')
const other = providerKey('RS256', 'rsa')
const idp = await startIdentityProvider(rsa, ec, ed)
const second = await startIdentityProvider(providerKey('ES256', 'two'))
const partner = providerKey('ES256', 'two')
second.publish(partner)
t.teardown(() => Promise.all([idp.close(), second.close()]))

const answer = obedient()
const house = await startProxy(t, {
  origin: (request, response, recorded) => (request.url === '/events' ? streaming : answer)(request, response, recorded),
  config: {
    proxy: { host: '127.0.0.1', port: 0, maxHeaderBytes: '64KiB' },
    sessions: { enabled: true, headers: { 'x-user': 'user', 'x-tenant': 'tenant' } },
    auth: { jwt: [
      { name: 'idp', issuer: 'https://idp.example/', audience: ['api', 'web'], jwks: idp.url, claims: { tenant: 'org_id', roles: '/realm_access/roles' } },
      { name: 'partner', issuer: 'https://partner.example/', audience: ['api'], jwks: second.url, algorithms: ['ES256'], claims: { tenant: 'org_id', user: 'email' } },
    ] },
    routes: [
      { match: { path: '/off/' }, origin: 'api', identity: { sources: [] } },
      { match: { path: '/users/' }, origin: 'api', identity: { sources: ['idp'], required: true } },
      { match: { path: '/tenant/' }, origin: 'api', key: { facets: ['tenant', 'roles'] }, identity: { sources: ['session', 'idp', 'partner'] } },
      { match: { path: '/user/' }, origin: 'api', key: { facets: ['user'] }, identity: { sources: ['idp', 'partner'] } },
      { match: { path: '/plain/' }, origin: 'api', key: { facets: ['org_id'] }, identity: { sources: ['idp'] } },
      { match: { path: '/all/' }, origin: 'api', key: { facets: ['tenant'] }, identity: { sources: ['idp'], forward: 'all' } },
      { match: { path: '/sessions/' }, origin: 'api' },
      { match: {}, origin: 'api', identity: { sources: ['session', 'idp'] } },
    ],
  },
})

const seconds = (): number => Math.floor(house.clock.now() / 1000)
const claims = (more: object = {}): Record<string, unknown> => ({ iss: 'https://idp.example/', aud: 'api', sub: 'ann', exp: seconds() + 3600, org_id: 'acme', ...more })
const token = (more: object = {}, key = rsa): string => signToken(key, claims(more))
const bearer = (text: string): Record<string, string> => ({ Authorization: `Bearer ${text}` })
const get = (path: string, text: string, fields: Record<string, string> = {}): Promise<Answer> => house.get(path, { ...bearer(text), ...fields })
const told = (response: Answer): Claims | null => seen(response).claims

t.test('tokens of each algorithm identify their user, and origins receive the claims', async t => {
  for (const key of [rsa, ec, ed]) {
    const response = await get('/users/me', token({ auth_time: 5, realm_access: { roles: ['b', 'a'] } }, key))
    t.equal(detail(response), 'identity', key.alg)
    const field = told(response)
    t.match(field, { iss: 'springhouse', aud: 'api', from: 'idp', sub: 'ann', auth_time: 5, data: { tenant: 'acme', roles: ['b', 'a'] } })
    t.equal(Number(field?.['exp']) - Number(field?.['iat']), 60)
    t.notOk('sid' in (field ?? {}))
    t.match(seen(response).headers, { 'x-user': 'ann', 'x-tenant': 'acme', 'authorization': /^Bearer eyJ/ }, 'a response that is not shared may depend on all of it')
    t.equal(response.header('cache-control'), 'private, max-age=60')
  }
  t.match(told(await get('/user/x', signToken(partner, claims({ iss: 'https://partner.example/', email: 'ann@partner.example' })), { 'X-Cc': 'no-store' })), { from: 'partner',
    facets: { user: 'ann@partner.example' } })
})

t.test('a field of a token does not outlive it', async t => {
  const field = told(await get('/users/short', token({ exp: seconds() + 10 })))
  t.equal(Number(field?.['exp']) - seconds(), 40, 'exp and the leeway of 30 s')
})

// The guards: `Provider.verify` and `#check`, `decodeToken`, `readKeySet`. Without any of these a row gets a 200.
t.test('attacks and mistakes get 401 where a user is needed, and pass as they came, unshared, elsewhere', async t => {
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string
  const [head = '', body = '', signature = ''] = token().split('.')
  const rows: Record<string, string> = {
    'alg none': `${encoded({ alg: 'none', typ: 'JWT' })}.${body}.`,
    'alg none with a signature': `${encoded({ alg: 'none', kid: 'rsa' })}.${body}.${signature}`,
    'alg nOnE': `${encoded({ alg: 'nOnE' })}.${body}.`,
    'an HMAC by the public key in PEM': hmacToken(pem, claims(), { kid: 'rsa' }),
    'an HMAC by the public key as JWK': hmacToken(JSON.stringify(publicJwk(rsa)), claims(), { kid: 'rsa' }),
    'an HMAC by the modulus': hmacToken(Buffer.from(String(publicJwk(rsa)['n']), 'base64url'), claims(), { kid: 'rsa' }),
    'an algorithm that is not permitted': signToken({ ...rsa, alg: 'PS256' }, claims()),
    'a header that names another algorithm': signToken(rsa, claims(), { alg: 'ES256' }),
    'another key with the same id': signToken(other, claims()),
    'an unknown key id': signToken(other, claims(), { kid: 'unknown' }),
    'a key id that is a path': signToken(other, claims(), { kid: '../../../../dev/null' }),
    'a key id that is an injection': signToken(other, claims(), { kid: `x' UNION SELECT 'key` }),
    'a key id that is __proto__': signToken(other, claims(), { kid: '__proto__' }),
    'a key id that is no text': signToken(rsa, claims(), { kid: 1 }),
    'a key id that is a list': signToken(rsa, claims(), { kid: ['rsa'] }),
    'no key id, and a foreign key': signToken(other, claims(), { kid: undefined }),
    'an embedded key': signToken(other, claims(), { kid: undefined, jwk: publicJwk(other) }),
    'an embedded key under a known id': signToken(other, claims(), { jwk: publicJwk(other) }),
    'a key set of the attacker': signToken(other, claims(), { jku: second.url }),
    'a certificate of the attacker': signToken(other, claims(), { x5u: second.url, x5c: ['AAAA'] }),
    'a critical extension': signToken(rsa, claims(), { crit: ['exp'], exp: 1 }),
    'an empty critical extension': signToken(rsa, claims(), { crit: [] }),
    'an unencoded payload': signToken(rsa, claims(), { crit: ['b64'], b64: false }),
    'an expired token': token({ exp: seconds() - 31 }),
    'a token without an end': token({ exp: undefined }),
    'an end that is a text': token({ exp: String(seconds() + 3600) }),
    'a token of tomorrow': token({ nbf: seconds() + 86_400 }),
    'another issuer': token({ iss: 'https://idp.example' }),
    'an issuer in a list': token({ iss: ['https://idp.example/'] }),
    'no issuer': token({ iss: undefined }),
    'another audience': token({ aud: 'other' }),
    'an audience of others': token({ aud: ['other', 'apix'] }),
    'no audience': token({ aud: undefined }),
    'a foreign provider': signToken(partner, claims({ iss: 'https://partner.example/' })),
    'a claim twice': signToken(rsa, `{"iss":"https://idp.example/","aud":"api","sub":"ann","sub":"root","exp":${seconds() + 60}}`),
    'a header member twice': `${Buffer.from('{"alg":"none","alg":"RS256","kid":"rsa"}').toString('base64url')}.${body}.${signature}`,
    'claims that are a list': signToken(rsa, '[1]'),
    'claims that are no JSON': signToken(rsa, 'hello'),
    'claims in other bytes': `${head}.${encoded(claims({ sub: 'root' }))}.${signature}`,
    'an encrypted token': `${head}.${body}.${body}.${body}.${signature}`,
    'two parts': `${head}.${body}`,
    'no signature': `${head}.${body}.`,
    'a cut signature': `${head}.${body}.${signature.slice(0, -4)}`,
    'padding in a part': `${head}=.${body}.${signature}`,
    'no token at all': 'abc',
    'two tokens in one field': `${token()} ${token()}`,
    'a list of tokens': `${token()}, Bearer ${token()}`,
  }
  for (const [name, text] of Object.entries(rows)) {
    const refused = await get('/users/me', text)
    t.equal(problem(refused), '401 TOKEN_INVALID', name)
    t.equal(refused.header('www-authenticate'), 'Bearer error="invalid_token"', name)
    const passed = await get('/page', text)
    t.equal(detail(passed), 'unverified', `${name}: passed`)
    t.match(seen(passed), { claims: null, headers: { authorization: `Bearer ${text}` } })
  }
  const long = token({ padding: 'x'.repeat(12_500) })
  t.equal(problem(await get('/users/me', long)), '401 TOKEN_INVALID', 'a token of more than 16,384 characters')
  t.equal((await get('/users/me', token({ padding: 'x'.repeat(3000) }))).status, 200)
  t.equal((await get('/users/me', token({ exp: seconds() - 29 }))).status, 200, 'the clocks may differ by the leeway')
  t.equal((await get('/users/me', token({ nbf: seconds() + 29 }))).status, 200)
  t.equal((await get('/users/me', signToken(rsa, claims(), { jku: 'https://attacker.example/', x5u: 'https://attacker.example/', jwk: publicJwk(other) }))).status, 200,
    'a good signature: what the header points to is not read')
})

t.test('no credential, another scheme, and a token without a user', async t => {
  const none = await house.get('/users/me')
  t.equal(problem(none), '401 SESSION_REQUIRED')
  t.equal(none.header('www-authenticate'), 'Bearer', 'RFC 6750 §3.1: no error code for a request without a token')
  for (const value of ['Basic YTpi', `DPoP ${token()}`, 'Bearer', 'Bearer ', `Bearer, ${token()}`]) {
    t.equal(problem(await house.get('/users/me', { Authorization: value })), '401 SESSION_REQUIRED', value.slice(0, 12))
    t.equal(detail(await house.get('/plain/x', { Authorization: value })), 'unverified')
  }
  t.equal((await house.get('/users/me', { Authorization: `bEARER   ${token()}` })).status, 200, 'RFC 9110 §11.1: in any case')
  t.equal(problem(await get('/users/me', token({ sub: undefined }))), '401 SESSION_REQUIRED')
  t.equal(problem(await get('/users/me', token({ sub: 7 }))), '401 SESSION_REQUIRED')
  t.equal((await house.get('/users/me', { Origin: 'https://a.example', 'Access-Control-Request-Method': 'GET' }, { method: 'OPTIONS' })).status, 200, 'a preflight passes')
})

// The guards: the key's facets; `isBlind` in ByToken.#settle; the source in the key.
t.test('facets: equal ones share a blind response, others never, and neither do other sources', async t => {
  const [ann, bob] = [token({ realm_access: { roles: ['x', 'y'] } }), token({ sub: 'bob', realm_access: { roles: ['y', 'x'] } }, ec)]
  const first = await get('/tenant/page', ann)
  t.equal(detail(first), 'uri-miss')
  const { headers, claims: field } = seen(first)
  t.match(field, { from: 'idp', facets: { tenant: 'acme', roles: ['x', 'y'] } })
  t.same(Object.keys(field ?? {}).sort(), ['aud', 'exp', 'facets', 'from', 'iat', 'iss'], 'nothing else is told')
  t.notOk('authorization' in headers)
  t.notOk('x-user' in headers)
  t.equal(headers['x-tenant'], 'acme')
  t.equal(detail(await get('/tenant/page', bob)), 'fresh', 'shared by tenant and roles')
  t.equal(detail(await get('/tenant/page', token({ realm_access: { roles: ['x'] } }))), 'uri-miss')
  t.equal(detail(await get('/tenant/page', token({ org_id: 'other', realm_access: { roles: ['x', 'y'] } }))), 'uri-miss')
  t.equal(detail(await get('/tenant/page', signToken(partner, claims({ iss: 'https://partner.example/', roles: ['x', 'y'] })))), 'uri-miss', 'the same values of another source')
  t.equal(detail(await house.get('/tenant/page')), 'uri-miss', 'a visitor shares with visitors')
  const visitor = new Visitor(house.port)
  await visitor.do({ login: 'ann', data: { tenant: 'acme', roles: ['x', 'y'] } })
  t.equal(detail(await visitor.send('/tenant/page')), 'uri-miss', 'a session with the same values')
  t.equal(detail(await get('/plain/page', ann)), 'uri-miss')
  t.equal(detail(await get('/plain/page', bob)), 'fresh', 'a facet is the claim of its name')
  t.equal(detail(await get('/user/page', ann)), 'uri-miss')
  t.equal(detail(await get('/user/page', bob)), 'uri-miss', 'the user is a facet')
  t.equal(detail(await get('/user/page', token({ exp: seconds() + 60 }))), 'fresh', 'whichever token the user has')
  t.match(told(await house.get('/tenant/page', bearer(ann), { method: 'POST', body: 'x' })), { sub: 'ann', data: { tenant: 'acme' } }, 'unsafe methods are told everything')
})

t.test('values differ by type and text: numbers beyond 2^53, and what fits no key', async t => {
  const big = (n: string): string => signToken(rsa, JSON.stringify(claims()).replace('"acme"', n))
  t.equal(detail(await get('/plain/big', big('9007199254740993'))), 'uri-miss')
  t.equal(detail(await get('/plain/big', big('9007199254740992'))), 'uri-miss', 'a parser would round both to one')
  t.equal(detail(await get('/plain/big', big('"9007199254740992"'))), 'uri-miss')
  t.equal(detail(await get('/plain/big', big('9007199254740993'))), 'fresh')
  const unfit = await get('/plain/big', token({ org_id: { a: 1 } }))
  t.equal(detail(unfit), 'facet')
  t.match(told(unfit), { facets: { org_id: { a: 1 } } })
  t.notOk('authorization' in seen(unfit).headers, 'blind all the same')
})

t.test('forward: all shares only what the origin permits, and the origin receives everything', async t => {
  const [ann, bob] = [token(), token({ sub: 'bob' })]
  t.match(told(await get('/all/page', ann, { 'X-Cc': 'max-age=60' })), { sub: 'ann' })
  t.equal(detail(await get('/all/page', bob)), 'authorization', 'RFC 9111 §3.5')
  await get('/all/open', ann, { 'X-Cc': 'public, max-age=60' })
  t.equal(detail(await get('/all/open', bob)), 'fresh')
})

// The guard: `isBound` in senderOf and in ByToken.#settle.
t.test('a token that needs a proof is passed on, and never served from the cache', async t => {
  const bound = token({ cnf: { jkt: 'abc' } })
  await get('/tenant/bound', token())
  for (let i = 0; i < 2; i++) {
    const passed = await get('/tenant/bound', bound, { DPoP: 'proof' })
    t.equal(detail(passed), 'unverified')
    t.match(seen(passed), { claims: null, headers: { authorization: `Bearer ${bound}`, dpop: 'proof', 'x-user': undefined } })
  }
  t.equal((await get('/users/me', bound)).status, 200, 'the origin checks the proof')
})

// The guards: `ambiguous` and `duplicate` in ByToken.#present.
t.test('a session and a token, or two tokens, are nobody', async t => {
  const visitor = new Visitor(house.port)
  await visitor.do({ login: 'zoe' })
  for (const path of ['/page', '/tenant/page']) {
    const both = await visitor.send(path, bearer(token()))
    t.equal(detail(both), 'identity')
    t.match(seen(both), { claims: null, headers: { authorization: undefined, cookie: undefined } })
  }
  t.match(await visitor.claims('/sessions/who'), { sub: 'zoe' })
  const cookieOnTokenRoute = seen(await visitor.send('/user/who', { 'X-Cc': 'no-store' }))
  t.match(cookieOnTokenRoute, { claims: null, headers: { cookie: undefined } }, 'a session means nothing on a route without sessions')
  for (const path of ['/page', '/users/me']) {
    const twice = await ask(house.port, { path, headers: ['Authorization', `Bearer ${token()}`, 'Authorization', `Bearer ${token({ sub: 'root' })}`] })
    if (path === '/page') t.match(seen(twice), { claims: null, headers: { authorization: undefined } })
    else t.equal(problem(twice), '401 TOKEN_INVALID')
  }
})

t.test('an instruction in the response to a token: no session changes but a log-in', async t => {
  const post = (instruction: object, path = '/do'): Promise<Answer> => house.get(path, { ...bearer(token()), 'X-Do': JSON.stringify(instruction) }, { method: 'POST', body: 'x' })
  t.equal(problem(await post({ data: { a: 1 } })), '502 SESSION_INSTRUCTION_INVALID')
  t.equal(problem(await post({ logout: true })), '502 SESSION_INSTRUCTION_INVALID')
  t.equal(problem(await post({ login: 'ann' }, '/user/do')), '502 SESSION_INSTRUCTION_INVALID', 'a route without sessions')
  t.equal(problem(await get('/tenant/do', token(), { 'X-Do': '{"login":"ann"}' })), '502 SESSION_INSTRUCTION_INVALID', 'a response that is shared')
  const exchanged = await post({ login: 'ann', data: { tenant: 'acme' } })
  t.equal(exchanged.status, 200)
  const cookie = exchanged.header('set-cookie')?.split(';')[0] ?? ''
  t.match(await new Visitor(house.port, cookie).claims(), { from: 'session', sub: 'ann' })
  t.equal(exchanged.header('cache-control'), 'no-store')
  t.equal(exchanged.header('springhouse-session-set'), undefined)
})

t.test('cross-site requests: a token is no browser’s own, a cookie beside it is', async t => {
  const from = { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' }
  const options = { method: 'POST', body: 'x' }
  t.equal((await house.get('/do', { ...bearer(token()), ...from }, options)).status, 200)
  t.equal(problem(await house.get('/do', from, options)), '403 CSRF_REFUSED')
  t.equal(problem(await house.get('/do', { Authorization: 'Basic YTpi', ...from }, options)), '403 CSRF_REFUSED', 'browsers add Basic by themselves')
  t.equal((await house.get('/user/do', from, options)).status, 200, 'a route without sessions is not judged')
})

t.test('caches in front: visitors vary by Authorization, and the rest is private', async t => {
  t.equal((await house.get('/user/front')).header('vary'), 'Authorization')
  t.equal((await get('/user/front', token())).header('cache-control'), 'private, max-age=60')
  t.equal((await get('/user/front', token(), { 'X-Cc': 'public, s-maxage=9' })).header('cache-control'), 'private, max-age=60', 'the second is a hit')
  t.equal((await get('/off/front', token())).header('vary'), undefined)
})

// The guard: `isFresh` in Tokens.
t.test('a token that was verified counts until it ends, and a purge reaches what it shares', async t => {
  const short = token({ exp: seconds() + 100, org_id: 'short' })
  await get('/tenant/short', short)
  t.equal(detail(await get('/tenant/short', short)), 'fresh')
  house.clock.advance(20_000)
  t.equal(detail(await get('/tenant/short', short)), 'fresh')
  t.equal((await house.purge({ urls: [`http://127.0.0.1:${house.port}/tenant/short`] })).status, 200)
  t.equal(detail(await get('/tenant/short', short)), 'uri-miss')
  house.clock.advance(111_000)
  t.equal(problem(await get('/users/me', short)), '401 TOKEN_INVALID')
  t.equal(detail(await get('/tenant/short', short)), 'unverified')
})

// The guard: `cutAt`.
t.test('an event stream is closed when its token ends', async t => {
  const controller = new AbortController()
  const stream = await fetch(`http://127.0.0.1:${house.port}/events`, { headers: bearer(token({ exp: seconds() - 29.95 })), signal: controller.signal })
  const reader = stream.body?.getReader()
  await reader?.read()
  house.clock.advance(1000)
  await t.rejects(async () => {
    for (;;) if ((await reader?.read())?.done === true) return
  }, 'cut, not ended')
  controller.abort()
})

t.test('metrics count, and explain and the key set work', async t => {
  const metrics = (await house.admin('/metrics')).body.toString()
  for (const outcome of ['verified', 'known', 'malformed', 'algorithm', 'critical', 'key', 'signature', 'issuer', 'audience', 'expired', 'not-yet-valid']) {
    t.match(metrics, new RegExp(`springhouse_jwt_verifications_total{outcome="${outcome}"} [1-9]`), outcome)
  }
  t.match(metrics, /springhouse_jwks_fetches_total{outcome="fetched"} [1-9]/)
  t.match(metrics, /springhouse_session_streams_cut_total 1\n/)
  await get('/user/page', token({ sub: 'bob' }))
  const explained = JSON.parse((await house.admin('/v1/explain', { url: `http://127.0.0.1:${house.port}/user/page`, facets: { user: 'bob' } })).body.toString()) as Record<string,
    unknown>
  t.match(explained, { decision: { action: 'serve' } })
  const parts = explained['keyParts'] as { readonly part: string }[]
  t.match(parts.find(({ part }) => part === 'user'), { value: 'bob', source: 'idp' }, JSON.stringify(parts))
})
