// A wrong configuration: every problem at once, with its place, and with valid values.
import { test } from 'tap'
import { parseConfigText } from '../../src/config/file.ts'
import { loadConfig, resolveConfig } from '../../src/config/load.ts'
import { neverStored } from '../../src/policy/storable.ts'
import { ConfigError, problemLine } from '../../src/config/problem.ts'
import { renamedSettings } from '../../src/config/renamed.ts'

const origins = { api: { servers: ['http://127.0.0.1:3000'] } }

function lines(attempt: () => unknown): string[] {
  try {
    attempt()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine)
    throw error
  }
  return []
}

const wrong = (settings: Record<string, unknown>) => lines(() => resolveConfig({ origins, ...settings }))

test('every problem is reported at once', (t) => {
  t.strictSame(wrong({
    proxy: { prot: 1, port: 70_000 },
    routes: [{ origin: 'apj', cache: { TTL: '5s', staleIfError: '5 parsecs' } }],
    coherence: { maxLagMs: 90_000 },
  }), [
    'proxy.prot: unknown key; did you mean port?',
    'proxy.port: expected a whole number from 0 to 65535, got 70000',
    'routes[0].cache.TTL: unknown key; did you mean ttl?',
    'routes[0].cache.staleIfError: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, got "5 parsecs"',
    'coherence.maxLagMs: expected a number of milliseconds, or a duration such as 500ms, 30s or 5m, from 100ms to 1m, got 90s',
    'routes[0].origin: there is no origin named "apj"; known are api',
  ])
  t.end()
})

test('each old name of a setting is refused with a line that gives the new one, wherever it was written', (t) => {
  const values: Readonly<Record<string, unknown>> = { 'routes[].cache.enabled': false, 'routes[].cache.defaultTtl': '5s', 'routes[].cache.maxTtl': '1h',
    'routes[].cache.negativeTtl': { 404: '5s' }, 'routes[].cache.heuristics': false }
  t.strictSame(Object.keys(values), Object.keys(renamedSettings))
  for (const [path, now] of Object.entries(renamedSettings)) {
    const name = path.slice(path.lastIndexOf('.') + 1)
    const line = `routes[1].cache.${name}: renamed; write ${now}`
    const routes = [{ origin: 'api' }, { origin: 'api', cache: { [name]: values[path] } }]
    t.strictSame(wrong({ routes }), [line])
    const env = { SPRINGHOUSE_ORIGINS: JSON.stringify(origins), SPRINGHOUSE_ROUTES: JSON.stringify(routes) }
    t.strictSame(lines(() => loadConfig({ env })), [`${line} (from SPRINGHOUSE_ROUTES)`])
  }
  t.strictSame(wrong({ routes: [{ origin: 'api', cache: { defaultTTL: '5s', mode: 'cache' } }] }), ['routes[0].cache.defaultTTL: renamed; write ttl: { default: … }'],
    'misspelt, too')
  const { cache } = resolveConfig({ origins, routes: [{ origin: 'api', cache: { mode: 'bypass', ttl: { default: '5s', max: '1h' } } }] }).routes[0] ?? {}
  t.match(cache, { mode: 'bypass', ttl: { default: 5000, max: 3_600_000 } })
  t.end()
})

test('a lifetime for a status that is never stored is refused, with its section', (t) => {
  for (let status = 400; status < 600; status++) {
    const found = wrong({ routes: [{ origin: 'api', cache: { ttl: { status: { [status]: '5s' } } } }] })
    if (neverStored.has(status)) t.match(found, [new RegExp(`^routes\\[0\\]\\.cache\\.ttl\\.status\\.${status}: a ${status} is never stored \\(RFC 6585 §\\d\\); leave it out$`)])
    else t.strictSame(found, [])
  }
  t.end()
})

