// The acknowledgements of a purge over a real Redis, as event stream and as JSON.
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { eventually } from '../support/log.ts'
import { startProxy, token, type TestProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { ask } from '../support/client.ts'
import type { Clock } from '../../src/clock.ts'

t.test('every replica shows the replicas that have applied a purge, and the token that requested it', async t => {
  const server = await startRedis()
  const origin = await startOrigin((_request, response) => void response.end())
  t.teardown(async () => {
    await origin.close()
    await server.stop()
  })
  const start = () => startProxy(t, { origin, redis: server.url, clock: systemClock })
  const replicas = [await start(), await start(), await start()] as const
  const json = async <T>(house: TestProxy<Clock>, path: string): Promise<T> => JSON.parse(String((await house.admin(path)).body)) as T
  await eventually(async () => (await json<{ replicas: unknown[] }>(replicas[0], '/v1/replicas')).replicas.length === 3)

  const receipt = JSON.parse(String((await replicas[0].purge({ tags: ['a'], waitMs: 0 })).body)) as { id: string }
  // The stream ends when all have applied it.
  const stream = await ask(Number(new URL(replicas[1].app.adminUrl).port), { path: `/v1/purges/${receipt.id}`,
    headers: ['Authorization', `Bearer ${token}`, 'Accept', 'text/event-stream'] })
  const events = [...String(stream.body).matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name, data = '']) => ({ name, ...JSON.parse(data) as { replica?: string } }))
  t.same(events.map(({ name }) => name), ['ack', 'ack', 'ack', 'done'])
  t.equal(new Set(events.slice(0, 3).map(({ replica }) => replica)).size, 3)
  t.match(events.at(-1), { live: 3, acknowledged: 3, copied: true })
  for (const house of replicas) {
    const one = await json<{ by: string; replicas: { live: number; list: { acknowledged: boolean }[] } }>(house, `/v1/purges/${receipt.id}`)
    t.match(one, { by: 'test', cause: 'api', tags: ['a'], replicas: { live: 3, acknowledged: 3 } })
    t.same(one.replicas.list.map(({ acknowledged }) => acknowledged), [true, true, true])
  }
})
