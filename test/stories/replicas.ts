// Runs a story on each kind of store: in a process with its own memory, and in two processes over one Redis.
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin, type OriginHandler } from '../support/scripted-origin.ts'

/** The proxies before one origin. `first` and `second` are the same one without Redis. */
export interface Replicas {
  readonly first: TestProxy<never>
  readonly second: TestProxy<never>
}

/** Runs a story in one process, and then with two replicas over Redis. `settings` are those of every proxy. */
export async function onEachStore(t: Test, makeOrigin: () => OriginHandler, settings: Readonly<Record<string, unknown>>,
  play: (t: Test, replicas: Replicas) => Promise<void>): Promise<void> {
  await t.test('in one process', async (t) => {
    const alone = await startProxy(t, { origin: makeOrigin(), host: 'api.example.com', config: settings })
    await play(t, { first: alone as TestProxy<never>, second: alone as TestProxy<never> })
  })
  await t.test('with two replicas over Redis', async (t) => {
    const redis = await startRedis()
    const shared = await startOrigin(makeOrigin())
    t.teardown(async () => {
      await shared.close()
      await redis.stop()
    })
    const start = (): Promise<TestProxy<never>> =>
      startProxy(t, { origin: shared, clock: systemClock as never, host: 'api.example.com', config: { ...overRedis(redis.url), ...settings } })
    const [first, second] = [await start(), await start()]
    await play(t, { first, second })
  })
}

/** A text as the bytes of its UTF-8, one character for each: Node writes a field value so. */
export function utf8Bytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
