// Zero is not absent: each directive and setting where the two differ, with what each of them does.
import t from 'tap'
import { formatHttpDate } from '../../src/http/date.ts'
import { t0 } from '../support/metadata.ts'
import { story, type Scripted } from './site.ts'

const page = (fields: Readonly<Record<string, string>>): Scripted => ({ fields: { date: formatHttpDate(t0), ...fields }, body: 'page' })
const weekOld = { 'last-modified': formatHttpDate(t0 - 7 * 86_400_000) }
const unchanged: Scripted = { status: 304, fields: {} }
const down: Scripted = { status: 503, body: 'down' }

/** A stored response, and a second request for it some seconds later. */
interface Scene {
  readonly stored: Scripted
  /** The response of the origin to the second request, if that is forwarded. */
  readonly next?: Scripted
  readonly cache?: Readonly<Record<string, unknown>>
  readonly config?: Readonly<Record<string, unknown>>
  readonly seconds?: number
  readonly request?: Readonly<Record<string, string>>
  /** A soft purge comes before the second request. */
  readonly softPurged?: true
}

/** The outcome with zero, and with the directive or setting left out. */
const scenes: readonly (readonly [name: string, zero: Scene, zeroIs: string, absent: Scene, absentIs: string])[] = [
  // The lifetime of a response. The guards: `!== undefined` in explicitLifetimeMs().
  ['max-age=0 takes no default', { stored: page({ 'cache-control': 'max-age=0', 'etag': '"a"' }), next: unchanged, cache: { ttl: { default: '1h' } } }, '200 page stale', {
    stored: page({ etag: '"a"' }),
    next: unchanged,
    cache: { ttl: { default: '1h' } },
  }, '200 page fresh'],
  ['max-age=0 takes no guess', { stored: page({ 'cache-control': 'max-age=0', ...weekOld }), next: unchanged }, '200 page stale', { stored: page(weekOld), next: unchanged },
    '200 page fresh'],
  ['max-age=0 takes no Expires', { stored: page({ 'cache-control': 'max-age=0', 'expires': formatHttpDate(t0 + 60_000), 'etag': '"a"' }), next: unchanged }, '200 page stale', {
    stored: page({ expires: formatHttpDate(t0 + 60_000), etag: '"a"' }),
    next: unchanged,
  }, '200 page fresh'],
  ['s-maxage=0 takes no max-age', { stored: page({ 'cache-control': 's-maxage=0, max-age=60', 'etag': '"a"' }), next: unchanged }, '200 page stale', {
    stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }),
    next: unchanged,
  }, '200 page fresh'],
  ['s-maxage=0 forbids stale use', { stored: page({ 'cache-control': 's-maxage=0, max-age=0', 'etag': '"a"' }), next: down, seconds: 1 }, '503 down status', {
    stored: page({ 'cache-control': 'max-age=0', 'etag': '"a"' }),
    next: down,
    seconds: 1,
  }, '200 page origin-5xx'],
  ['CDN-Cache-Control: max-age=0 takes no Cache-Control', { stored: page({ 'cdn-cache-control': 'max-age=0', 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged },
    '200 page stale', { stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged }, '200 page fresh'],
  ['Surrogate-Control: max-age=0 takes no Cache-Control', { stored: page({ 'surrogate-control': 'max-age=0', 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged },
    '200 page stale', { stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged }, '200 page fresh'],

  // Stale use. The guards: `=== undefined` in staleAllowances(), and `allowedMs` in mayServeStaleOnError().
  ['stale-while-revalidate=0 takes no default of the route', { stored: page({ 'cache-control': 'max-age=1, stale-while-revalidate=0', 'etag': '"a"' }), next: unchanged,
    cache: { staleWhileRevalidate: '1h' }, seconds: 2 }, '200 page stale', { stored: page({ 'cache-control': 'max-age=1', 'etag': '"a"' }), next: unchanged,
    cache: { staleWhileRevalidate: '1h' }, seconds: 2 }, '200 page stale-while-revalidate'],
  ['CDN-Cache-Control: stale-while-revalidate=0 takes no default of the route', { stored: page({ 'cdn-cache-control': 'max-age=1, stale-while-revalidate=0', 'etag': '"a"' }),
    next: unchanged, cache: { staleWhileRevalidate: '1h' }, seconds: 2 }, '200 page stale', { stored: page({ 'cdn-cache-control': 'max-age=1', 'etag': '"a"' }), next: unchanged,
    cache: { staleWhileRevalidate: '1h' }, seconds: 2 }, '200 page stale-while-revalidate'],
  ['stale-if-error=0', { stored: page({ 'cache-control': 'max-age=1, stale-if-error=0' }), next: down, seconds: 2 }, '503 down status', {
    stored: page({ 'cache-control': 'max-age=1' }),
    next: down,
    seconds: 2,
  }, '200 page origin-5xx'],
  ['stale-if-error=0, at the moment at which the lifetime ends', { stored: page({ 'cache-control': 'max-age=1, stale-if-error=0' }), next: down, seconds: 1 }, '503 down status', {
    stored: page({ 'cache-control': 'max-age=1' }),
    next: down,
    seconds: 1,
  }, '200 page origin-5xx'],
  ['stale-if-error=0 after a soft purge', { stored: page({ 'cache-control': 'max-age=600, stale-if-error=0' }), next: down, softPurged: true }, '503 down status', {
    stored: page({ 'cache-control': 'max-age=600' }),
    next: down,
    softPurged: true,
  }, '200 page origin-5xx'],
  ['stale-if-error=0 takes no default of the route', { stored: page({ 'cache-control': 'max-age=1, stale-if-error=0' }), next: down, cache: { staleIfError: '1h' }, seconds: 2 },
    '503 down status', { stored: page({ 'cache-control': 'max-age=1' }), next: down, cache: { staleIfError: '1h' }, seconds: 2 }, '200 page stale-if-error'],
  ['staleIfError: 0s of the route', { stored: page({ 'cache-control': 'max-age=1' }), next: down, cache: { staleIfError: '0s' }, seconds: 2 }, '503 down status', {
    stored: page({ 'cache-control': 'max-age=1' }),
    next: down,
    seconds: 2,
  }, '200 page origin-5xx'],
  ['stale-if-error=0 of a request', { stored: page({ 'cache-control': 'max-age=1' }), next: down, seconds: 2, request: { 'Cache-Control': 'stale-if-error=0' } }, '503 down status',
    { stored: page({ 'cache-control': 'max-age=1' }), next: down, seconds: 2 }, '200 page origin-5xx'],
  ['stale-if-error=0 of a request, whatever the response permits', { stored: page({ 'cache-control': 'max-age=1, stale-if-error=600' }), next: down, seconds: 2,
    request: { 'Cache-Control': 'stale-if-error=0' } }, '503 down status', { stored: page({ 'cache-control': 'max-age=1, stale-if-error=600' }), next: down, seconds: 2 },
    '200 page stale-if-error'],
  ['stale-if-error=0 of a request, for an origin that is slow', { stored: page({ 'cache-control': 'max-age=1' }), next: { ...down, delayMs: 150 }, cache: { staleIfSlow: '20ms' },
    seconds: 2, request: { 'Cache-Control': 'stale-if-error=0' } }, '503 down status', { stored: page({ 'cache-control': 'max-age=1' }), next: { ...down, delayMs: 150 },
    cache: { staleIfSlow: '20ms' }, seconds: 2 }, '200 page stale-if-slow'],
  ['cache.keepStale: 0s keeps nothing for errors', { stored: page({ 'cache-control': 'max-age=1' }), next: down, config: { cache: { keepStale: '0s' } }, seconds: 2 },
    '503 down status', { stored: page({ 'cache-control': 'max-age=1' }), next: down, seconds: 2 }, '200 page origin-5xx'],

  // The request. The guards: `!== undefined` in notUsableBecause(), maxStaleMs() and mayWait().
  ['max-age=0 of a request', { stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged, seconds: 1, request: { 'Cache-Control': 'max-age=0' } },
    '200 page request-max-age', { stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged, seconds: 1 }, '200 page fresh'],
  ['max-age=0 of a request takes no response that is being refreshed', { stored: page({ 'cache-control': 'max-age=1, stale-while-revalidate=60', 'etag': '"a"' }), next: unchanged,
    seconds: 2, request: { 'Cache-Control': 'max-age=0' } }, '200 page stale', { stored: page({ 'cache-control': 'max-age=1, stale-while-revalidate=60', 'etag': '"a"' }),
    next: unchanged, seconds: 2 }, '200 page stale-while-revalidate'],
  ['min-fresh=0 of a request takes no response that is being refreshed', { stored: page({ 'cache-control': 'max-age=1, stale-while-revalidate=60', 'etag': '"a"' }),
    next: unchanged, seconds: 2, request: { 'Cache-Control': 'min-fresh=0' } }, '200 page stale', {
    stored: page({ 'cache-control': 'max-age=1, stale-while-revalidate=60', 'etag': '"a"' }),
    next: unchanged,
    seconds: 2,
  }, '200 page stale-while-revalidate'],
  ['min-fresh=0 of a request takes back its max-stale', { stored: page({ 'cache-control': 'max-age=1', 'etag': '"a"' }), next: unchanged, seconds: 2,
    request: { 'Cache-Control': 'max-stale, min-fresh=0' } }, '200 page stale', { stored: page({ 'cache-control': 'max-age=1', 'etag': '"a"' }), next: unchanged, seconds: 2,
    request: { 'Cache-Control': 'max-stale' } }, '200 page max-stale'],
  ['max-stale=0 of a request is not a max-stale without a number', { stored: page({ 'cache-control': 'max-age=1', 'etag': '"a"' }), next: unchanged, seconds: 2,
    request: { 'Cache-Control': 'max-stale=0' } }, '200 page stale', { stored: page({ 'cache-control': 'max-age=1', 'etag': '"a"' }), next: unchanged, seconds: 2,
    request: { 'Cache-Control': 'max-stale' } }, '200 page max-stale'],

  // Settings of a route. test/config/leaves.test.ts names the tests of the others.
  ['ttl.default: 0s takes no guess', { stored: page(weekOld), next: unchanged, cache: { ttl: { default: '0s' } } }, '200 page no-lifetime', { stored: page(weekOld),
    next: unchanged }, '200 page fresh'],
  ['ttl.heuristic: 0s', { stored: page(weekOld), next: unchanged, cache: { ttl: { heuristic: '0s' } } }, '200 page no-lifetime', { stored: page(weekOld), next: unchanged },
    '200 page fresh'],
  ['ttl.max: 0s', { stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }), next: unchanged, cache: { ttl: { max: '0s' } } }, '200 page stale', {
    stored: page({ 'cache-control': 'max-age=60', 'etag': '"a"' }),
    next: unchanged,
  }, '200 page fresh'],
  ['ttl.status of 0s takes no guess', { stored: { ...page(weekOld), status: 404 }, cache: { ttl: { status: { 404: '0s' } } } }, '404 page not-fresh', {
    stored: { ...page(weekOld), status: 404 },
  }, '404 page fresh'],
  ['ttl.status of 0s names a status that judges one message', { stored: { ...page({ 'cache-control': 'max-age=60' }), status: 400 }, cache: { ttl: { status: { 400: '0s' } } } },
    '400 page fresh', { stored: { ...page({ 'cache-control': 'max-age=60' }), status: 400 } }, '400 page status'],
  ['maxEntryBytes: 0 of a route', { stored: page({ 'cache-control': 'max-age=60' }), cache: { maxEntryBytes: 0 } }, '200 page too-large', {
    stored: page({ 'cache-control': 'max-age=60' }),
  }, '200 page fresh'],
  ['cache.maxEntryBytes: 0', { stored: page({ 'cache-control': 'max-age=60' }), config: { cache: { maxEntryBytes: 0 } } }, '200 page too-large', {
    stored: page({ 'cache-control': 'max-age=60' }),
  }, '200 page fresh'],
  ['cache.memory.maxEntryBytes: 0', { stored: page({ 'cache-control': 'max-age=60' }), config: { cache: { memory: { maxEntryBytes: 0 } } } }, '200 page too-large', {
    stored: page({ 'cache-control': 'max-age=60' }),
  }, '200 page fresh'],
]

for (const [name, zero, zeroIs, absent, absentIs] of scenes) {
  t.test(name, async test => {
    test.not(zeroIs, absentIs)
    for (const [{ stored, next = stored, seconds = 0, request = {}, softPurged, ...options }, expected] of [[zero, zeroIs], [absent, absentIs]] as const) {
      const site = await story(test, [stored, next], options)
      await site.get('/a')
      site.clock.advance(seconds * 1000)
      if (softPurged === true) await site.purge({ urls: ['/a'], soft: true })
      test.equal(site.tell(await site.get('/a', request)), expected, expected === zeroIs ? 'zero' : 'absent')
    }
  })
}

t.test('an allowance of zero in the route gives way to what the response says', async test => {
  const site = await story(test, [page({ 'cache-control': 'max-age=1, stale-while-revalidate=60, stale-if-error=60' }), down], {
    cache: { staleWhileRevalidate: '0s', staleIfError: '0s' },
  })
  await site.get('/a')
  site.clock.advance(2_000)
  test.equal(site.tell(await site.get('/a')), '200 page stale-while-revalidate')
  test.equal(site.tell(await site.get('/a', { 'Cache-Control': 'min-fresh=0' })), '200 page stale-if-error')
})
