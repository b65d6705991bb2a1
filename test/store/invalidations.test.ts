// Invalidations by unsafe requests: for any number of requests from any client, named entries are dead everywhere, and
// others live.
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { bucketCount, bucketOf, urlName } from '../../src/store/purge/invalidation.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import type { Purge, PurgeLog } from '../../src/store/purge/log.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { createStreamPurgeLog, type StreamPurgeLogOptions } from '../../src/store/redis/purge-log/log.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { manualClock } from '../support/manual-clock.ts'
import { purge } from '../support/purge.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { pass, startTcpProxy } from '../support/tcp-proxy.ts'
import type { Test } from './contract.ts'

const longMs = 30_000

/** The purge of an unsafe request to the URL, with the groups that its response names. */
function unsafe(target: string, tags: readonly string[] = []): Purge {
  return purge({ urls: [{ authority: 'a.example', target }], tags, implicit: true })
}

function entry(stamp: string, target: string, tags: readonly string[] = []): Parameters<PurgeLog['judge']>[0] {
  return { stamp, authority: 'a.example', target, tags }
}

const long = (i: number): string => `/any?${String(i).padStart(8, '0')}${'x'.repeat(8_000)}`

// The guard: implicit purges have a separate table (table.ts, invalidate). As purges they would raise the floor.
void t.test('5,000 POSTs to URLs of 8,000 bytes: their entries are dead, and no others', async (test) => {
  const log = createLocalPurgeLog({ clock: manualClock(), maxChars: 1_000_000, maxRecords: 1_000 })
  const before = log.applied
  await log.append(purge({ tags: ['of an operator'] }), 0)
  for (let i = 0; i < 5_000; i++) await log.append(unsafe(long(i)), 0)
  for (const i of [0, 1, 2_500, 4_999]) test.equal(log.judge(entry(before, long(i))), 'dead')
  test.equal(log.judge(entry(before, '/other')), 'valid')
  test.equal(log.judge(entry(before, long(5_000))), 'valid')
  test.equal(log.judge(entry(before, '/other', ['of an operator'])), 'dead')
  test.equal(log.judge(entry(log.applied, long(0))), 'valid', 'a later request')
  test.equal(log.recent(10).length, 1, 'operators are shown their own')
  test.equal(log.mayMatch(before, { authority: 'a.example', target: long(0) }), true)
})

void t.test('one URL, named 100,000 times, takes the place of its own earlier records', async (test) => {
  const log = createLocalPurgeLog({ clock: manualClock(), maxNames: 10 })
  const before = log.applied
  await log.append(unsafe('/first'), 0)
  for (let i = 0; i < 100_000; i++) await log.append(unsafe('/graphql'), 0)
  test.equal(log.judge(entry(before, '/first')), 'dead')
  test.equal(log.judge(entry(before, '/other')), 'valid')
  test.equal(log.judge(entry(before, '/graphql')), 'dead')
})

// The guard: the bucket of a dropped name (invalidation-table.ts, #letGo). Without it the named entries come back to life.
void t.test('more names than are kept: each is dead nevertheless, and hardly any others are', async (test) => {
  const log = createLocalPurgeLog({ clock: manualClock(), maxNames: 100 })
  const before = log.applied
  for (let i = 0; i < 20_000; i++) await log.append(unsafe(`/things/${i}`, i % 7 === 0 ? [`group-${i}`] : []), 0)
  const alive = Array.from({ length: 20_000 }, (_, i) => i).filter(i => log.judge(entry(before, `/things/${i}`)) !== 'dead')
  test.same(alive, [])
  test.equal(log.judge(entry(before, '/other', ['group-7'])), 'dead')
  const dead = Array.from({ length: 20_000 }, (_, i) => i).filter(i => log.judge(entry(before, `/others/${i}`)) === 'dead')
  test.ok(dead.length < 20_000 * 0.08, `${dead.length} of 20,000 others`)
  test.equal(log.judge(entry(log.applied, '/things/0')), 'valid')
})

// The guard: a name is never dropped by age without its bucket (invalidation-table.ts, #letGo).
void t.test('a clock that was set forward, and back, makes no name forgotten', async (test) => {
  let aheadMs = 0
  const clock = { ...manualClock(), now: () => 1_700_000_000_000 + aheadMs }
  const log = createLocalPurgeLog({ clock, maxKeepMs: 60_000 })
  const before = log.applied
  await log.append(unsafe('/first', ['group']), 0)
  aheadMs = 3_600_000
  await log.append(unsafe('/second'), 0)
  aheadMs = 0
  test.equal(log.judge(entry(before, '/first')), 'dead')
  test.equal(log.judge(entry(before, '/other', ['group'])), 'dead')
  test.equal(log.judge(entry(before, '/other')), 'valid')
})

