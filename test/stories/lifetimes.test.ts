// Lifetimes: an operator is never surprised by how long a response is used, and the reason says why it is not.
import t from 'tap'
import { formatHttpDate } from '../../src/http/date.ts'
import { t0 } from '../support/metadata.ts'
import { story, type Story } from './site.ts'

const week = 7 * 86_400_000
const date = formatHttpDate(t0)
const weekOld = { date, 'last-modified': formatHttpDate(t0 - week), 'content-type': 'application/json' }

/** Whether the response is still served from the cache after so many seconds, without a request to the origin. */
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