test('false is taken for the value off, and for nothing else', (t) => {
  for (const access of [false, 'false', 'off']) t.equal(resolveConfig({ origins, log: { access } }).log.access, 'off')
  t.equal(loadConfig({ env: { SPRINGHOUSE_ORIGINS: JSON.stringify(origins), SPRINGHOUSE_LOG_ACCESS: 'false' } }).config.log.access, 'off')
  t.equal(resolveConfig({ origins, proxy: { trustProxy: false } }).proxy.trustProxy, false)
  const heuristic = (given: unknown) => resolveConfig({ origins, routes: [{ origin: 'api', cache: { ttl: { heuristic: given } } }] }).routes[0]?.cache.ttl.heuristic
  t.strictSame([false, 'false', 'off', '90s', '0s', 0, undefined].map(heuristic), ['off', 'off', 'off', 90_000, 0, 0, 300_000])
  t.strictSame(wrong({ log: { access: true } }), ['log.access: expected one of off, errors, sampled, all, got true'])
  t.strictSame(wrong({ log: { level: false } }), ['log.level: expected one of trace, debug, info, warn, error, fatal, silent, got false'])
  t.strictSame(wrong({ routes: [{ origin: 'api', cache: { mode: false } }] }), ['routes[0].cache.mode: expected one of cache, bypass, got false'])
  t.end()
})

