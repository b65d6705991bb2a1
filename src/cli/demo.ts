// `springhouse demo`: starts two small APIs and the proxy in front of them, and prints commands to try.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resolveConfig } from '../config/load.ts'
import { standardOutput } from '../log/outputs.ts'
import { startBackend } from './demo/backends.ts'
import { script, shellLine, type Place } from './demo/script.ts'
import { startVisits } from './demo/visitors.ts'

/**
 * Starts two demo servers as separate processes and the proxy in front of them, on the embedded store, and prints commands to
 * try. Resolves after a SIGINT or SIGTERM, when everything is closed. A second signal ends the process at once.
 * @throws if a part does not start; the parts that had started are stopped.
 */
export async function demo(): Promise<void> {
  const stopped = stopSignal()
  const cleanups: (() => Promise<unknown>)[] = []
  try {
    const place = await start(cleanups)
    standardOutput.write(tour(place))
    await stopped
    standardOutput.write('\nstopping\n')
  } finally {
    // Stops the proxy before its servers.
    for (const cleanup of cleanups.toReversed()) await cleanup()
  }
}

/** Resolves at the first signal. The second signal ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let told = false
    const stop = (): void => {
      if (told) process.exit(130)
      told = true
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}

async function start(cleanups: (() => Promise<unknown>)[]): Promise<Place> {
  const backends = await Promise.all(['a', 'b'].map(async (name) => {
    const backend = await startBackend(name, 'demo', (how) => standardOutput.write(`backend ${name} has ended (${how}); the other backend serves all requests\n`))
    cleanups.push(() => backend.stop())
    return backend
  }))
  const token = randomBytes(18).toString('base64url')
  const config = resolveConfig({
    // Loopback only, so that no other machine can reach the demo.
    proxy: { host: '127.0.0.1', port: await freeOr(8080), shutdownGraceMs: 1000 },
    admin: { host: '127.0.0.1', port: await freeOr(8081), tokens: [{ name: 'demo', token, scopes: ['read', 'purge'] }] },
    // Round-robin, so that X-Served-By shows both servers.
    origins: { demo: { servers: backends.map(({ url }) => url), balance: 'round-robin', health: { path: '/healthz', intervalMs: 1000 } } },
    sessions: { enabled: true },
    log: { level: 'error' },
  })
  const { startApp } = await import('../app.ts')
  const app = await startApp({ config })
  cleanups.push(() => app.close())
  await Promise.all(backends.map((backend) => backend.useKeys(`${app.proxyUrl}/.well-known/springhouse/jwks.json`)))
  const endVisits = startVisits(app.proxyUrl)
  cleanups.push(async () => endVisits())
  const folder = await mkdtemp(join(tmpdir(), 'springhouse-demo-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  return { proxyUrl: app.proxyUrl, adminUrl: app.adminUrl, token, backends, cookies: join(folder, 'cookies') }
}

/** Returns the port if it is free, else 0 for any free port. */
async function freeOr(port: number): Promise<number> {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!free) return 0
  server.close()
  await once(server, 'close')
  return port
}

/** Returns the text that is printed at the start. */
function tour(place: Place): string {
  const { proxyUrl, adminUrl, token, backends } = place
  const lines = [
    'springhouse demo',
    '',
    `  proxy      ${proxyUrl}   (${proxyUrl}/events is a stream of server-sent events: curl -N)`,
    `  admin      ${adminUrl}`,
    `  token      ${token}`,
    `  page       ${adminUrl}/   (open it in a browser, and log in with the token; visitors of the demo keep the numbers moving)`,
    ...backends.map(({ name, url, pid }) => `  backend ${name}  ${url}   (process ${pid})`),
    '',
    'Paste these into another terminal, one after the other:',
    '',
  ]
  let number = 0
  for (const { title, steps } of script(place)) {
    lines.push(`— ${title}`)
    for (const step of steps) lines.push(`${String(++number).padStart(3)}. ${step.shows}`, `     ${shellLine(step)}`)
    lines.push('')
  }
  lines.push(
    '— The same with the command line: explain, purge, stats',
    `     SPRINGHOUSE_ADMIN=${adminUrl} SPRINGHOUSE_ADMIN_TOKEN=${token} npx springhouse explain ${proxyUrl}/items`,
    '',
    'Ctrl-C stops everything.',
    '',
  )
  return lines.join('\n')
}
