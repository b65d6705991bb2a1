// npm run conformance: the public cache tests over each store, scored and held to what is expected of them.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startRedis } from '../support/redis.ts'

// Compiled, this is .build/test/conformance/run.js.
const root = fileURLToPath(new URL('../../..', import.meta.url))
const here = join(root, 'test/conformance')
const suite = join(here, 'node_modules/http-cache-tests')
const kinds = ['required', 'optimal', 'check'] as const
type Kind = (typeof kinds)[number]
type Results = Readonly<Record<string, true | readonly [name: string, message: string]>>

const { values: options } = parseArgs({ options: { store: { type: 'string', multiple: true, default: ['memory', 'redis', 'tiered'] }, id: { type: 'string', default: '' } } })

const children: ChildProcess[] = []
process.once('exit', () => { for (const child of children) child.kill('SIGKILL') })

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => { server.once('listening', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return port
}

function start(args: readonly string[], env: Readonly<Record<string, string>>, cwd: string): ChildProcess {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  children.push(child)
  return child
}

/** Resolves when somebody listens on the port. */
async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const open = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true) })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    await delay(50)
  }
  throw new Error(`nobody listens on port ${port}`)
}

/** The suite's own server, as its package starts it. */
async function startSuiteServer(): Promise<number> {
  const port = await freePort()
  start(['server/server.mjs'], { npm_config_protocol: 'http', npm_config_port: String(port), npm_config_pidfile: join(tmpdir(), `cache-tests-${process.pid}.pid`) }, suite)
  await listening(port)
  return port
}

async function startSpringhouse(origin: number, store: string, redis: string | undefined): Promise<{ port: number; stop(): void }> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const args = ['serve', '--origin', `http://127.0.0.1:${origin}`, '--host', '127.0.0.1', '--port', String(port), '--admin-port', String(adminPort)]
  if (redis !== undefined) args.push('--redis', redis)
  const child = start([join(root, 'dist/cli/main.js'), ...args], {
    SPRINGHOUSE_ADMIN_TOKEN: 'only-for-the-cache-tests',
    SPRINGHOUSE_LOG_LEVEL: 'silent',
    ...(store === 'redis' && { SPRINGHOUSE_CACHE_MEMORY_MAX_BYTES: '0' }),
  }, root)
  await listening(port)
  return { port, stop: () => child.kill('SIGKILL') }
}

/** Runs the suite's own client against a proxy. */
function runClient(port: number): Results {
  const env = { ...process.env, npm_config_base: `http://127.0.0.1:${port}`, npm_config_id: options.id, npm_package_config_id: options.id }
  const { status, stdout } = spawnSync(process.execPath, ['--no-warnings', 'cli.mjs'], { cwd: suite, env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'inherit'] })
  if (status !== 0) throw new Error(`the suite's client ended with ${status}`)
  if (options.id !== '') {
    console.log(stdout)
    return {}
  }
  return JSON.parse(stdout) as Results
}

/** Every test of the suite that is not for browsers alone, with its kind. */
async function testKinds(): Promise<Map<string, Kind>> {
  interface Suite { readonly tests: readonly { readonly id: string; readonly kind?: Kind; readonly browser_only?: boolean }[] }
  const load = async (file: string): Promise<unknown> => ((await import(pathToFileURL(join(suite, file)).href)) as { default: unknown }).default
  const all = [...(await load('tests/index.mjs')) as Suite[], await load('tests/surrogate-control.mjs') as Suite]
  return new Map(all.flatMap(({ tests }) => tests).filter(test => test.browser_only !== true).map(test => [test.id, test.kind ?? 'required']))
}

/** What is expected not to pass: test, and the reason why. By default, and what a store adds. */
const expected = JSON.parse(readFileSync(join(here, 'expected.json'), 'utf8')) as Readonly<Record<string, Readonly<Record<string, string>>>>

/** Prints the score of one store; the lines that say where it is not as expected, in either direction. */
function judge(store: string, results: Results, tests: ReadonlyMap<string, Kind>): string[] {
  const known: Readonly<Record<string, string>> = { ...expected.all, ...expected[store] }
  const score = Object.fromEntries(kinds.map(kind => [kind, { passed: 0, of: 0 }])) as Record<Kind, { passed: number; of: number }>
  const surprises: string[] = []
  for (const [id, kind] of tests) {
    const result = results[id]
    score[kind].of++
    if (result === true) score[kind].passed++
    if (kind === 'check') continue // a check asks what a cache does; there is no right answer to miss
    if (result !== true && !(id in known)) surprises.push(`${store}: ${id} (${kind}) does not pass: ${JSON.stringify(result)}`)
    if (result === true && id in known) surprises.push(`${store}: ${id} (${kind}) passes, and expected.json says that it does not`)
  }
  for (const id of Object.keys(known)) if (!tests.has(id)) surprises.push(`${store}: expected.json names ${id}, which the suite does not have`)
  console.log(`${store.padEnd(8)} ${kinds.map(kind => `${kind} ${score[kind].passed}/${score[kind].of}`).join('   ')}`)
  return surprises
}

async function main(): Promise<number> {
  if (!existsSync(suite)) {
    const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], { cwd: here, stdio: 'inherit' })
    if (status !== 0) throw new Error('the public cache tests could not be installed (npm ci in test/conformance)')
  }
  const { version } = JSON.parse(readFileSync(join(suite, 'package.json'), 'utf8')) as { version: string }
  console.log(`http-cache-tests ${version}, default settings`)
  const tests = await testKinds()
  const origin = await startSuiteServer()
  const surprises: string[] = []
  for (const store of options.store) {
    const redis = store === 'memory' ? undefined : await startRedis()
    const springhouse = await startSpringhouse(origin, store, redis?.url)
    const results = runClient(springhouse.port)
    if (options.id === '') surprises.push(...judge(store, results, tests))
    springhouse.stop()
    await redis?.stop()
  }
  for (const surprise of surprises) console.error(surprise)
  return surprises.length === 0 ? 0 : 1
}

process.exit(await main())
