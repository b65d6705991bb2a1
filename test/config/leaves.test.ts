// Each setting does something: the program gets another value of every leaf of the schema, and a difference is seen from
// outside. A setting that nothing reads fails its probe, or keeps it waiting.
import t from 'tap'
import { configNode, memberSchema, type SchemaNode } from '../../src/config/node.ts'
import { listeners } from './leaves/listeners.ts'
import { origins } from './leaves/origins.ts'
import type { Probe } from './leaves/probe.ts'
import { processes } from './leaves/process.ts'
import { redis } from './leaves/redis.ts'
import { routes } from './leaves/routes.ts'
import { storage } from './leaves/storage.ts'

/** Leaves whose effect is shown elsewhere, each with the reason. None of `log` may stand here. */
const exceptions: Readonly<Record<string, string>> = {}

t.setTimeout(360_000)

const probes: Readonly<Record<string, Probe>> = { ...listeners, ...redis, ...origins, ...routes, ...storage, ...processes }

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

for (const [path, probe] of Object.entries(probes)) {
  t.test(`another value of ${path} makes a difference`, { timeout: 60_000 }, async (t) => {
    const { seen, expected } = await probe(t, path)
    t.notSame(expected[0], expected[1])
    t.same(seen, expected)
  })
}
