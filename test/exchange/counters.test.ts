// The counters of the request path.
import tap from 'tap'
import { Counters } from '../../src/exchange/counters.ts'
import { errorCatalogue } from '../../src/errors.ts'

tap.test('every reason is there from the start, at 0', async (t) => {
  t.same(new Counters(['fresh', 'miss'], []).snapshot().requestsByReason, { fresh: 0, miss: 0, other: 0 })
})

tap.test('a request counts under its reason, and all reasons add up to the requests', async (t) => {
  const counters = new Counters(['fresh', 'miss', 'fresh'], [])
  counters.count('fresh')
  counters.count('fresh')
  counters.count('miss')
  const { requests, requestsByReason } = counters.snapshot()
  t.equal(requests, 3)
  t.same(requestsByReason, { fresh: 2, miss: 1, other: 0 })
})

tap.test('a reason that nobody named counts as other, so that labels stay a closed set', async (t) => {
  const counters: Counters = new Counters(['fresh'], [])
  for (const reason of ['never-heard-of', '__proto__', 'constructor', 'toString']) counters.count(reason)
  t.same(counters.snapshot().requestsByReason, { fresh: 0, other: 4 })
})

tap.test('origin errors count under their codes, and every code of an origin is there', async (t) => {
  const counters = new Counters([], [])
  counters.originError('ORIGIN_TIMEOUT')
  counters.originError('CLIENT_GONE')
  const { originErrors } = counters.snapshot()
  t.equal(originErrors['ORIGIN_TIMEOUT'], 1)
  t.equal(originErrors['INTERNAL'], 1)
  const codes = Object.entries(errorCatalogue).filter(([, row]) => row.source === 'origin').map(([code]) => code)
  t.same(Object.keys(originErrors).sort(), [...codes, 'INTERNAL'].sort())
})

tap.test('a snapshot does not change afterwards', async (t) => {
  const counters = new Counters(['fresh'], [])
  const before = counters.snapshot()
  counters.count('fresh')
  counters.hits++
  t.equal(before.requests, 0)
  t.equal(before.hits, 0)
  t.match(counters.snapshot(), { requests: 1, hits: 1 })
})
