// Vary: Cookie, on a route whose key names the cookies that matter.
import t from 'tap'
import { eventually } from '../support/log.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { everyStore, told } from './fleet.ts'
import { story } from './site.ts'

t.setTimeout(240_000)

/** An application whose framework names Cookie in Vary on every response. */
const framework = (): OriginHandler => (request, response) => {
  response.writeHead(200, { 'cache-control': 'max-age=60, stale-while-revalidate=600', 'vary': 'Cookie' }).end(`cookies ${request.headers.cookie ?? 'none'}`)
}

// The guard: withNamedCookies() in exchange/routed-request.ts, through which the key, Vary and the origin read one Cookie field.
everyStore.test('visitors whose analytics cookies differ share the page in their language', framework, async (test, { a, b, asked }) => {
  test.equal(told(await a.get('/a', { Cookie: '_ga=1; lang=de' })), 'cookies lang=de uri-miss')
  test.equal(told(await b.get('/a', { Cookie: 'lang=de; _gid=2; _ga=3' })), 'cookies lang=de fresh')
  test.equal(told(await a.get('/a', { Cookie: 'lang=de' })), 'cookies lang=de fresh')
  test.equal(told(await a.get('/a', { Cookie: 'lang=fr; _ga=1' })), 'cookies lang=fr uri-miss')
  test.equal(told(await b.get('/a', { Cookie: '_ga=1' })), 'cookies none uri-miss')
  test.equal(told(await a.get('/a', { Cookie: '_ga=2; other=3' })), 'cookies none fresh')
  test.equal(told(await b.get('/a')), 'cookies none fresh')
  test.equal(asked(), 3)
}, { key: { cookies: ['lang'] } })

everyStore.test('their refreshes are shared too', framework, async (test, { a, b, advance, asked }) => {
  await a.get('/a', { Cookie: '_ga=1; lang=de' })
  await advance(61_000)
  test.equal(told(await b.get('/a', { Cookie: '_ga=2; lang=de' })), 'cookies lang=de stale-while-revalidate')
  await eventually(async () => told(await a.get('/a', { Cookie: '_ga=3; lang=de' })) === 'cookies lang=de fresh')
  test.equal(asked(), 2)
}, { key: { cookies: ['lang'] } })

t.test('a cookie that the key does not name reaches no response that is shared', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=60', 'vary': 'Cookie' }, body: 'page' }], { key: { cookies: ['lang'] } })
  await site.get('/a', { Cookie: 'session=secret; lang=de' })
  test.equal(site.lastField('cookie'), 'lang=de')
  test.equal(site.tell(await site.get('/a', { Cookie: 'lang=de; session=other' })), '200 page fresh')
})

// The rules for credentials stay: the cookies of the key permit nothing else.
t.test('a response to Authorization, one that is private, and one that sets a cookie are not shared', async test => {
  const vary = { vary: 'Cookie' }
  const site = await story(test, [
    { fields: { ...vary, 'cache-control': 'max-age=60' }, body: 'of one user' },
    { fields: { ...vary, 'cache-control': 'max-age=60, private' }, body: 'private' },
    { fields: { ...vary, 'cache-control': 'max-age=60', 'set-cookie': 'session=1' }, body: 'sets' },
    { fields: { ...vary, 'cache-control': 'max-age=60' }, body: 'page' },
  ], { key: { cookies: ['lang'] } })
  test.equal(site.tell(await site.get('/a', { Cookie: 'lang=de', Authorization: 'Bearer x' })), '200 of one user authorization')
  test.equal(site.tell(await site.get('/a', { Cookie: 'lang=de' })), '200 private private')
  test.equal(site.tell(await site.get('/a', { Cookie: 'lang=de' })), '200 sets set-cookie')
  test.equal(site.tell(await site.get('/a', { Cookie: 'lang=de' })), '200 page uri-miss')
})

t.test('without named cookies each Cookie selects its own response', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=60, public', 'vary': 'Cookie' }, body: 'page' }])
  await site.get('/a', { Cookie: '_ga=1' })
  test.equal(site.tell(await site.get('/a', { Cookie: '_ga=2' })), '200 page vary-miss')
  test.equal(site.tell(await site.get('/a', { Cookie: '_ga=1' })), '200 page fresh')
})