test('a wrong value is shown, with a right one', (t) => {
  const cases: readonly [Record<string, unknown>, string][] = [
    [{ proxy: 3 }, 'proxy: expected a map of settings, got 3'],
    [{ proxy: { trustProxy: 'yes' } }, 'proxy.trustProxy: expected true, false, or a list of IP addresses and CIDR ranges, got "yes"'],
    [{ proxy: { trustProxy: ['10.0.0.0/33'] } }, 'proxy.trustProxy: expected true, false, or a list of IP addresses and CIDR ranges, got ["10.0.0.0/33"]'],
    [{ proxy: { maxHeaderBytes: '4GiB' } }, 'proxy.maxHeaderBytes: expected a size such as 64KiB or 256MiB, or a number of bytes, from 1KiB to 1MiB, got 4GiB'],
    [{ cache: { coalesce: 'yes' } }, 'cache.coalesce: expected true or false, got "yes"'],
    [{ cache: { keepStale: 60 } }, 'cache.keepStale: expected a duration with its unit, such as 30s, 5m or 1h, got 60'],
    [{ log: { level: 'loud' } }, 'log.level: expected one of trace, debug, info, warn, error, fatal, silent, got "loud"'],
    [{ workers: 0 }, 'workers: expected a whole number from 1 to 256, or auto, got 0'],
    [{ origins: { API: origins.api }, routes: [] }, 'origins.API: unusable name; expected origins by name (lower-case letters, digits and dashes), each with its servers'],
    [{ origins: { api: {} } },
      'origins.api.servers: missing; expected a list of at least one, each an http or https URL without user info and query, such as http://api-1:3000 or http://api-1:3000/base, or unix:/run/api.sock; and its weight, as in http://api-1:3000 weight=3'],
    [{ origins: { api: { servers: ['http://api/v1?a'] } } },
      'origins.api.servers[0]: expected an http or https URL without user info and query, such as http://api-1:3000 or http://api-1:3000/base, or unix:/run/api.sock; and its weight, as in http://api-1:3000 weight=3, got "http://api/v1?a"'],
    [{ origins: { api: { servers: ['http://u:secret@api'] } } },
      'origins.api.servers[0]: expected an http or https URL without user info and query, such as http://api-1:3000 or http://api-1:3000/base, or unix:/run/api.sock; and its weight, as in http://api-1:3000 weight=3, got "http://u:********@api"'],
    [{ origins: { api: { servers: ['http://api', 'http://api:80/'] } } }, 'origins.api.servers[0]: "http://api" is in the list twice'],
    [{ routes: [{ match: { host: 'api:80' }, origin: 'api' }] },
      'routes[0].match.host: expected a host without port, such as api.example.com, or *.example.com for every name below it, got "api:80"'],
    [{ routes: [{ match: { path: 'v1' }, origin: 'api' }] }, 'routes[0].match.path: expected a path that begins with /, got "v1"'],
    [{ routes: [{ match: { path: '/v1?a' }, origin: 'api' }] }, 'routes[0].match.path: expected a path without ?: a query does not choose a route, got "/v1?a"'],
    [{ routes: [{ match: { path: 'https://api/v1' }, origin: 'api' }] },
      'routes[0].match.path: expected a path without scheme and host (the host is match.host), got "https://api/v1"'],
    [{ routes: [{ match: { path: '/a', exact: '/a' }, origin: 'api' }] }, 'routes[0].match.exact: given beside path; a route has one of the two'],
    [{ routes: [{ match: { path: '/50%' }, origin: 'api' }] }, 'routes[0].match.path: "/50%" has a % that begins no percent-encoding; write %25 for the character'],
    [{ routes: [{ match: { path: '/a/%2E./b' }, origin: 'api' }] },
      'routes[0].match.path: "/a/%2E./b" has a .. segment, and requests with such a segment are refused; write the path that it resolves to'],
    [{ routes: [{ match: { path: '/a/..;b' }, origin: 'api' }] },
      'routes[0].match.path: "/a/..;b" has a .. segment, and requests with such a segment are refused; write the path that it resolves to'],
    [{ routes: [{}] }, 'routes[0].origin: missing; expected the name of an origin'],
    [{ routes: [{ origin: 'api', cache: { ttl: { heuristic: 'on' } } }] },
      'routes[0].cache.ttl.heuristic: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, or off, got "on"'],
    [{ routes: [{ origin: 'api', cache: { ttl: { heuristic: true } } }] },
      'routes[0].cache.ttl.heuristic: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, or off, got true'],
    [{ routes: [{ origin: 'api', cache: { ttl: { heuristic: 60 } } }] }, 'routes[0].cache.ttl.heuristic: expected a duration with its unit, such as 30s, 5m or 1h, got 60'],
    [{ routes: [{ origin: 'api', cache: { ttl: { heuristic: '400d' } } }] },
      'routes[0].cache.ttl.heuristic: expected a duration with its unit, such as 500ms, 30s or 5m, from 0s to 365d, or off, got 400d'],
    [{ routes: [{ origin: 'api', cache: { cookies: 'share' } }] },
      'routes[0].cache.cookies: expected private or ignore (cookies of the key are key.cookies: [names]), got "share"'],
    [{ routes: [{ origin: 'api', cache: { ttl: { status: { 200: '5s' } } } }] },
      'routes[0].cache.ttl.status.200: unusable name; expected durations by status code from 400 to 599, such as { 404: 5s }'],
    [{ redis: { url: 'http://redis' } }, 'redis.url: expected a redis://, rediss:// or unix:// URL, such as redis://redis:6379, got "http://redis"'],
    [{ redis: { cluster: ['redis-1'] } }, 'redis.cluster[0]: expected a host and a port, such as redis-1:6379, or a redis:// or rediss:// URL, got "redis-1"'],
    [{ redis: { cluster: ['redis://redis-1/2'] } },
      'redis.cluster[0]: expected no database: a cluster has only number 0, and 0 is what is used of servers that Sentinels watch, got "redis://redis-1/2"'],
    [{ redis: { sentinel: { master: 'm', nodes: ['s:70000'] } } },
      'redis.sentinel.nodes[0]: expected a host and a port, such as redis-1:6379, or a redis:// or rediss:// URL, got "s:70000"'],
    [{ redis: { url: 'redis://a', password: '' } }, 'redis.password: expected a password of one to 512 characters, got a value that is not shown here'],
    [{ admin: { tokens: [{ name: 'a', token: 'two words' }] } },
      'admin.tokens[0].token: expected a token of visible ASCII characters without spaces, got a value that is not shown here'],
  ]
  for (const [settings, line] of cases) t.strictSame(wrong(settings), [line])
  t.end()
})

