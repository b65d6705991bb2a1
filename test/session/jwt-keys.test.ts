// The keys of identity providers over time: read seldom, renewed in time, kept through an outage, and never from another place.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { keyPlace } from '../../src/session/jwt/key-place.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import type { Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { adminSettings, detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { encoded, providerKey, publicJwk, signToken, startIdentityProvider, type ProviderKey } from './identity-provider.ts'
import { obedient, problem, seen } from './support.ts'

const [one, two] = [providerKey('ES256', 'one'), providerKey('ES256', 'two')]
const origin = await startOrigin(obedient())
t.teardown(() => origin.close())

const minute = 60_000
const configWith = (jwks: string, more: object = {}): Record<string, unknown> => ({
  auth: { jwt: [{ name: 'idp', issuer: 'https://idp.example/', audience: ['api'], jwks, claims: { tenant: 'org_id' }, ...more }] },
  routes: [
    { match: { path: '/users/' }, origin: 'api', identity: { sources: ['idp'], required: true } },
    { match: { path: '/tenant/' }, origin: 'api', key: { facets: ['tenant'] }, identity: { sources: ['idp'] } },
    { match: {}, origin: 'api' },
  ],
})
const start = (jwks: string, more: object = {}): Promise<TestProxy<ManualClock>> => startProxy(t, { origin, config: configWith(jwks, more) })

const tokenOf = (key: ProviderKey, house: TestProxy<ManualClock>, header: Readonly<Record<string, unknown>> = {}, more: object = {}): string =>
  signToken(key, { iss: 'https://idp.example/', aud: 'api', sub: 'ann', org_id: 'acme', exp: Math.floor(house.clock.now() / 1000) + 7 * 86_400, ...more }, header)
const ask = (house: TestProxy<ManualClock>, text: string, path = '/users/me'): Promise<Answer> => house.get(path, { Authorization: `Bearer ${text}` })
const keyReads = async (house: TestProxy<ManualClock>, outcome: string): Promise<number> =>
  Number(new RegExp(`springhouse_jwks_fetches_total{outcome="${outcome}"} (\\d+)`).exec((await house.admin('/metrics')).body.toString())?.[1])

const faulty = (fault: string, message = /./): Error => Object.assign(new Error(), { name: 'KeySetError', fault, message }) as unknown as Error

t.test('tokens need no sessions: routes without sources, and visitors, notice nothing', async t => {
  const idp = await startIdentityProvider(one)
  t.teardown(() => idp.close())
  const house = await start(idp.url)
  t.equal(idp.fetches, 1, 'read at the start')
  t.equal((await ask(house, tokenOf(one, house))).status, 200)
  const cookie = `__Host-session=shs1${'a'.repeat(65)}`
  t.match(seen(await house.get('/page', { Cookie: cookie, Authorization: 'Bearer shs1x' })).headers, { cookie, authorization: 'Bearer shs1x' },
    'these mean nothing while sessions are off')
  t.match(seen(await house.get('/page', { 'Springhouse-Session': 'forged' })).claims, null)
  t.equal((await house.get('/page', { 'X-Do': '{"data":{"a":1}}' })).header('springhouse-session-set'), undefined)
  t.equal((await house.get('/.well-known/springhouse/jwks.json')).status, 200)
  t.equal((await house.admin('/v1/sessions?user=a')).status, 404)
  t.equal(idp.fetches, 1)
})

// The guard: `#triedMs` is stamped before the attempt.
t.test('invented key ids: one fetch in each cooldown, however many come', async t => {
  const idp = await startIdentityProvider(one)
  t.teardown(() => idp.close())
  const house = await start(idp.url)
  house.clock.advance(30_000)
  const flood = (): Promise<Answer[]> => Promise.all(Array.from({ length: 40 }, (_, i) => ask(house, tokenOf(two, house, { kid: `invented ${i} ${house.clock.now()}` }))))
  t.ok((await flood()).every(answer => problem(answer) === '401 TOKEN_INVALID'))
  t.equal(idp.fetches, 2)
  house.clock.advance(29_000)
  await flood()
  t.equal(idp.fetches, 2)
  idp.respond((_request, response) => response.writeHead(500).end())
  house.clock.advance(1000)
  await flood()
  t.equal(idp.fetches, 3, 'failures count')
  await flood()
  t.equal(idp.fetches, 3)
  t.equal((await ask(house, tokenOf(one, house))).status, 200)
})

// The guards: `renewed`; `revision` in Tokens.
t.test('a new key counts with its first token, and a removed key counts no longer', async t => {
  const idp = await startIdentityProvider(one)
  t.teardown(() => idp.close())
  const house = await start(idp.url)
  const old = tokenOf(one, house)
  t.equal((await ask(house, old)).status, 200)
  idp.publish(one, two)
  house.clock.advance(30_000)
  t.equal((await ask(house, tokenOf(two, house))).status, 200)
  idp.publish(two)
  t.equal((await ask(house, old)).status, 200, 'until the keys are read again')
  house.clock.advance(10 * minute)
  t.equal((await ask(house, old)).status, 200, 'this one starts the reading, and does not wait for it')
  await eventually(async () => (await ask(house, old)).status === 401)
  t.equal(idp.fetches, 3)
  house.clock.advance(60 * minute)
  idp.publish(one)
  t.equal((await ask(house, tokenOf(two, house, {}, { jti: 'new' }))).status, 401, 'keys that nobody needed for long are read before they count')
})

