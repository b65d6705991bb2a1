// References in the file: which are replaced, and by which value. No other text with a $ is taken for a reference.
import { test, type Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { ConfigError, problemLine } from '../../src/config/problem.ts'
import { substitute } from '../../src/config/substitute.ts'
import type { Config } from '../../src/config/schema.ts'

const origin = 'origins: { api: { servers: [http://127.0.0.1:3000] } }\n'

function load(t: Test, text: string, env: Record<string, string> = {}, name = 'a.yaml'): Config {
  return loadConfig({ file: `${t.testdir({ [name]: text })}/${name}`, env }).config
}

/** The messages about a file, without the directory of the test. */
function lines(t: Test, text: string, env: Record<string, string> = {}, name = 'a.yaml'): string[] {
  try {
    load(t, text, env, name)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine).map((line) => line.replaceAll(/\(?\/[^ ]*\//g, (path) => path.startsWith('(') ? '(' : ''))
    throw error
  }
  return []
}

const token = (config: Config): string | undefined => config.admin.tokens[0]?.token
const withToken = (value: string): string => `${origin}admin: { tokens: [ { name: a, token: ${value} } ] }\n`

// The guard: `operator` in substitute.ts.
test('${NAME:-default} takes the default where the variable is unset or empty', (t) => {
  t.equal(token(load(t, withToken('${CI_TOKEN:-s3cret}'))), 's3cret')
  t.equal(token(load(t, withToken('${CI_TOKEN:-s3cret}'), { CI_TOKEN: '' })), 's3cret')
  t.equal(token(load(t, withToken('${CI_TOKEN:-s3cret}'), { CI_TOKEN: 'given' })), 'given')
  t.equal(token(load(t, withToken('"${CI_TOKEN:-s3cret}"'))), 's3cret')
  t.equal(token(load(t, withToken("'a-${CI_TOKEN:-s3cret}-b'"))), 'a-s3cret-b')
  t.equal(token(load(t, withToken('${A:-}${B:-b}${C}'), { C: 'c' })), 'bc')
  t.end()
})

test('${NAME:?message} demands a variable that is set and not empty', (t) => {
  const told = 'admin.tokens[0].token: the environment variable CI_TOKEN is not set, or empty: make one with openssl rand (a.yaml, line 2, column 38)'
  const text = withToken('${CI_TOKEN:?make one with openssl rand}')
  t.strictSame(lines(t, text), [told])
  t.strictSame(lines(t, text, { CI_TOKEN: '' }), [told])
  t.strictSame(lines(t, withToken('${CI_TOKEN:?}')), ['admin.tokens[0].token: the environment variable CI_TOKEN is not set, or empty (a.yaml, line 2, column 38)'])
  t.equal(token(load(t, text, { CI_TOKEN: 'given' })), 'given')
  t.equal(token(load(t, withToken('"${CI_TOKEN:?it costs $5, {or} not}"'), { CI_TOKEN: 'given' })), 'given', 'a message is taken as it stands')
  t.end()
})

// The guard: `refuse` in substitute.ts. None of these may become the token that it looks like.
test('any other ${…}, and $NAME, is refused with its place', (t) => {
  const braces = ['${CI_TOKEN-s3cret}', '${CI_TOKEN?no}', '${CI_TOKEN:+s3cret}', '${CI_TOKEN+s3cret}', '${CI_TOKEN:=s3cret}', '${CI_TOKEN=s3cret}', '${CI_TOKEN:0:3}',
    '${CI_TOKEN }', '${CI_TOKEN%x}', '${CI_TOKEN^^}', '${CI_TOKEN.x}', '${CI_TOKEN', '${CI_TOKEN:', '${CI_TOKEN:x}']
  for (const written of braces) {
    t.strictSame(lines(t, `${origin}admin:\n  tokens:\n    - name: a\n      token: "x${written}"\n`, { CI_TOKEN: 'given' }), [
      'admin.tokens[0].token: ${CI_TOKEN…} is not replaced: write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $$ for the character (a.yaml, line 5, column 16)',
    ], written)
  }
  for (const written of ['${}', '${ CI_TOKEN}', '${#CI_TOKEN}', '${!CI_TOKEN}', '${1}', '${-x}', '${{CI_TOKEN}}', '${']) {
    t.strictSame(lines(t, withToken(`"${written}"`), { CI_TOKEN: 'given' }), [
      'admin.tokens[0].token: ${…} is not replaced: write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $$ for the character (a.yaml, line 2, column 39)',
    ], written)
  }
  for (const written of ['$CI_TOKEN', '$ci', '$_', '$$$CI_TOKEN']) {
    const [line, ...others] = lines(t, withToken(`"pa${written}"`), { CI_TOKEN: 'given' })
    t.match(line, /^admin\.tokens\[0\]\.token: \$NAME is not replaced: write \$\{NAME\} for an environment variable, or \$\$ for the character \(a\.yaml, line 2, column 4[13]\)$/,
      written)
    t.strictSame(others, [])
  }
  t.strictSame(lines(t, withToken('"${CI_TOKEN:-s3"')), ['admin.tokens[0].token: ${CI_TOKEN:-…} has no closing brace (a.yaml, line 2, column 39)'])
  t.strictSame(lines(t, withToken('"${CI_TOKEN:-{s3}"')), ['admin.tokens[0].token: ${CI_TOKEN:-…} has no closing brace (a.yaml, line 2, column 39)'])
  t.end()
})

test('no message shows the text around a refused reference: it may be a password', (t) => {
  for (const written of ['redis://:pa$hush@h', 'redis://:${X-hush}@h', 'redis://:${X:-hush@h', 'redis://:hush${X}@h']) {
    const told = lines(t, `${origin}redis: { url: "${written}" }`)
    t.equal(told.length, 1, written)
    t.notMatch(told.join(), /hush/)
  }
  t.end()
})

test('$$ is a literal $, anywhere', (t) => {
  const env = { NAME: 'n' }
  t.equal(token(load(t, withToken('pa$$'))), 'pa$')
  t.equal(token(load(t, withToken('$$NAME'), env)), '$NAME')
  t.equal(token(load(t, withToken('$${NAME}'), env)), '${NAME}')
  t.equal(token(load(t, withToken('$${NAME:-x}'), env)), '${NAME:-x}')
  t.equal(token(load(t, withToken('"$$$${NAME}$$5"'), env)), '$${NAME}$5')
  t.equal(token(load(t, withToken('$$${NAME}'), env)), '$n')
  t.equal(token(load(t, withToken('${X:-$$5}'), env)), '$5')
  t.equal(load(t, `${origin}routes: [{ origin: api, match: { path: /$$metadata } }]`).routes[0]?.match.path, '/$metadata')
  t.end()
})

test('a $ that no name or brace follows is itself', (t) => {
  for (const written of ['$', '$5', '$(id)', '$}', '$-']) t.equal(token(load(t, withToken(`"pa${written}"`))), `pa${written}`)
  t.equal(token(load(t, withToken('"pa$$$"'))), 'pa$$')
  t.end()
})

test('a default may hold references, and pairs of braces', (t) => {
  const text = withToken('${A:-${B:-${C:-deep}}}')
  t.equal(token(load(t, text)), 'deep')
  t.equal(token(load(t, text, { B: 'b' })), 'b')
  t.equal(token(load(t, text, { A: 'a' })), 'a', 'and what is not used need not be set')
  t.equal(token(load(t, withToken('${A:-${B}}'), { A: 'a' })), 'a')
  t.strictSame(lines(t, withToken('${A:-${B}}')), ['admin.tokens[0].token: the environment variable B is not set (a.yaml, line 2, column 43)'])
  t.strictSame(lines(t, withToken('${A:-$B}'), { A: 'a' }).length, 1, 'but it must be understood')
  t.equal(token(load(t, withToken('${A:-{x}y}'))), '{x}y')
  t.equal(token(load(t, withToken('"${A:-x}y}"'))), 'xy}', 'the first brace that closes it ends it')
  t.strictSame(load(t, `${origin}routes: '\${ROUTES:-[{"origin": "api", "match": {"path": "/x"}}]}'`).routes.map(({ match }) => match.path), ['/x'])
  t.strictSame(lines(t, withToken(`${'${A:-'.repeat(2000)}x${'}'.repeat(2000)}`)), ['admin.tokens[0].token: references are nested deeper than 10 (a.yaml, line 2, column 88)'])
  t.end()
})

test('the content of a variable is neither parsed as YAML nor searched for references', (t) => {
  for (const held of ['${OTHER}', '$OTHER', '$$', 'a:b', '#c', '{x:1}', '*a', '!!int', "'q'", '"q"', '\\n']) {
    t.equal(token(load(t, withToken('${X}'), { X: held, OTHER: 'no' })), held)
    t.equal(token(load(t, withToken('${Y:-${X}}'), { X: held, OTHER: 'no' })), held)
  }
  // Private-use characters, as references are hidden behind.
  const { tokens } = load(t, `${origin}admin: { tokens: [ { name: "\uE041\${X}", token: a } ] }`, { X: '\uE042\uE0C1' }).admin
  t.equal(tokens[0]?.name, '\uE041\uE042\uE0C1')
  t.end()
})

test('a default may hold characters that YAML would interpret', (t) => {
  for (const held of ['a,b', 'a:b', 'a#b', '[x]', '*a', '&a', '!t', '%x', '@x', '`x', '|', '>', 'a]', '?']) {
    t.equal(token(load(t, withToken(`\${X:-${held}}`))), held, `in a flow map: ${held}`)
    t.equal(token(load(t, `${origin}admin:\n  tokens:\n    - token: \${X:-${held}} # a comment\n      name: a\n`)), held, `in a block: ${held}`)
  }
  const spaced = (text: string) => load(t, `${origin}admin: { tokens: [ { name: ${text}, token: x } ] }`).admin.tokens[0]?.name
  t.equal(spaced('${X:-a: b, c # d}'), 'a: b, c # d')
  t.equal(spaced("'${X:-it''s}'"), "it's")
  t.equal(spaced('"${X:-a\\"b\\\\c}"'), 'a"b\\c')
  t.equal(spaced('"\\u0024{X:-x}"'), 'x', 'YAML has its say first')
  t.match(lines(t, `${origin}admin: { tokens: [ { name: \${X:-it's}, token: x } ] }`)[0], /^a\.yaml, line \d, column \d+: .*needs quotes around it$/)
  t.end()
})

test('numbers, booleans, durations, sizes, choices and lists are read as from the environment', (t) => {
  const text = `
proxy: { port: \${PORT:-1234}, trustProxy: \${TRUST:-10.0.0.0/8, ::1}, headersTimeoutMs: \${HEADERS:-2s} }
cache: { coalesce: \${COALESCE:-false}, maxEntryBytes: \${MOST:-1MiB}, keepStale: \${KEEP:-2h}, maxVariants: 1\${ZERO:-0} }
log: { level: \${LEVEL:-warn} }
workers: \${WORKERS:-1}
origins: { api: { servers: \${SERVERS:-http://a, http://b} }, other: { servers: [ "http://\${HOST:-c}:81", \${D:-http://d} ] } }
routes: [ { origin: \${ORIGIN:-api}, retryOn: [ \${STATUS:-503} ], cache: { ttl: { status: { 404: \${TTL:-5s} } } } } ]
`
  const config = load(t, text)
  t.match(config, {
    proxy: { port: 1234, trustProxy: ['10.0.0.0/8', '::1'], headersTimeoutMs: 2000 },
    cache: { coalesce: false, maxEntryBytes: 1_048_576, keepStale: 7_200_000, maxVariants: 10 },
    log: { level: 'warn' },
    workers: 1,
    origins: { api: { servers: ['http://a', 'http://b'] }, other: { servers: ['http://c:81', 'http://d'] } },
    routes: [{ origin: 'api', retryOn: [503], cache: { ttl: { status: { 404: 5000 } } } }],
  })
  t.match(load(t, text, { TRUST: 'true', PORT: '0' }).proxy, { port: 0, trustProxy: true })
  t.strictSame(lines(t, text, { PORT: 'http' }), ['proxy.port: expected a whole number from 0 to 65535, got "http"'])
  t.end()
})

test('JSON is taken as YAML is', (t) => {
  const json = (value: unknown) => JSON.stringify({ $schema: './$chema.json', origins: { api: { servers: ['http://a'] } }, admin: { tokens: [{ name: 'a', token: value }] } })
  t.equal(token(load(t, json('${X:-s3cret}'), {}, 'a.json')), 's3cret')
  t.equal(token(load(t, json('${X:-"q"}'), {}, 'a.json')), '"q"')
  t.equal(token(load(t, json('$$X'), {}, 'a.json')), '$X')
  t.match(lines(t, json('$X'), {}, 'a.json'), [/^admin\.tokens\[0\]\.token: \$NAME is not replaced: .* \(a\.json, line 1, column \d+\)$/])
  t.end()
})

test('comments are ignored, and names are taken as they are', (t) => {
  t.equal(load(t, `# $X \${X \${Y} \${Z:?no} "\${\n${origin}log: { level: warn } # costs $5 \${`).log.level, 'warn')
  t.strictSame(lines(t, 'origins: { "${NAME:-api}": { servers: [http://a] } }'), [
    'origins.${NAME:-api}: a reference is replaced in a value only, not in a name (a.yaml, line 1, column 12)',
  ])
  t.strictSame(lines(t, 'origins: { ${NAME}: { servers: [http://a] } }', { NAME: 'api' }), [
    'origins.${NAME}: a reference is replaced in a value only, not in a name (a.yaml, line 1, column 12)',
  ])
  t.strictSame(lines(t, `${origin}$proxy: { port: 1 }`), ['$proxy: a reference is replaced in a value only, not in a name (a.yaml, line 2, column 1)'])
  t.end()
})

test('the place is found in long strings, blocks, lists, aliases and merged maps', (t) => {
  const column = (text: string): string | undefined => /line (\d+, column \d+)\)$/.exec(lines(t, text)[0] ?? '')?.slice(1).join()
  t.equal(column(`${origin}admin:\n  tokens:\n    - name: >-\n        a $$b\n        c \${D} e\n      token: x\n`), '6, column 11')
  t.equal(column('origins: { api: { servers: [ http://a, "http://$$b/${C}" ] } }'), '1, column 52')
  t.equal(column(`${origin}admin: { tokens: [ { name: &n "x\${Y}", token: x } ] }\nproxy: { viaName: *n }`), '2, column 33')
  t.equal(column(`base: &b { level: $x }\n${origin}log: { <<: *b }`.replace('base', 'coherence')), '1, column 24')
  t.match(lines(t, `proxy: &b { viaName: $x }\n${origin}log: { <<: *b }`), [/^proxy\.viaName: .*line 1, column 22\)$/, /^log\.viaName: .*line 1, column 22\)$/])
  t.end()
})

