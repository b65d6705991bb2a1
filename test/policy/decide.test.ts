// RFC 9111 §4: the decision on a request, by the stored responses and the time.
import t from 'tap'
import { decide, mayServeStaleOnError, passReason, type PurgeState } from '../../src/policy/decide.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import type { Rules } from '../../src/policy/rules.ts'
import { defaultRules, request, stored, T0, type Fields } from './scene.ts'

type Entry = { readonly meta: Metadata }
const valid = (): PurgeState => 'valid'

function decided(asked: Fields, entries: readonly Entry[], afterMs: number, options: { method?: string; softness?: () => PurgeState; rules?: Rules } = {}): string {
  const r = request(asked, options.method === undefined ? {} : { method: options.method })
  const decision = decide(r, entries, options.softness ?? valid, r.requestField, T0 + afterMs, options.rules ?? defaultRules)
  return `${decision.action}: ${decision.reason}`
}

const plain = stored({ 'Cache-Control': 'max-age=60' })
const tagged = stored({ 'Cache-Control': 'max-age=60', ETag: '"v1"' })
const strict = stored({ 'Cache-Control': 'max-age=60, must-revalidate, stale-while-revalidate=30', ETag: '"v1"' })
const shared = stored({ 'Cache-Control': 's-maxage=60, stale-while-revalidate=30', ETag: '"v1"' })
const swr = stored({ 'Cache-Control': 'max-age=60, stale-while-revalidate=30', ETag: '"v1"' })
const always = stored({ 'Cache-Control': 'no-cache, max-age=60', ETag: '"v1"' })

const immutable = stored({ 'Cache-Control': 'max-age=60, immutable', ETag: '"v1"' })

const rows: readonly [sentence: string, request: Fields, entries: readonly Entry[], afterMs: number, expected: string][] = [
  ['nothing stored is a miss', {}, [], 0, 'fetch: uri-miss'],
  ['a fresh response is served', {}, [plain], 59_999, 'serve: fresh'],
  ['a response as old as its lifetime is stale', {}, [plain], 60_000, 'fetch: stale'],
  ['a stale response with a validator is validated', {}, [tagged], 60_000, 'validate: stale'],
  ['no-cache in the response validates each use', {}, [always], 1000, 'validate: no-cache'],
  ['no-cache in the request validates', { 'Cache-Control': 'no-cache' }, [tagged], 1000, 'validate: request-no-cache'],
  ['Pragma: no-cache does so where Cache-Control is absent', { Pragma: 'no-cache' }, [tagged], 1000, 'validate: request-no-cache'],
  ['Pragma says nothing beside Cache-Control', { Pragma: 'no-cache', 'Cache-Control': 'max-age=9' }, [tagged], 1000, 'serve: fresh'],
  ['max-age=0 in the request validates what has any age', { 'Cache-Control': 'max-age=0' }, [tagged], 1, 'validate: request-max-age'],
  ['max-age in the request takes what is younger', { 'Cache-Control': 'max-age=10' }, [tagged], 10_000, 'serve: fresh'],
  ['min-fresh wants freshness to be left', { 'Cache-Control': 'min-fresh=30' }, [tagged], 30_001, 'validate: request-min-fresh'],
  ['min-fresh takes what has it', { 'Cache-Control': 'min-fresh=30' }, [tagged], 30_000, 'serve: fresh'],
  ['max-stale takes a stale response', { 'Cache-Control': 'max-stale=10' }, [tagged], 70_000, 'serve: max-stale'],
  ['max-stale takes no staler one', { 'Cache-Control': 'max-stale=10' }, [tagged], 70_001, 'validate: stale'],
  ['bare max-stale takes any', { 'Cache-Control': 'max-stale' }, [tagged], 9_000_000, 'serve: max-stale'],
  ['max-stale does not go past must-revalidate', { 'Cache-Control': 'max-stale' }, [strict], 61_000, 'validate: stale'],
  ['stale-while-revalidate serves stale', {}, [swr], 90_000, 'serve-stale: stale-while-revalidate'],
  ['stale-while-revalidate ends', {}, [swr], 90_001, 'validate: stale'],
  ['must-revalidate beats stale-while-revalidate', {}, [strict], 61_000, 'validate: stale'],
  ['s-maxage implies proxy-revalidate', {}, [shared], 61_000, 'validate: stale'],
  ['only-if-cached is served what is fresh', { 'Cache-Control': 'only-if-cached' }, [plain], 0, 'serve: fresh'],
  ['only-if-cached is refused a miss', { 'Cache-Control': 'only-if-cached' }, [], 0, 'refuse: only-if-cached'],
  ['only-if-cached is refused what is stale', { 'Cache-Control': 'only-if-cached' }, [tagged], 61_000, 'refuse: only-if-cached'],
  ['immutable, fresh, is served', {}, [immutable], 59_000, 'serve: fresh'],
  ["immutable does not overrule a request's no-cache", { 'Cache-Control': 'no-cache' }, [immutable], 1000, 'validate: request-no-cache'],
  ["immutable does not overrule a request's max-age", { 'Cache-Control': 'max-age=0' }, [immutable], 1000, 'validate: request-max-age'],
  ['immutable says nothing once it is stale', {}, [immutable], 60_000, 'validate: stale'],
  // The guard of these: isAhead, in notUsableBecause and chooseStored.
  ['a response from a second ahead is served: clocks differ by that much', {}, [tagged], -1_000, 'serve: fresh'],
  ['a response from further ahead is stale: its age is unknown', {}, [tagged], -1_001, 'validate: stale'],
  ['a response from the future is not served stale, for how stale it is cannot be known', {}, [swr], -3_600_000, 'validate: stale'],
  ['max-stale does not take a response from the future', { 'Cache-Control': 'max-stale' }, [tagged], -3_600_000, 'validate: stale'],
  ['a range of what is not stored is a miss of its own', { Range: 'bytes=0-1' }, [], 0, 'fetch: range-miss'],
]