// The guard: `signs` in config/route-path.ts. Each of these was once a path that no request has.
test('a path written as a pattern is refused, with the path that is meant', (t) => {
  const below = (path: string) => `a path takes itself and everything below it; write ${path}`
  const every = 'a path takes itself and everything below it; leave the path out to take every request'
  const patterns: readonly [path: string, kind: string, remedy: string][] = [
    ['/api/*', 'a wildcard', below('/api')],
    ['/api/**', 'a wildcard', below('/api')],
    ['/api*', 'a wildcard', every],
    ['/*', 'a wildcard', every],
    ['/**', 'a wildcard', every],
    ['/api/*/items', 'a wildcard', below('/api')],
    ['/*.png', 'a wildcard', every],
    ['/users/{id}', 'a variable in braces', below('/users')],
    ['/users/{id}/posts', 'a variable in braces', below('/users')],
    ['/users/{id:[0-9]+}', 'a regular expression', below('/users')],
    ['/users/:id', 'a variable after a colon', below('/users')],
    ['/users/:id/posts', 'a variable after a colon', below('/users')],
    ['/api/.*', 'a regular expression', below('/api')],
    ['/api/(.*)', 'a regular expression', below('/api')],
    ['^/api/', 'a regular expression', every],
    ['~ ^/api/v1', 'a regular expression', every],
    ['~* \\.php$', 'a regular expression', every],
    ['= /health', 'a regular expression', every],
    ['/v\\d+/x', 'a regular expression', every],
    ['/v[0-9]', 'a regular expression', every],
    ['/(a|b)', 'a regular expression', every],
    ['/api$', 'a regular expression', every],
    ['/api/.+', 'a regular expression', below('/api')],
    ['/api(/.*)?', 'a regular expression', below('/api')],
  ]
  for (const name of ['path', 'exact']) {
    for (const [path, kind, remedy] of patterns)
      t.strictSame(wrong({ routes: [{ match: { [name]: path }, origin: 'api' }] }), [`routes[0].match.${name}: ${kind} is not supported: ${remedy}, got ${JSON.stringify(path)}`],
        path)
  }
  for (const path of ['/Products(1)', '/v1/users:batch', '/$metadata', '/a+b', '/~me', '/a;v=1', "/it's", '/a,b', '/%2A', '/.well-known', '/x.y.', '/caf\u00e9', '/a:b', '/@a',
    '/-', '/:80'])
    t.strictSame(wrong({ routes: [{ match: { path }, origin: 'api' }] }), [], path)
  t.end()
})

