// Each setting does something: the program gets another value of every leaf of the schema, and a difference is seen from
// outside. A setting that nothing reads fails its probe, or keeps it waiting.
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { configNode, memberSchema, type SchemaNode } from '../../src/config/node.ts'
import { listeners } from './leaves/listeners.ts'
import { observe } from './leaves/observe.ts'
import { origins } from './leaves/origins.ts'
import type { Probe } from './leaves/probe.ts'
import { processes } from './leaves/process.ts'
import { redis } from './leaves/redis.ts'
import { routes } from './leaves/routes.ts'
import { auth } from './leaves/auth.ts'
import { sessions } from './leaves/sessions.ts'
import { storage } from './leaves/storage.ts'

/** Leaves whose effect is shown elsewhere, each with the reason. None of `log` may stand here. */
const exceptions: Readonly<Record<string, string>> = Object.fromEntries(
  // The same section as `redis`, read by the same code (storage.ts). The probe of its URL shows that it is read.
  Object.keys(redis).filter((path) => path !== 'redis.url').map((path) => [`sessions.${path}`, path]),
)

t.setTimeout(360_000)

const probes: Readonly<Record<string, Probe>> = { ...listeners, ...redis, ...origins, ...routes, ...sessions, ...auth, ...storage, ...processes, ...observe }

/** Every setting that is no section, including those in a map or a list of sections. */
function leavesOf(node: SchemaNode, path: string): string[] {
  const section = node.properties ?? memberSchema(node)?.properties ?? node.items?.properties
  if (section === undefined) return [path]
  const within = node.properties !== undefined ? path : memberSchema(node) !== undefined ? `${path}.<name>` : `${path}[]`
  return Object.entries(section).flatMap(([name, member]) => leavesOf(member, within === '' ? name : `${within}.${name}`))
}

const leaves = leavesOf(configNode, '')

t.test('every leaf of the schema has a probe, and nothing else has', (t) => {
  t.ok(leaves.length > 90, `${leaves.length} leaves`)
  t.same([...Object.keys(probes), ...Object.keys(exceptions)].toSorted(), leaves.toSorted())
  t.same(Object.keys(exceptions).filter((path) => path.startsWith('log.')), [])
  t.end()
})

/** Settings for which zero is a value, each with the test that shows what zero does. */
const zeros: Readonly<Record<string, string>> = {
  'proxy.port': 'cli/serve',
  'admin.port': 'cli/serve',
  'proxy.redirectPort': 'config/leaves/listeners',
  'proxy.requestTimeoutMs': 'e2e/grpc',
  'proxy.keepAliveTimeoutMs': 'config/leaves/listeners',
  'proxy.stalledTimeoutMs': 'config/leaves/listeners',
  'proxy.shutdownGraceMs': 'config/leaves/listeners',
  'proxy.shutdownDelayMs': 'config/leaves/listeners',
  'origins.<name>.timeouts.idleMs': 'config/leaves/origins',
  'origins.<name>.maxQueue': 'config/leaves/origins',
  'origins.<name>.retries': 'config/leaves/origins',
  'routes[].cache.ttl.default': 'stories/zeros',
  'routes[].cache.ttl.max': 'stories/zeros',
  'routes[].cache.ttl.heuristic': 'stories/zeros',
  'routes[].cache.ttl.status': 'stories/zeros',
  'routes[].cache.staleWhileRevalidate': 'stories/zeros',
  'routes[].cache.staleIfError': 'stories/zeros',
  'routes[].cache.maxEntryBytes': 'stories/zeros',
  'cache.memory.maxBytes': 'conformance/runs',
  'cache.memory.maxEntryBytes': 'stories/zeros',
  'cache.maxEntryBytes': 'stories/zeros',
  'cache.keepStale': 'stories/zeros',
  'coherence.purgeWaitMs': 'config/leaves/storage',
  'sessions.rotationGrace': 'config/leaves/sessions',
  'sessions.anonymousPerMinute': 'config/leaves/sessions',
  'auth.jwt[].leeway': 'config/leaves/auth',
  'auth.jwt[].keepStale': 'config/leaves/auth',
}

/** The number of a leaf, also within a union or a map. */
const numberOf = (node: SchemaNode): SchemaNode | undefined => [node, ...(node.anyOf ?? []), memberSchema(node)].find((each) => each?.type === 'integer')

function nodeAt(path: string): SchemaNode {
  const keys = path.replaceAll('[]', '.[]').split('.')
  return keys.reduce<SchemaNode>((node, key) => (key === '[]' ? node.items : key === '<name>' ? memberSchema(node) : node.properties?.[key]) ?? {}, configNode)
}

t.test('every setting for which zero is a value has a test of zero', (t) => {
  const takeZero = leaves.filter((path) => numberOf(nodeAt(path))?.minimum === 0)
  t.ok(takeZero.length > 15, `${takeZero.length} settings`)
  t.same(Object.keys(zeros).toSorted(), takeZero.toSorted())
  for (const [path, file] of Object.entries(zeros)) {
    const names = path.split('.').at(-1) as string
    const text = ['.test.ts', '.ts'].map((end) => new URL(`../../../test/${file}${end}`, import.meta.url)).filter((url) => existsSync(url)).map((url) => readFileSync(url, 'utf8'))
      .join('')
    t.match(text, new RegExp(names.replace(/[A-Z]/g, (letter) => `[_-]?${letter}`), 'i'), `${path} in ${file}`)
  }
  t.end()
})

for (const [path, probe] of Object.entries(probes)) {
  t.test(`another value of ${path} makes a difference`, { timeout: 60_000 }, async (t) => {
    const { seen, expected } = await probe(t, path)
    t.notSame(expected[0], expected[1])
    t.same(seen, expected)
  })
}
