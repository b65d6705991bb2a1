// The generated files match the schema.
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { test } from 'tap'
import { parse, stringify } from 'yaml'
import { otherVariables, variables } from '../../src/config/environment.ts'
import { loadConfig, resolveConfig } from '../../src/config/load.ts'
import { humanise, maskSecrets } from '../../src/config/mask.ts'
import { editorSchema, referencePage } from '../../src/config/reference.ts'

// From .build/test/config, where this runs.
const published = (name: string) => new URL(`../../../config/${name}`, import.meta.url)
const read = (name: string) => readFileSync(published(name), 'utf8')

test('config/reference.md is generated from the schema', (t) => {
  t.equal(read('reference.md'), referencePage(), 'run `npm run generate`')
  t.end()
})

test('config/springhouse.schema.json is generated from the schema', (t) => {
  t.equal(read('springhouse.schema.json'), editorSchema(), 'run `npm run generate`')
  t.end()
})

test('the example file loads, and editors find nothing wrong with it', (t) => {
  const { config } = loadConfig({ file: published('springhouse.yaml').pathname, env: { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' } })
  t.match(config, {
    proxy: { host: '0.0.0.0', port: 8080 },
    admin: { host: '0.0.0.0', port: 8081, tokens: [{ name: 'env', token: 'abc-abc-abc-abc-abc' }] },
    redis: { url: 'redis://redis:6379' },
    origins: { api: { servers: ['http://backend:3000'] } },
    workers: 2,
  })
  const inEditor = new Ajv({ strict: false, allErrors: true }).compile(JSON.parse(editorSchema()) as object)
  t.equal(inEditor(parse(read('springhouse.yaml'))), true, JSON.stringify(inEditor.errors))
  t.equal(inEditor({ proxy: { port: '${PORT}' }, cache: { keepStale: '1h', maxEntryBytes: '1MB' } }), true)
  t.equal(inEditor({ cache: { keepStale: 60 } }), false)
  t.equal(inEditor({ proxy: { prot: 1 } }), false)
  t.equal(inEditor({ 'x-common': { any: 1 } }), true)
  for (const [heuristic, right] of [['5m', true], ['off', true], [false, true], [0, true], ['on', false], [true, false], [60, false]] as const) {
    t.equal(inEditor({ routes: [{ origin: 'api', cache: { ttl: { heuristic } } }] }), right, String(heuristic))
  }
  t.end()
})

test('every setting has a name in the environment, and no two the same', (t) => {
  const names = [...variables.map(({ name }) => name), ...otherVariables]
  t.equal(new Set(names).size, names.length)
  t.ok(names.includes('SPRINGHOUSE_CACHE_MAX_ENTRY_BYTES'))
  t.end()
})

test('every setting is explained', (t) => {
  for (const line of referencePage().split('\n').filter((each) => each.startsWith('| `'))) {
    t.notMatch(line, /\|\s*\|$/, line)
  }
  t.end()
})

test('the effective configuration, as it is printed, loads as the same one', (t) => {
  const config = resolveConfig({
    redis: { url: 'redis://u:pw@h:1', commandTimeoutMs: 50 },
    admin: { tokens: [{ name: 'a', token: 'b' }] },
    proxy: { trustProxy: ['10.0.0.0/8'] },
    origins: { api: { servers: ['http://x:80/'], tls: {}, health: { path: '/healthz?a=b' } } },
    routes: [{ origin: 'api', key: { cookies: ['lang'] }, cache: { ttl: { default: '90s', status: { 404: '5s' } }, maxEntryBytes: 1000 } }, { origin: 'api',
      cache: { ttl: { heuristic: 'off' } } }],
    workers: 'auto',
  })
  t.strictSame(resolveConfig(parse(stringify(humanise(config)))), config)
  t.end()
})

test('secrets are masked wherever they stand', (t) => {
  const config = resolveConfig({
    redis: { url: 'redis://user:hush@h:1' },
    admin: { tokens: [{ name: 'a', token: 'hush' }] },
    origins: { api: { servers: ['http://x'] } },
  })
  const shown = JSON.stringify(maskSecrets(config))
  t.notMatch(shown, /hush/)
  t.match(maskSecrets(config), { redis: { url: 'redis://user:********@h:1' }, admin: { tokens: [{ name: 'a', token: '********' }] } })
  const watched = resolveConfig({
    redis: { sentinel: { master: 'm', nodes: ['redis://u:hush@s:1'] }, password: 'hush' },
    origins: { api: { servers: ['http://x'] } },
  })
  t.notMatch(JSON.stringify(maskSecrets(watched)), /hush/)
  t.equal(config.admin.tokens[0]?.token, 'hush', 'the configuration itself is not changed')
  t.end()
})
