// Lifetimes: an operator is never surprised by how long a response is used, and the reason says why it is not.
import t from 'tap'
import { formatHttpDate } from '../../src/http/date.ts'
import { t0 } from '../support/metadata.ts'
import { story, type Story } from './site.ts'

const week = 7 * 86_400_000
const date = formatHttpDate(t0)
const weekOld = { date, 'last-modified': formatHttpDate(t0 - week), 'content-type': 'application/json' }

/** Returns true if the response is still served from the cache after so many seconds, without a request to the origin. */
async function lastsFor(site: Story, seconds: number): Promise<boolean> {
  await site.get('/a')
  const before = site.requests.length
  site.clock.advance(seconds * 1000)
  await site.get('/a')
  return site.requests.length === before
}

// The guard: `heuristicTtlMs` in heuristicLifetimeMs().
t.test('a JSON that is a week old is fresh for five minutes, not for sixteen hours', async test => {
  const page = { fields: weekOld, body: '{}' }
  test.equal(await lastsFor(await story(test, [page]), 299), true)
  test.equal(await lastsFor(await story(test, [page]), 301), false)
})

for (const [ttl, longest] of [
  [{ heuristic: '1h' }, 3600],
  [{ heuristic: '30d' }, week / 10_000],
  [{ default: '30s' }, 30],
  [{ default: '30s', heuristic: '1h' }, 30],
  [{ default: '1h' }, 300],
  [{ heuristic: '1h', max: '1m' }, 60],
  [{ heuristic: 'off', default: '30s' }, 30],
] as const) {
  t.test(`with ttl: ${JSON.stringify(ttl)} a response that is a week old is fresh for ${longest} s`, async test => {
    for (const status of [200, 301]) {
      const page = { status, fields: weekOld, body: '{}' }
      test.equal(await lastsFor(await story(test, [page], { cache: { ttl } }), longest - 1), true, String(status))
      test.equal(await lastsFor(await story(test, [page], { cache: { ttl } }), longest + 1), false, String(status))
    }
  })
}

for (const ttl of [{ heuristic: 'off' }, { heuristic: false }, { heuristic: '0s' }, { default: '0s' }] as const) {
  t.test(`with ttl: ${JSON.stringify(ttl)} no lifetime is guessed`, async test => {
    const site = await story(test, [{ fields: weekOld, body: '{}' }, { status: 304 }, { status: 404, fields: weekOld, body: 'none' }], { cache: { ttl } })
    await site.get('/a')
    test.equal(site.tell(await site.get('/a')), '200 {} no-lifetime')
    test.equal(site.tell(await site.get('/b')), '404 none no-lifetime', 'of an error neither')
  })
}

t.test('a 304 does not make a guess longer', async test => {
  const site = await story(test, [{ fields: weekOld, body: '{}' }, { status: 304, fields: { date: formatHttpDate(t0 + 301_000), 'last-modified': formatHttpDate(t0 - week) } }])
  await site.get('/a')
  site.clock.advance(301_000)
  await site.get('/a')
  test.equal(site.requests.length, 2)
  site.clock.advance(299_000)
  await site.get('/a')
  test.equal(site.requests.length, 2)
  site.clock.advance(2_000)
  await site.get('/a')
  test.equal(site.requests.length, 3)
})

