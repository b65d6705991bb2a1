// A stored error never stands in for another: over Redis, on two replicas, and after a restart.
import t from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { formatHttpDate } from '../../src/http/date.ts'
import { overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'

// The guards: `meta.status >= 400` in mayServeStaleOnError(), and `entry.meta.status < 400` in supersede().
for (const store of ['redis', 'tiered'] as const) {
  for (const [name, fields] of [
    ['ttl.status', {}],
    ['stale-if-error', { 'cache-control': 'max-age=1, stale-if-error=600' }],
  ] as const) {
    t.test(`an error that is stored for its ${name}, in ${store}`, async test => {
      const redis = await startRedis()
      // The time of day goes on beside the monotonic clock, or a replica takes it for a clock that was set, and stores nothing for a while.
      let skippedMs = 0
      const clock: Clock = { ...systemClock, now: () => systemClock.now() + skippedMs }
      let count = 0
      const origin = await startOrigin((_request, response) => {
        count++
        response.writeHead(503, { 'date': formatHttpDate(clock.now()), 'retry-after': String(count), ...fields }).end(`error ${count}`)
      })
      const start = (): Promise<TestProxy<Clock>> =>
        startProxy(test, {
          origin,
          clock,
          host: 'api.example',
          config: {
            ...overRedis(redis.url),
            cache: { memory: { maxBytes: store === 'redis' ? 0 : '64MiB' } },
            routes: [{ match: {}, origin: 'api', cache: { staleIfError: '1h', ttl: { status: { 503: '10m' } } } }],
          },
        })
      const [a, b] = [await start(), await start()]
      test.teardown(async () => {
        await origin.close()
        await redis.stop()
      })
      const get = async (house: TestProxy<Clock>): Promise<string> => {
        const { status, body } = await house.get('/a')
        return `${status} ${body.toString()}`
      }
      const isCurrent = async (house: TestProxy<Clock>): Promise<boolean> =>
        (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current
      /** Past each of the lifetimes, and within each allowance. */
      const later = async (...houses: readonly TestProxy<Clock>[]): Promise<void> => {
        skippedMs += 601_000
        for (const house of houses) await eventually(() => isCurrent(house))
      }
      for (const house of [a, b]) await eventually(() => isCurrent(house))

      test.equal(await get(a), '503 error 1')
      test.equal(await get(b), '503 error 1', 'b has it in its own memory')
      await later(a, b)
      test.equal(await get(a), '503 error 2')
      test.equal(await get(b), '503 error 2')
      test.equal(count, 2)
      await a.app.close()
      const restarted = await start()
      await later(b, restarted)
      test.equal(await get(restarted), '503 error 3')
      test.equal(await get(b), '503 error 3')
      test.equal(count, 3)
      await origin.close()
      await later(b, restarted)
      for (const house of [b, restarted]) test.match(await get(house), /^502 .*ORIGIN_REFUSED/, 'nor for an origin that cannot be reached')
    })
  }
}
