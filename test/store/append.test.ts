// The result of a purge when Redis, or the connection to it, fails while it is recorded; and the size of the log.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { stampOf } from '../../src/store/redis/purge-log/record.ts'
import { createStreamPurgeLog, type StreamPurgeLogOptions } from '../../src/store/redis/purge-log/log.ts'
import type { PurgeLog } from '../../src/store/purge/log.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { purge } from '../support/purge.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { pass, startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import type { Test } from './contract.ts'

const longMs = 30_000
const log = 'test:{log}'
const list = 'test:{log}:replicas'

interface Setting {
  readonly server: RedisServer
  readonly raw: Redis
  /** A replica, and its own line to Redis. */
  replica(name: string, changes?: Partial<StreamPurgeLogOptions>): Promise<{ log: PurgeLog; line: TcpProxy }>
}

async function setting(test: Test): Promise<Setting> {
  const server = await startRedis()
  const raw = new Redis(server.url)
  test.teardown(async () => {
    raw.disconnect()
    await server.stop()
  })
  return {
    server,
    raw,
    replica: async (name, changes = {}) => {
      const line = await startTcpProxy(server)
      const redis = connectRedis({ url: `redis://127.0.0.1:${line.port}`, commandTimeoutMs: 300, clock: systemClock, logger: memoryLog() })
      const followed = createStreamPurgeLog({
        redis,
        prefix: 'test',
        replica: name,
        maxLagMs: longMs,
        clock: systemClock,
        logger: memoryLog(),
        onReset: () => {},
        ...changes,
      })
      test.teardown(async () => {
        line.requests = line.replies = pass
        await followed.close()
        redis.close()
        await line.close()
      })
      await eventually(() => followed.isCaughtUp() && redis.small.healthy === true)
      return { log: followed, line }
    },
  }
}

/** Records that purge a tag. */
async function recorded(raw: Redis, tag: string): Promise<number> {
  return (await raw.xrange(log, '-', '+')).filter(([, fields]) => fields.some(field => field.includes(`"${tag}"`))).length
}

const until = (): { done: () => void; promise: Promise<undefined> } => {
  let done = (): void => {}
  const promise = new Promise<undefined>(resolve => {
    done = () => resolve(undefined)
  })
  return { done, promise }
}

void t.test('an append that reaches Redis only after it was given up is not made', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  // From then on Redis knows the script: a delayed command would run.
  await one.log.append(purge({ tags: ['earlier'] }), longMs)
  const before = one.log.applied
  const held = until()
  one.line.requests = bytes => bytes.includes('"late"') ? held.promise : undefined
  await test.rejects(one.log.append(purge({ tags: ['late'] }), 10), { code: 'PURGE_UNCONFIRMED', status: 503 })
  held.done()
  one.line.requests = pass
  // This command is behind it on the same line, and has a reply: so the append has run.
  await eventually(() => one.log.append(purge({ tags: ['next'] }), longMs).then(() => true, () => false))
  test.equal(await recorded(raw, 'late'), 0)
  test.equal(await recorded(raw, 'next'), 1)
  test.equal(one.log.judge({ stamp: before, authority: 'a', target: '/', tags: ['late'] }), 'valid', 'nothing was purged, then or later')
})

void t.test('an append whose reply is lost is found again, and made once', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  for (let round = 0; round < 5; round++) {
    const tag = `lost-${round}`
    let asked = false
    let cut = false
    one.line.requests = (bytes) => {
      asked ||= bytes.includes(`"${tag}"`)
      return undefined
    }
    // The reply is an id and an identity; no other reply of that form occurs meanwhile.
    one.line.replies = (bytes) => {
      if (!asked || cut || !/^\*2\r\n\$\d+\r\n\d+-\d+\r\n/.test(bytes.toString('latin1'))) return undefined
      cut = true
      return round % 2 === 0 ? 0 : 9
    }
    test.same((await one.log.append(purge({ tags: [tag] }), longMs)).replicas, { live: 1, acknowledged: 1 })
    test.ok(cut, 'its reply was cut off')
    test.equal(await recorded(raw, tag), 1)
  }
})