void t.test('buckets share names out evenly', async (test) => {
  const counts = new Map<number, number>()
  for (let i = 0; i < 100_000; i++) {
    const bucket = bucketOf(urlName('a.example', `/things/${i}`))
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  test.ok(counts.size > 85_000, `${counts.size} buckets of ${bucketCount}`)
  test.ok([...counts.keys()].every(bucket => Number.isInteger(bucket) && bucket >= 0 && bucket < bucketCount))
})

void t.test('for any names, order and bound: an entry is never valid if a record kills it', async () => {
  const target = fc.integer({ min: 0, max: 12 }).map(i => (i % 3 === 0 ? long(i) : `/${i}`))
  const tag = fc.integer({ min: 0, max: 4 }).map(i => (i === 0 ? 't'.repeat(300) : `t${i}`))
  const step = fc.record({ target, tags: fc.array(tag, { maxLength: 2 }), implicit: fc.boolean() })
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), async (steps, maxNames) => {
    const log = createLocalPurgeLog({ clock: manualClock(), maxNames })
    const stamps = [log.applied]
    for (const { target: named, tags, implicit } of steps) {
      const made = unsafe(named, tags)
      await log.append(implicit ? made : { ...made, implicit: undefined } as unknown as Purge, 0)
      stamps.push(log.applied)
    }
    for (const [at, stamp] of stamps.entries()) {
      for (const [i, each] of steps.entries()) {
        if (i < at) continue
        if (log.judge(entry(stamp, each.target)) !== 'dead') throw new Error(`${each.target.slice(0, 9)} lives`)
        if (!log.mayMatch(stamp, { authority: 'a.example', target: each.target })) throw new Error('may be shared')
        for (const one of each.tags) if (log.judge(entry(stamp, '/none', [one])) !== 'dead') throw new Error(`${one} lives`)
        // Between its stamp and the record another record named it: the entry may not survive that one.
        const until = stamps[i + 1] as string
        const between = steps.slice(at, i).some(other => other.target === each.target)
        if (between && !log.matchedBetween(entry(stamp, each.target), until)) throw new Error('survives what came before')
      }
    }
  }), { numRuns: 150 })
})

interface Setting {
  readonly server: RedisServer
  readonly raw: Redis
  replica(name: string, changes?: Partial<StreamPurgeLogOptions>, url?: string): Promise<PurgeLog>
  /** How often any replica found the log lost. */
  resets(): number
}

async function setting(test: Test): Promise<Setting> {
  const server = await startRedis()
  const raw = new Redis(server.url, { retryStrategy: () => 20 })
  raw.on('error', () => {})
  const open: { close(): unknown }[] = []
  let resets = 0
  test.teardown(async () => {
    for (const each of open) await each.close()
    raw.disconnect()
    await server.stop()
  })
  return {
    server,
    raw,
    resets: () => resets,
    replica: async (name, changes = {}, url = server.url) => {
      const redis = connectRedis({ url, commandTimeoutMs: 1000, clock: systemClock, logger: memoryLog() })
      const log = createStreamPurgeLog({
        redis,
        prefix: 'test',
        replica: name,
        maxLagMs: longMs,
        clock: systemClock,
        logger: memoryLog(),
        onReset: () => resets++,
        ...changes,
      })
      open.push(log, redis)
      await eventually(() => log.isCaughtUp() && redis.small.healthy === true)
      return log
    },
  }
}

void t.test('4,300 POSTs to URLs of 8,000 bytes through Redis: no other entry dies on any replica, nor on one that starts afterwards', async (test) => {
  const { raw, replica, resets } = await setting(test as Test)
  const bounds = { maxRecords: 500, maxBytes: 200_000 }
  const [one, two] = [await replica('one', bounds), await replica('two', bounds)]
  const before = two.applied
  await one.append(purge({ tags: ['of an operator'] }), longMs)
  for (let i = 0; i < 4_300; i += 100) await Promise.all(Array.from({ length: 100 }, (_, n) => one.append(unsafe(long(i + n)), 0)))
  const last = await one.append(unsafe('/last'), longMs)
  test.same(last.replicas, { live: 2, acknowledged: 2 })
  test.equal(last.id, two.applied)
  const three = await replica('three', bounds)
  for (const log of [one, two, three]) {
    for (const i of [0, 1, 2_000, 4_299]) test.equal(log.judge(entry(before, long(i))), 'dead')
    test.equal(log.judge(entry(before, '/last')), 'dead')
    test.equal(log.judge(entry(before, '/other')), 'valid')
    test.equal(log.judge(entry(before, '/other', ['of an operator'])), 'dead')
    test.equal(log.judge(entry(last.id, '/last')), 'valid')
    test.same(log.recent(10).map(record => record.purge.tags), [['of an operator']])
  }
  test.equal(resets(), 0)
  test.ok(await raw.memory('USAGE', 'test:{log}:unsafe', 'SAMPLES', 0) as number < 3_000_000, 'no URL is kept')
  test.equal(await raw.xlen('test:{log}'), 2)
})

