// A superseded response is not used stale by any replica, from the moment at which one client has the newer one.
import t from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { Random } from '../coherence/random.ts'
import { Wire } from '../coherence/wire.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'

const urls = Array.from({ length: 200 }, (_, i) => `/a/${i}`)

// The guards: supersede() is awaited before the response (exchange/fill/fill.ts), and `localOnly` entries are not used stale (policy/decide.ts).
for (const silent of [false, true]) {
  t.test(`a 404 that one replica has relayed supersedes the old response on the other${silent ? ', whose messages do not arrive' : ''}`, async test => {
    const redis = await startRedis()
    const wire = new Wire(redis, new Random(1), 0)
    await wire.listen()
    let version = 'old'
    const origin = await startOrigin((_request, response) => {
      if (version === 'old') response.writeHead(200, { 'cache-control': 'max-age=600, stale-while-revalidate=600' }).end('old')
      else response.writeHead(404).end('none')
    })
    let aheadMs = 0
    const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
    const start = (port: number): Promise<TestProxy<Clock>> =>
      startProxy(test, { origin, host: 'api.example', clock, config: { redis: { url: `redis://127.0.0.1:${port}`, commandTimeoutMs: 20_000 } } })
    const [a, b] = [await start(redis.port), await start(wire.port)]
    test.teardown(async () => {
      await origin.close()
      await wire.close()
      await redis.stop()
    })
    const isCurrent = async (house: TestProxy<Clock>): Promise<boolean> =>
      (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current
    const tier = async (house: TestProxy<Clock>, path: string): Promise<string> =>
      (await house.admin(`/v1/explain?url=${encodeURIComponent(`http://api.example${path}`)}`)).body.toString()
    for (const url of urls) {
      await a.get(url)
      await eventually(async () => {
        await b.get(url)
        return (await tier(b, url)).includes('"tier":"memory"')
      })
    }
    version = 'new'
    aheadMs = 601_000
    for (const house of [a, b]) await eventually(() => isCurrent(house))
    if (silent) { while (wire.silenceSubscriber()) { /* each of them */ } }
    const wrong: string[] = []
    for (const url of urls) {
      const first = await a.get(url, { 'Cache-Control': 'no-cache' })
      if (first.status !== 404) wrong.push(`${url} at a: ${first.status}`)
      const second = await b.get(url)
      if (second.status !== 404) wrong.push(`${url} at b: ${second.status} ${second.body.toString()} ${second.header('cache-status')}`)
    }
    test.same(wrong, [])
  })
}
