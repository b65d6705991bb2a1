// A refresh that one visitor's request brings about is not that visitor's.
import t from 'tap'
import { eventually } from '../support/log.ts'
import { story } from './site.ts'

const shared = (version: string, more = '') => ({ fields: { 'cache-control': `max-age=1, stale-while-revalidate=600${more}` }, body: version })

// The guard: forRefreshOf() in exchange/routed-request.ts.
t.test('visitors with analytics cookies do not keep a stale page stale', async test => {
  const site = await story(test, [shared('v1'), shared('v2'), shared('v3')])
  await site.get('/a')
  site.clock.advance(2_000)
  test.equal(site.tell(await site.get('/a', { Cookie: '_ga=1' })), '200 v1 stale-while-revalidate')
  await eventually(() => site.requests.length === 2)
  test.equal(site.lastField('cookie'), undefined)
  await eventually(async () => site.tell(await site.get('/a', { Cookie: '_ga=1' })) === '200 v2 fresh')
  test.equal(site.requests.length, 2, 'one fetch, not one for each visit')
})

t.test('nor a page that was purged softly', async test => {
  const site = await story(test, [{ ...shared('v1'), fields: { 'cache-control': 'max-age=600, stale-while-revalidate=600' } }, shared('v2')])
  await site.get('/a')
  await site.purge({ urls: ['/a'], soft: true })
  test.equal((await site.get('/a', { Cookie: '_ga=1' })).body.toString(), 'v1')
  await eventually(async () => (await site.get('/a', { Cookie: '_ga=2' })).body.toString() === 'v2')
})

t.test('a response that was stored without Authorization is refreshed without it, and one that was stored with it is refreshed with it', async test => {
  const without = await story(test, [shared('v1'), shared('v2')])
  await without.get('/a')
  without.clock.advance(2_000)
  await without.get('/a', { Authorization: 'Bearer x' })
  await eventually(() => without.requests.length === 2)
  test.equal(without.lastField('authorization'), undefined)

  const withIt = await story(test, [shared('v1', ', public'), shared('v2', ', public')])
  await withIt.get('/a', { Authorization: 'Bearer x' })
  withIt.clock.advance(2_000)
  await withIt.get('/a', { Authorization: 'Bearer y' })
  await eventually(() => withIt.requests.length === 2)
  test.equal(withIt.lastField('authorization'), 'Bearer y')
  await eventually(async () => withIt.tell(await withIt.get('/a', { Authorization: 'Bearer z' })) === '200 v2 fresh')
})

// The guard: 'set-cookie' in askerReasons (exchange/fill/freshen.ts).
t.test('the cookie of a 304 goes to its client alone, and the entry stays', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=1', 'etag': '"a"' }, body: 'page' }, { status: 304, fields: { 'etag': '"a"', 'set-cookie': 'lb=1' } }, {
    status: 304,
    fields: { etag: '"a"' },
  }])
  await site.get('/a')
  site.clock.advance(2_000)
  const own = await site.get('/a')
  test.equal(own.header('set-cookie'), 'lb=1')
  test.equal(own.body.toString(), 'page')
  const other = await site.get('/a')
  test.equal(other.header('set-cookie'), undefined)
  test.equal(other.body.toString(), 'page')
  test.equal(site.requests.length, 3, 'validated, so it was still there')
})
