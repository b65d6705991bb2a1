// For any number and rate of purges, the remembered records stay bounded, and errors are on the safe side.
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createLocalPurgeLog } from '../../src/store/purge/local-log.ts'
import type { Purge, Verdict } from '../../src/store/purge/log.ts'
import { PurgeTable, type PurgeTableOptions } from '../../src/store/purge/table.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { createStreamPurgeLog } from '../../src/store/redis/purge-log/log.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { manualClock } from '../support/manual-clock.ts'
import { purge } from '../support/purge.ts'
import { startRedis } from '../support/redis.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Memory of this process in use, in MB. */
function heap(): number {
  collect()
  return process.memoryUsage().heapUsed / 1e6
}

const stamp = (number: number): string => `log.${String(number).padStart(15, '0')}`

// Distinct names of every kind, each used once.
function distinct(i: number): Purge {
  switch (i % 4) {
    case 0:
      return purge({ tags: [`tag-${i}`] })
    case 1:
      return purge({ urls: [{ authority: 'a.example', target: `/things/${i}` }] })
    case 2:
      return purge({ tags: [`one-${i}`, `two-${i}`], tagsMatch: 'all' })
    default:
      return purge({ prefixes: [{ authority: undefined, target: `/${'x'.repeat(i % 50)}/${i}` }], soft: true })
  }
}

/** Applies 200,000 purges, `everyMs` apart. Returns the heap after the first 100,000 and after all, and the table. */
function flood(options: PurgeTableOptions, everyMs: number): { table: PurgeTable; half: number; whole: number; kept: number } {
  const table = new PurgeTable(options)
  table.begin('log.', stamp(0))
  const before = heap()
  let half = 0
  let kept = 0
  for (let i = 1; i <= 200_000; i++) {
    table.apply({ id: stamp(i), atMs: i * everyMs, purge: distinct(i) })
    if (i === 100_000) half = heap() - before
    if (i % 1000 === 0) kept = Math.max(kept, table.records.length)
  }
  return { table, half, whole: heap() - before, kept }
}

const judge = (table: PurgeTable, from: number, tag: string): Verdict => table.judge({ stamp: stamp(from), authority: 'b', target: '/y', tags: [tag] })

void t.test('200,000 purges over a long time: those that nothing stored can be older than are let go, and memory stays what it was', async (test) => {
  const { table, half, whole, kept } = flood({ maxKeepMs: 3_600_000 }, 100)
  test.comment(`at most ${kept} records; ${half.toFixed(1)} MB after 100,000 purges, ${whole.toFixed(1)} MB after 200,000`)
  test.ok(kept <= 36_001, `${kept} records`)
  test.ok(whole < half * 1.2 + 2)
  // Entries that may still be stored are judged by their matches. Entries stamped earlier have passed their keepUntil.
  test.equal(judge(table, 170_000, 'tag-180000'), 'dead')
  test.equal(judge(table, 170_000, 'none'), 'valid')
})

void t.test('200,000 purges faster than any can be let go by age: the oldest are folded into one, of everything before them', async (test) => {
  const { table, half, whole, kept } = flood({ maxKeepMs: 3_600_000, maxRecords: 20_000 }, 1)
  test.comment(`at most ${kept} records; ${half.toFixed(1)} MB after 100,000 purges, ${whole.toFixed(1)} MB after 200,000`)
  test.equal(kept, 20_000)
  test.ok(whole < half * 1.2 + 2)
  test.equal(judge(table, 179_999, 'none'), 'dead', 'a record that was let go may have matched it')
  test.equal(judge(table, 180_000, 'none'), 'valid')
  test.equal(judge(table, 180_000, 'tag-190000'), 'dead')
  test.equal(table.mayTouch(stamp(179_999), { authority: 'b', target: '/y' }), true)
})

void t.test('purges that name much count for what they name', async (test) => {
  const table = new PurgeTable({ maxChars: 1_000_000 })
  table.begin('log.', stamp(0))
  const long = (i: number): Purge => purge({ tags: Array.from({ length: 100 }, (_, n) => `${'t'.repeat(200)}-${i}-${n}`) })
  for (let i = 1; i <= 1000; i++) table.apply({ id: stamp(i), atMs: i, purge: long(i) })
  test.ok(table.records.length <= 40, `${table.records.length} records of 26 KB`)
  test.equal(judge(table, 100, 'none'), 'dead')
  test.equal(judge(table, 999, 'none'), 'valid')
})

void t.test('the log of a single process keeps the same bounds', async (test) => {
  const clock = manualClock()
  const log = createLocalPurgeLog({ clock, maxRecords: 500, maxKeepMs: 60_000 })
  const first = log.applied
  for (let i = 0; i < 5000; i++) {
    clock.advance(i < 2500 ? 1000 : 1)
    await log.append(distinct(i), 0)
    if (i === 2000) test.ok(log.recent(10_000).length <= 61, 'by age')
  }
  test.equal(log.recent(10_000).length, 500, 'by number')
  test.equal(log.judge({ stamp: first, authority: 'b', target: '/y', tags: [] }), 'dead')
})

void t.test('5,000 purges, four at once, through Redis: stream and tables of all replicas stay bounded, and agree', async (test) => {
  const server = await startRedis()
  const raw = new Redis(server.url)
  const maxRecords = 500
  const start = async (replica: string) => {
    const redis = connectRedis({ url: server.url, commandTimeoutMs: 1000, clock: systemClock, logger: memoryLog() })
    const log = createStreamPurgeLog({ redis, prefix: 'test', replica, maxLagMs: 30_000, clock: systemClock, logger: memoryLog(), onReset: () => {}, maxRecords })
    test.teardown(async () => {
      await log.close()
      redis.close()
    })
    await eventually(() => log.isCaughtUp() && redis.small.healthy === true)
    return log
  }
  test.teardown(async () => {
    raw.disconnect()
    await server.stop()
  })
  const [one, two] = [await start('one'), await start('two')]
  const first = one.applied
  let next = 0
  let most = 0
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (next < 5000) {
      const i = next++
      await one.append(distinct(i), 0)
      if (i % 200 === 0) most = Math.max(most, await raw.xlen('test:{log}'))
    }
  }))
  const last = await one.append(purge({ tags: ['last'] }), 30_000)
  test.same(last.replicas, { live: 2, acknowledged: 2 })
  test.comment(`at most ${most} records in the stream, ${await raw.memory('USAGE', 'test:{log}', 'SAMPLES', 0)} bytes at the end`)
  // Redis trims by whole nodes, of a hundred records at the most.
  test.ok(most <= maxRecords + 100, `${most}`)
  for (const log of [one, two]) {
    test.equal(log.recent(100_000).length, maxRecords)
    test.equal(log.applied, last.id)
    test.equal(log.judge({ stamp: first, authority: 'b', target: '/y', tags: [] }), 'dead')
    test.equal(log.judge({ stamp: last.id, authority: 'b', target: '/y', tags: ['last'] }), 'valid')
  }
})
