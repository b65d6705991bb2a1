// A bounded run of the fuzzer of paths, the same spellings each time. By hand, for longer: npm run fuzz -- --only routes.
import t from 'tap'
import { fuzzRoutes } from './fuzz-routes.ts'

// Fails without matchRoute's plainest forms, without its comparison of the bytes, and if a path without a plainest form is trusted.
t.test('some thousand spellings of paths: none is shared that an origin may read as a guarded one', async t => {
  const { tried, passed, failures } = await fuzzRoutes(20_260_101, count => count >= 3_000)
  t.same(failures, [])
  t.comment(`${tried} spellings, ${passed} that some origin reads as guarded`)
  t.ok(passed > tried / 4, 'a fair part of them may lead to what is guarded')
})
