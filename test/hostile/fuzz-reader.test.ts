// The reader of responses beside llhttp. RESPONSES=1000000 node .build/test/hostile/fuzz-reader.test.js makes the run longer.
import t from 'tap'
import { fuzzReader } from './fuzz-reader.ts'

// Guards: each rule of http1-head.ts and http1-chunks.ts. Without the check of stray bytes, of a chunk's line or of its end, this fails.
t.test('no response is taken that llhttp refuses, or with another content, however its bytes are split', (test) => {
  const { tried, taken, refused, failures } = fuzzReader(Number(process.env.SEED ?? 1), Number(process.env.RESPONSES ?? 20_000))
  test.same(failures, [])
  test.comment(`${tried} responses: ${taken} taken, ${refused} refused`)
  test.ok(taken > tried / 5 && refused > tried / 5, 'a fair part is taken, and a fair part refused')
  test.end()
})
