// A listener on a real socket, over a real store and purge log, and a client that can send what browsers and curl cannot.
import { request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import type { Test } from 'tap'
import { createAdmin } from '../../src/admin/admin.ts'
import type { WorkerGroup, WorkerReport } from '../../src/admin/workers.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { Observation } from '../../src/observe/observation.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { PurgeLog } from '../../src/store/purge/log.ts'
import { metadata } from '../support/metadata.ts'
import type { AdminParts } from '../../src/admin/parts.ts'

export const T0 = Date.UTC(2025, 0, 1)
export const reader = 'reader-token-1'
export const purger = 'purger-token-1'

export const clock = { now: () => T0, monotonic: () => 5_000 }

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON. */
  json(): Record<string, unknown>
}

export interface Ask {
  readonly method?: string
  /** undefined: the reader's; null: none. */
  readonly token?: string | null
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Sent as it is, in place of `body`. */
  readonly raw?: string
}

export interface Listener {
  readonly parts: AdminParts
  readonly port: number
  readonly server: Server
  /** The lines logged so far. */
  readonly logged: Record<string, unknown>[]
  ask(path: string, ask?: Ask): Promise<Answer>
  /** Sends a purge with a token that has the scope. */
  purge(body: unknown): Promise<Answer>
  /** Stores an entry under a URL. */
  store(authority: string, target: string, more?: Partial<Metadata>): Promise<void>
}

function send(port: number, path: string, { method, token = reader, headers = {}, body, raw }: Ask): Promise<Answer> {
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method: method ?? (payload === undefined ? 'GET' : 'POST'),
        agent: false,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) as Record<string, unknown> })
        })
      },
    )
    sent.on('error', reject)
    sent.end(payload)
  })
}

/** Writes the text to the listener as it is, and resolves to all that came back when the connection closed. */
export function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => undefined) // a reset after the response; without one the result is empty
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.write(text)
  })
}

/** The tests' plain stored response, ten seconds old here and of this URL. */
export function storedAt(authority: string, target: string, more: Partial<Metadata> = {}): Metadata {
  const times = { requestTimeMs: T0 - 10_000, responseTimeMs: T0 - 10_000, initialAgeMs: 1_000, keepUntilMs: T0 + 3_600_000 }
  return metadata({ fields: ['content-type', 'text/plain'], ...times, authority, target, stamp: '', ...more })
}

/** The given purge log with some results replaced. */
export function overLog(log: PurgeLog, over: Partial<Pick<PurgeLog, 'append' | 'replicas' | 'follow'>>): PurgeLog {
  return {
    get applied() {
      return log.applied
    },
    get revision() {
      return log.revision
    },
    get unrecorded() {
      return log.unrecorded
    },
    judge: (meta) => log.judge(meta),
    mayMatch: (...args) => log.mayMatch(...args),
    matchedBetween: (...args) => log.matchedBetween(...args),
    append: over.append ?? ((...args) => log.append(...args)),
    recent: (limit, before) => log.recent(limit, before),
    find: (id) => log.find(id),
    follow: over.follow ?? ((...args) => log.follow(...args)),
    isCaughtUp: () => log.isCaughtUp(),
    lagMs: 0,
    replicas: over.replicas ?? (() => log.replicas()),
    close: () => log.close(),
  }
}

/** Starts a listener; the test's end stops it. `change` may replace any of its parts. */
export async function listen(t: Test, change: (parts: AdminParts) => Partial<AdminParts> = () => ({}), host = '127.0.0.1'): Promise<Listener> {
  const logged: Record<string, unknown>[] = []
  const lines = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  const store = createMemoryStore({ maxBytes: 1 << 20, maxEntryBytes: 1 << 16, maxVariants: 8, clock })
  const purgeLog = createLocalPurgeLog({ clock })
  const counters = new Counters()
  const observation = new Observation({ clock, historyMs: 3_600_000, top: { clock, sampleOneIn: 64, places: 256, mask: target => target } })
  const defaults: AdminParts = {
    tokens: [
      { name: 'dashboard', token: reader, scopes: ['read'] },
      { name: 'deploy', token: purger, scopes: ['read', 'purge'] },
    ],
    dashboard: true,
    sessionTtlMs: 3_600_000,
    loginsPerMinute: 10,
    store,
    purgeLog,
    origins: {
      request: () => {
        throw new Error('the admin listener contacts no origin')
      },
      upgrade: () => {
        throw new Error('the admin listener contacts no origin')
      },
      reload: () => undefined,
      status: () => [{ origin: 'api', url: 'http://api.example:3000', address: '10.0.0.1', healthy: true, pending: 2, streams: 1, consecutiveFailures: 0 }],
      close: () => Promise.resolve(),
    },
    explain: async () => undefined,
    keyed: async purge => purge,
    purge: async (purge, waitMs, by) => {
      const receipt = await parts.purgeLog.append(purge, waitMs, by)
      counters.count('purges')
      return receipt
    },
    counters,
    observation,
    ownState: () => ({ host: 'web-1', pid: 7, version: '1.2.3', startedMs: T0, state: 'ok', lagMs: 0, memoryBytes: 1, requestsPerSecond: null, hitRatio: null, p99Ms: null }),
    routes: () => [{ id: 'api@*/', origin: 'api', mode: 'cache' }],
    linesDropped: () => 0,
    defaultPurgeWaitMs: 2_000,
    config: () => ({ redis: { url: 'redis://***@redis:6379' } }),
    ready: () => true,
    clock,
    logger: pino({ level: 'info' }, lines),
    version: '1.2.3',
    workers: undefined,
    nextTurn: () => setImmediate(),
  }
  const parts: AdminParts = { ...defaults, ...change(defaults) }
  const app = createAdmin(parts)
  await app.listen({ port: 0, host })
  t.teardown(async () => {
    await app.close()
    observation.close()
  })
  const { port } = app.server.address() as AddressInfo
  return {
    parts,
    port,
    server: app.server,
    logged,
    ask: (path, ask = {}) => send(port, path, ask),
    purge: (body) => send(port, '/v1/purge', { token: purger, body }),
    async store(authority, target, more) {
      const writer = store.write(`${authority}${target}`, storedAt(authority, target, more))
      await writer.write(Buffer.from('hello'))
      if (!(await writer.commit())) throw new Error('the store did not take the entry')
    },
  }
}

/** The `errors` of a problem, as `path: message`. */
export function errorsOf(answer: Answer): string[] {
  const errors = answer.json()['errors'] as { path: string; message: string }[]
  return errors.map(({ path, message }) => `${path}: ${message}`)
}

/** Workers of one group in this process: their reports are collected as over a channel. */
export class TwoWorkers {
  readonly #tells: Parameters<WorkerGroup['report']>[0][] = []

  member(worker: string): WorkerGroup {
    return {
      worker,
      report: (tell) => void this.#tells.push(tell),
      collect: async (what, detail) => {
        const told = await Promise.all(this.#tells.map((tell) => (tell[what] as (detail: unknown) => unknown)(detail)))
        return JSON.parse(JSON.stringify(told)) as WorkerReport[typeof what][]
      },
    }
  }
}
