// Where settings come from: file, environment, flags, defaults; and which of them counts.
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { test, type Test } from 'tap'
import { testCertificate, testKey } from '../support/certificate.ts'
import { loadConfig, resolveConfig, type Flags } from '../../src/config/load.ts'
import { ConfigError, problemLine, type Problem } from '../../src/config/problem.ts'
import type { Config } from '../../src/config/schema.ts'

const origin = 'origins: { api: { servers: [http://127.0.0.1:3000] } }\n'

function load(t: Test, text: string, env: Record<string, string> = {}, flags: Flags = {}): Config {
  const file = `${t.testdir({ 'springhouse.yaml': text })}/springhouse.yaml`
  return loadConfig({ file, env, flags }).config
}

function problems(t: Test, text: string, env: Record<string, string> = {}, flags: Flags = {}): readonly Problem[] {
  try {
    load(t, text, env, flags)
  } catch (error) {
    // Without the directory of the test.
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => ({ path, message: message.replace(/\([^()]*\/(springhouse\.yaml)/, '($1') }))
    throw error
  }
  return []
}

test('an origin alone is enough: everything else has a default', (t) => {
  const config = loadConfig({ env: {}, flags: { origin: ['http://127.0.0.1:3000', 'http://127.0.0.1:3001/'] } }).config
  t.strictSame(config.origins.default?.servers, ['http://127.0.0.1:3000', 'http://127.0.0.1:3001'])
  t.strictSame(config.routes.map(({ match, origin: name }) => ({ match, name })), [{ match: {}, name: 'default' }])
  t.match(config, {
    proxy: { host: '0.0.0.0', port: 8080, trustProxy: false, keepAliveTimeoutMs: 75_000, maxHeaderBytes: 16_384, viaName: 'springhouse' },
    admin: { host: '127.0.0.1', port: 8081, tokens: [] },
    cache: { memory: { maxBytes: 268_435_456, maxEntryBytes: 33_554_432 }, maxEntryBytes: 67_108_864, keepStale: 3_600_000, coalesce: true },
    coherence: { maxLagMs: 3000 },
    workers: 1,
  })
  t.equal(config.redis, undefined)
  t.end()
})

test('the example of the contract loads unchanged', (t) => {
  const config = load(t, `
proxy:   { host: 0.0.0.0, port: 8080, trustProxy: false }        # tls: { cert, key }
admin:   { host: 127.0.0.1, port: 8081, tokens: [ { name: deploy, token: \${DEPLOY_TOKEN}, scopes: [read, purge] } ] }
redis:   { url: redis://redis:6379, commandTimeoutMs: 100 }      # or cluster: [..], or sentinel: { master, nodes }
origins:
  api:   { servers: [ http://api-1:3000, http://api-2:3000 ], balance: least-pending, health: { path: /healthz, intervalMs: 2000 } }
routes:                                                          # first match wins
  - match: { host: api.example.com, path: /v1/ }
    origin: api
    key:   { query: { ignore: [ utm_*, fbclid ], sort: true }, headers: [ ] }
    cache: { ttl: { default: 0s, status: { 404: 5s } }, cookies: private }
cache:   { memory: { maxBytes: 256MiB }, maxEntryBytes: 64MiB }
sessions: { enabled: false }
workers: 1
`, { DEPLOY_TOKEN: 's3:#cret' })
  t.match(config.routes[0], { match: { host: 'api.example.com', path: '/v1/' }, key: { query: { ignore: ['utm_*', 'fbclid'], sort: true } },
    cache: { ttl: { default: 0, status: { 404: 5000 } } } })
  t.equal(config.origins.api?.health?.intervalMs, 2000)
  t.end()
})

test('units become plain numbers: milliseconds and bytes', (t) => {
  const config = load(t, `${origin}
proxy: { requestTimeoutMs: 1m, headersTimeoutMs: 2500, maxHeaderBytes: 32KiB }
cache: { memory: { maxBytes: 8000000 }, maxEntryBytes: 1MB, keepStale: 1d }
routes: [{ origin: api, cache: { ttl: { default: 0 }, staleIfError: 1h } }]
`)
  t.match(config.proxy, { requestTimeoutMs: 60_000, headersTimeoutMs: 2500, maxHeaderBytes: 32_768 })
  t.match(config.cache, { memory: { maxBytes: 8_000_000, maxEntryBytes: 1_000_000 }, maxEntryBytes: 1_000_000, keepStale: 86_400_000 })
  t.match(config.routes[0]?.cache, { ttl: { default: 0 }, staleIfError: 3_600_000 })
  t.end()
})

