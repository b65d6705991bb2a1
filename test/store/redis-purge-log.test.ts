// The purge log that replicas share, over a real Redis that works and that fails.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { SpringhouseError } from '../../src/errors.ts'
import type { PurgeLog } from '../../src/store/purge/log.ts'
import { PurgeTable } from '../../src/store/purge/table.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { decodeRecords, newIdentity, stampOf } from '../../src/store/redis/purge-log/record.ts'
import { followScript } from '../../src/store/redis/purge-log/scripts.ts'
import { createStreamPurgeLog, type StreamPurgeLogOptions } from '../../src/store/redis/purge-log/log.ts'
import { Random } from '../coherence/random.ts'
import { Wire } from '../coherence/wire.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { manualClock } from '../support/manual-clock.ts'
import { purge } from '../support/purge.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import type { Test } from './contract.ts'

// Long enough that no test of these reaches it by accident.
const longMs = 30_000

interface Replica {
  readonly log: PurgeLog
  readonly redis: RedisConnections
  resets(): number
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
  const replicas: Replica[] = []
  test.teardown(async () => {
    await Promise.all(replicas.map(({ log }) => log.close()))
    for (const { redis } of replicas) redis.close()
    raw.disconnect()
    await server.stop()
  })
  return {
    server,
    raw,
    replica: async (name, changes = {}) => {
      const redis = connectRedis({ url: server.url, commandTimeoutMs: 300, clock: systemClock, logger: memoryLog() })
      let resets = 0
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
      const replica = { log, redis, resets: () => resets }
      replicas.push(replica)
      await eventually(() => log.isCaughtUp() && redis.small.healthy === true)
      return replica
    },
  }
}

/** A configuration, and a second line to its Redis, on which nothing passes either way once it is stalled. */
async function settingWithWire(test: Test): Promise<Setting & { readonly far: RedisConnections; stall(): void }> {
  const made = await setting(test)
  const wire = new Wire(made.server, new Random(1), 0)
  await wire.listen()
  test.teardown(() => wire.close())
  const far = connectRedis({ url: `redis://127.0.0.1:${wire.port}`, commandTimeoutMs: 300, clock: systemClock, logger: memoryLog() })
  test.teardown(() => far.close())
  return { ...made, far, stall: () => {
    for (const direction of ['there', 'back'] as const) wire.stall(direction, longMs)
  } }
}

function entry(stamp: string, tags = ['things']): Parameters<PurgeLog['judge']>[0] {
  return { stamp, authority: 'a.example', target: '/v1/things', tags }
}

interface ShiftedClock extends Clock {
  /** Advances both clocks, for the replica alone. */
  add(ms: number): void
  /** Advances the wall clock alone: it was set, or the machine was suspended. */
  addToWall(ms: number): void
}

/** A test clock that shifts the real one. */
function shiftedClock(): ShiftedClock {
  let added = 0
  let wall = 0
  return {
    now: () => systemClock.now() + added + wall,
    monotonic: () => systemClock.monotonic() + added,
    add: (ms) => {
      added += ms
    },
    addToWall: (ms) => {
      wall += ms
    },
  }
}

const list = 'test:{log}:replicas'

/** The registration of a replica that has applied `stamp` and counts for `leftMs` more. */
function registration(stamp: string, leftMs: number): string {
  return `${stamp} ${systemClock.now() + leftMs} ${2 * longMs + 2000} ${longMs}`
}

/** Sets the clock of Redis by `ms` by changing all recorded times: a script cannot distinguish the two. */
async function setRedisClock(raw: Redis, ms: number): Promise<void> {
  const fields = await raw.hgetall(list)
  for (const [name, value] of Object.entries(fields)) {
    const words = value.split(' ')
    const at = words.length === 4 ? 1 : 0
    words[at] = String(Number(words[at]) - ms)
    await raw.hset(list, name, words.join(' '))
  }
}

