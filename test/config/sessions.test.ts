// Settings of sessions that `check` refuses: those that browsers or safety forbid, each with its path.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { loadConfig, resolveConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/config/problem.ts'

const origins = { api: { servers: ['http://127.0.0.1:1'] } }

/** The problems of settings, one line each, with the path before a colon. */
function wrong(sessions: object, routes: readonly object[] = [{ match: {}, origin: 'api' }], more: object = {}): string[] {
  try {
    resolveConfig({ origins, routes, sessions: { enabled: true, ...sessions }, ...more })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ path, message }) => `${path}: ${message}`)
  }
}

const paths = (problems: readonly string[]): string[] => problems.map(line => line.slice(0, line.indexOf(':')))

t.test('off by default, on by a flag or the environment, and the defaults are sound', async t => {
  const only = { origin: ['http://127.0.0.1:1'] }
  t.equal(loadConfig({ env: {}, flags: only }).config.sessions.enabled, false)
  t.equal(loadConfig({ env: {}, flags: { ...only, sessions: true } }).config.sessions.enabled, true)
  t.equal(loadConfig({ env: { SPRINGHOUSE_SESSIONS_ENABLED: 'true' }, flags: only }).config.sessions.enabled, true)
  t.same(wrong({}), [])
})

t.test('cookies that browsers refuse', async t => {
  t.same(paths(wrong({ cookie: { secure: false } })), ['sessions.cookie.secure'])
  t.same(paths(wrong({ cookie: { name: '__Secure-a', secure: false } })), ['sessions.cookie.secure'])
  t.same(paths(wrong({ cookie: { name: 'a', sameSite: 'none', secure: false } })), ['sessions.cookie.secure'])
  t.same(paths(wrong({ cookie: { name: 'a', partitioned: true, secure: false } })), ['sessions.cookie.secure'])
  t.same(paths(wrong({ cookie: { domain: 'example.com' } })), ['sessions.cookie.domain'])
  t.same(paths(wrong({ cookie: { name: '__host-a', domain: 'example.com' } })), ['sessions.cookie.domain'])
  t.same(wrong({ cookie: { name: 'a', secure: false, domain: 'example.com' } }), [])
})

t.test('lifetimes, keys, headers and the Redis of their own', async t => {
  t.same(wrong({ idle: '2h', absolute: '1h' }), ['sessions.idle: 2h is longer than sessions.absolute (1h); make it at most that'])
  t.same(paths(wrong({ remember: { idle: '40d' } })), ['sessions.remember.idle'])
  t.same(paths(wrong({ remember: { absolute: '401d' } })), ['sessions.remember.absolute'])
  t.same(paths(wrong({ maxBytes: '17KiB' })), ['sessions.maxBytes'])
  const folder = t.testdir({ ed: generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string })
  const secret = 'a secret of at least thirty-two bytes'
  t.same(paths(wrong({ keys: [{ id: 'a', alg: 'HS256' }] })), ['sessions.keys[0].secret'])
  t.same(paths(wrong({ keys: [{ id: 'a', alg: 'HS256', secret: 'short' }] })), ['sessions.keys[0].secret'])
  t.notMatch(wrong({ keys: [{ id: 'a', alg: 'HS256', secret: 'short' }] })[0], /short/)
  t.same(paths(wrong({ keys: [{ id: 'a', alg: 'EdDSA', secret }] })), ['sessions.keys[0].secret', 'sessions.keys[0].keyFile'])
  t.same(paths(wrong({ keys: [{ id: 'a', alg: 'none', secret }] })), ['sessions.keys[0].alg'])
  t.same(paths(wrong({ keys: [{ id: 'a', keyFile: '/absent' }] })), ['sessions.keys[0].keyFile'])
  t.same(paths(wrong({ keys: [{ id: 'a', keyFile: `${folder}/ed` }, { id: 'a', alg: 'HS256', secret, keyFile: 'x' }] })), ['sessions.keys[1].id', 'sessions.keys[1].keyFile'])
  t.same(paths(wrong({ headers: { host: 'user', 'x_forwarded-for': 'a', 'springhouse.user': 'user', 'x-fine': 'user' } })).length, 3)
  t.match(wrong({ redis: {} }), [/^sessions\.redis: exactly one of/])
  t.match(wrong({ redis: { url: 'redis://a', username: 'u' } }), [/^sessions\.redis\.password: missing; sessions\.redis\.username is given/])
  t.same(paths(wrong({ csrf: { trustedOrigins: ['app.example.com'] } })), ['sessions.csrf.trustedOrigins[0]'])
  t.same(paths(wrong({ csrf: { trustedOrigins: ['https://app.example.com/path'] } })), ['sessions.csrf.trustedOrigins[0]'])
})

