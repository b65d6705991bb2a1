// docker-compose.yml: what it promises about its parts, and its Redis for sessions as a real server with the same arguments.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { parse } from 'yaml'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { obedient, Visitor } from '../session/support.ts'
import { eventually } from '../support/log.ts'
import { startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'

interface Service {
  readonly command: readonly string[]
  readonly user?: string
  readonly tmpfs: readonly string[]
  readonly volumes?: readonly string[]
  readonly networks: readonly string[]
  readonly ports?: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly restart: string
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
  readonly security_opt: readonly string[]
  readonly stop_grace_period?: string
}

interface Compose {
  readonly services: Readonly<Record<'redis' | 'sessions' | 'proxy' | 'backend', Service>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
}

const path = (name: string): string => fileURLToPath(new URL(`../../../${name}`, import.meta.url))
const compose = parse(readFileSync(path('docker-compose.yml'), 'utf8'), { merge: true }) as Compose
const { redis, sessions, proxy, backend } = compose.services

/** The options of a Redis, by name. */
function options({ command }: Service): Record<string, string> {
  const found: Record<string, string> = {}
  for (let i = 1; i < command.length; i += 2) found[(command[i] as string).replace('--', '')] = command[i + 1] as string
  return found
}

test('the Redis of the cache evicts and keeps nothing on disk; that of the sessions evicts nothing and keeps everything', async (t) => {
  t.match(options(redis), { 'maxmemory': /^\d+mb$/, 'maxmemory-policy': 'volatile-lfu', 'appendonly': 'no', 'save': '' })
  t.ok(redis.tmpfs.includes('/data'))
  t.equal(redis.volumes, undefined)
  t.match(options(sessions), { 'maxmemory': /^\d+mb$/, 'maxmemory-policy': 'noeviction', 'appendonly': 'yes', 'appendfsync': 'everysec' })
  t.notOk(sessions.tmpfs.includes('/data'))
  const [volume = '', folder] = sessions.volumes?.[0]?.split(':') ?? []
  t.equal(folder, '/data')
  t.ok(volume in compose.volumes, 'a volume of its own, which outlives the container')
})

test('every part is hardened, checked and reachable by those that need it alone', async (t) => {
  for (const [name, service] of Object.entries(compose.services)) {
    t.match(service, { restart: 'unless-stopped', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }, name)
    for (const port of service.ports ?? []) t.match(port, /^127\.0\.0\.1:/, name)
  }
  for (const service of [redis, sessions]) {
    t.same(service.networks, ['store'])
    t.equal(service.user, '999:999')
    t.match(service.healthcheck?.test.join(' '), /redis-cli ping/)
    t.equal(service.ports, undefined)
  }
  // While Redis reads its file, a ping is an error, with which redis-cli ends well all the same.
  t.match(sessions.healthcheck?.test, ['CMD-SHELL', /grep -qE 'PONG\|NOAUTH'/])
  t.equal(compose.networks['store']?.internal, true)
  t.same(backend.networks, ['origins'])
  t.same(proxy.depends_on, { redis: { condition: 'service_healthy' }, sessions: { condition: 'service_healthy' }, backend: { condition: 'service_healthy' } })
  // Delay and grace are 12 s.
  t.ok(Number.parseInt(proxy.stop_grace_period ?? '', 10) > 12)
})

test('its configuration names the parts as the compose file does', async (t) => {
  const { config } = loadConfig({ file: path('config/springhouse.yaml'), env: { SPRINGHOUSE_ADMIN_TOKEN: 'a-token-of-some-length' } })
  t.equal(config.redis?.url, 'redis://redis:6379')
  t.equal(config.sessions.enabled, true)
  t.equal(config.sessions.redis?.url, 'redis://sessions:6379')
  t.same(config.origins['api']?.servers, ['http://backend:3000'])
  const flags = options({ ...backend, command: ['', ...backend.command] })
  t.match(flags, { port: '3000', audience: 'api', keys: `http://proxy:${config.proxy.port}/.well-known/springhouse/jwks.json` })
})

// Guards: appendonly in the command of the service. The signing key is in this Redis too.
test('a killed Redis, and a replaced proxy, log nobody out', { timeout: 60_000 }, async (t) => {
  const server = await startRedis({ args: sessions.command.slice(1) })
  t.teardown(() => server.stop())
  const origin = await startOrigin(obedient())
  t.teardown(() => origin.close())
  const start = () => startProxy(t, { origin, clock: systemClock, config: { sessions: { enabled: true, redis: { url: server.url } } } })
  const first = await start()
  const visitor = new Visitor(first.port)
  t.equal((await visitor.do({ login: 'zoe', data: { basket: { apples: 2 } } })).status, 200)
  const before = await visitor.claims()
  t.match(before, { sub: 'zoe', data: { basket: { apples: 2 } } })

  server.kill('SIGKILL')
  await server.restart()
  await eventually(async () => (await visitor.send('/who')).status === 200)
  t.match(await visitor.claims(), { sub: 'zoe', sid: before?.['sid'], data: { basket: { apples: 2 } } })

  await first.app.close()
  const second = new Visitor((await start()).port, visitor.cookie)
  t.match(await second.claims(), { sub: 'zoe', sid: before?.['sid'], data: { basket: { apples: 2 } } })
})