void t.test('Redis is out of reach at the start: no append was sent, and none happens later', async (test) => {
  const { server, raw, replica } = await setting(test as Test)
  const one = await replica('one')
  await raw.ping()
  server.kill('SIGSTOP')
  await test.rejects(one.log.append(purge({ tags: ['hung'] }), 10), { code: 'PURGE_NOT_WRITTEN' })
  server.kill('SIGCONT')
  await eventually(() => one.log.append(purge({ tags: ['after'] }), longMs).then(() => true, () => false))
  test.equal(await recorded(raw, 'hung'), 0)
})

void t.test('the list of replicas is lost: a purge waits for its members for as long as they may use their knowledge', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const maxLagMs = 3000
  const [one, two] = [await replica('one', { maxLagMs }), await replica('two', { maxLagMs })]
  test.equal((await one.log.replicas()).length, 2)
  const old = two.log.applied
  // Two is disconnected, and still uses its knowledge.
  const held = until()
  two.line.requests = () => held.promise
  await raw.del(list)
  test.same((await one.log.append(purge({ tags: ['x'] }), 200)).replicas, { live: 2, acknowledged: 1 })
  await raw.flushall()
  const receipt = await one.log.append(purge({ all: true }), 200)
  test.ok(receipt.replicas.acknowledged < receipt.replicas.live)
  // It cannot be named, so the purge waits until it does not use its knowledge any more.
  test.same((await one.log.append(purge({ all: true }), longMs)).replicas, { live: 1, acknowledged: 1 })
  test.equal(two.log.judge({ stamp: old, authority: 'a', target: '/', tags: ['x'] }), 'dead')
  held.done()
  two.line.requests = pass
  await eventually(() => two.log.isCaughtUp())
  test.same((await one.log.append(purge({ all: true }), longMs)).replicas, { live: 2, acknowledged: 2 })
})

void t.test('a Redis whose memory is full records purges, and counts followers', async (test) => {
  const { raw, replica } = await setting(test as Test)
  await raw.config('SET', 'maxmemory', '1')
  const [one, two] = [await replica('one'), await replica('two')]
  const before = two.log.applied
  await test.rejects(raw.set('anything', 'else'), { message: /OOM/ })
  test.same((await one.log.append(purge({ tags: ['x'] }), longMs)).replicas, { live: 2, acknowledged: 2 })
  test.equal(two.log.judge({ stamp: before, authority: 'a', target: '/', tags: ['x'] }), 'dead')
})

void t.test('the log is bounded in bytes; followers miss nothing, and for replicas that come later unknown entries are dead', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const maxBytes = 200_000
  const one = await replica('one', { maxBytes })
  const first = one.log.applied
  let most = 0
  let late = first
  for (let i = 0; i < 120; i++) {
    // Small purges among large ones.
    const tag = i % 3 === 0 ? `${i}-${'x'.repeat(20_000)}` : `small-${i}`
    await one.log.append(purge({ tags: [tag] }), i % 10 === 0 ? longMs : 0)
    if (i === 110) late = one.log.applied
    most = Math.max(most, Number(await raw.memory('USAGE', log, 'SAMPLES', 0)))
  }
  test.comment(`at most ${most} bytes in Redis, ${await raw.xlen(log)} records at the end`)
  test.ok(most < maxBytes * 1.5, `${most}`)
  test.ok(await raw.xlen(log) < 60)
  await eventually(() => one.log.judge({ stamp: first, authority: 'a', target: '/', tags: ['small-118'] }) === 'dead')
  test.equal(one.log.judge({ stamp: late, authority: 'a', target: '/', tags: ['small-118'] }), 'dead')
  test.equal(one.log.judge({ stamp: late, authority: 'a', target: '/', tags: ['none'] }), 'valid', 'it has applied every one')
  const two = await replica('two', { maxBytes })
  test.equal(two.log.judge({ stamp: first, authority: 'a', target: '/', tags: ['none'] }), 'dead')
  test.equal(two.log.applied, one.log.applied)
  test.equal(two.log.judge({ stamp: two.log.applied, authority: 'a', target: '/', tags: ['small-118'] }), 'valid')
  const left = await raw.xrange(log, '-', '+')
  test.equal(two.log.judge({ stamp: stampOf(one.log.applied.split('.', 1)[0] ?? '', left[1]?.[0] ?? ''), authority: 'a', target: '/', tags: ['none'] }), 'valid',
    'from the first record that is left on it knows all')
})
