// A process that is killed and started again finds its entries in Redis, as a real process.
import { Redis } from 'ioredis'
import t from 'tap'
import { anyPort, Running, urls } from '../cli/command.ts'
import { ask, type Answer } from '../support/client.ts'
import { counting, detail } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'

t.test('after kill -9 and a new start, entries in Redis are served at once; entries of another version are misses', async t => {
  const redis = await startRedis()
  const raw = new Redis(redis.url)
  t.teardown(async () => {
    raw.disconnect()
    await redis.stop()
  })
  const origin = await startOrigin(counting({ 'Cache-Control': 'max-age=600' }))
  t.teardown(() => origin.close())
  const start = async (): Promise<{ running: Running; get(path: string): Promise<Answer> }> => {
    const running = new Running(t, ['serve', '--origin', origin.url, ...anyPort, '--redis', redis.url], { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc',
      SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '20000' })
    const { proxy, admin } = await urls(running)
    const current = async (): Promise<boolean> => {
      const stats = await ask(Number(new URL(admin).port), { path: '/v1/stats', headers: ['Authorization', 'Bearer abc-abc-abc-abc-abc'] })
      return (JSON.parse(stats.body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current
    }
    await eventually(current)
    return { running, get: path => ask(Number(new URL(proxy).port), { path, headers: ['Host', 'api.example'] }) }
  }
  const first = await start()
  t.equal((await first.get('/old')).body.toString(), 'answer 1')
  const name = (await raw.keys('sh:{*}')).find(each => each !== 'sh:{log}') ?? ''
  for (let i = 2; i <= 10; i++) t.equal((await first.get(`/${i}`)).body.toString(), `answer ${i}`)
  first.running.child.kill('SIGKILL')
  await first.running.ended

  const [field = ''] = await raw.hkeys(name)
  const value = await raw.hgetBuffer(name, field)
  if (value === null) return t.fail('stored')
  await raw.hset(name, field, Buffer.concat([Buffer.from([0]), value.subarray(1)]))

  const second = await start()
  for (let i = 2; i <= 10; i++) {
    const hit = await second.get(`/${i}`)
    t.match(hit.header('cache-status'), /^springhouse; hit; ttl=\d+; detail=fresh$/)
    t.equal(hit.body.toString(), `answer ${i}`)
  }
  t.equal(origin.requests.length, 10)
  const miss = await second.get('/old')
  t.equal(detail(miss), 'uri-miss')
  t.equal(miss.body.toString(), 'answer 11')
  t.equal(detail(await second.get('/old')), 'fresh')
})