test('nothing is replaced in values from the environment or a flag', (t) => {
  const flags = { origin: ['http://127.0.0.1:1'] }
  const env = { SPRINGHOUSE_REDIS_PASSWORD: 'pa$x${Y}$$', SPRINGHOUSE_REDIS_SENTINEL_MASTER: '$m', SPRINGHOUSE_REDIS_SENTINEL_NODES: 's:1', SPRINGHOUSE_ADMIN_TOKEN: '${T}$$' }
  const { config } = loadConfig({ env, flags })
  t.match(config.redis, { password: 'pa$x${Y}$$', sentinel: { master: '$m' } })
  t.equal(token(config), '${T}$$')
  t.equal(token(loadConfig({ env: { SPRINGHOUSE_ADMIN_TOKENS: '[{ name: a, token: "$x" }]' }, flags }).config), '$x')
  t.end()
})

test('a wrong setting in the file does no harm if the environment or a flag replaces it', (t) => {
  const text = `${origin}redis: { url: \${REDIS_URL} }\nlog: { level: $x }`
  t.equal(load(t, text, { SPRINGHOUSE_REDIS_URL: 'redis://h', SPRINGHOUSE_LOG_LEVEL: 'warn' }).log.level, 'warn')
  const file = `${t.testdir({ 'a.yaml': 'origins: { api: { servers: [ "${A}" ] } }\nroutes: [ { origin: "${B}" } ]' })}/a.yaml`
  t.equal(loadConfig({ file, env: {}, flags: { origin: ['http://a'] } }).config.routes[0]?.origin, 'default')
  t.end()
})

test('names that objects have by nature are variables that are not set', (t) => {
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    t.strictSame(substitute(`\${${name}:-x}`, process.env), { text: 'x', replaced: true, faults: [] })
    t.equal(substitute(`\${${name}}`, {}).faults.length, 1)
  }
  t.end()
})
