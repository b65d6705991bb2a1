// A stored response with a content coding, and without Vary, is not served to a request that excludes the coding.
import t from 'tap'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { everyStore, told } from './fleet.ts'
import { story } from './site.ts'

t.setTimeout(240_000)

const gzip = { 'cache-control': 'max-age=60', 'content-encoding': 'gzip' }
const excluding = ['identity', '', 'br', 'gzip;q=0', '*;q=0', 'identity, *;q=0', 'gzip;q=0, *', 'X-GZIP;Q=0.000']
const accepting = ['gzip', 'x-gzip', '*', 'br, gzip;q=0.1', '*;q=0, gzip']

/** An origin that negotiates, and says nothing of it; or that sends gzip to everybody. */
const negotiating = (always = false) => (): OriginHandler => (request, response) => {
  const coded = always || /gzip/.test(String(request.headers['accept-encoding']))
  response.writeHead(200, coded ? gzip : { 'cache-control': 'max-age=60' }).end(coded ? 'coded' : 'plain')
}

// RFC 9110 §12.5.3. The guard: isExcluded() in policy/vary.ts.
everyStore.test('each client gets a coding that it accepts, and both responses stay', negotiating(), async (test, { a, b, asked }) => {
  test.equal(told(await a.get('/a', { 'Accept-Encoding': 'gzip' })), 'coded uri-miss')
  test.equal(told(await b.get('/a', { 'Accept-Encoding': 'identity' })), 'plain vary-miss')
  for (const each of [a, b]) {
    test.equal(told(await each.get('/a', { 'Accept-Encoding': 'gzip' })), 'coded fresh')
    test.equal(told(await each.get('/a', { 'Accept-Encoding': 'identity' })), 'plain fresh')
    test.equal(told(await each.get('/a')), 'coded fresh', 'without Accept-Encoding any coding is acceptable')
  }
  test.equal(asked(), 2)
})

// The guard: 'accept-encoding' in knownFields() in policy/vary.ts.
everyStore.test('an origin that sends the coding all the same gets one request for each Accept-Encoding', negotiating(true), async (test, { a, b, asked }) => {
  await a.get('/a', { 'Accept-Encoding': 'gzip' })
  test.equal(told(await a.get('/a', { 'Accept-Encoding': 'identity' })), 'coded vary-miss')
  test.equal(told(await b.get('/a', { 'Accept-Encoding': 'identity' })), 'coded fresh', 'the origin chose it')
  test.equal(told(await b.get('/a', { 'Accept-Encoding': 'gzip' })), 'coded fresh')
  const both = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? a : b).get('/a', { 'Accept-Encoding': 'br' })))
  test.same(new Set(both.map(({ body }) => body.toString())), new Set(['coded']))
  test.equal(asked(), 3)
})

t.test('every way to exclude it, and none of those that accept it', async test => {
  const site = await story(test, [{ fields: gzip, body: 'coded' }, { fields: { 'cache-control': 'no-store' }, body: 'plain' }])
  await site.get('/a')
  for (const value of excluding) test.equal((await site.get('/a', { 'Accept-Encoding': value })).body.toString(), 'plain', value)
  for (const value of accepting) test.equal(site.tell(await site.get('/a', { 'Accept-Encoding': value })), '200 coded fresh', value)
  test.equal(site.tell(await site.get('/a')), '200 coded fresh')
})

t.test('nor is a response with two codings, of which one is excluded', async test => {
  const site = await story(test, [{ fields: { ...gzip, 'content-encoding': 'br, gzip' }, body: 'coded' }, { fields: { 'cache-control': 'no-store' }, body: 'plain' }])
  await site.get('/a')
  test.equal((await site.get('/a', { 'Accept-Encoding': 'gzip' })).body.toString(), 'plain')
  test.equal((await site.get('/a', { 'Accept-Encoding': 'gzip, br' })).body.toString(), 'coded')
})

t.test('a response without a coding is for every client, whatever it accepts', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=60' }, body: 'plain' }])
  for (const value of [...excluding, ...accepting, 'identity;q=0']) await site.get('/a', { 'Accept-Encoding': value })
  test.equal(site.requests.length, 1)
})

t.test('HEAD, a range and a condition do not select it, and leave it as it is', async test => {
  const plain = { 'cache-control': 'no-store', 'etag': '"plain"' }
  const site = await story(test, [{ fields: { ...gzip, etag: '"coded"' }, body: 'coded' }, { fields: plain, body: 'plain' }])
  await site.get('/a')
  const identity = { 'Accept-Encoding': 'identity' }
  test.equal((await site.get('/a', identity, { method: 'HEAD' })).header('content-encoding'), undefined)
  test.equal((await site.get('/a', { ...identity, Range: 'bytes=0-1' })).header('content-encoding'), undefined)
  const conditional = await site.get('/a', { ...identity, 'If-None-Match': '"coded"' })
  test.equal(`${conditional.status} ${conditional.body.toString()}`, '200 plain', 'not 304 for bytes that it does not accept')
  test.equal((await site.get('/a', { ...identity, 'Cache-Control': 'only-if-cached' })).status, 504)
  test.equal(site.requests.length, 4)
  test.equal(site.tell(await site.get('/a', { 'Accept-Encoding': 'gzip' })), '200 coded fresh')
  test.equal((await site.get('/a', { 'Accept-Encoding': 'gzip', 'If-None-Match': '"coded"' })).status, 304)
})

t.test('a stale response with the coding is not served to such a request, not in place of an error either, and is not validated by it', async test => {
  const site = await story(test, [{ fields: { 'cache-control': 'max-age=1, stale-while-revalidate=600', 'content-encoding': 'gzip', 'etag': '"coded"' }, body: 'coded' }, {
    status: 503,
    body: 'down',
  }])
  await site.get('/a')
  site.clock.advance(2_000)
  test.equal((await site.get('/a', { 'Accept-Encoding': 'identity' })).status, 503)
  test.equal(site.lastField('if-none-match'), undefined)
  test.equal(site.tell(await site.get('/a', { 'Accept-Encoding': 'gzip' })), '200 coded stale-while-revalidate', 'and it stays for others')
})

t.test('a part with the coding serves no range of such a request', async test => {
  const part = { 'cache-control': 'max-age=60', 'content-encoding': 'gzip', 'content-range': 'bytes 0-3/8', 'etag': '"coded"' }
  const site = await story(test, [{ status: 206, fields: part, body: 'code' }, { fields: { 'cache-control': 'no-store' }, body: 'plain' }])
  await site.get('/a', { 'Range': 'bytes=0-3', 'Accept-Encoding': 'gzip' })
  test.equal((await site.get('/a', { 'Range': 'bytes=0-1', 'Accept-Encoding': 'identity' })).body.toString(), 'plain')
  test.equal((await site.get('/a', { 'Range': 'bytes=0-1', 'Accept-Encoding': 'gzip' })).body.toString(), 'co')
})