t.test('RFC 9111 §4', async t => {
  for (const [sentence, asked, entries, afterMs, expected] of rows) {
    t.test(sentence, async t => {
      t.equal(decided(asked, entries, afterMs), expected)
    })
  }
  t.test('HEAD is served from the stored response to GET', async t => {
    t.equal(decided({}, [plain], 0, { method: 'HEAD' }), 'serve: fresh')
    t.equal(decided({}, [], 0, { method: 'HEAD' }), 'fetch: head-miss')
  })
  t.test('HEAD does not validate: it brings no body to replace what changed', async t => {
    t.equal(decided({}, [tagged], 61_000, { method: 'HEAD' }), 'fetch: stale')
  })
  t.test('a soft purge makes it stale at once, and leaves it its allowances', async t => {
    t.equal(decided({}, [tagged], 0, { softness: () => 'stale' }), 'validate: soft-purged')
    t.equal(decided({}, [swr], 0, { softness: () => 'stale' }), 'serve-stale: stale-while-revalidate')
    t.equal(decided({ 'Cache-Control': 'max-stale' }, [tagged], 0, { softness: () => 'stale' }), 'validate: soft-purged')
  })
})

t.test('§4.1: Vary', async t => {
  const vary = (language: string, names = 'Accept-Language'): Entry => stored({ 'Cache-Control': 'max-age=60', Vary: names }, { request: { 'Accept-Language': language } })
  const german = vary('de')
  const french = vary('fr')
  t.equal(decided({ 'Accept-Language': 'fr' }, [german, french], 0), 'serve: fresh', 'one of several variants matches')
  t.equal(decided({ 'Accept-Language': 'en' }, [german, french], 0), 'fetch: vary-miss', 'none of them matches')
  t.equal(decided({}, [german], 0), 'fetch: vary-miss', 'absent does not match present')
  t.equal(decided({ 'Accept-Language': ' DE ' }, [german], 0), 'serve: fresh', 'case and space do not matter in a language')
  t.equal(german.meta.variant === french.meta.variant, false, 'they are variants of their own')
  t.equal(vary('de', 'accept-language, Accept-Language').meta.variant, german.meta.variant, 'a repeated name is one name')
  const absent = stored({ 'Cache-Control': 'max-age=60', Vary: 'Accept-Language' })
  t.equal(decided({}, [absent], 0), 'serve: fresh', 'absent matches absent')
  t.equal(decided({ 'Accept-Language': '' }, [absent], 0), 'fetch: vary-miss', 'empty does not match absent')
  const forAll = stored({ 'Cache-Control': 'max-age=60' })
  t.equal(decided({ 'Accept-Language': 'en' }, [forAll], 0), 'serve: fresh', 'one without Vary is for all')
  t.equal(decided({ 'Accept-Language': 'en' }, [german, forAll], 0), 'fetch: vary-miss', 'but not when another one says that it varies')
  t.equal(decided({ 'Accept-Language': 'en' }, [forAll, german], 0), 'fetch: vary-miss', 'whichever is the most recent')
  t.equal(decided({ 'Accept-Language': 'de' }, [forAll, german], 0), 'serve: fresh')
  t.equal(decided({ 'Accept-Language': 'de' }, [german, forAll], 0), 'serve: fresh', 'and a response that varies only for requests that match')
})