// The guards: `keepStaleMs` in ProviderKeys.current, `isValid` in Tokens; no redirect, and the bounds in key-place.
t.test('an outage of any kind: the keys are kept for keepStale, and then nothing is verified', async t => {
  const idp = await startIdentityProvider(one)
  const elsewhere = await startIdentityProvider(two)
  t.teardown(() => Promise.all([idp.close(), elsewhere.close()]))
  const house = await start(idp.url, { keepStale: '24h' })
  const token = tokenOf(one, house)
  await ask(house, token)
  const kinds: Record<string, readonly [string, (response: ServerResponse) => unknown]> = {
    'an error': ['status', response => response.writeHead(503).end()],
    'a redirect': ['status', response => response.writeHead(302, { Location: elsewhere.url }).end(JSON.stringify({ keys: [publicJwk(two)] }))],
    'a permanent redirect': ['status', response => response.writeHead(308, { Location: elsewhere.url }).end()],
    'a reset': ['unreachable', response => response.destroy()],
    'a page': ['invalid', response => response.writeHead(200).end('<html>')],
    'JSON without keys': ['invalid', response => response.writeHead(200).end('{"error":"x"}')],
    'keys that are no list': ['invalid', response => response.writeHead(200).end('{"keys":{"0":1,"length":1}}')],
    'too many keys': ['invalid', response => response.writeHead(200).end(JSON.stringify({ keys: Array.from({ length: 101 }, () => publicJwk(one)) }))],
    'a huge body': ['too-large', response => response.writeHead(200).end(JSON.stringify({ keys: [publicJwk(one)], x: 'x'.repeat(300_000) }))],
    'a body without an end': ['too-large', response => {
      response.writeHead(200)
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    }],
    'a cut body': ['unreachable', response => {
      response.writeHead(200, { 'Content-Length': '1000' }).write('{"keys":[')
      response.destroy()
    }],
  }
  for (const [kind, [outcome, respond]] of Object.entries(kinds)) {
    idp.respond((_request, response) => respond(response))
    house.clock.advance(10 * minute)
    const before = await keyReads(house, outcome)
    t.equal((await ask(house, token)).status, 200, kind)
    await eventually(async () => await keyReads(house, outcome) === before + 1)
    t.equal((await ask(house, tokenOf(one, house, {}, { jti: kind }))).status, 200, `${kind}: a token that was not seen before`)
    t.equal((await ask(house, tokenOf(two, house))).status, 401, `${kind}: a key from elsewhere`)
  }
  t.equal(elsewhere.fetches, 0, 'no redirect is followed')
  t.equal(house.log.filter(({ msg }) => msg.includes('could not be read')).length, 1, 'one line for an outage')
  house.clock.advance(25 * 60 * minute)
  const refused = await ask(house, token)
  t.equal(problem(refused), '503 SESSION_UNAVAILABLE')
  t.equal(refused.header('retry-after'), '1')
  const passed = await ask(house, token, '/tenant/page')
  t.equal(detail(passed), 'unverified')
  t.match(seen(passed), { claims: null, headers: { 'springhouse-session-unavailable': '?1', 'authorization': `Bearer ${token}` } })
  idp.publish(one)
  house.clock.advance(30_000)
  t.equal((await ask(house, token)).status, 200, 'back at once')
  t.equal(house.log.filter(({ msg }) => msg.includes('were read')).length, 1)
})

t.test('a provider that is out of reach at the start: 503 where a user is needed, until it is there', async t => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  const house = await start(`http://127.0.0.1:${port}/jwks.json`)
  t.equal(problem(await ask(house, tokenOf(one, house))), '503 SESSION_UNAVAILABLE')
  t.equal((await house.get('/tenant/page')).status, 200)
  t.match(house.log.find(({ msg }) => msg.includes('auth.jwt idp')), { level: 40, msg: /its tokens cannot be verified/ })
})