void t.test('a purge returns when every live replica has applied it', async (test) => {
  const { replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const before = one.log.applied
  test.equal(two.log.applied, before)
  const receipt = await one.log.append(purge({ tags: ['things'] }), longMs)
  test.same(receipt, { id: one.log.applied, soft: false, replicas: { live: 2, acknowledged: 2 }, copied: true })
  for (const { log } of [one, two]) {
    test.equal(log.applied, receipt.id)
    test.equal(log.judge(entry(before)), 'dead')
    test.equal(log.judge(entry(before, ['other'])), 'valid')
    test.equal(log.judge(entry(log.applied)), 'valid')
    test.same(log.recent(5).map((record) => record.purge.tags), [['things']])
  }
  test.same((await two.log.replicas()).map(({ id }) => id).sort(), ['one', 'two'])
})

void t.test('a purge wins over a fill that was in flight on another replica', async (test) => {
  const { replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const asked = two.log.applied
  await one.log.append(purge({ prefixes: [{ authority: 'a.example', target: '/v1/' }] }), longMs)
  test.equal(two.log.judge(entry(asked)), 'dead')
  test.equal(two.log.mayMatch(asked, { authority: 'a.example', target: '/v1/other' }), true)
  test.equal(two.log.mayMatch(asked, { authority: 'b.example', target: '/v1/other' }), false)
})

void t.test('a soft purge makes entries stale, and is reported as soft', async (test) => {
  const { replica } = await setting(test as Test)
  const { log } = await replica('one')
  const before = log.applied
  const receipt = await log.append(purge({ all: true, soft: true }), longMs)
  test.equal(receipt.soft, true)
  test.equal(log.judge(entry(before)), 'stale')
})

void t.test('a replica that starts later knows every purge before it uses any', async (test) => {
  const { replica } = await setting(test as Test)
  const one = await replica('one')
  const before = one.log.applied
  for (let batch = 0; batch < 2100; batch += 300) {
    await Promise.all(Array.from({ length: 300 }, (_, i) => one.log.append(purge({ tags: [`t${batch + i}`] }), 0)))
  }
  await one.log.append(purge({ tags: ['last'] }), longMs)
  const between = one.log.applied
  const two = await replica('two')
  test.equal(two.log.judge(entry(before, ['t0'])), 'dead')
  test.equal(two.log.judge(entry(before, ['t1500'])), 'dead')
  test.equal(two.log.judge(entry(before, ['last'])), 'dead')
  test.equal(two.log.judge(entry(before, ['none'])), 'valid')
  test.equal(two.log.judge(entry(between, ['last'])), 'valid')
})

void t.test('before it has read the log once, a replica is not current, and everything is dead for it', async (test) => {
  const server = await startRedis()
  await server.stop()
  const redis = connectRedis({ url: server.url, commandTimeoutMs: 200, clock: systemClock, logger: memoryLog() })
  const log = createStreamPurgeLog({ redis, prefix: 'test', replica: 'one', maxLagMs: longMs, clock: systemClock, logger: memoryLog(), onReset: () => {} })
  test.teardown(async () => {
    await log.close()
    redis.close()
    await server.stop()
  })
  test.equal(log.isCaughtUp(), false)
  test.equal(log.judge(entry(log.applied)), 'dead')
  test.equal(log.mayMatch(log.applied, { authority: 'a.example', target: '/' }), true)
  await test.rejects(log.append(purge({ all: true }), 10), { code: 'PURGE_NOT_WRITTEN' })
  const early = log.applied
  await server.restart()
  await eventually(() => log.isCaughtUp())
  test.equal(log.judge(entry(early)), 'dead', 'an entry requested without a log can have missed any purge')
  test.equal(log.judge(entry(log.applied)), 'valid')
})

void t.test('a replica that is cut off is not current once its lag bound has passed, and is again when it has caught up', async (test) => {
  const { server, replica } = await setting(test as Test)
  const clock = shiftedClock()
  const { log } = await replica('one', { clock })
  const stamp = log.applied
  server.kill('SIGSTOP')
  test.equal(log.judge(entry(stamp)), 'valid', 'within the bound it goes by what it knows')
  clock.add(longMs + 1)
  test.equal(log.isCaughtUp(), false)
  test.equal(log.judge(entry(stamp)), 'dead')
  server.kill('SIGCONT')
  await eventually(() => log.isCaughtUp())
  test.equal(log.judge(entry(stamp)), 'valid')
})

void t.test('a log in which nothing happens is confirmed well within the lag', async (test) => {
  const { replica } = await setting(test as Test)
  const clock = shiftedClock()
  const { log } = await replica('one', { clock, maxLagMs: 300 })
  for (let i = 0; i < 3; i++) {
    clock.add(301)
    test.equal(log.isCaughtUp(), false)
    await eventually(() => log.isCaughtUp())
  }
})

void t.test('a purge reports how many replicas had applied it when its wait ended', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const { log } = await replica('one')
  // A live replica by its registration, which does nothing.
  await raw.hset('test:{log}:replicas', 'frozen', registration(log.applied, 60_000))
  const receipt = await log.append(purge({ tags: ['a'] }), 50)
  test.same(receipt.replicas, { live: 2, acknowledged: 1 })
  // A replica whose registration has expired is not counted, and no purge waits for it.
  await raw.hset('test:{log}:replicas', 'frozen', registration(log.applied, -1))
  test.same((await log.append(purge({ tags: ['b'] }), longMs)).replicas, { live: 1, acknowledged: 1 })
  test.equal(await raw.hexists('test:{log}:replicas', 'frozen'), 0)
})

void t.test('a replica that closes is not waited for', async (test) => {
  const { replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  await two.log.close()
  test.same((await one.log.append(purge({ all: true }), longMs)).replicas, { live: 1, acknowledged: 1 })
})

void t.test('a purge that cannot be recorded says so', async (test) => {
  const { server, replica } = await setting(test as Test)
  const { log } = await replica('one')
  const before = log.applied
  await server.stop()
  await test.rejects(log.append(purge({ all: true }), 100), new SpringhouseError('PURGE_NOT_WRITTEN'))
  test.equal(log.judge(entry(before)), 'valid', 'and nothing was purged')
  test.same(await log.replicas(), [{ id: 'one', applied: before }])
})

void t.test('nothing is lost over a reconnect', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const before = two.log.applied
  for (let round = 0; round < 5; round++) {
    // Closes every connection but its own; the followers read on from their positions.
    await raw.call('CLIENT', 'KILL', 'SKIPME', 'yes')
    let written = false
    await eventually(async () => {
      written = await one.log.append(purge({ tags: [`round-${round}`] }), longMs).then(() => true, () => false)
      return written
    })
    test.equal(two.log.judge(entry(before, [`round-${round}`])), 'dead')
  }
  test.equal(two.resets(), 0)
  test.equal(two.log.judge(entry(before, ['no round'])), 'valid')
})

void t.test('a log that is lost: what was stamped by it is dead, whatever ids the next one gives', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const old = (await one.log.append(purge({ tags: ['x'] }), longMs)).id
  const revision = two.log.revision
  await raw.del('test:{log}')
  await eventually(() => one.resets() === 1 && two.resets() === 1)
  await eventually(() => one.log.applied === two.log.applied)
  test.not(one.log.applied, old)
  test.ok(two.log.revision > revision)
  for (const { log } of [one, two]) {
    test.equal(log.judge(entry(old)), 'dead')
    test.equal(log.judge(entry(log.applied)), 'valid')
    test.same(log.recent(10), [])
  }
  test.same((await one.log.append(purge({ tags: ['y'] }), longMs)).replicas, { live: 2, acknowledged: 2 })
})

