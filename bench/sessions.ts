// The cost of sessions and tokens: CPU of the process for each request, beside what it is compared with, each in a process of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { providerKey, signToken, startIdentityProvider } from '../test/session/identity-provider.ts'
import { startRedis } from '../test/support/redis.ts'
import { systemClock } from '../src/clock.ts'
import { ask, type Contestant } from './contestants.ts'
import { microsecondsEach, spread } from './cpu.ts'
import { load } from './load.ts'
import { freePort, generatorCore, hasProgram, pin, serverCore, startServer } from './process.ts'

/** Requests of each measurement, at least. */
const requestsEach = 100_000

interface Server {
  readonly base: string
  readonly pid: number
}

/** A measurement, and the one that it must not exceed by more than `most` times. */
interface Row {
  readonly name: string
  readonly server: Server
  readonly path: string
  readonly fields: Readonly<Record<string, string>>
  readonly against?: { readonly name: string; readonly most: number }
}

const shipped = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'springhouse-bench-sessions-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

async function startProgram(program: string, name: string, config: object): Promise<Server> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const file = join(folder, `${name}.json`)
  writeFileSync(file, JSON.stringify({ proxy: { host: '127.0.0.1', port }, admin: { host: '127.0.0.1', port: adminPort }, ...config }))
  const pid = await startServer(process.execPath, [program, 'serve', '--config', file], { url: `http://127.0.0.1:${adminPort}/readyz`, core: serverCore,
    env: { NODE_ENV: 'production' } })
  return { base: `http://127.0.0.1:${port}`, pid }
}

async function startRedisGet(redis: string, hit: Server): Promise<Server> {
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  const { fields, body } = await ask(`${hit.base}/hit`)
  const kept = fields.filter((_, i) => !/^(?:date|connection|keep-alive)$/i.test(fields[i - (i % 2)] as string))
  const program = fileURLToPath(new URL('contestants/redis-get.js', import.meta.url))
  const env = { BENCH_ANSWER: JSON.stringify({ fields: kept, body }), BENCH_REDIS: redis }
  return { base, pid: await startServer(process.execPath, [program, String(port)], { url: base, core: serverCore, env }) }
}

/** Logs in, and returns the cookie. */
async function logIn({ base }: Server): Promise<string> {
  const response = await fetch(`${base}/login`, { method: 'POST' })
  const [cookie = ''] = (response.headers.get('set-cookie') ?? '').split(';')
  if (!cookie.startsWith('__Host-session=')) throw new Error(`the log-in gave no cookie: ${response.status}`)
  return cookie
}

/**
 * Measures sessions and tokens beside plain requests, and sessions that are off beside themselves.
 * @param other the folder of another build, such as one without sessions, beside which this one is measured with sessions off
 */
