// Keys invalidated since an epoch: exact while it is remembered, and never too few.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { RecentInvalidations } from '../../src/store/tiered/recent-invalidations.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

void t.test('a key that was invalidated after the epoch, and no other', async (test) => {
  const heard = new RecentInvalidations()
  const first = heard.epoch
  heard.record('a')
  const second = heard.epoch
  test.equal(heard.invalidatedSince(first, 'a'), true)
  test.equal(heard.invalidatedSince(first, 'b'), false)
  test.equal(heard.invalidatedSince(second, 'a'), false)
  heard.record('a')
  test.equal(heard.invalidatedSince(second, 'a'), true)
  test.equal(heard.invalidatedSince(heard.epoch, 'a'), false)
})

void t.test('all keys at once', async (test) => {
  const heard = new RecentInvalidations()
  const before = heard.epoch
  heard.recordAll()
  test.equal(heard.invalidatedSince(before, 'never named'), true)
  test.equal(heard.invalidatedSince(heard.epoch, 'never named'), false)
})

void t.test('an epoch that is too long ago counts as invalidated', async (test) => {
  const heard = new RecentInvalidations()
  const before = heard.epoch
  heard.record('first')
  const after = heard.epoch
  for (let i = 0; i < 1024; i++) heard.record(`key ${i}`)
  test.equal(heard.invalidatedSince(before, 'first'), true)
  test.equal(heard.invalidatedSince(before, 'never named'), true, 'from before the oldest that is remembered')
  test.equal(heard.invalidatedSince(after, 'never named'), false)
  test.equal(heard.invalidatedSince(after, 'key 0'), true)
})

void t.test('long keys take no more room than short ones', async (test) => {
  const heard = new RecentInvalidations()
  const mark = heard.epoch
  const key = (i: number): string => `${'x'.repeat(60_000)}${i}`
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 1024; i++) heard.record(Buffer.from(key(i)).toString('latin1'))
  collect()
  const megabytes = (process.memoryUsage().heapUsed - before) / 1e6
  test.ok(megabytes < 2, `${megabytes.toFixed(1)} MB`)
  test.equal(heard.invalidatedSince(mark, key(5)), true)
})