test('flags beat the environment, which beats the file, which beats the defaults', (t) => {
  const text = `${origin}proxy: { port: 1001 }\nadmin: { port: 1002 }\n`
  t.equal(load(t, text).proxy.port, 1001)
  t.equal(load(t, text, { SPRINGHOUSE_PROXY_PORT: '2001' }).proxy.port, 2001)
  t.equal(load(t, text, { SPRINGHOUSE_PROXY_PORT: '2001' }, { port: '3001' }).proxy.port, 3001)
  t.equal(load(t, text, {}, { port: '3001' }).admin.port, 1002)
  t.equal(load(t, text, { SPRINGHOUSE_PROXY_PORT: '' }).proxy.port, 1001, 'an empty variable is not set')
  t.end()
})

test('--default-ttl is the default lifetime of every route, in place of the file’s', (t) => {
  const text = `${origin}routes: [{ match: { path: /a }, origin: api, cache: { ttl: { default: 1h, max: 2h } } }, { origin: api, cache: }, { origin: api }]\n`
  t.strictSame(load(t, text, {}, { defaultTtl: '30s' }).routes.map(({ cache: { ttl } }) => [ttl.default, ttl.max]), [[30_000, 7_200_000], [30_000, 31_536_000_000], [30_000,
    31_536_000_000]])
  t.strictSame(load(t, text).routes.map(({ cache }) => cache.ttl.default), [3_600_000, undefined, undefined])
  t.strictSame(load(t, text, {}, { defaultTtl: '0' }).routes.map(({ cache }) => cache.ttl.default), [0, 0, 0])
  const only = { origin: ['http://127.0.0.1:1'] }
  t.strictSame(loadConfig({ env: {}, flags: { ...only, defaultTtl: '5m' } }).config.routes.map(({ origin: name, cache }) => [name, cache.ttl.default]), [['default', 300_000]])
  t.strictSame(load(t, origin, {}, { defaultTtl: '5m' }).routes.map(({ cache }) => cache.ttl.default), [300_000], 'of the only route, which no file gives')
  for (const [defaultTtl, line] of [
    ['60', 'routes[0].cache.ttl.default: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, got "60" (from --default-ttl)'],
    ['1 fortnight', 'routes[0].cache.ttl.default: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, got "1 fortnight" (from --default-ttl)'],
    ['400d', 'routes[0].cache.ttl.default: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, got 400d (from --default-ttl)'],
  ] as const) {
    try {
      loadConfig({ env: {}, flags: { ...only, defaultTtl } })
      t.fail(defaultTtl)
    } catch (error) {
      t.strictSame((error as ConfigError).problems.map(problemLine), [line])
    }
  }
  t.end()
})