export async function sessionCosts(origin: Contestant, connections: number, rounds: number, other: string | undefined): Promise<string> {
  if (!hasProgram('redis-server') && !hasProgram('valkey-server')) return '## Sessions and tokens\n\nThere is no Redis on PATH.\n'
  const redis = await startRedis()
  pin(redis.pid as number, generatorCore)
  const key = providerKey('ES256', 'bench')
  const idp = await startIdentityProvider(key)
  const exp = Math.floor(systemClock.now() / 1000) + 86_400
  const token = signToken(key, { iss: 'bench', aud: 'bench', sub: 'ann', exp, tenant: 'acme', email: 'ann@bench.example', scope: 'read write', jti: 'x'.repeat(200) })

  const origins = { api: { servers: [origin.base] } }
  const off = { origins, routes: [{ match: {}, origin: 'api' }], redis: { url: redis.url, keyPrefix: 'off' } }
  const on = {
    origins,
    redis: { url: redis.url, keyPrefix: 'on' },
    sessions: { enabled: true },
    auth: { jwt: [{ name: 'idp', issuer: 'bench', audience: ['bench'], jwks: idp.url, algorithms: ['ES256'] }] },
    routes: [
      { match: { path: '/hit-by-session' }, origin: 'api', key: { facets: ['tenant'] } },
      { match: { path: '/hit-by-token' }, origin: 'api', key: { facets: ['tenant'] }, identity: { sources: ['idp'] } },
      { match: {}, origin: 'api' },
    ],
  }
  const before = other === undefined ? undefined : await startProgram(resolve(other, 'dist/cli/main.js'), 'other', off)
  const [first, again, with_] = [await startProgram(shipped, 'off', off), await startProgram(shipped, 'again', off), await startProgram(shipped, 'on', on)]
  const bare = await startRedisGet(redis.url, first)
  const cookie = { Cookie: await logIn(with_) }
  const bearer = { Authorization: `Bearer ${token}` }
  const rows: readonly Row[] = [
    { name: 'sessions off: hit', server: first, path: '/hit', fields: {} },
    { name: 'the same again', server: again, path: '/hit', fields: {}, against: { name: 'sessions off: hit', most: 1.01 } },
    ...(before === undefined ? [] : [{ name: 'another build: hit', server: before, path: '/hit', fields: {}, against: { name: 'sessions off: hit', most: 1.01 } }]),
    { name: 'sessions off: pass', server: first, path: '/pass', fields: {} },
    { name: 'node:http with one getBuffer of ioredis', server: bare, path: '/', fields: {} },
    { name: 'session: facet hit', server: with_, path: '/hit-by-session', fields: cookie, against: { name: 'node:http with one getBuffer of ioredis', most: 1.4 } },
    { name: 'token: facet hit', server: with_, path: '/hit-by-token', fields: bearer, against: { name: 'sessions off: hit', most: 1.3 } },
    { name: 'session: pass', server: with_, path: '/pass', fields: cookie, against: { name: 'sessions off: pass', most: 1.5 } },
  ]
  const measured = new Map<string, number[]>(rows.map(({ name }) => [name, []]))
  for (const { server, path, fields } of rows) {
    // Twice: it may take a moment until a start keeps anything. And compilers are done before it counts.
    for (let i = 0; i < 2; i++) await load(server.base + path, connections, 2, fields)
  }
  for (let round = 0; round < rounds; round++) {
    for (const { name, server, path, fields } of round % 2 === 0 ? rows : rows.toReversed()) {
      const each = await microsecondsEach({ url: server.base + path, pid: server.pid, connections, requests: requestsEach, fields })
      measured.get(name)?.push(each)
      console.log(`  round ${round + 1} of ${rounds}, ${name}: ${each.toFixed(1)} µs`)
    }
  }
  await idp.close()
  await redis.stop()
  return report(rows, measured)
}

function report(rows: readonly Row[], measured: ReadonlyMap<string, readonly number[]>): string {
  const of = (name: string): { readonly median: number; readonly text: string } => spread(measured.get(name) ?? [])
  const lines = rows.map(({ name, against }) => {
    const { median, text } = of(name)
    const ratio = against === undefined ? undefined : pairedRatio(measured.get(name) ?? [], measured.get(against.name) ?? [])
    const verdict = against === undefined || ratio === undefined
      ? ' | '
      : `${ratio.toFixed(2)} × ${against.name} | ≤ ${against.most.toFixed(2)}: ${ratio <= against.most ? 'reached' : 'missed'}`
    return `| ${name} | ${median.toFixed(1)} | ${text} | ${verdict} |`
  })
  return [
    '## Sessions and tokens',
    '',
    `CPU of the process for each request of 1 KB, over at least ${requestsEach.toLocaleString('en-US')} requests a round. Sessions are in Redis; a token was verified before.`,
    '',
    '| | median, µs | min–max | ratio | limit |',
    '|---|---:|---:|---|---|',
    ...lines,
    '',
  ].join('\n')
}

/** The median of the ratios in each round. */
function pairedRatio(values: readonly number[], bases: readonly number[]): number {
  return spread(values.map((value, i) => value / (bases[i] as number))).median
}