void t.test('a flush: a purge is not acknowledged while a replica that cannot be named may use its knowledge', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const [one, two] = [await replica('one'), await replica('two', { redis: far })]
  const before = two.log.applied
  stall()
  await raw.flushall()
  const { replicas } = await one.log.append(purge({ all: true }), 500)
  test.equal(two.log.judge(entry(before)), 'valid', 'it has not received it')
  test.ok(replicas.acknowledged < replicas.live, JSON.stringify(replicas))
  test.same((await one.log.replicas()).map(({ id }) => id), ['one'])
})

void t.test('a purge that waits while the list of replicas is lost goes on waiting for the ones that cannot be named', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const [one] = [await replica('one'), await replica('two', { redis: far })]
  stall()
  const waiting = one.log.append(purge({ all: true }), 1500)
  await eventually(() => one.log.recent(1).length === 1)
  await raw.del('test:{log}:replicas')
  const { replicas } = await waiting
  test.ok(replicas.acknowledged < replicas.live, JSON.stringify(replicas))
})

void t.test('a replica that follows another log afterwards notices a flush, however long it was silent', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const clock = shiftedClock()
  const [one, two] = [await replica('one', { clock }), await replica('two', { redis: far })]
  const before = two.log.applied
  stall()
  await raw.flushall()
  // For longer than a registration lasts: a missing registration does not prove that there were others.
  clock.add(10 * longMs)
  const { replicas } = await one.log.append(purge({ all: true }), 1500)
  test.equal(two.log.judge(entry(before)), 'valid', 'it has not received it')
  test.ok(replicas.acknowledged < replicas.live, JSON.stringify(replicas))
})