test('settings are held to each other', (t) => {
  const token = { name: 'a', token: 'abc' }
  const cases: readonly [Record<string, unknown>, string][] = [
    [{ origins: {} }, 'origins: none is given; give one with --origin http://127.0.0.1:3000, SPRINGHOUSE_ORIGINS, or origins in the file'],
    [{ admin: { host: '0.0.0.0' } },
      'admin.tokens: a token is needed because the admin listener is not on loopback (admin.host is 0.0.0.0); set SPRINGHOUSE_ADMIN_TOKEN, or admin.tokens'],
    [{ admin: { port: 8080 } }, 'admin.port: 8080 is also the port of the proxy listener; the ports must differ'],
    [{ admin: { tokens: [token, { name: 'a', token: 'def' }] } }, 'admin.tokens[1].name: another token already has the name "a"'],
    [{ admin: { tokens: [token, { name: 'b', token: 'abc' }] } }, 'admin.tokens[1].token: another token already has the same value'],
    [{ proxy: { headersTimeoutMs: '40s' } }, 'proxy.headersTimeoutMs: 40s is longer than proxy.requestTimeoutMs (30s); make it at most that'],
    [{ redis: { commandTimeoutMs: 50 } }, 'redis: exactly one of url, cluster and sentinel is needed; none is given'],
    [{ redis: { url: 'redis://a', cluster: ['redis://b'] } }, 'redis: exactly one of url, cluster and sentinel is needed; url and cluster are given'],
    [{ cache: { memory: { maxBytes: 0 } } }, 'cache.memory.maxBytes: 0 without Redis leaves no store; set 64KiB or more, or set redis.url'],
    [{ cache: { memory: { maxBytes: '1KiB' } }, redis: { url: 'redis://a' } }, 'cache.memory.maxBytes: 1KiB is too small; set 64KiB or more, or 0 to use Redis alone'],
    [{ redis: { cluster: ['redis://a', 'rediss://b'] } }, 'redis.cluster: some nodes have rediss:// and others do not; write it for all nodes or for none'],
    [{ redis: { cluster: ['redis://u:p@a', 'redis://u:q@b'] } }, 'redis.cluster: the URLs name different users; name one user that all nodes know'],
    [{ redis: { cluster: ['redis://:p@a', 'b:6379'], password: 'p' } }, 'redis.password: given twice: here, and in a URL; leave one of them out'],
    [{ redis: { url: 'redis://:p@a', password: 'p' } }, 'redis.password: given twice: here, and in a URL; leave one of them out'],
    [{ redis: { cluster: ['a:6379'], username: 'u' } }, 'redis.password: missing; redis.username is given, and a user has a password'],
    [{ redis: { sentinel: { master: 'm', nodes: ['s:26379', 'rediss://t:26379'] } } },
      'redis.sentinel.nodes: some nodes have rediss:// and others do not; write it for all nodes or for none'],
    [{ redis: { sentinel: { master: 'm', nodes: ['s:26379'], username: 'u' } } }, 'redis.sentinel.password: missing; redis.sentinel.username is given, and a user has a password'],
    [{ routes: [{ origin: 'api', cache: { cookies: { key: ['a'] } } }] },
      'routes[0].cache.cookies: expected private or ignore (cookies of the key are key.cookies: [names]), got {"key":["a"]}'],
    [{ workers: 2 }, 'workers: 2 processes need a shared store; set redis.url, or leave workers at 1'],
  ]
  for (const [settings, line] of cases) t.strictSame(wrong(settings), [line])
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'admin.example']) {
    const short = { name: 'a', token: 'fifteen-chars-x' }
    t.strictSame(wrong({ admin: { host, tokens: [short] } }), [
      `admin.tokens[0].token: shorter than 16 characters, and the admin listener is not on loopback (admin.host is ${host}); openssl rand -hex 24 makes one`,
    ])
    t.strictSame(wrong({ admin: { host, tokens: [{ ...short, token: `${short.token}x` }] } }), [])
  }
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) t.strictSame(wrong({ admin: { host, tokens: [token] } }), [], host)
  t.strictSame(wrong({ proxy: { port: 0 }, admin: { port: 0 } }), [], 'port 0 is a different one each time')
  t.strictSame(wrong({ proxy: { host: '127.0.0.2' }, admin: { port: 8080 } }), [], 'one port on two addresses')
  t.strictSame(wrong({ workers: 2, redis: { url: 'redis://redis' } }), [])
  t.strictSame(wrong({ workers: 'auto' }), [])
  t.strictSame(wrong({ cache: { memory: { maxBytes: 0 } }, redis: { url: 'redis://redis' } }), [], 'Redis alone')
  const env = { SPRINGHOUSE_CACHE_MEMORY_MAX_BYTES: '0', SPRINGHOUSE_REDIS_URL: 'redis://redis' }
  t.equal(loadConfig({ env, flags: { origin: ['http://127.0.0.1:1'] } }).config.cache.memory.maxBytes, 0)
  t.strictSame(wrong({ redis: { cluster: ['redis://u:p@a', 'redis://u:p@b', 'c:6379'] } }), [])
  t.strictSame(wrong({ redis: { cluster: ['[::1]:6379'], username: 'u', password: 'p' } }), [])
  t.strictSame(wrong({ redis: { sentinel: { master: 'm', nodes: ['rediss://s:26379'], username: 'u', password: 'p' }, password: 'q' } }), [])
  t.end()
})

test('one mistake is one line: settings that depend on it are not judged as well', (t) => {
  t.strictSame(wrong({ origins: { api: 3 }, routes: [{ origin: 'api' }] }), ['origins.api: expected a map of settings, got 3'])
  t.strictSame(wrong({ admin: { host: 3, tokens: 'x' } }).length, 2)
  t.end()
})

test('a wrong value says which variable or flag it came from', (t) => {
  const flags = { origin: ['ftp://x'], port: 'http' }
  t.strictSame(lines(() => loadConfig({ env: { SPRINGHOUSE_CACHE_MAX_VARIANTS: 'many' }, flags })), [
    'proxy.port: expected a whole number from 0 to 65535, got "http" (from --port)',
    'origins.default.servers[0]: expected an http or https URL without user info and query, such as http://api-1:3000 or http://api-1:3000/base, or unix:/run/api.sock; and its weight, as in http://api-1:3000 weight=3, got "ftp://x" (from --origin)',
    'cache.maxVariants: expected a whole number from 1 to 1000, got "many" (from SPRINGHOUSE_CACHE_MAX_VARIANTS)',
  ])
  t.end()
})