// A lifetime as the origin gives it, and the reason of a second request. The guards: lifetimeMalformed in
// http/cache-control.ts and http/targeted.ts, isMalformed() in policy/freshness.ts.
const said: readonly (readonly [name: string, fields: Readonly<Record<string, string | readonly string[]>>, second: string])[] = [
  ['nothing', {}, 'no-lifetime'],
  ['public alone', { 'cache-control': 'public' }, 'no-lifetime'],
  ['a directive that gives no lifetime', { 'cache-control': 'stale-if-error=60' }, 'no-lifetime'],
  ['a misspelt directive', { 'cache-control': 'maxage=60, max_age=60' }, 'no-lifetime'],
  ...['max-age=60s', 'max-age=1m', 'max-age=-1', 'max-age=+60', 'max-age=60.5', 'max-age=1e3', 'max-age=0x3c', 'max-age', 'max-age=', 'max-age = 60', 'max-age= 60', 'max-age:60',
    'max-age=60; public', 'max-age="60s"', 'max-age="', "max-age='60'", 'max-age=6 0', 'max-age=60, max-age=60s', 'max-age=soon, max-age=60', 's-maxage=60s', 's-maxage',
    's-maxage=-1', 's-maxage=60s, max-age=60', 'max-age=60, s-maxage=-1', 's-maxage=60, s-maxage=x']
    .map(value => [`Cache-Control: ${value}`, { 'cache-control': value }, 'bad-lifetime'] as const),
  ['two lines, of which one cannot be read', { 'cache-control': ['max-age=60', 'max-age=60s'] }, 'bad-lifetime'],
  ...['tomorrow', '60', '3600000', 'Thu, 32 Jan 2026 00:00:00 GMT', '2026-01-01T00:00:00Z', 'Infinity', ''].map(value =>
    [`Expires: ${value}`, { expires: value }, 'bad-lifetime'] as const
  ),
  ['two Expires, of which one is no date', { expires: [formatHttpDate(t0 + 60_000), 'tomorrow'] }, 'bad-lifetime'],
  ['CDN-Cache-Control: max-age=60s', { 'cdn-cache-control': 'max-age=60s' }, 'bad-lifetime'],
  ['CDN-Cache-Control: max-age=1.5', { 'cdn-cache-control': 'max-age=1.5' }, 'bad-lifetime'],
  ['CDN-Cache-Control: max-age=-1', { 'cdn-cache-control': 'max-age=-1', 'cache-control': 'max-age=60' }, 'bad-lifetime'],
  ['Surrogate-Control: max-age=60s', { 'surrogate-control': 'max-age=60s' }, 'bad-lifetime'],
  // A response that is meant to be stale is not called bad.
  ...['0', '-1', formatHttpDate(t0), formatHttpDate(0)].map(value => [`Expires: ${value}`, { expires: value }, 'stale'] as const),
  ['max-age=0', { 'cache-control': 'max-age=0' }, 'stale'],
  ['max-age=0 with an Expires that is no date', { 'cache-control': 'max-age=0', 'expires': 'tomorrow' }, 'stale'],
  ['s-maxage=0 with a max-age that cannot be read', { 'cache-control': 's-maxage=0, max-age=60s' }, 'stale'],
  ['two max-age, one of them zero', { 'cache-control': 'max-age=0, max-age=60' }, 'stale'],
  // A lifetime that can be read is used.
  ['max-age="60"', { 'cache-control': 'max-age="60"' }, 'fresh'],
  ['two max-age', { 'cache-control': 'max-age=60, max-age=90' }, 'fresh'],
  ['s-maxage with a max-age that cannot be read', { 'cache-control': 's-maxage=60, max-age=60s' }, 'fresh'],
  ['max-age with an Expires that is no date', { 'cache-control': 'max-age=60', 'expires': 'tomorrow' }, 'fresh'],
  ['max-age with a CDN-Cache-Control that cannot be read', { 'cache-control': 'max-age=60', 'cdn-cache-control': 'max-age=60s' }, 'fresh'],
]

for (const [name, fields, second] of said) {
  t.test(`${name}: ${second}`, async test => {
    const tagged = { date, etag: '"a"', ...fields }
    const site = await story(test, [{ fields: tagged, body: 'a' }, { status: 304, fields: tagged }])
    await site.get('/a')
    test.equal(site.tell(await site.get('/a')), `200 a ${second}`)
    // Without a validator it could never be reused, so it is not stored, for the same reason.
    const bare = await story(test, [{ fields: { date, ...fields }, body: 'a' }])
    await bare.get('/a')
    test.equal(bare.tell(await bare.get('/a')), `200 a ${second === 'stale' ? 'not-fresh' : second}`)
  })
}

t.test('a lifetime that cannot be read takes no default', async test => {
  for (const fields of [{ 'cache-control': 'max-age=60s' }, { expires: 'tomorrow' }, { 'cache-control': 'max-age=60s', 'last-modified': formatHttpDate(t0 - week) }]) {
    const site = await story(test, [{ fields: { date, etag: '"a"', ...fields }, body: 'a' }, { status: 304, fields: { date, ...fields } }], { cache: { ttl: { default: '1h' } } })
    await site.get('/a')
    test.equal(site.tell(await site.get('/a')), '200 a bad-lifetime')
  }
})

t.test('the reason is that of the status if the status needs a lifetime', async test => {
  for (const [status, fields, reason] of [[302, {}, 'status'], [500, {}, 'status'], [404, {}, 'no-lifetime'], [404, { 'cache-control': 'max-age=60s' }, 'bad-lifetime'], [302, {
    'cache-control': 'max-age=60s',
    'etag': '"a"',
  }, 'bad-lifetime'], [302, { 'cdn-cache-control': 'max-age=60s', 'etag': '"a"' }, 'bad-lifetime']] as const) {
    const site = await story(test, [{ status, fields: { date, ...fields }, body: 'a' }], { cache: { ttl: { default: '1h' } } })
    test.equal(site.tell(await site.get('/a')), `${status} a ${reason}`)
  }
})