// The guard: dropped records leave their ids in the buckets (unsafe-scripts.ts, SETRANGE), which are loaded at a start.
void t.test('records that Redis has dropped apply on replicas that start later', async (test) => {
  const { raw, replica, resets } = await setting(test as Test)
  const bounds = { maxUnsafeRecords: 20 }
  const one = await replica('one', bounds)
  const before = one.applied
  for (let i = 0; i < 500; i++) await one.append(unsafe(`/things/${i}`, [`group-${i}`]), 0)
  await one.append(unsafe('/last'), longMs)
  test.ok(await raw.xlen('test:{log}:unsafe') <= 20)
  const two = await replica('two', bounds)
  for (const log of [one, two]) {
    const alive = Array.from({ length: 500 }, (_, i) => i).filter(i => (
      log.judge(entry(before, `/things/${i}`)) !== 'dead' || log.judge(entry(before, '/none', [`group-${i}`])) !== 'dead'
    ))
    test.same(alive, [])
    test.equal(log.judge(entry(before, '/other')), 'valid')
    test.equal(log.judge(entry(log.applied, '/things/1')), 'valid')
  }
  test.equal(resets(), 0)
})

void t.test('purges and unsafe requests on two replicas at once: one order, and a third that loads them meanwhile agrees', async (test) => {
  const { raw, replica, resets } = await setting(test as Test)
  const bounds = { maxUnsafeRecords: 200 }
  const [one, two] = [await replica('one', bounds), await replica('two', bounds)]
  const before = one.applied
  const receipts: { id: string; what: Parameters<PurgeLog['judge']>[0] }[] = []
  let third: Promise<PurgeLog> | undefined
  await Promise.all(Array.from({ length: 6 }, async (_, worker) => {
    for (let i = 0; i < 250; i++) {
      const log = worker % 2 === 0 ? one : two
      const name = `${worker}-${i}`
      const implicit = i % 5 !== 0
      const { id } = await log.append(implicit ? unsafe(`/${name}`) : purge({ tags: [name] }), i % 50 === 0 ? longMs : 0)
      receipts.push({ id, what: implicit ? entry(before, `/${name}`) : entry(before, '/none', [name]) })
      if (worker === 0 && i === 120) third = replica('three', bounds)
    }
  }))
  const three = await third as PurgeLog
  const last = await one.append(unsafe('/last'), longMs)
  test.same(last.replicas, { live: 3, acknowledged: 3 })
  test.equal(new Set(receipts.map(({ id }) => id)).size, receipts.length, 'no two records have one id')
  for (const log of [one, two, three]) {
    test.equal(log.applied, last.id)
    test.equal(receipts.filter(({ what }) => log.judge(what) !== 'dead').length, 0)
    test.equal(log.judge(entry(before, '/other')), 'valid')
    // A record says nothing about entries that are stamped with its own id.
    test.equal(receipts.slice(-100).filter(({ id, what }) => log.judge({ ...what, stamp: id }) === 'dead').length, 0)
  }
  test.equal(resets(), 0)
  test.ok(await raw.xlen('test:{log}:unsafe') <= 200)
})

void t.test('a replica that missed records that were dropped reads the buckets, and misses nothing', async (test) => {
  const { server, replica, resets } = await setting(test as Test)
  const bounds = { maxUnsafeRecords: 20 }
  const line = await startTcpProxy(server)
  test.teardown(() => line.close())
  const one = await replica('one', bounds)
  const two = await replica('two', bounds, `redis://127.0.0.1:${line.port}`)
  const before = two.applied
  await one.append(unsafe('/known'), longMs)
  let release = (): void => {}
  const held = new Promise<undefined>(resolve => {
    release = () => resolve(undefined)
  })
  line.requests = () => held
  for (let i = 0; i < 300; i += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => one.append(unsafe(`/things/${i + n}`), 0)))
  await one.append(purge({ tags: ['amidst'] }), 0)
  for (let i = 0; i < 30; i++) await one.append(unsafe(`/later/${i}`), 0)
  test.equal(two.judge(entry(before, '/things/1')), 'valid', 'it has not received it')
  release()
  line.requests = pass
  test.same((await one.append(unsafe('/last'), longMs)).replicas, { live: 2, acknowledged: 2 })
  for (const log of [one, two]) {
    await eventually(() => log.isCaughtUp())
    test.equal(Array.from({ length: 300 }, (_, i) => i).filter(i => log.judge(entry(before, `/things/${i}`)) !== 'dead').length, 0)
    test.equal(Array.from({ length: 30 }, (_, i) => i).filter(i => log.judge(entry(before, `/later/${i}`)) !== 'dead').length, 0)
    test.equal(log.judge(entry(before, '/known')), 'dead')
    test.equal(log.judge(entry(before, '/y', ['amidst'])), 'dead')
    test.equal(log.judge(entry(before, '/other')), 'valid')
    test.equal(log.judge(entry(log.applied, '/things/1')), 'valid')
  }
  test.equal(resets(), 0)
})