t.test('routes: unknown sources, facets of nobody, and realms', async t => {
  const route = (more: object): object => ({ match: {}, origin: 'api', ...more })
  t.same(paths(wrong({}, [route({ identity: { sources: ['idp'] } })])), ['routes[0].identity.sources'])
  t.same(paths(wrong({}, [route({ identity: { sources: [] }, key: { facets: ['tenant'] } })])), ['routes[0].key.facets'])
  t.same(paths(wrong({}, [route({ identity: { sources: [], required: true } })])), ['routes[0].identity.required'])
  t.same(paths(wrong({}, [route({ identity: { forward: 'all' } })])), ['routes[0].identity.forward'])
  t.same(paths(wrong({ enabled: false }, [route({ identity: { required: true } })])), ['routes[0].identity.required'], 'a route that requires users is never open')
  t.same(paths(wrong({ enabled: false }, [route({ key: { facets: ['tenant'] } })])), ['routes[0].key.facets'])
  t.same(paths(wrong({ enabled: false }, [route({ identity: { sources: ['session'] } })])), ['routes[0].identity.sources'])
  const [one, other] = [{ match: { host: 'a.example' }, origin: 'api' }, { match: { host: 'b.example' }, origin: 'api' }]
  t.same(paths(wrong({}, [one, other])), ['routes[0].identity.realm', 'routes[1].identity.realm'])
  t.same(wrong({}, [{ ...one, identity: { realm: 'a' } }, { ...other, identity: { realm: 'b' } }]), [])
  t.same(wrong({}, [one, { ...other, identity: { sources: [] } }]), [])
  t.same(wrong({ enabled: false }, [one, other]), [])
})

t.test('identity providers: their keys, algorithms and names, each with a line that says what to write', async t => {
  const folder = t.testdir({ 'keys.json': '{"keys":[]}', 'page.json': '<html>', 'one.json': '{"kty":"RSA"}' })
  const provider = (more: object = {}): object => ({ name: 'idp', issuer: 'https://idp.example/', audience: ['api'], jwks: 'https://idp.example/jwks.json', ...more })
  const on = (jwt: readonly object[], sources: readonly string[] = ['idp']): string[] =>
    wrong({ enabled: false }, [{ match: {}, origin: 'api', identity: { sources } }], { auth: { jwt } })
  t.same(on([provider()]), [])
  t.same(on([provider({ jwks: `${folder}/keys.json` })]), [])
  for (const jwks of ['http://127.0.0.1:1/keys', 'http://[::1]/keys', 'http://localhost/keys']) t.same(on([provider({ jwks })]), [], jwks)
  t.match(on([provider({ jwks: 'http://idp.example/keys' })]), [
    /^auth\.jwt\[0\]\.jwks: expected https, because keys that are changed on their way make false tokens right; .*got "http:/,
  ])
  t.match(on([provider({ jwks: 'http://127.0.0.1.evil.example/keys' })]), [/^auth\.jwt\[0\]\.jwks: expected https/])
  t.match(on([provider({ jwks: 'ftp://idp.example/keys' })]), [/^auth\.jwt\[0\]\.jwks: expected an https URL without user info, or the path of a file/])
  t.match(on([provider({ jwks: 'https://u:p@idp.example/keys' })]), [/^auth\.jwt\[0\]\.jwks: expected an https URL without user info/])
  t.same(on([provider({ jwks: `${folder}/absent` })]), [`auth.jwt[0].jwks: cannot read ${folder}/absent`])
  for (const file of ['page', 'one']) t.match(on([provider({ jwks: `${folder}/${file}.json` })]), [/^auth\.jwt\[0\]\.jwks: .* is no key set; expected JSON such as/])
  t.match(on([provider({ algorithms: ['RS256', 'none'] })]), [/^auth\.jwt\[0\]\.algorithms\[1\]: a token without a signature can be made by anyone/])
  t.match(on([provider({ algorithms: ['HS256'] })]), [/^auth\.jwt\[0\]\.algorithms\[0\]: every verifier of such a token could make tokens/])
  t.match(on([provider({ algorithms: ['RS1'] })]), [/^auth\.jwt\[0\]\.algorithms\[0\]: expected an algorithm among RS256, /])
  t.same(paths(on([provider({ audience: [] })])), ['auth.jwt[0].audience'])
  t.same(paths(on([provider({ issuer: '' })])), ['auth.jwt[0].issuer'])
  t.same(paths(on([{ name: 'idp' }])), ['auth.jwt[0].issuer', 'auth.jwt[0].audience', 'auth.jwt[0].jwks'])
  t.same(paths(on([provider({ claims: { tenant: '/a/~2' } })])), ['auth.jwt[0].claims.tenant'])
  t.match(on([provider({ cooldown: '2m', refresh: '1m' })]), [/^auth\.jwt\[0\]\.cooldown: 2m is longer than refresh \(1m\)/])
  t.match(on([provider(), provider()]), [/^auth\.jwt\[1\]\.name: another provider already has the name "idp"/])
  t.match(on([provider(), provider({ name: 'session' })]), [/^auth\.jwt\[1\]\.name: session is the name of the source/])
  t.match(on([provider()], ['idp', 'other']), [/^routes\[0\]\.identity\.sources: there is no source named "other"; known are session, idp \(auth\.jwt\)/])
  t.match(on([provider()], ['session', 'idp']), [/^routes\[0\]\.identity\.sources: sessions are not enabled/])
  t.match(wrong({ enabled: false }, [{ match: {}, origin: 'api', identity: { required: true } }], { auth: { jwt: [provider()] } }), [/names no other source/])
  t.same(
    wrong({}, [{ match: { host: 'a.example' }, origin: 'api' }, { match: { host: 'b.example' }, origin: 'api', identity: { sources: ['idp'] } }], { auth: { jwt: [provider()] } }),
    [],
    'a route without sessions needs no realm',
  )
})
