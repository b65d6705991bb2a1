// A bounded run of each fuzzer, the same mutations each time. By hand, for longer: npm run fuzz.
import t from 'tap'
import { fuzzTrusted } from './fuzz-trusted.ts'
import { fuzzThrough } from './through.ts'

t.test('a few thousand mutated requests: what the origin is sent is well-formed, and was said by a client', async t => {
  const { tried, passed, failures } = await fuzzThrough(20_260_101, count => count >= 2_400)
  t.same(failures, [])
  t.comment(`${tried} mutations, ${passed} requests at the origin`)
  t.ok(passed > tried / 10, 'a fair part of them gets through')
})

t.test('some hundred families of fields from a trusted proxy: what is shared was understood in one way', async t => {
  const { tried, passed, failures } = await fuzzTrusted(20_260_101, count => count >= 240)
  t.same(failures, [])
  t.comment(`${tried} families, ${passed} hits`)
  t.ok(passed > tried, 'a fair part of them shares')
})
