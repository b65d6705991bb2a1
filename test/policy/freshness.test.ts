// RFC 9111 §4.2: ages and lifetimes.
import t from 'tap'
import { currentAgeMs, servesUnasked } from '../../src/policy/freshness.ts'
import { metadata, t0 } from '../support/metadata.ts'
import type { Rules } from '../../src/policy/rules.ts'
import { assess, stored, T0, type Fields } from './scene.ts'

const lifetimes: readonly [sentence: string, response: Fields, expectedMs: number, heuristic?: boolean][] = [
  ['max-age is its lifetime', { 'Cache-Control': 'max-age=60' }, 60_000],
  ['s-maxage comes before max-age', { 'Cache-Control': 'max-age=60, s-maxage=10' }, 10_000],
  ['max-age comes before Expires', { 'Cache-Control': 'max-age=60', Expires: 'Thu, 01 Jan 2026 01:00:00 GMT' }, 60_000],
  ['Expires counts from Date', { Expires: 'Thu, 01 Jan 2026 00:01:00 GMT', Date: 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
  ['the soonest of two Expires counts', { Expires: ['Thu, 01 Jan 2026 00:01:00 GMT', 'Thu, 01 Jan 2026 00:00:10 GMT'] }, 10_000],
  ['the soonest of two Expires counts, and one that is no date is the soonest', { Expires: ['Thu, 01 Jan 2026 00:01:00 GMT', '0'], ETag: '"x"' }, 0],
  ['Expires counts from the first of two Dates', { Expires: 'Thu, 01 Jan 2026 00:01:00 GMT', Date: ['Thu, 01 Jan 2026 00:00:30 GMT', 'Thu, 01 Jan 2026 00:00:50 GMT'] }, 30_000],
  ['the smaller of two max-age counts', { 'Cache-Control': ['max-age=60', 'max-age=5'] }, 5000],
  ['a huge max-age is bounded by the rules', { 'Cache-Control': 'max-age=99999999999999999999' }, 365 * 86_400_000],
  ['CDN-Cache-Control comes before all', { 'Cache-Control': 's-maxage=10', 'CDN-Cache-Control': 'max-age=70', Expires: '0' }, 70_000],
  ['a tenth of the time since Last-Modified is guessed', { 'Last-Modified': 'Wed, 31 Dec 2025 23:50:00 GMT' }, 60_000, true],
  ['a guess is never longer than the rules permit', { 'Last-Modified': 'Wed, 01 Jan 2020 00:00:00 GMT' }, 300_000, true],
]

t.test('§4.2.1 freshness lifetime', async t => {
  for (const [sentence, response, expectedMs, heuristic] of lifetimes) {
    t.test(sentence, async t => {
      const { meta } = stored(response)
      t.equal(meta.lifetimeMs, expectedMs)
      t.equal(meta.lifetimeSource === 'heuristic', heuristic ?? false)
    })
  }
  t.test('an Expires that is no date means already expired', async t => {
    t.equal(stored({ Expires: '0', ETag: '"x"' }).meta.lifetimeMs, 0)
  })
})

// The guard: `heuristicTtlMs, defaultTtlMs` in heuristicLifetimeMs().
t.test('§4.2.2: a guess is bounded by ttl.heuristic, by ttl.default where that is set, and by ttl.max', async t => {
  const fields = { 'Last-Modified': 'Wed, 31 Dec 2025 22:20:00 GMT' } // 100 minutes: ten are guessed
  const guess = (rules: Partial<Rules>, status = 200): readonly [number, string] | string => {
    const verdict = assess(fields, { rules, status })
    return verdict.store ? [verdict.meta.lifetimeMs, verdict.meta.lifetimeSource] : verdict.reason
  }
  t.same(guess({}), [300_000, 'heuristic'])
  t.same(guess({ heuristicTtlMs: 3_600_000 }), [600_000, 'heuristic'])
  t.same(guess({ heuristicTtlMs: 0 }), [0, 'none'])
  t.same(guess({ heuristicTtlMs: 0, defaultTtlMs: 30_000 }), [30_000, 'configured'])
  t.same(guess({ heuristicTtlMs: 3_600_000, defaultTtlMs: 30_000 }), [30_000, 'heuristic'])
  t.same(guess({ heuristicTtlMs: 3_600_000, defaultTtlMs: 7_200_000 }), [600_000, 'heuristic'], 'a default makes no guess longer')
  t.same(guess({ defaultTtlMs: 0 }), [0, 'none'], 'a default of zero is a bound')
  t.same(guess({ maxTtlMs: 1000 }), [1000, 'heuristic'])
  t.same(guess({ defaultTtlMs: 30_000 }, 404), [30_000, 'heuristic'], 'for errors too')
  t.same(guess({ defaultTtlMs: 0 }, 404), 'no-lifetime')
})

const ages: readonly [sentence: string, response: Fields, delayMs: number, expectedMs: number][] = [
  ['a response that took no time and says no age is new', { 'Cache-Control': 'max-age=60' }, 0, 0],
  ['the age that a cache upstream reports is counted', { 'Cache-Control': 'max-age=60', Age: '10' }, 0, 10_000],
  ['the delay of the response is added to a reported age', { 'Cache-Control': 'max-age=60', Age: '10' }, 1500, 11_500],
  ['an old Date makes it old, when that is more', { 'Cache-Control': 'max-age=600', Date: 'Wed, 31 Dec 2025 23:59:00 GMT', Age: '10' }, 0, 60_000],
  ['a Date in the future does not make it younger than new', { 'Cache-Control': 'max-age=60', Date: 'Fri, 02 Jan 2026 00:00:00 GMT' }, 0, 0],
  ['the first valid member of Age counts', { 'Cache-Control': 'max-age=60', Age: ['x, 7', '3'] }, 0, 7000],
  ['the first of two Dates counts', { 'Cache-Control': 'max-age=600', Date: ['Wed, 31 Dec 2025 23:59:00 GMT', 'Thu, 01 Jan 2026 00:00:00 GMT'] }, 0, 60_000],
  ['a Date that is none is of when it came', { 'Cache-Control': 'max-age=600', Date: 'Wed, 31 Dec 2025 23:59:00 UTC' }, 0, 0],
  ['an Age that is no number counts nothing', { 'Cache-Control': 'max-age=60', Age: '-7' }, 0, 0],
]

t.test('§4.2.3 age', async t => {
  for (const [sentence, response, delayMs, expectedMs] of ages) {
    t.test(sentence, async t => {
      const { meta } = stored(response, { delayMs })
      t.equal(meta.initialAgeMs, expectedMs)
      t.equal(currentAgeMs(meta, T0 + 2500), expectedMs + 2500)
    })
  }
})

t.test('entries are kept past their freshness, to be validated or served when the origin fails', async t => {
  t.equal(stored({ 'Cache-Control': 'max-age=60' }).meta.keepUntilMs, T0 + 60_000 + 3_600_000)
  t.equal(stored({ 'Cache-Control': 'max-age=60, stale-if-error=7200' }).meta.keepUntilMs, T0 + 60_000 + 7_200_000)
  t.equal(stored({ 'Cache-Control': 'max-age=60, stale-if-error=7200, must-revalidate' }).meta.keepUntilMs, T0 + 60_000 + 3_600_000)
})

t.test('responses that the next request may receive without contacting the origin', async t => {
  const meta = metadata({ lifetimeMs: 60_000, responseTimeMs: t0 })
  t.equal(servesUnasked(meta, t0 + 59_999), true)
  t.equal(servesUnasked(meta, t0 + 60_000), false, 'RFC 9111 §4.2: stale')
  t.equal(servesUnasked({ ...meta, staleWhileRevalidateMs: 1000 }, t0 + 60_000), true, 'RFC 5861 §3')
  t.equal(servesUnasked({ ...meta, staleWhileRevalidateMs: 1000, neverStale: true }, t0 + 60_000), false, '§4.2.4')
  t.equal(servesUnasked({ ...meta, alwaysValidate: true }, t0), false, '§5.2.2.4')
})
