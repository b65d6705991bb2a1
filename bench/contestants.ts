// The contestants: how each is started, and the checks that it does the work that is measured.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startRedis } from '../test/support/redis.ts'
import { freePort, generatorCore, hasProgram, pin, serverCore, startServer } from './process.ts'

export interface Contestant {
  readonly name: string
  /** Where it listens, without path. */
  readonly base: string
}

export interface Answer {
  readonly status: number
  /** Name, value, name, value, as they came. */
  readonly fields: readonly string[]
  readonly body: string
}

const contestantPath = (name: string): string => fileURLToPath(new URL(`contestants/${name}.js`, import.meta.url))

/** Sends a GET. The response's fields are as they came over the wire. */
export function ask(url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, fields: response.rawHeaders, body }))
      response.on('error', reject)
    }).on('error', reject)
  })
}

export function field(answer: Answer, name: string): string | undefined {
  const at = answer.fields.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name)
  return at < 0 ? undefined : answer.fields[at + 1]
}

export async function startOrigin(): Promise<Contestant> {
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  await startServer(process.execPath, [contestantPath('origin'), String(port)], { url: `${base}/count`, core: generatorCore })
  return { name: 'origin', base }
}

/** Returns the number of requests that reached the origin. */
export async function originCount(origin: Contestant): Promise<number> {
  return Number((await ask(`${origin.base}/count`)).body)
}

/** The token of a Springhouse's admin listener here. */
export const adminToken = 'only-for-this-benchmark'

/** How responses are kept, where that is not memory alone. */
export interface Shared {
  readonly name: string
  readonly redis: string
  readonly env: Readonly<Record<string, string>>
}

/** A Redis of the bench's own, with memory before it and without, each as its own cache; [] where there is no Redis. */
export async function sharedStores(): Promise<Shared[]> {
  if (!hasProgram('redis-server') && !hasProgram('valkey-server')) return []
  const redis = await startRedis()
  pin(redis.pid as number, generatorCore)
  return [
    { name: 'springhouse, tiered', redis: redis.url, env: { SPRINGHOUSE_REDIS_KEY_PREFIX: 'tiered' } },
    { name: 'springhouse, Redis alone', redis: redis.url, env: { SPRINGHOUSE_REDIS_KEY_PREFIX: 'alone', SPRINGHOUSE_CACHE_MEMORY_MAX_BYTES: '0' } },
  ]
}

/**
 * The program as it is shipped, in dist. Every setting has its default except those of `shared` and `settings` (environment
 * variables).
 */
export function startSpringhouse(origin: Contestant, shared?: Shared,
  settings: Readonly<Record<string, string>> = {}): Promise<Contestant & { readonly pid: number; readonly admin: string }> {
  return startProgram(fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)), origin, shared, settings)
}

/** The same program of another tree, which is built. */
export async function startBefore(origin: Contestant, tree: string): Promise<Contestant & { readonly pid: number }> {
  return { ...await startProgram(join(tree, 'dist/cli/main.js'), origin, undefined, {}), name: 'springhouse before' }
}

