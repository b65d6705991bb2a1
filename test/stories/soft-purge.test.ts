// A softly purged response leaves as stale, so that a cache in front does not keep the old page as fresh.
import t from 'tap'
import { formatHttpDate } from '../../src/http/date.ts'
import { t0 } from '../support/metadata.ts'
import { story, type Scripted } from './site.ts'

// The guard: purgedAgeMs() in policy/freshness.ts.
const pages: readonly (readonly [string, Record<string, string>, number])[] = [
  ['max-age', { 'cache-control': 'max-age=600, stale-while-revalidate=60, stale-if-error=60' }, 600],
  ['a longer max-age than this cache was given', { 'cdn-cache-control': 'max-age=60, stale-while-revalidate=60, stale-if-error=60', 'cache-control': 'max-age=600' }, 600],
  ['Expires', { 'expires': formatHttpDate(t0 + 600_000), 'date': formatHttpDate(t0), 'surrogate-control': 'max-age=60, stale-while-revalidate=60, stale-if-error=60' }, 600],
]

for (const [name, fields, seconds] of pages) {
  for (const after of ['during its refresh', 'in place of an error'] as const) {
    t.test(`with ${name}, ${after}`, async test => {
      const page: Scripted = {
        fields: after === 'during its refresh' ? fields : Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value.replace('stale-while-revalidate=60, ', '')])),
        body: 'old',
      }
      const site = await story(test, [page, { status: 503, body: 'down' }])
      await site.get('/a')
      await site.purge({ urls: ['/a'], soft: true })
      const response = await site.get('/a')
      test.equal(response.body.toString(), 'old')
      test.ok(Number(response.header('age')) >= seconds, `Age ${response.header('age')}`)
      test.ok(Number(/ttl=(-?\d+)/.exec(response.header('cache-status') ?? '')?.[1]) <= 0, String(response.header('cache-status')))
    })
  }
}