for (const [what, lose] of [
  ['the records', (raw: Redis) => raw.del('test:{log}:unsafe')],
  ['the buckets', (raw: Redis) => raw.del('test:{log}:unsafe:buckets')],
  ['the last record', async (raw: Redis) => {
    const [[id] = ['']] = await raw.xrevrange('test:{log}:unsafe', '+', '-', 'COUNT', 1)
    return raw.xdel('test:{log}:unsafe', id)
  }],
  ['all of it, for something else', (raw: Redis) => raw.set('test:{log}:unsafe', 'else')],
] as const) {
  // The guard: unsafeIsWhole (unsafe-functions.ts). Without it a replica that starts then serves invalidated entries.
  void t.test(`${what} lost, as by eviction or a failover: a replica that starts afterwards uses no entry stored before`, async (test) => {
    const { raw, replica } = await setting(test as Test)
    const bounds = { maxUnsafeRecords: 5 }
    const one = await replica('one', bounds)
    const before = one.applied
    for (let i = 0; i < 20; i++) await one.append(unsafe(`/${i}`), longMs)
    const latest = one.applied
    await lose(raw)
    const two = await replica('two', bounds)
    for (let i = 0; i < 20; i++) test.equal(two.judge(entry(before, `/${i}`)), 'dead', `/${i}`)
    test.equal(two.judge(entry(two.applied, '/1')), 'valid')
    test.not(two.applied, latest)
    await eventually(() => one.applied === two.applied)
    test.same((await one.append(unsafe('/next'), longMs)).replicas, { live: 2, acknowledged: 2 })
    test.equal(two.judge(entry(latest, '/1')), 'dead')
  })

  void t.test(`${what} lost, and more appended before a replica starts: the same`, async (test) => {
    for (const next of [unsafe('/next'), purge({ tags: ['next'] })]) {
      const { raw, replica } = await setting(test as Test)
      const bounds = { maxUnsafeRecords: 5 }
      const one = await replica('one', bounds)
      const before = one.applied
      for (let i = 0; i < 20; i++) await one.append(unsafe(`/${i}`), longMs)
      await lose(raw)
      await one.append(next, 0)
      const two = await replica('two', bounds)
      for (let i = 0; i < 20; i++) test.equal(two.judge(entry(before, `/${i}`)), 'dead', `/${i}`)
      await eventually(() => one.applied === two.applied)
      test.equal(one.judge(entry(one.applied, '/1')), 'valid')
    }
  })
}

void t.test('a failover loses the last record, and its id is used again: a replica that applied the first one notices', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  const before = one.applied
  await one.append(unsafe('/kept'), longMs)
  await one.append(unsafe('/lost'), longMs)
  const applied = one.applied
  const [[id, fields] = ['', []]] = await raw.xrevrange('test:{log}:unsafe', '+', '-', 'COUNT', 1)
  await raw.multi().del('test:{log}:x').xdel('test:{log}:unsafe', id).call('XSETID', 'test:{log}:unsafe', '0-1').exec()
  // The same id, another name, another URL.
  const other = fields.map((value,
    i) => (fields[i - 1] === 'name' ? 'another' : fields[i - 1] === 'unsafe' ? JSON.stringify({ names: [urlName('a.example', '/second')], buckets: [] }) : value)
  )
  const kept = await raw.xrange('test:{log}:unsafe', '-', '+')
  await raw.del('test:{log}:unsafe')
  for (const [each, its] of [...kept, [id, other] as [string, string[]]]) await raw.xadd('test:{log}:unsafe', each, ...its)
  await eventually(() => one.applied.split('.')[0] !== applied.split('.')[0])
  test.equal(one.judge(entry(before, '/second')), 'dead')
  test.equal(one.judge(entry(applied, '/second')), 'dead')
})
