// What was heard of since a mark: exact while it is remembered, and never too little.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Heard } from '../../src/store/tiered/recent-invalidations.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

void t.test('a key that was heard of after the mark, and no other', async (test) => {
  const heard = new Heard()
  const first = heard.mark
  heard.note('a')
  const second = heard.mark
  test.equal(heard.since(first, 'a'), true)
  test.equal(heard.since(first, 'b'), false)
  test.equal(heard.since(second, 'a'), false)
  heard.note('a')
  test.equal(heard.since(second, 'a'), true)
  test.equal(heard.since(heard.mark, 'a'), false)
})

void t.test('all keys at once', async (test) => {
  const heard = new Heard()
  const before = heard.mark
  heard.noteAll()
  test.equal(heard.since(before, 'never named'), true)
  test.equal(heard.since(heard.mark, 'never named'), false)
})

void t.test('what is too long ago to be remembered counts as heard of', async (test) => {
  const heard = new Heard()
  const before = heard.mark
  heard.note('first')
  const after = heard.mark
  for (let i = 0; i < 1024; i++) heard.note(`key ${i}`)
  test.equal(heard.since(before, 'first'), true)
  test.equal(heard.since(before, 'never named'), true, 'from before the oldest that is remembered')
  test.equal(heard.since(after, 'never named'), false)
  test.equal(heard.since(after, 'key 0'), true)
})

void t.test('long keys take no more room than short ones', async (test) => {
  const heard = new Heard()
  const mark = heard.mark
  const key = (i: number): string => `${'x'.repeat(60_000)}${i}`
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 1024; i++) heard.note(Buffer.from(key(i)).toString('latin1'))
  collect()
  const megabytes = (process.memoryUsage().heapUsed - before) / 1e6
  test.ok(megabytes < 2, `${megabytes.toFixed(1)} MB`)
  test.equal(heard.since(mark, key(5)), true)
})