t.test('keys that must not count: secret, private, weak, huge, for encryption, for another algorithm, of no known kind', async t => {
  const idp = await startIdentityProvider()
  t.teardown(() => idp.close())
  const weak = providerKey('RS256', 'weak', 1024)
  const rsa = providerKey('RS256', 'rsa')
  const { kid: _kid, alg: _alg, ...bare } = publicJwk(rsa)
  const secret = { kty: 'oct', k: Buffer.from('a secret of at least thirty-two bytes').toString('base64url'), kid: 'secret', alg: 'HS256' }
  idp.publish({}, { kty: 'RSA', kid: 'empty' }, secret, { ...publicJwk(rsa), kid: 7 }, { ...publicJwk(rsa), kid: 'enc', use: 'enc' }, { ...publicJwk(rsa), kid: 'sign',
    key_ops: ['sign'] }, publicJwk(weak), { ...publicJwk(rsa), kid: 'pinned', alg: 'PS256' }, { ...publicJwk(rsa), kid: 'huge', n: Buffer.alloc(1025, 255).toString('base64url') },
    { ...publicJwk(rsa), kid: 'slow', e: Buffer.alloc(5, 255).toString('base64url') }, { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'bent' }, { kty: 'EC', crv: '__proto__',
    kid: 'proto' }, { kty: 'OKP', crv: 'X25519', x: 'AA', kid: 'exchange' }, { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'private', alg: 'RS256' }, bare)
  const house = await start(idp.url)
  for (const kid of ['enc', 'sign', 'pinned', 'huge', 'slow', 'empty', 'secret', 'bent', 'proto', 'exchange']) {
    t.equal(problem(await ask(house, tokenOf(rsa, house, { kid }))), '401 TOKEN_INVALID', kid)
    t.equal(problem(await ask(house, tokenOf(one, house, { kid }))), '401 TOKEN_INVALID', `${kid}, by another key`)
  }
  t.equal(problem(await ask(house, tokenOf(weak, house))), '401 TOKEN_INVALID', 'RFC 7518 §3.3: 2048 bits at least')
  t.equal((await ask(house, tokenOf(rsa, house, { kid: 'private' }))).status, 200, 'the public part of a private key that was published by mistake')
  t.equal((await ask(house, tokenOf(rsa, house, { kid: undefined }))).status, 200, 'no key id: the keys that fit are tried')
})

t.test('a key set without a usable key verifies nothing, and says so', async t => {
  const idp = await startIdentityProvider()
  t.teardown(() => idp.close())
  const house = await start(idp.url)
  t.equal(problem(await ask(house, tokenOf(one, house))), '401 TOKEN_INVALID')
  t.match(house.log.map(({ msg }) => msg).join('\n'), /has no key for its algorithms/)
})

t.test('keys in a file, which a reload reads again; providers wait for the next start', async t => {
  const folder = t.testdir({ 'jwks.json': JSON.stringify({ keys: [publicJwk(one)] }) })
  const file = `${folder}/jwks.json`
  const house = await start(file)
  t.equal((await ask(house, tokenOf(one, house))).status, 200)
  t.equal((await ask(house, tokenOf(two, house))).status, 401)
  writeFileSync(file, JSON.stringify({ keys: [publicJwk(two)] }))
  const next = (config: Record<string, unknown>) =>
    resolveConfig({ proxy: { host: '127.0.0.1', port: 0 }, admin: adminSettings, origins: { api: { servers: [origin.url] } }, ...config })
  await house.app.reload(next(configWith(file)))
  await eventually(async () => (await ask(house, tokenOf(two, house))).status === 200)
  t.equal((await ask(house, tokenOf(one, house))).status, 401)
  t.same(await house.app.reload(next(configWith(file, { audience: ['other'] }))), ['auth'])
  t.equal((await ask(house, tokenOf(two, house))).status, 200)
  const other = { ...configWith(file, { name: 'new' }), routes: [{ match: {}, origin: 'api', identity: { sources: ['new'], required: true } }] }
  await t.rejects(house.app.reload(next(other)), /identify requests by new, which is not there before the next start/)
})

t.test('a provider that hangs, one with a certificate that nobody knows, and a file that is not there', async t => {
  const idp = await startIdentityProvider()
  t.teardown(() => idp.close())
  const hung = keyPlace(idp.url, 50)
  idp.respond(() => undefined)
  await t.rejects(hung.read(), faulty('timeout'))
  idp.respond((_request, response) => void response.writeHead(200).write('{"keys":['))
  await t.rejects(hung.read(), faulty('timeout'), 'in the middle of the body')
  hung.close()
  const tls = createHttpsServer({ key: testKey, cert: testCertificate }, (_request, response) => response.end('{"keys":[]}')).listen(0, '127.0.0.1')
  await once(tls, 'listening')
  t.teardown(() => new Promise(resolve => tls.close(resolve)))
  const unknown = keyPlace(`https://127.0.0.1:${(tls.address() as AddressInfo).port}/`)
  await t.rejects(unknown.read(), faulty('unreachable', /SELF_SIGNED/))
  unknown.close()
  await t.rejects(keyPlace('/absent/jwks.json').read(), faulty('unreachable'))
  await t.rejects(keyPlace('/').read(), faulty('unreachable'))
})

t.test('a token of a size that clients may send costs no more than its bytes', async t => {
  const idp = await startIdentityProvider(one)
  t.teardown(() => idp.close())
  const house = await start(idp.url)
  const nested = `${'['.repeat(5000)}${']'.repeat(5000)}`
  const text = `${encoded({ alg: 'ES256', kid: 'one' })}.${Buffer.from(nested).toString('base64url')}.AAAA`
  t.equal(problem(await ask(house, text)), '401 TOKEN_INVALID')
})