// The guard: the longest lag of any replica, which replicas remember (followScript) when Redis loses it.
void t.test('a flush: a purge waits for a replica even if its lag is longer than that of the one that notices', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const [one, two] = [await replica('one', { maxLagMs: 500 }), await replica('two', { redis: far })]
  const before = two.log.applied
  // Redis has reported to the first replica that another has a longer lag.
  await one.log.append(purge({ tags: ['x'] }), longMs)
  await eventually(async () => await raw.hget(list, '!lag') === String(longMs) && one.log.isCaughtUp())
  const next = await one.log.append(purge({ tags: ['x'] }), longMs)
  await eventually(() => one.log.applied >= next.id)
  stall()
  await raw.flushall()
  const { replicas } = await one.log.append(purge({ all: true }), 2500)
  test.not(two.log.judge(entry(before, ['y'])), 'dead', 'it has not received it')
  test.ok(replicas.acknowledged < replicas.live, JSON.stringify(replicas))
})

void t.test('a flush: a purge is acknowledged once replicas that do not receive it use no knowledge', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const [one, two] = [await replica('one', { maxLagMs: 1000 }), await replica('two', { redis: far, maxLagMs: 1000 })]
  const before = two.log.applied
  stall()
  await raw.flushall()
  test.same((await one.log.append(purge({ all: true }), longMs)).replicas, { live: 1, acknowledged: 1 })
  test.equal(two.log.judge(entry(before)), 'dead')
})

// The guard: mostApartMs, in isCaughtUp().
for (const [what, apartMs] of [['suspended for 13 seconds', 13_000], ['set back by an hour', -3_600_000], ['set forward by an hour', 3_600_000]] as const) {
  void t.test(`a replica whose machine was ${what} uses nothing until it has read the log again`, async (test) => {
    const { server, replica } = await setting(test as Test)
    const clock = shiftedClock()
    const { log } = await replica('one', { clock })
    const stamp = log.applied
    server.kill('SIGSTOP')
    clock.addToWall(apartMs)
    test.equal(log.isCaughtUp(), false)
    test.equal(log.judge(entry(stamp)), 'dead')
    server.kill('SIGCONT')
    await eventually(() => log.isCaughtUp())
    test.equal(log.judge(entry(stamp)), 'valid')
  })
}

