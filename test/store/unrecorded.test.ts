// Invalidations by unsafe requests while Redis is in trouble: in effect here at once, and everywhere later (RFC 9111 §4.4).
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Purge, PurgeLog } from '../../src/store/purge/log.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { createStreamPurgeLog, type StreamPurgeLogOptions } from '../../src/store/redis/purge-log/log.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { purge } from '../support/purge.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { pass, startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import type { Test } from './contract.ts'

const longMs = 30_000

interface Replica {
  readonly log: PurgeLog
  readonly line: TcpProxy
}

interface Setting {
  readonly server: RedisServer
  readonly raw: Redis
  replica(name: string, changes?: Partial<StreamPurgeLogOptions>): Promise<Replica>
}

async function setting(test: Test): Promise<Setting> {
  const server = await startRedis()
  const raw = new Redis(server.url, { retryStrategy: () => 20 })
  raw.on('error', () => {})
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
      const log = createStreamPurgeLog({ redis, prefix: 'test', replica: name, maxLagMs: longMs, clock: systemClock, logger: memoryLog(), onReset: () => {}, ...changes })
      test.teardown(async () => {
        line.requests = line.replies = pass
        await log.close()
        redis.close()
        await line.close()
      })
      await eventually(() => log.isCaughtUp() && redis.small.healthy === true)
      return { log, line }
    },
  }
}

function unsafe(target: string, tags: readonly string[] = []): Purge {
  return purge({ urls: [{ authority: 'a.example', target }], tags, implicit: true })
}

function entry(stamp: string, target: string, tags: readonly string[] = []): Parameters<PurgeLog['judge']>[0] {
  return { stamp, authority: 'a.example', target, tags }
}

const troubles: readonly [name: string, begin: (setting: Setting) => unknown, end: (setting: Setting) => unknown][] = [
  ['hangs', ({ server }) => server.kill('SIGSTOP'), ({ server }) => server.kill('SIGCONT')],
  ['refuses writes, as after a failover', ({ raw }) => raw.replicaof('127.0.0.1', 1), ({ raw }) => raw.replicaof('NO', 'ONE')],
]

// The guard: Unrecorded (store/redis/purge-log/unrecorded.ts). Without it the second replica serves /x for the rest of its lifetime.
for (const [name, begin, end] of troubles) {
  void t.test(`Redis ${name}: an invalidation applies here at once, and on every replica once that is over`, async (test) => {
    const made = await setting(test as Test)
    const [{ log: one }, { log: two }] = [await made.replica('one'), await made.replica('two')]
    const before = one.applied
    await begin(made)
    await test.rejects(one.append(unsafe('/x', ['group']), 10), { code: 'PURGE_NOT_WRITTEN' })
    test.equal(one.unrecorded, 2)
    test.equal(one.judge(entry(before, '/x')), 'dead')
    test.equal(one.judge(entry(before, '/y', ['group'])), 'dead')
    test.equal(one.judge(entry(before, '/y')), 'valid')
    test.equal(one.mayMatch(before, { authority: 'a.example', target: '/x' }), true, 'nobody waits for what was under way')
    test.equal(one.matchedBetween(entry(before, '/x'), before), true)
    await test.rejects(one.append(purge({ tags: ['of an operator'] }), 10), { code: 'PURGE_NOT_WRITTEN' }, 'the operator gets an error, and nothing is kept')
    test.equal(one.unrecorded, 2)
    await end(made)
    for (const log of [one, two]) {
      await eventually(() => log.judge(entry(before, '/x')) === 'dead' && log.isCaughtUp())
      test.equal(log.judge(entry(before, '/y', ['group'])), 'dead')
      test.equal(log.judge(entry(before, '/y', ['of an operator'])), 'valid')
    }
    await eventually(() => one.unrecorded === 0)
    await eventually(() => one.applied === two.applied && one.judge(entry(one.applied, '/x')) === 'valid')
    test.equal(one.mayMatch(one.applied, { authority: 'a.example', target: '/x' }), false)
    const { log: three } = await made.replica('three')
    test.equal(three.judge(entry(before, '/x')), 'dead')
  })
}

void t.test('a replica does not count as caught up again before its invalidations are recorded', async (test) => {
  const { replica } = await setting(test as Test)
  let added = 0
  const clock: Clock = { now: () => systemClock.now(), monotonic: () => systemClock.monotonic() + added }
  const [one, two] = [await replica('one', { clock }), await replica('two')]
  const before = two.log.applied
  let release = (): void => {}
  const held = new Promise<undefined>(resolve => {
    release = () => resolve(undefined)
  })
  // The record alone does not arrive; all reads do.
  one.line.requests = bytes => bytes.includes('"names"') ? held : undefined
  await test.rejects(one.log.append(unsafe('/x'), 10), { code: 'PURGE_UNCONFIRMED' })
  // As long as this it may use its knowledge.
  added = longMs + 1
  for (const tag of ['a', 'b', 'c']) {
    const { id } = await two.log.append(purge({ tags: [tag] }), 0)
    await eventually(() => one.log.applied >= id)
    test.equal(one.log.isCaughtUp(), false, 'it reads, and holds back what it has')
  }
  release()
  one.line.requests = pass
  await eventually(() => one.log.isCaughtUp())
  test.equal(one.log.unrecorded, 0)
  await eventually(() => two.log.judge(entry(before, '/x')) === 'dead')
})