t.test('a request that is not for the cache passes through, with the reason', async t => {
  const passed = (fields: Fields, method = 'GET', rules = defaultRules): string | undefined => passReason(request(fields, { method }), rules)
  t.equal(passed({}), undefined)
  t.equal(passed({}, 'HEAD'), undefined)
  t.equal(passed({}, 'POST'), 'method')
  t.equal(passed({}, 'PROPFIND'), 'method')
  t.equal(passed({ Upgrade: 'websocket' }), 'upgrade')
  t.equal(passed({ 'Content-Length': '3' }), 'request-body')
  t.equal(passed({ 'Content-Length': '0' }), undefined)
  t.equal(passed({ 'Transfer-Encoding': 'chunked' }), 'request-body')
  t.equal(passed({ 'If-Match': '"x"' }), 'precondition')
  t.equal(passed({}, 'GET', { ...defaultRules, enabled: false }), 'route-uncached')
})

t.test('RFC 5861 §4, RFC 9111 §4.2.4: stale responses that may be served when the origin fails', async t => {
  const standsIn = (entry: Entry, afterMs: number, failure: 'unreachable' | '5xx' = 'unreachable', asked: Fields = {}, softness: PurgeState = 'valid'): string | undefined =>
    mayServeStaleOnError(request(asked), entry.meta, softness, failure, T0 + afterMs)
  const sie = stored({ 'Cache-Control': 'max-age=60, stale-if-error=30' })
  t.equal(standsIn(sie, 90_000), 'stale-if-error')
  t.equal(standsIn(sie, 90_001), undefined, 'not past its allowance')
  t.equal(standsIn(plain, 61_000), 'origin-unreachable', 'disconnected, without an allowance')
  t.equal(standsIn(plain, 61_000, '5xx'), 'origin-5xx')
  t.equal(standsIn(plain, 61_000 + 3_600_000), undefined, 'not past what is kept')
  t.equal(standsIn(strict, 61_000), undefined, 'never past must-revalidate')
  t.equal(standsIn(strict, 60_000), undefined, 'nor at the end of its lifetime, when it is stale already')
  t.equal(standsIn(strict, 1000, 'unreachable', {}, 'stale'), undefined, 'nor when a soft purge has made it stale')
  t.equal(standsIn(plain, 1000, 'unreachable', {}, 'stale'), 'origin-unreachable')
  t.equal(standsIn(shared, 61_000), undefined, 'never past s-maxage')
  t.equal(standsIn(always, 1000), undefined, 'never past no-cache')
  t.equal(standsIn(plain, 1000, 'unreachable', { 'Cache-Control': 'no-cache' }), undefined, 'not for a request that refuses stored responses')
  t.equal(standsIn(plain, 61_000, 'unreachable', { 'Cache-Control': 'stale-if-error=1' }), 'stale-if-error', 'a request may allow it too')
})

// The guard: `awaited` in notUsableBecause().
t.test('a request that waited for a response is served it if it was fresh when it was requested', async t => {
  // Received a minute after it was requested, as the origin gave it then.
  const slow = (fields: Fields): Entry => {
    const { meta } = stored(fields)
    return { meta: { ...meta, requestTimeMs: meta.responseTimeMs - 60_000, initialAgeMs: meta.initialAgeMs + 60_000 } }
  }
  const waited = (entry: Entry, asked: Fields = {}, options: { arrived?: boolean; softness?: PurgeState } = {}): string => {
    const r = request(asked)
    const { action, reason } = decide(r, [entry], () => options.softness ?? 'valid', r.requestField, T0 + 5_000, defaultRules, () => options.arrived ?? true)
    return `${action}: ${reason}`
  }
  for (const lifetime of ['max-age=1', 's-maxage=1', 'max-age=1, must-revalidate', 'max-age=1, stale-while-revalidate=30']) {
    t.equal(waited(slow({ 'Cache-Control': lifetime })), 'serve: fresh', lifetime)
  }
  t.equal(waited(slow({ 'Cache-Control': 'max-age=1' }), {}, { arrived: false }), 'fetch: stale', 'not one that was there before')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=6', Age: '5' })), 'serve: fresh')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=5', Age: '5' })), 'fetch: stale', 'as old as its lifetime already')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=0', ETag: '"v"' })), 'validate: stale')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=1, no-cache', ETag: '"v"' })), 'validate: no-cache')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=1' }), {}, { softness: 'stale' }), 'fetch: soft-purged')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=1' }), { 'Cache-Control': 'max-age=9' }), 'fetch: request-max-age', 'its real age counts for a client that names one')
  t.equal(waited(slow({ 'Cache-Control': 'max-age=1' }), { 'Cache-Control': 'min-fresh=0' }), 'fetch: request-min-fresh')
})
