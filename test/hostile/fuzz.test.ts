// A bounded run of each fuzzer, the same mutations each time. By hand, for longer: npm run fuzz.
import t from 'tap'
import { fuzzTrusted } from './fuzz-trusted.ts'
import { fuzzThrough } from './through.ts'

t.test('a few thousand mutated requests: every request at the origin is well-formed, and was sent by a client', async t => {
  const { tried, passed, failures } = await fuzzThrough(20_260_101, count => count >= 2_400)
  t.same(failures, [])
  t.comment(`${tried} mutations, ${passed} requests at the origin`)
  t.ok(passed > tried / 10, 'a fair part of them gets through')
})

t.test('some hundred families of fields from a trusted proxy: requests that share a response have one meaning', async t => {
  const { tried, passed, failures } = await fuzzTrusted(20_260_101, count => count >= 240)
  t.same(failures, [])
  t.comment(`${tried} families, ${passed} hits`)
  t.ok(passed > tried, 'a fair part of them shares')
})