async function startProgram(program: string, origin: Contestant, shared: Shared | undefined,
  settings: Readonly<Record<string, string>>): Promise<Contestant & { readonly pid: number; readonly admin: string }> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const args = ['serve', '--origin', origin.base, '--host', '127.0.0.1', '--port', String(port), '--admin-port', String(adminPort)]
  if (shared !== undefined) args.push('--redis', shared.redis)
  const url = `http://127.0.0.1:${adminPort}/readyz`
  const pid = await startServer(process.execPath, [program, ...args], { url, core: serverCore,
    env: { SPRINGHOUSE_ADMIN_TOKEN: adminToken, NODE_ENV: 'production', ...shared?.env, ...settings } })
  return { name: shared?.name ?? 'springhouse', base: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${adminPort}`, pid }
}

// Node writes these itself on every response.
const writtenByNode: ReadonlySet<string> = new Set(['date', 'connection', 'keep-alive'])

/** A node:http server that writes the bytes of a response over and over. */
export async function startBare(answer: Answer): Promise<Contestant> {
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  const fields = answer.fields.filter((_, index) => !writtenByNode.has((answer.fields[index - (index % 2)] as string).toLowerCase()))
  await startServer(process.execPath, [contestantPath('bare'), String(port)], { url: base, core: serverCore, env: { BENCH_ANSWER: JSON.stringify({ fields, body: answer.body }) } })
  return { name: 'bare node:http', base }
}

export async function startHttpProxy(origin: Contestant): Promise<Contestant> {
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  await startServer(process.execPath, [contestantPath('http-proxy'), String(port), origin.base], { url: `${base}/ready`, core: serverCore, env: { NODE_ENV: 'production' } })
  return { name: '@fastify/http-proxy alone', base }
}

/** Proxies that store nothing: @fastify/http-proxy, node:http with undici's dispatch, and nginx if it is on PATH. */
export async function startForwarders(origin: Contestant): Promise<(Contestant & { readonly pid: number })[]> {
  const started: (Contestant & { readonly pid: number })[] = []
  for (const [name, file] of [['@fastify/http-proxy alone', 'http-proxy'], ['node:http and undici dispatch', 'undici']] as const) {
    const port = await freePort()
    const base = `http://127.0.0.1:${port}`
    const pid = await startServer(process.execPath, [contestantPath(file), String(port), origin.base], { url: `${base}/ready`, core: serverCore, env: { NODE_ENV: 'production' } })
    started.push({ name, base, pid })
  }
  if (hasProgram('nginx')) {
    const [port, home] = [await freePort(), temporaryHome('nginx')]
    const base = `http://127.0.0.1:${port}`
    writeFileSync(join(home, 'nginx.conf'), nginxConfiguration(home, port, new URL(origin.base).host, false))
    started.push({ name: 'nginx', base, pid: await startServer('nginx', ['-p', home, '-c', join(home, 'nginx.conf')], { url: `${base}/ready`, core: serverCore }) })
  }
  return started
}

/** nginx and Varnish, those that are on PATH: one process or thread pool each, caching in memory, no access log. */
export async function startPeers(origin: Contestant): Promise<Contestant[]> {
  const peers: Contestant[] = []
  const upstream = new URL(origin.base).host
  if (hasProgram('nginx')) {
    const [port, home] = [await freePort(), temporaryHome('nginx')]
    const base = `http://127.0.0.1:${port}`
    writeFileSync(join(home, 'nginx.conf'), nginxConfiguration(home, port, upstream, true))
    await startServer('nginx', ['-p', home, '-c', join(home, 'nginx.conf')], { url: `${base}/ready`, core: serverCore })
    peers.push({ name: 'nginx proxy_cache', base })
  }
  if (hasProgram('varnishd')) {
    const port = await freePort()
    const base = `http://127.0.0.1:${port}`
    const args = ['-F', '-n', temporaryHome('varnish'), '-a', `127.0.0.1:${port}`, '-b', upstream, '-s', 'malloc,64m']
    await startServer('varnishd', args, { url: `${base}/ready`, core: serverCore })
    peers.push({ name: 'varnish', base })
  }
  return peers
}

function temporaryHome(name: string): string {
  const home = mkdtempSync(join(tmpdir(), `springhouse-bench-${name}-`))
  process.once('exit', () => rmSync(home, { recursive: true, force: true }))
  return home
}

function nginxConfiguration(home: string, port: number, upstream: string, caches: boolean): string {
  mkdirSync(join(home, 'temp'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/temp/${name};`).join(' ')
  return `daemon off; master_process off; worker_processes 1; pid ${home}/pid; error_log stderr;
events { worker_connections 1024; }
http {
  access_log off; ${temporary}
  proxy_cache_path ${home}/cache keys_zone=bench:16m;
  keepalive_requests 1000000000;
  upstream origin { server ${upstream}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; ${caches ? 'proxy_cache bench;' : ''} }
  }
}
`
}