// The guard: the mark that tend sets for registrations that the clock ran out.
void t.test('the clock of Redis is set forward: a purge waits for a replica that still uses its knowledge', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const [one, two] = [await replica('one'), await replica('two', { redis: far })]
  const before = two.log.applied
  stall()
  await setRedisClock(raw, 3 * longMs)
  const { replicas } = await one.log.append(purge({ all: true }), 1500)
  test.equal(two.log.judge(entry(before)), 'valid', 'it has not received the purge')
  test.ok(replicas.acknowledged < replicas.live, JSON.stringify(replicas))
  // If the clock is set forward once more, the mark itself would expire.
  await setRedisClock(raw, 3 * longMs)
  const again = await one.log.append(purge({ all: true }), 500)
  test.ok(again.replicas.acknowledged < again.replicas.live, JSON.stringify(again.replicas))
})

// The guard: tend considers ends that come before the lag is over, not only those that have passed.
void t.test('the clock of Redis is set forward so far that a registration would run out too soon: it counts as lost', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  await replica('one')
  await replica('two', { redis: far })
  stall()
  await setRedisClock(raw, longMs + 2500)
  await eventually(async () => Number(await raw.hget(list, '!lost')) > systemClock.now())
  test.ok(Number((await raw.hget(list, 'two'))?.split(' ')[1]) > systemClock.now(), 'it has not run out yet')
})

// The guard: tend reduces an end that is further ahead than its time to live.
void t.test('the clock of Redis is set back by an hour: a replica that has died is not counted for an hour', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const { log } = await replica('one', { maxLagMs: 1000 })
  const [ttlMs, lagMs] = [300, 100]
  await raw.hset(list, 'dead', `${log.applied} ${systemClock.now() + ttlMs} ${ttlMs} ${lagMs}`)
  await setRedisClock(raw, -3_600_000)
  const { replicas } = await log.append(purge({ all: true }), longMs)
  test.same(replicas, { live: 1, acknowledged: 1 })
})

// The guard: followScript compares the name of the last record, as well as its id.
void t.test('a failover loses the last record, and its id is given to another: every replica that applied the lost one knows', async (test) => {
  const { raw, replica, far, stall } = await settingWithWire(test as Test)
  const [one, two] = [await replica('one'), await replica('two', { redis: far })]
  const before = one.log.applied
  await one.log.append(purge({ tags: ['lost'] }), longMs)
  const [[id = '', fields = []] = []] = await raw.xrevrange('test:{log}', '+', '-', 'COUNT', 1)
  // No replica reads while the record is replaced by another.
  stall()
  const other = fields.map((field) => (field === fields[fields.indexOf('name') + 1] ? 'another' : field.replace('"lost"', '"things"')))
  await raw.multi().del('test:{log}').xadd('test:{log}', id, ...other).exec()
  await eventually(() => one.log.judge(entry(before)) === 'dead' && one.resets() === 1)
  test.equal(one.log.judge(entry(one.log.applied)), 'valid')
  void two
})

// The guard: followScript registers no stamp for a replica whose log does not continue.
void t.test('a replica that has applied more than there is in the log acknowledges nothing by that', async (test) => {
  const { raw, replica, far } = await settingWithWire(test as Test)
  const { log } = await replica('one')
  const [identity = ''] = log.applied.split('.')
  const [[id = ''] = []] = await raw.xrevrange('test:{log}', '+', '-', 'COUNT', 1)
  const [ms = ''] = id.split('-')
  const follow = async (applied: string): Promise<string | null> => {
    await followScript.run(far.small, ['test:{log}', list, 'test:{log}:unsafe', 'test:{log}:unsafe:buckets'], ['two', identity, applied, '', stampOf(identity, applied), 'unused',
      60_000, 10, 'channel', '', 10_000, 10_000, '', ''])
    return raw.hget(list, 'two')
  }
  test.match(await follow(id), new RegExp(`^${stampOf(identity, id)} `), 'a purge in the log is acknowledged')
  test.match(await follow(`${Number(ms) + 1}-5`), /^ /, 'a lost purge is not')
})

