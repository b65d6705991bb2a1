// A bounded run of the fuzzer of responses, the same ones each time. By hand, for longer: npm run fuzz.
import t from 'tap'
import { fuzzResponses } from './fuzz-responses.ts'

t.test('a few hundred mutated responses: each is passed on whole, refused or truncated, and the next request gets its response', async t => {
  const { tried, passed, failures } = await fuzzResponses(20_260_101, count => count >= 240)
  t.same(failures, [])
  t.comment(`${tried} responses, ${passed} answers that got through`)
  t.ok(passed > tried * 4, 'a fair part of them gets through')
})
