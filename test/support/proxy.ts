// A whole proxy for end-to-end tests: real sockets on every side, a scripted origin, and a clock that the test sets.
import { pino } from 'pino'
import { startApp, type App } from '../../src/app.ts'
import type { Clock } from '../../src/clock.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { ask, type Answer, type Ask } from './client.ts'
import { manualClock, type ManualClock } from './manual-clock.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from './scripted-origin.ts'

/** The part of a test that closes the proxy at its end. */
interface Teardown {
  teardown(close: () => Promise<void>): void
}

export interface TestProxy<C extends Clock = ManualClock> {
  readonly app: App
  readonly origin: ScriptedOrigin
  readonly clock: C
  readonly port: number
  /** The lines logged so far, from `info` on. */
  readonly log: readonly LogLine[]
  /** The lines of the access log (`log.access`). */
  readonly accessLines: readonly Readonly<Record<string, unknown>>[]
  /** GET, or what `options` say, as a client of the proxy. */
  get(path: string, headers?: Readonly<Record<string, string>>, options?: Ask): Promise<Answer>
  /** A request to the admin API, with the token. */
  admin(path: string, body?: unknown): Promise<Answer>
  purge(body: unknown): Promise<Answer>
}

export interface LogLine {
  /** pino's number: 30 info, 40 warn, 50 error. */
  readonly level: number
  readonly msg: string
}

export interface TestProxyOptions<C extends Clock = ManualClock> {
  /** A running origin is left running: for several proxies before one origin. */
  readonly origin: OriginHandler | ScriptedOrigin
  /** URL of the Redis that it shares with others; the embedded store without. Give the system's clock with it. */
  readonly redis?: string
  /** The Host of each request; the proxy's own address and port unless given. */
  readonly host?: string
  /** A clock that stands still unless given. Deadlines of Redis need a clock that runs. */
  readonly clock?: C
  /** Settings of the only route. */
  readonly cache?: Readonly<Record<string, unknown>>
  /** The key of the only route. */
  readonly key?: Readonly<Record<string, unknown>>
  /** Any other settings, as a file would hold them. */
  readonly config?: Readonly<Record<string, unknown>>
}

export const token = 'a-token-for-the-tests-of-the-house'

/** Settings of the admin listener of each proxy; a reload without them would remove its token. */
export const adminSettings = { host: '127.0.0.1', port: 0, tokens: [{ name: 'test', token, scopes: ['read', 'purge'] }] } as const

export async function startProxy<C extends Clock = ManualClock>(t: Teardown, options: TestProxyOptions<C>): Promise<TestProxy<C>> {
  const origin = typeof options.origin === 'function' ? await startOrigin(options.origin) : options.origin
  // Safe: C differs from ManualClock only if a clock is given.
  const clock = options.clock ?? (manualClock() as Clock as C)
  const config = resolveConfig({
    proxy: { host: '127.0.0.1', port: 0 },
    admin: adminSettings,
    origins: { api: { servers: [origin.url] } },
    routes: [{ match: {}, origin: 'api', cache: options.cache ?? {}, key: options.key ?? {} }],
    ...(options.redis !== undefined && { redis: { url: options.redis } }),
    ...options.config,
  })
  const log: LogLine[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line) as LogLine) })
  const accessLines: Readonly<Record<string, unknown>>[] = []
  const accessSink = { append: (line: string) => void accessLines.push(JSON.parse(line) as Readonly<Record<string, unknown>>) }
  const app = await startApp({ config, clock, logger, accessSink })
  t.teardown(async () => {
    await app.close()
    if (origin !== options.origin) await origin.close()
  })
  const port = Number(new URL(app.proxyUrl).port)
  const adminPort = Number(new URL(app.adminUrl).port)
  const admin = (path: string, body?: unknown): Promise<Answer> =>
    ask(adminPort, {
      path,
      headers: ['Authorization', `Bearer ${token}`, ...(body === undefined ? [] : ['Content-Type', 'application/json'])],
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    })
  const named = options.host === undefined ? {} : { Host: options.host }
  return {
    app,
    origin,
    clock,
    port,
    log,
    accessLines,
    admin,
    get: (path, headers = {}, more = {}) => ask(port, { path, headers: Object.entries({ ...named, ...headers }).flat(), ...more }),
    purge: body => admin('/v1/purge', body),
  }
}

/** Settings of a proxy over a Redis that must not fail, however busy the machine is. */
export function overRedis(url: string): Readonly<Record<string, unknown>> {
  return { redis: { url, commandTimeoutMs: 10_000 }, coherence: { maxLagMs: 10_000, purgeWaitMs: 20_000 } }
}

/** Returns the reason of a response: the detail of its Cache-Status. */
export function detail(answer: Answer): string | undefined {
  return /detail=([a-z0-9-]+)$/.exec(answer.header('cache-status') ?? '')?.[1]
}

/** An origin that numbers its responses in their bodies, with these fields on each. */
export function counting(fields: Readonly<Record<string, string | string[]>>): OriginHandler {
  let count = 0
  return (_request, response) => {
    count++
    response.writeHead(200, fields)
    response.end(`answer ${count}`)
  }
}
