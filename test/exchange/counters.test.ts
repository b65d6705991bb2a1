// The counters of the request path.
import tap from 'tap'
import { SpringhouseError, errorCatalogue } from '../../src/errors.ts'
import { Counters } from '../../src/exchange/counters.ts'
import { requestOutcomes } from '../../src/exchange/client/outcome.ts'
import { notStoredReasons, requestReasons } from '../../src/policy/reasons.ts'
import { endedExchange, exchangeFor } from '../support/exchange.ts'

const failing = exchangeFor({ method: 'GET', url: '/', rawHeaders: [] })

tap.test('every outcome and reason is there from the start, at 0', async (t) => {
  const { outcomes, requestsByReason, notStoredByReason } = new Counters().snapshot()
  t.same(Object.entries(outcomes), requestOutcomes.map(name => [name, 0]))
  t.same(Object.entries(requestsByReason), requestReasons.map(name => [name, 0]))
  t.same(Object.entries(notStoredByReason), notStoredReasons.map(name => [name, 0]))
})

tap.test('a request counts once under its outcome and once under its reason, and each sum is the number of requests', async (t) => {
  const counters = new Counters()
  for (const [outcome, reason] of [['hit', 'fresh'], ['hit', 'fresh'], ['stale', 'stale-if-error'], ['pass', 'method'], ['error', 'refused']] as const)
    counters.delivered(endedExchange(outcome, reason))
  const { requests, outcomes, requestsByReason, hits } = counters.snapshot()
  t.equal(requests, 5)
  t.equal(hits, 2)
  t.match(outcomes, { hit: 2, stale: 1, pass: 1, error: 1, miss: 0 })
  t.match(requestsByReason, { fresh: 2, 'stale-if-error': 1, method: 1, refused: 1 })
  for (const counts of [outcomes, requestsByReason]) t.equal(Object.values(counts).reduce((sum, count) => sum + count), requests)
})

tap.test('the time that the origin took for a stored response is saved by each hit and stale response, and by nothing else', async (t) => {
  const counters = new Counters()
  for (const outcome of requestOutcomes) counters.delivered(Object.assign(endedExchange(outcome, 'fresh'), { storedFetchMs: 10 }))
  t.equal(counters.snapshot().savedOriginMs, 20)
})

tap.test('an exchange reports its end once', async (t) => {
  const counters = new Counters()
  const exchange = exchangeFor({ method: 'GET', url: '/', rawHeaders: [] }, { observer: counters })
  exchange.end()
  exchange.end()
  t.equal(counters.snapshot().requests, 1)
})

tap.test('origin errors count under their codes, and every code of an origin is there', async (t) => {
  const counters = new Counters()
  counters.failed(new SpringhouseError('ORIGIN_TIMEOUT'))
  counters.failed(new SpringhouseError('INTERNAL'))
  counters.failed(new SpringhouseError('CLIENT_GONE'))
  const { originErrors } = counters.snapshot()
  t.match(originErrors, { ORIGIN_TIMEOUT: 1, INTERNAL: 1 })
  const codes = Object.entries(errorCatalogue).filter(([, row]) => row.source === 'origin').map(([code]) => code)
  t.same(Object.keys(originErrors).sort(), [...codes, 'PROXY_EXHAUSTED', 'PROXY_BUSY', 'INTERNAL'].sort())
  t.equal(Object.values(originErrors).reduce((sum, count) => sum + count), 2, 'what a client does is no error of an origin')
})

tap.test('a snapshot does not change afterwards', async (t) => {
  const counters = new Counters()
  const before = counters.snapshot()
  counters.delivered(failing)
  counters.count('waits')
  t.match(before, { requests: 0, waits: 0 })
  t.match(counters.snapshot(), { requests: 1, waits: 1 })
})
