// A URL keeps a bounded number of variants: strangers do not evict one that is in use.
import t from 'tap'
import { eventually } from '../support/log.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { everyStore, told } from './fleet.ts'
import { story } from './site.ts'

t.setTimeout(240_000)

const byLanguage = (): OriginHandler => (request, response) => {
  response.writeHead(200, { 'cache-control': 'max-age=600', 'vary': 'Accept-Language' }).end(String(request.headers['accept-language']))
}
const four = { cache: { maxVariants: 4 } }

// The guards: Memory's #trim (store/memory/store.ts), the order of `others` in commitScript (store/redis/entries/scripts.ts), and
// the report of uses from memory (store/tiered/store.ts).
everyStore.test('a variant in constant use stays, while many others are stored by the other replica', byLanguage, async (test, { a, b, asked }) => {
  await a.get('/a', { 'Accept-Language': 'de' })
  for (let i = 0; i < 20; i++) {
    test.equal(told(await a.get('/a', { 'Accept-Language': 'de' })), 'de fresh')
    await b.get('/a', { 'Accept-Language': `x-${i}` })
  }
  test.equal(told(await b.get('/a', { 'Accept-Language': 'de' })), 'de fresh')
  test.equal(asked(), 21)
}, { config: four })

everyStore.test('it stays while others are stored and used once', byLanguage, async (test, { a, asked }) => {
  await a.get('/a', { 'Accept-Language': 'de' })
  for (let i = 0; i < 20; i++) {
    test.equal(told(await a.get('/a', { 'Accept-Language': 'de' })), 'de fresh')
    await a.get('/a', { 'Accept-Language': `x-${i}` })
    test.equal(told(await a.get('/a', { 'Accept-Language': `x-${i}` })), `x-${i} fresh`)
  }
  test.equal(asked(), 21)
}, { config: four })

everyStore.test('a variant that falls out of use goes', byLanguage, async (test, { a, b, asked, advance }) => {
  await a.get('/a', { 'Accept-Language': 'de' })
  await a.get('/a', { 'Accept-Language': 'de' })
  await advance(60_000)
  for (let i = 0; i < 4; i++) await b.get('/a', { 'Accept-Language': `x-${i}` })
  for (let i = 3; i >= 0; i--) test.equal(told(await b.get('/a', { 'Accept-Language': `x-${i}` })), `x-${i} fresh`)
  test.equal(asked(), 5)
  await eventually(async () => told(await b.get('/a', { 'Accept-Language': 'de', 'Cache-Control': 'only-if-cached' })) !== 'de fresh')
}, { config: four })

t.test('HEAD, a range, a 304 and a stale response are uses as well', async test => {
  const fields = { 'cache-control': 'max-age=600, stale-while-revalidate=600', 'vary': 'X-Flavour', 'etag': '"a"' }
  for (const [name, method, more] of [['HEAD', 'HEAD', {}], ['range', 'GET', { Range: 'bytes=0-0' }], ['304', 'GET', { 'If-None-Match': '"a"' }]] as const) {
    const site = await story(test, [{ fields, body: 'page' }], { config: four })
    await site.get('/a', { 'X-Flavour': 'own' })
    for (let i = 0; i < 8; i++) {
      await site.get('/a', { 'X-Flavour': 'own', ...more }, { method })
      await site.get('/a', { 'X-Flavour': String(i) })
    }
    test.equal(site.requests.length, 9, name)
  }
  const site = await story(test, [{ fields, body: 'page' }, { status: 503 }], { config: four })
  await site.get('/a', { 'X-Flavour': 'own' })
  site.clock.advance(700_000)
  for (let i = 0; i < 8; i++) {
    test.equal(site.tell(await site.get('/a', { 'X-Flavour': 'own' })), '200 page stale-while-revalidate')
    await site.get('/a', { 'X-Flavour': String(i) })
  }
})