test('every kind of setting can come from the environment', (t) => {
  const { config } = loadConfig({
    env: {
      SPRINGHOUSE_ORIGINS: '{ "a": { "servers": ["http://127.0.0.1:1"] }, "b": { "servers": ["http://127.0.0.1:2"] } }',
      SPRINGHOUSE_ROUTES: '[{ match: { path: /b/ }, origin: b }, { origin: a, cache: { ttl: { default: 5s } } }]',
      SPRINGHOUSE_REDIS_URL: 'redis://127.0.0.1:6379',
      SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '250',
      SPRINGHOUSE_PROXY_TRUST_PROXY: '10.0.0.0/8, 127.0.0.1',
      SPRINGHOUSE_CACHE_MAX_ENTRY_BYTES: '2MiB',
      SPRINGHOUSE_CACHE_COALESCE: 'false',
      SPRINGHOUSE_LOG_LEVEL: 'warn',
      SPRINGHOUSE_WORKERS: 'auto',
      SPRINGHOUSE_ADMIN_TOKENS: '[{ name: a, token: abc, scopes: [purge] }]',
    },
  })
  t.strictSame(config.routes.map((route) => [route.match.path, route.origin, route.cache.ttl.default]), [['/b/', 'b', undefined], [undefined, 'a', 5000]])
  t.match(config, {
    redis: { url: 'redis://127.0.0.1:6379', commandTimeoutMs: 250 },
    proxy: { trustProxy: ['10.0.0.0/8', '127.0.0.1'] },
    cache: { maxEntryBytes: 2_097_152, coalesce: false },
    log: { level: 'warn' },
    workers: 'auto',
    admin: { tokens: [{ name: 'a', token: 'abc', scopes: ['purge'] }] },
  })
  const watched = loadConfig({
    env: {
      SPRINGHOUSE_REDIS_SENTINEL_MASTER: 'cache',
      SPRINGHOUSE_REDIS_SENTINEL_NODES: 's-1:26379, s-2:26379',
      SPRINGHOUSE_REDIS_SENTINEL_PASSWORD: 'of the sentinels',
      SPRINGHOUSE_REDIS_USERNAME: 'house',
      SPRINGHOUSE_REDIS_PASSWORD: 'of: the, servers',
    },
    flags: { origin: ['http://127.0.0.1:1'] },
  }).config
  t.match(watched.redis, { sentinel: { master: 'cache', nodes: ['s-1:26379', 's-2:26379'], password: 'of the sentinels' }, username: 'house', password: 'of: the, servers' })
  const clustered = loadConfig({ env: { SPRINGHOUSE_REDIS_CLUSTER: 'redis-1:6379,rediss-2:6379' }, flags: { origin: ['http://127.0.0.1:1'] } }).config
  t.same(clustered.redis?.cluster, ['redis-1:6379', 'rediss-2:6379'])
  const trusting = loadConfig({ env: { SPRINGHOUSE_PROXY_TRUST_PROXY: 'true', SPRINGHOUSE_WORKERS: '1' }, flags: { origin: ['http://127.0.0.1:1'] } }).config
  t.match(trusting, { proxy: { trustProxy: true }, workers: 1 })
  t.end()
})

test('SPRINGHOUSE_CONFIG names the file when no flag does', (t) => {
  const dir = t.testdir({ 'a.yaml': `${origin}proxy: { port: 1001 }`,
    'b.json': JSON.stringify({ $schema: 'x', origins: { api: { servers: ['http://127.0.0.1:3000'] } }, proxy: { port: 1002 } }) })
  t.equal(loadConfig({ env: { SPRINGHOUSE_CONFIG: `${dir}/a.yaml` } }).config.proxy.port, 1001)
  const fromFlag = loadConfig({ file: `${dir}/b.json`, env: { SPRINGHOUSE_CONFIG: `${dir}/a.yaml` } })
  t.equal(fromFlag.config.proxy.port, 1002)
  t.equal(fromFlag.file, `${dir}/b.json`)
  t.end()
})

test('--origin replaces the origins and routes of the file', (t) => {
  const config = load(t, `${origin}routes: [{ match: { path: /x }, origin: api }]\ncache: { maxVariants: 3 }`, {}, { origin: ['http://127.0.0.1:9'] })
  t.strictSame(Object.keys(config.origins), ['default'])
  t.strictSame(config.routes.map((route) => [route.match, route.origin]), [[{}, 'default']])
  t.equal(config.cache.maxVariants, 3)
  t.end()
})

test('${NAME} in the file is replaced from the environment, and its value is never read as YAML', (t) => {
  const text = `
proxy: { port: \${PORT}, trustProxy: \${TRUST} }
redis: { url: "redis://:\${PASSWORD}@redis:6379" }
admin: { tokens: [ { name: "$\${x}", token: \${TOKEN} } ] } # \${COMMENT} is nobody's business
origins: { api: { servers: [ http://\${HOST}:3000 ] } }
cache: { keepStale: \${KEEP} }
`
  const config = load(t, text, { PORT: '1234', TRUST: '10.0.0.0/8', PASSWORD: 'p"w', TOKEN: 'a:{b}#c', HOST: 'backend', KEEP: '2h' })
  t.match(config, {
    proxy: { port: 1234, trustProxy: ['10.0.0.0/8'] },
    redis: { url: 'redis://:p"w@redis:6379' },
    admin: { tokens: [{ name: '${x}', token: 'a:{b}#c' }] },
    origins: { api: { servers: ['http://backend:3000'] } },
    cache: { keepStale: 7_200_000 },
  })
  t.end()
})