test('an unknown SPRINGHOUSE_ variable is a problem with the nearest name', (t) => {
  const flags = { origin: ['http://127.0.0.1:1'] }
  const known = { SPRINGHOUSE_CONFIG: '', SPRINGHOUSE_ADMIN: 'http://x', SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc', PATH: '/bin' }
  t.strictSame(lines(() => loadConfig({ env: { ...known, SPRINGHOUSE_CACHE_MAX_ENTRY_BITES: '3', SPRINGHOUSE_FROBNICATION_LEVEL: '1' }, flags })), [
    'SPRINGHOUSE_CACHE_MAX_ENTRY_BITES: unknown variable; did you mean SPRINGHOUSE_CACHE_MAX_ENTRY_BYTES?',
    'SPRINGHOUSE_FROBNICATION_LEVEL: unknown variable; config/reference.md lists those that are known',
  ])
  // Each without its section.
  t.strictSame(lines(() => loadConfig({ env: { ...known, SPRINGHOUSE_PORT: '8080', SPRINGHOUSE_TOKEN_FILE: '/t' }, flags })), [
    'SPRINGHOUSE_PORT: unknown variable; did you mean SPRINGHOUSE_PROXY_PORT?',
    'SPRINGHOUSE_TOKEN_FILE: unknown variable; did you mean SPRINGHOUSE_ADMIN_TOKEN_FILE?',
  ])
  const services = {
    SPRINGHOUSE_SERVICE_HOST: '10.0.0.1',
    SPRINGHOUSE_SERVICE_PORT_HTTP: '80',
    SPRINGHOUSE_PORT: 'tcp://10.0.0.1:80',
    SPRINGHOUSE_PORT_80_TCP_ADDR: '10.0.0.1',
    SPRINGHOUSE_PROXY_PORT: 'tcp://10.0.0.1:80',
  }
  t.equal(loadConfig({ env: services, flags }).config.proxy.port, 8080, 'service links of Kubernetes are not meant for us')
  t.end()
})

// The guards: `isServiceLink` and `isAboutDeployment` in environment.ts.
test('Kubernetes service links and deployment variables are distinguished from misspelt settings', (t) => {
  const flags = { origin: ['http://127.0.0.1:1'] }
  const services = ['SPRINGHOUSE', 'SPRINGHOUSE_PROXY', 'SPRINGHOUSE_ADMIN', 'SPRINGHOUSE_REDIS', 'SPRINGHOUSE_REDIS_SENTINEL', 'SPRINGHOUSE_CACHE', 'SPRINGHOUSE_PROXY_2',
    'SPRINGHOUSE_V1_PROXY']
  const links = Object.fromEntries(services.flatMap((name) => [
    [`${name}_SERVICE_HOST`, '10.0.0.1'],
    [`${name}_SERVICE_PORT`, '8080'],
    [`${name}_SERVICE_PORT_HTTP`, '8080'],
    [`${name}_SERVICE_PORT_HTTP_2`, '8081'],
    ...['tcp', 'udp', 'sctp'].flatMap((protocol) => [
      [`${name}_PORT`, `${protocol}://10.0.0.1:8080`],
      [`${name}_PORT_8080_${protocol.toUpperCase()}`, `${protocol}://10.0.0.1:8080`],
      [`${name}_PORT_8080_${protocol.toUpperCase()}_PROTO`, protocol],
      [`${name}_PORT_8080_${protocol.toUpperCase()}_PORT`, '8080'],
      [`${name}_PORT_8080_${protocol.toUpperCase()}_ADDR`, '10.0.0.1'],
    ]),
  ])) as Record<string, string>
  const named = ['VERSION', 'IMAGE', 'IMAGE_TAG', 'TAG', 'RELEASE', 'REVISION', 'GIT_COMMIT', 'GIT_SHA', 'BUILD_DATE', 'CHART_VERSION', 'NAMESPACE', 'HOME', 'ENV', 'ENVIRONMENT']
  const loaded = loadConfig({ env: { ...links, ...Object.fromEntries(named.map((name) => [`SPRINGHOUSE_${name}`, '1.2.3'])) }, flags })
  t.match(loaded.config, { proxy: { port: 8080 }, admin: { port: 8081 } })
  t.strictSame(loaded.notices, ['PROXY', 'ADMIN'].map((name) => (
    `SPRINGHOUSE_${name}_PORT=sctp://10.0.0.1:8080 is a Kubernetes service link for a service named springhouse-${name.toLowerCase()}, and does not set ${name.toLowerCase()}.port; `
    + "enableServiceLinks: false in the pod's spec turns such variables off"
  )), 'variables that have the name of a setting')
  t.strictSame(loadConfig({ env: { SPRINGHOUSE_PROXY_PORT: '1', SPRINGHOUSE_VERSION: '2', SPRINGHOUSE_PORT: 'tcp://h:1' }, flags }).notices, [])
  for (const name of ['PORT', 'HOST', 'PROXY_PROT', 'PROXY_TAG', 'CACHE_VERSION', 'REDIS_PASSWORT', 'REDIS_PASSWORD_FIEL', 'PROXY_PORT_FILE', 'VERSION_X', 'SERVICE', 'PORT_8080',
    'PORT_X_TCP', 'CACHE_PORT']) {
    t.match(lines(() => loadConfig({ env: { [`SPRINGHOUSE_${name}`]: '8080' }, flags })), [new RegExp(`^SPRINGHOUSE_${name}: unknown variable; `)], name)
  }
  t.match(lines(() => loadConfig({ env: { SPRINGHOUSE_PROXY_PORT: 'http://h:1' }, flags })), [/^proxy\.port: expected .* \(from SPRINGHOUSE_PROXY_PORT\)$/])
  t.end()
})

test('a YAML error names its line and column', (t) => {
  const cases: readonly [string, RegExp][] = [
    ['proxy: {\n  port: 1\norigins: [', /^f\.yaml, line 3, column \d+: /],
    ['proxy:\n  port: 1\n  host: a\n  port: 2\n', /^f\.yaml, line 4, column 3: the key port is given twice$/],
    ['{ "a": 1, "a": 2 }', /^f\.yaml, line 1, column 11: the key a is given twice$/],
    ['- a\n', /^f\.yaml: expected a map of settings at the top$/],
    ['a: *b\n', /^f\.yaml.*b/],
  ]
  for (const [text, message] of cases) {
    const told = lines(() => parseConfigText(text, 'f.yaml'))
    t.equal(told.length, 1, text)
    t.match(told[0], message)
  }
  t.strictSame(parseConfigText('# nothing\n', 'f.yaml'), {})
  t.end()
})

test('a file that cannot be read is one clear line', (t) => {
  const dir = t.testdir({})
  t.strictSame(lines(() => loadConfig({ file: `${dir}/none.yaml`, env: {} })), [`cannot read ${dir}/none.yaml: there is no such file`])
  t.strictSame(lines(() => loadConfig({ file: dir, env: {} })), [`cannot read ${dir}: it is a directory`])
  t.end()
})

// The guard: config/tag-rules.ts.
test('a field that cannot carry tags is refused', (t) => {
  const fields = (...listed: unknown[]): string[] => wrong({ cache: { tags: { fields: listed } } })
  t.strictSame(fields({ name: 'X-Tags' }, { name: 'x-tags', separator: 'space' }), ['cache.tags.fields[1].name: x-tags is listed twice; list each field once'])
  for (const name of ['Content-Type', 'set-cookie', 'Cache-Control', 'cdn-cache-control', 'vary', 'proxy-authenticate', 'surrogate-control']) {
    t.match(fields({ name }), [new RegExp(`^cache\\.tags\\.fields\\[0\\]\\.name: ${name.toLowerCase()} has another meaning in HTTP`)])
  }
  t.strictSame(fields({ name: 'Cache-Groups', separator: 'comma' }), [
    'cache.tags.fields[0].separator: cache-groups is a list of strings in quotes (RFC 9875 §2); write structured',
  ])
  t.match(fields({ name: 'x y' }), [/^cache\.tags\.fields\[0\]\.name: expected the name of a header field/])
  t.match(fields({ name: 'x', separator: 'semicolon' }), [/^cache\.tags\.fields\[0\]\.separator: expected one of comma, space, both, structured/])
  t.strictSame(fields(), [])
  t.strictSame(wrong({ cache: { tags: { fields: [{ separator: 'comma' }] } } }).length, 1)
  t.strictSame(wrong({ cache: { tags: { fields: ['x'] } } }).length, 1)
  t.end()
})