void t.test('ids of records are not given twice, also while the clock of Redis is behind the last of them', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const { log } = await replica('one')
  await log.append(purge({ tags: ['a'] }), longMs)
  const [[id = '', fields = []] = []] = await raw.xrevrange('test:{log}', '+', '-', 'COUNT', 1)
  const [ms = '', number = ''] = id.split('-')
  test.ok(Number(number) > 0, 'the second part is drawn by chance')
  // A record from an hour ahead, as a clock that was set back leaves it.
  const ahead = `${Number(ms) + 3_600_000}-1999999999`
  const named = fields.map((field, i) => (fields[i - 1] === 'before' ? id : field))
  await raw.xadd('test:{log}', ahead, ...named)
  let before = ahead
  for (const tag of ['b', 'c', 'd']) {
    const stamp = log.applied
    const receipt = await log.append(purge({ tags: [tag] }), longMs)
    test.ok(receipt.id > stamp, 'it sorts behind those before it')
    const [[next = ''] = []] = await raw.xrevrange('test:{log}', '+', '-', 'COUNT', 1)
    test.not(next, before)
    before = next
  }
})

void t.test('a log that was overwritten by something else is begun anew', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  const old = one.log.applied
  await raw.set('test:{log}', 'not a log')
  test.ok((await one.log.append(purge({ tags: ['x'] }), longMs)).id !== old)
  test.equal(one.log.judge(entry(old)), 'dead')
})

// The guard: `open` begins a new log behind a record without an identity. Without it every replica loads the log in a loop.
void t.test('a foreign record in the log: no entry stored before it is used, and later ones are', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const before = one.log.applied
  await raw.xadd('test:{log}', '*', 'foo', 'bar')
  await eventually(() => [one, two].every(({ log }) => log.isCaughtUp() && log.applied > before))
  test.equal(one.log.judge(entry(before)), 'dead')
  test.same((await one.log.append(purge({ tags: ['y'] }), longMs)).replicas, { live: 2, acknowledged: 2 })
  test.equal(two.log.judge(entry(two.log.applied)), 'valid')
})

// The guard: decodeRecords gives it an identity that no stamp begins with. Every stamp begins with ''.
void t.test('a foreign record, read last, leaves no entry alive', async (test) => {
  const table = new PurgeTable()
  const [record] = decodeRecords([['1-1', ['foo', 'bar']]])
  table.begin(record?.identity ?? '', stampOf(record?.identity ?? '', '1-1'))
  test.equal(table.judge(entry(stampOf(newIdentity(1_700_000_000_000, Buffer.alloc(4)), '1700000000000-0'))), 'dead')
})

void t.test('a log that has lost its end, as after a failover: a replica that had applied it begins another', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const [one, two] = [await replica('one'), await replica('two')]
  const kept = (await one.log.append(purge({ tags: ['kept'] }), longMs)).id
  await one.log.append(purge({ tags: ['lost'] }), longMs)
  const last = (await raw.xrevrange('test:{log}', '+', '-', 'COUNT', 1))[0]?.[0] ?? ''
  await raw.xdel('test:{log}', last)
  // The same if others were appended after it.
  await raw.xadd('test:{log}', '*', 'log', kept.split('.', 1)[0] ?? '', 'before', last, 'purge', JSON.stringify(purge({ tags: ['after'] })))
  await eventually(() => one.resets() >= 1 && two.resets() >= 1)
  await eventually(() => one.log.applied === two.log.applied && one.log.applied > kept)
  test.equal(two.log.judge(entry(kept, ['lost'])), 'dead', 'the purge that was lost is in force all the same')
  test.equal(two.log.judge(entry(two.log.applied, ['lost'])), 'valid')
})

