// The same story over every store: in one process, and by two replicas over one Redis, with memory and without it.
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { open, type Answer, type Ask } from '../support/client.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin, type OriginHandler } from '../support/scripted-origin.ts'

export interface Teller {
  get(path: string, headers?: Readonly<Record<string, string>>, options?: Ask): Promise<Answer>
  /** Returns a response at its head. */
  open(path: string, headers?: Readonly<Record<string, string>>): Promise<IncomingMessage>
}

export interface Fleet {
  /** Two replicas; in one process the same one twice. */
  readonly a: Teller
  readonly b: Teller
  /** Lets wall-clock time pass at both, and waits until they trust their purge logs again. */
  advance(ms: number): Promise<void>
  /** How many requests the origin has had. */
  readonly asked: () => number
  /** How many requests have waited for another's fetch. */
  waits(): Promise<number>
  purge(body: unknown): Promise<Answer>
}

export interface FleetOptions {
  readonly cache?: Readonly<Record<string, unknown>>
  readonly key?: Readonly<Record<string, unknown>>
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** `body detail` of a response. */
export function told(answer: Answer): string {
  return `${answer.body.toString()} ${/detail=([\w-]+)/.exec(answer.header('cache-status') ?? '')?.[1]}`
}

export const everyStore = {
  /** Proves a sentence over memory, Redis and both. The handler is made anew for each. */
  test(sentence: string, handler: () => OriginHandler, prove: (t: Test, fleet: Fleet) => Promise<void>, options: FleetOptions = {}): void {
    for (const kind of ['memory', 'redis', 'tiered'] as const) {
      void t.test(`${kind}: ${sentence}`, async test => prove(test, await start(test, kind, handler(), options)))
    }
  },
}

async function start(test: Test, kind: 'memory' | 'redis' | 'tiered', handler: OriginHandler, { cache = {}, key = {}, config = {} }: FleetOptions): Promise<Fleet> {
  const origin = await startOrigin((request, response, recorded) => {
    // Its clock is not the one that `advance` moves. Without Date, a response is of when it was received.
    response.sendDate = false
    return handler(request, response, recorded)
  })
  test.teardown(() => origin.close())
  let passed = 0
  const clock: Clock = { now: () => systemClock.now() + passed, monotonic: () => systemClock.monotonic() }
  const common = { origin, host: 'api.example.com', clock, cache, key }
  const asked = (): number => origin.requests.length
  if (kind === 'memory') {
    const a = teller(await startProxy(test, { ...common, config }))
    return { a, b: a, advance: async ms => {
      passed += ms
    }, asked, waits: () => waitsAt(a), purge: a.purge }
  }
  const redis = await startRedis()
  test.teardown(() => redis.stop())
  const own = {
    ...config,
    redis: { url: redis.url, commandTimeoutMs: 10_000 },
    coherence: { maxLagMs: 10_000, purgeWaitMs: 20_000 },
    cache: { ...config['cache'], ...(kind === 'redis' && { memory: { maxBytes: 0 } }) },
  }
  const [a, b] = [teller(await startProxy(test, { ...common, config: own })), teller(await startProxy(test, { ...common, config: own }))]
  const bothFollow = async (): Promise<void> => {
    for (const each of [a, b]) await eventually(() => follows(each))
  }
  await bothFollow()
  return {
    a,
    b,
    asked,
    purge: a.purge,
    waits: async () => await waitsAt(a) + await waitsAt(b),
    advance: async ms => {
      passed += ms
      await bothFollow()
    },
  }
}

function teller(proxy: TestProxy<Clock>): TestProxy<Clock> & Teller {
  return Object.assign(proxy, {
    open: (path: string, headers: Readonly<Record<string, string>> = {}) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        open(proxy.port, { path, headers: Object.entries({ Host: 'api.example.com', ...headers }).flat() }, resolve).on('error', reject)
      }),
  })
}

async function waitsAt(proxy: TestProxy<Clock>): Promise<number> {
  return (JSON.parse((await proxy.admin('/v1/stats')).body.toString()) as { waits: number }).waits
}

async function follows(proxy: TestProxy<Clock>): Promise<boolean> {
  return (JSON.parse((await proxy.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current
}