void t.test('more names than can be kept: each is dead here and, afterwards, everywhere; hardly any others are', async (test) => {
  const made = await setting(test as Test)
  const [{ log: one }, { log: two }] = [await made.replica('one'), await made.replica('two')]
  const before = one.applied
  await made.raw.replicaof('127.0.0.1', 1)
  const count = 14_000
  for (let i = 0; i < count; i += 500) await Promise.allSettled(Array.from({ length: 500 }, (_, n) => one.append(unsafe(`/things/${i + n}`), 0)))
  const all = Array.from({ length: count }, (_, i) => i)
  test.equal(all.filter(i => one.judge(entry(before, `/things/${i}`)) !== 'dead').length, 0)
  test.ok(one.unrecorded > 13_900 && one.unrecorded <= count)
  await made.raw.replicaof('NO', 'ONE')
  await eventually(() => one.unrecorded === 0 && one.isCaughtUp())
  test.same((await one.append(purge({ tags: ['last'] }), longMs)).replicas, { live: 2, acknowledged: 2 })
  for (const log of [one, two]) {
    test.equal(all.filter(i => log.judge(entry(before, `/things/${i}`)) !== 'dead').length, 0)
    test.ok(all.filter(i => log.judge(entry(before, `/others/${i}`)) === 'dead').length < count * 0.03)
    test.equal(log.judge(entry(log.applied, '/things/1')), 'valid')
  }
})

void t.test('a request that arrives while an earlier one is recorded is recorded after it', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  await raw.replicaof('127.0.0.1', 1)
  await test.rejects(one.log.append(unsafe('/x'), 0))
  // The record of the first has been sent, and its reply has not arrived.
  let release = (): void => {}
  let under = false
  const held = new Promise<undefined>(resolve => {
    release = () => resolve(undefined)
  })
  one.line.replies = bytes => {
    if (!under || !/^\*2\r\n\$\d+\r\n\d+-\d+\r\n/.test(bytes.toString('latin1'))) return undefined
    return held
  }
  one.line.requests = bytes => {
    under ||= bytes.includes('"/x') || bytes.includes('\\n/x"')
    return undefined
  }
  await raw.replicaof('NO', 'ONE')
  await eventually(() => under)
  const first = await eventuallyLast(raw)
  // Another replica stores an entry between the record and the second request.
  await test.rejects(one.log.append(unsafe('/x'), 0))
  release()
  one.line.requests = one.line.replies = pass
  await eventually(() => one.log.unrecorded === 0 && one.log.isCaughtUp())
  test.ok(await eventuallyLast(raw) > first, 'a record of its own')
})

async function eventuallyLast(raw: Redis): Promise<string> {
  let id: string | undefined
  await eventually(async () => {
    id = (await raw.xrevrange('test:{log}:unsafe', '+', '-', 'COUNT', 1))[0]?.[0]
    return id !== undefined
  })
  return id as string
}

void t.test('a replica that stops after Redis has recovered first records its invalidations', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const before = two.log.applied
  one.line.requests = bytes => bytes.includes('"names"') ? 0 : undefined
  await test.rejects(one.log.append(unsafe('/x'), 0))
  one.line.requests = pass
  await one.log.close()
  test.equal(one.log.unrecorded, 0)
  test.equal(await raw.xlen('test:{log}:unsafe'), 1)
  await eventually(() => two.log.judge(entry(before, '/x')) === 'dead')
})

void t.test('a wait that ends before this replica has read the record: its own clients do not receive older responses', async (test) => {
  const { replica } = await setting(test as Test)
  const one = await replica('one')
  const before = one.log.applied
  // Holds only the replies to the log's follower that contain a record.
  let release = (): void => {}
  const held = new Promise<undefined>(resolve => {
    release = () => resolve(undefined)
  })
  one.line.replies = bytes => bytes.includes('"names"') ? held : undefined
  const receipt = await one.log.append(unsafe('/x'), 0)
  test.ok(one.log.applied < receipt.id)
  test.equal(one.log.judge(entry(before, '/x')), 'dead')
  test.equal(one.log.judge(entry(before, '/y')), 'valid')
  release()
  one.line.replies = pass
  await eventually(() => one.log.applied >= receipt.id)
  test.equal(one.log.judge(entry(before, '/x')), 'dead')
  test.equal(one.log.judge(entry(receipt.id, '/x')), 'valid')
})