// The guard is the order of identities in followScript.
void t.test('an older log that has come back, from a snapshot or by a failover, is not followed', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  const old = (await one.log.append(purge({ tags: ['x'] }), longMs)).id
  const snapshot = await raw.dumpBuffer('test:{log}')
  await raw.del('test:{log}')
  await eventually(() => one.resets() === 1)
  await one.log.append(purge({ tags: ['things'] }), longMs)
  const followed = one.log.applied
  await raw.restore('test:{log}', 0, snapshot, 'REPLACE')
  await eventually(() => one.resets() === 2)
  const two = await replica('two')
  await eventually(() => one.log.applied === two.log.applied)
  for (const { log } of [one, two]) {
    test.equal(log.judge(entry(old)), 'dead', 'an entry stored under the old log lacks the purge')
    test.equal(log.judge(entry(followed)), 'dead')
    test.equal(log.judge(entry(log.applied)), 'valid')
  }
  test.ok(one.log.applied > followed)
  test.same((await one.log.append(purge({ tags: ['y'] }), longMs)).replicas, { live: 2, acknowledged: 2 })
})

void t.test('a log that is begun in the place of another has a later name, also by a clock that is behind', async (test) => {
  const followed = newIdentity(1_700_000_000_000, Buffer.alloc(4, 255))
  test.ok(newIdentity(1_600_000_000_000, Buffer.alloc(4), followed) > followed)
  test.equal(newIdentity(1_600_000_000_000, Buffer.alloc(4), followed).length, followed.length)
  for (const strange of ['zzzzzzzzzzzzz', 'another hand', '!'])
    test.equal(newIdentity(1_600_000_000_000, Buffer.alloc(4), strange), newIdentity(1_600_000_000_000, Buffer.alloc(4)))
})

void t.test('a replica that was away for longer than the log reaches back treats older entries as dead, and keeps the rest', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const one = await replica('one')
  const ancient = one.log.applied
  for (const tag of ['a', 'b', 'c']) await one.log.append(purge({ tags: [tag] }), longMs)
  const [, , b] = await raw.xrange('test:{log}', '-', '+')
  await raw.call('XTRIM', 'test:{log}', 'MAXLEN', '=', '1')
  const two = await replica('two')
  test.equal(two.log.judge(entry(ancient, ['unheard of'])), 'dead', 'any record that was let go may have matched')
  const identity = one.log.applied.split('.', 1)[0] ?? ''
  const after = stampOf(identity, b?.[0] ?? '')
  test.equal(two.log.judge(entry(after, ['unheard of'])), 'valid', 'the record after it is there, so none is unknown')
  test.equal(two.log.judge(entry(after, ['c'])), 'dead')
  test.equal(one.resets() + two.resets(), 0)
})

void t.test('a record that cannot be decoded purges everything', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const { log } = await replica('one')
  const before = log.applied
  await raw.xadd('test:{log}', '*', 'log', before.split('.', 1)[0] ?? '', 'before', '1-1', 'purge', '{"tags":7}')
  await eventually(() => log.applied > before)
  test.equal(log.judge(entry(before)), 'dead')
})

void t.test('all that is kept in Redis but the log itself has a time to live', async (test) => {
  const { raw, replica } = await setting(test as Test)
  const { log } = await replica('one')
  await log.append(purge({ tags: ['x'] }), longMs)
  test.same((await raw.keys('*')).sort(), ['test:{log}', 'test:{log}:replicas'])
  test.ok(await raw.pttl('test:{log}:replicas') > 0)
})

void t.test('stamps sort in the order of the log', async (test) => {
  const ids = ['1-0', '9-9', '9-10', '10-0', '999999999999-0', '1700000000000-0', '1700000000000-1', '1700000000000-11', '1700000000001-0']
  const stamps = ids.map((id) => stampOf('x', id))
  test.same(stamps.toSorted(), stamps)
  test.equal(new Set(stamps.map((stamp) => stamp.length)).size, 1)
  const clock = manualClock()
  const earlier = newIdentity(clock.now(), Buffer.from([255, 255, 255, 255]))
  clock.advance(1)
  test.ok(earlier < newIdentity(clock.now(), Buffer.alloc(4)))
})