test('a variable that is not set is a problem that names it', (t) => {
  t.strictSame(problems(t, `${origin}admin: { tokens: [ { name: a, token: \${DEPLOY_TOKEN} } ] }`), [
    { path: 'admin.tokens[0].token', message: 'the environment variable DEPLOY_TOKEN is not set (springhouse.yaml, line 2, column 38)' },
  ])
  t.end()
})

test('SPRINGHOUSE_ADMIN_TOKEN gives one token with every scope', (t) => {
  const every = { name: 'env', token: 'abc', scopes: ['read', 'purge', 'sessions'] }
  t.strictSame(load(t, origin, { SPRINGHOUSE_ADMIN_TOKEN: 'abc' }).admin.tokens, [every])
  const deploy = { name: 'deploy', token: 'def', scopes: ['purge'] }
  t.strictSame(load(t, `${origin}admin: { tokens: [${JSON.stringify(deploy)}] }`, { SPRINGHOUSE_ADMIN_TOKEN: 'abc' }).admin.tokens, [deploy, every])
  const narrow = load(t, `${origin}admin: { tokens: [ { name: a, token: \${SPRINGHOUSE_ADMIN_TOKEN}, scopes: [read] } ] }`, { SPRINGHOUSE_ADMIN_TOKEN: 'abc' })
  t.strictSame(narrow.admin.tokens, [{ name: 'a', token: 'abc', scopes: ['read'] }], 'the file says what its own token may do')
  t.end()
})

test('one origin without routes gets everything; several do not', (t) => {
  t.strictSame(load(t, origin).routes.map((route) => route.origin), ['api'])
  const two = 'origins: { a: { servers: [http://127.0.0.1:1] }, b: { servers: [http://127.0.0.1:2] } }'
  t.strictSame(problems(t, two).map(({ path }) => path), ['routes'])
  t.end()
})

test('a relative path starts where the process is, in the file as in the environment', (t) => {
  const dir = t.testdir({ tls: { 'cert.pem': testCertificate, 'key.pem': testKey, 'both.pem': testCertificate + testKey } })
  const here = relative(process.cwd(), `${dir}/tls`)
  writeFileSync(`${dir}/a.yaml`, `${origin}proxy: { tls: { cert: ${here}/cert.pem, key: "\${DIR}/key.pem" } }`)
  t.match(loadConfig({ file: `${dir}/a.yaml`, env: { DIR: here } }).config.proxy.tls, { cert: `${here}/cert.pem`, key: `${here}/key.pem` })
  t.equal(loadConfig({ file: `${dir}/a.yaml`, env: { DIR: here, SPRINGHOUSE_PROXY_TLS_KEY: `${here}/both.pem` } }).config.proxy.tls?.key, `${here}/both.pem`)
  t.end()
})

test('a section with nothing in it is as good as none', (t) => {
  const config = load(t, `${origin}proxy:\nredis:\ncache:\n  memory:\n`)
  t.equal(config.proxy.port, 8080)
  t.equal(config.redis, undefined)
  t.end()
})

test('host patterns and field names are compared in lower case', (t) => {
  const config = load(t, `${origin}routes: [{ match: { host: '*.Example.COM' }, origin: api, key: { headers: [Accept-Language] } }]`)
  t.equal(config.routes[0]?.match.host, '*.example.com')
  t.strictSame(config.routes[0]?.key.headers, ['accept-language'])
  t.end()
})

test('settings in memory become a Config without any file', (t) => {
  const config = resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:3000'] } }, proxy: { port: 0 } })
  t.equal(config.proxy.port, 0)
  t.equal(config.routes[0]?.origin, 'api')
  t.throws(() => resolveConfig({ origins: 3 }), ConfigError)
  t.end()
})
