// A whole Springhouse for end-to-end tests: real sockets on every side, a scripted origin, and a clock that the test sets.
import { pino } from 'pino'
import { startApp, type App } from '../../src/app.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { ask, type Answer, type Ask } from './client.ts'
import { manualClock } from './manual-clock.ts'
import { startOrigin, type OriginHandler, type ScriptedOrigin } from './scripted-origin.ts'

/** What every test of the house gives back at its end. */
interface Teardown {
  teardown(close: () => Promise<void>): void
}

export interface House {
  readonly app: App
  readonly origin: ScriptedOrigin
  readonly clock: ReturnType<typeof manualClock>
  readonly port: number
  /** GET, or what `options` say, as a client of the proxy. */
  get(path: string, headers?: Readonly<Record<string, string>>, options?: Ask): Promise<Answer>
  /** A request to the admin API, with the token. */
  admin(path: string, body?: unknown): Promise<Answer>
  purge(body: unknown): Promise<Answer>
}

export interface HouseOptions {
  readonly origin: OriginHandler
  /** Settings of the only route. */
  readonly cache?: Readonly<Record<string, unknown>>
  /** Any other settings, as a file would hold them. */
  readonly config?: Readonly<Record<string, unknown>>
}

export const token = 'a-token-for-the-tests-of-the-house'

export async function startHouse(t: Teardown, options: HouseOptions): Promise<House> {
  const origin = await startOrigin(options.origin)
  const clock = manualClock()
  const config = resolveConfig({
    proxy: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'test', token, scopes: ['read', 'purge'] }] },
    origins: { api: { servers: [origin.url] } },
    routes: [{ match: {}, origin: 'api', cache: options.cache ?? {} }],
    ...options.config,
  })
  const app = await startApp({ config, clock, logger: pino({ level: 'silent' }) })
  t.teardown(async () => {
    await app.close()
    await origin.close()
  })
  const port = Number(new URL(app.proxyUrl).port)
  const adminPort = Number(new URL(app.adminUrl).port)
  const admin = (path: string, body?: unknown): Promise<Answer> => ask(adminPort, {
    path,
    headers: ['Authorization', `Bearer ${token}`, ...(body === undefined ? [] : ['Content-Type', 'application/json'])],
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  })
  return {
    app, origin, clock, port, admin,
    get: (path, headers = {}, more = {}) => ask(port, { path, headers: Object.entries(headers).flat(), ...more }),
    purge: body => admin('/v1/purge', body),
  }
}

/** The reason of an answer: the detail of its Cache-Status. */
export function detail(answer: Answer): string | undefined {
  return /detail=([a-z0-9-]+)$/.exec(answer.header('cache-status') ?? '')?.[1]
}

/** An origin that counts its answers in their bodies, with these fields on each. */
export function counting(fields: Readonly<Record<string, string | string[]>>): OriginHandler {
  let count = 0
  return (_request, response) => {
    count++
    response.writeHead(200, fields)
    response.end(`answer ${count}`)
  }
}
