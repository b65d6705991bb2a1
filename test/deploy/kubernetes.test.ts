// deploy/kubernetes: the types of Kubernetes accept the manifests, their parts fit together, and the program accepts their configuration.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { configurationNotices } from '../../src/cli/configuration-notices.ts'
import { loadConfig } from '../../src/config/load.ts'
import { page, root } from '../docs/blocks.ts'
import { argumentProblem } from '../docs/verbs.ts'

interface Container {
  readonly args: readonly string[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly env?: readonly { readonly name: string; readonly value: string }[]
  readonly resources: { readonly limits: { readonly memory: string } }
  readonly readinessProbe: object
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data: Readonly<Record<string, string>>
  readonly spec: {
    readonly selector: { readonly matchLabels?: Readonly<Record<string, string>>; readonly app?: string }
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[]
    readonly volumeClaimTemplates?: readonly unknown[]
    readonly template: {
      readonly metadata: { readonly labels: { readonly app: string } }
      readonly spec: { readonly terminationGracePeriodSeconds: number; readonly containers: readonly [Container] }
    }
  }
}

// Kubernetes reads YAML 1.1, where 0440 is octal.
const manifests = ['springhouse', 'redis'].flatMap(name =>
  parseAllDocuments(page(`deploy/kubernetes/${name}.yaml`), { version: '1.1' }).map(document => document.toJS() as Manifest)
)
const find = (kind: string, name: string): Manifest => manifests.find(each => each.kind === kind && each.metadata.name === name) as Manifest
const proxy = find('Deployment', 'springhouse').spec.template.spec

/** Where `kubernetes-types` has the kinds of a version. */
const modules: Readonly<Record<string, string>> = { 'v1': 'core/v1', 'apps/v1': 'apps/v1', 'policy/v1': 'policy/v1', 'networking.k8s.io/v1': 'networking/v1' }

t.test('the types of Kubernetes accept each manifest, without an unknown field', async t => {
  const folder = t.testdir({ types: {} })
  mkdirSync(join(folder, 'types'), { recursive: true })
  const compile = (all: readonly object[]): string => {
    const file = join(folder, 'types/manifests.ts')
    const lines = (all as readonly Manifest[]).map((each, i) =>
      `import type { ${each.kind} as Kind${i} } from 'kubernetes-types/${modules[each.apiVersion]}'\nexport const manifest${i}: Kind${i} = ${JSON.stringify(each)}\n`
    )
    writeFileSync(file, lines.join(''))
    const flags = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler', '--typeRoots', folder]
    return spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...flags, file], { encoding: 'utf8', cwd: root }).stdout
  }
  t.equal(compile(manifests), '')
  t.match(compile([{ ...find('Service', 'springhouse'), spek: {} }]), /"spek"' does not exist/, 'and find one')
})

t.test('selectors find their pods, and services their ports', async t => {
  for (const { kind, metadata: { name }, spec } of manifests) {
    if (kind === 'Deployment' || kind === 'StatefulSet') t.same(spec.selector.matchLabels, spec.template.metadata.labels, name)
    if (kind !== 'Service') continue
    const target = manifests.find(each => each.spec?.template?.metadata.labels.app === spec.selector.app)
    const ports = target?.spec.template.spec.containers[0].ports ?? []
    for (const { targetPort } of spec.ports) t.ok(ports.some(port => port.name === targetPort), `${name}: ${targetPort}`)
  }
})

t.test('the program accepts its configuration and its arguments, and may take its time to stop', async t => {
  const file = join(t.testdir({ 'springhouse.yaml': find('ConfigMap', 'springhouse').data['springhouse.yaml'] ?? '' }), 'springhouse.yaml')
  const loaded = loadConfig({ file, env: { SPRINGHOUSE_ADMIN_TOKEN: 'a-token-of-some-length' } })
  t.same(configurationNotices(loaded, Date.now()), [])
  const { config } = loaded
  for (const url of [config.redis?.url, config.sessions.redis?.url])
    t.ok(manifests.some(({ kind, metadata }) => kind === 'Service' && url === `redis://${metadata.name}:6379`), `${url}`)
  t.ok(proxy.terminationGracePeriodSeconds * 1000 > config.proxy.shutdownDelayMs + config.proxy.shutdownGraceMs)
  const [{ args, ports, resources }] = proxy.containers
  t.equal(await argumentProblem(args), undefined)
  t.same(ports.map(({ containerPort }) => containerPort), [config.proxy.port, config.admin.port])
  // Memory beside the cache: docs/production.md.
  t.ok(Number.parseInt(resources.limits.memory, 10) >= config.cache.memory.maxBytes / 1024 ** 2 + 256)
})

t.test('the Redis of the cache evicts, that of sessions does not, and writes a file', async t => {
  const args = (kind: string, name: string): string => find(kind, name).spec.template.spec.containers[0].args.join(' ')
  t.match(args('Deployment', 'springhouse-cache'), /--appendonly no .*--maxmemory-policy volatile-lfu/)
  t.match(args('StatefulSet', 'springhouse-sessions'), /--appendonly yes .*--maxmemory-policy noeviction/)
  t.equal(find('StatefulSet', 'springhouse-sessions').spec.volumeClaimTemplates?.length, 1)
})
