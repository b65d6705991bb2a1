// A response that may not be stored supersedes the stale one that it was fetched for: the old one is never used stale again.
import t from 'tap'
import { eventually } from '../support/log.ts'
import { story, type Scripted } from './site.ts'

const old: Scripted = { fields: { 'cache-control': 'max-age=1, stale-while-revalidate=60', 'etag': '"old"' }, body: 'old' }
const plain: Scripted = { fields: { 'cache-control': 'max-age=1', 'etag': '"old"' }, body: 'old' }

// The guard: supersede() in exchange/fill/supersede.ts.
const newer: readonly (readonly [string, Scripted])[] = [
  ['a 404', { status: 404, body: 'none' }],
  ['a 410 that is stored', { status: 410, fields: { 'cache-control': 'max-age=1' }, body: 'none' }],
  ['a redirect', { status: 302, fields: { location: '/b' }, body: 'none' }],
  ['a private 200', { fields: { 'cache-control': 'private' }, body: 'none' }],
  ['a no-store 200', { fields: { 'cache-control': 'no-store' }, body: 'none' }],
  ['Vary: *', { fields: { 'cache-control': 'max-age=60', 'vary': '*' }, body: 'none' }],
  ['another Vary', { fields: { 'cache-control': 'max-age=1', 'vary': 'X-Flavour' }, body: 'none' }],
  ['a 200 that sets a cookie', { fields: { 'cache-control': 'max-age=60', 'set-cookie': 'a=1' }, body: 'none' }],
  ['a 200 that is too large', { fields: { 'cache-control': 'max-age=60' }, body: 'none'.repeat(500) }],
  ['a 200 that is found too large midway', { fields: { 'cache-control': 'max-age=60', 'transfer-encoding': 'chunked', 'content-length': [] }, body: 'none'.repeat(500) }],
]

for (const [name, response] of newer) {
  t.test(`${name}, brought by a refresh`, async test => {
    const site = await story(test, [old, response, { status: 503, body: 'down' }], { cache: { maxEntryBytes: 1000 } })
    await site.get('/a')
    site.clock.advance(2_000)
    test.equal(site.tell(await site.get('/a')), '200 old stale-while-revalidate')
    await eventually(() => site.requests.length === 2)
    await eventually(async () => (await site.get('/a')).body.toString() !== 'old')
    site.clock.advance(4_000)
    test.not((await site.get('/a')).body.toString(), 'old')
  })

  t.test(`${name}, brought by a client, and then an error`, async test => {
    const site = await story(test, [plain, response, { status: 503, body: 'down' }], { cache: { maxEntryBytes: 1000 } })
    await site.get('/a')
    site.clock.advance(2_000)
    test.match((await site.get('/a')).body.toString(), /^none/)
    site.clock.advance(4_000)
    test.not((await site.get('/a')).body.toString(), 'old', 'the deleted body does not come back')
  })

  t.test(`${name}, after a soft purge`, async test => {
    const site = await story(test, [{ ...old, fields: { ...old.fields, 'cache-control': 'max-age=600, stale-while-revalidate=60' } }, response, { status: 503, body: 'down' }], {
      cache: { maxEntryBytes: 1000 },
    })
    await site.get('/a')
    await site.purge({ urls: ['/a'], soft: true })
    test.equal(site.tell(await site.get('/a')), '200 old stale-while-revalidate')
    await eventually(async () => (await site.get('/a')).body.toString() !== 'old')
  })
}

t.test('a response that concerns one request supersedes nothing', async test => {
  for (const status of [401, 403, 407, 400, 412, 429, 431]) {
    const site = await story(test, [plain, { status, fields: { 'cache-control': 'no-store' }, body: 'you' }, { status: 503, body: 'down' }])
    await site.get('/a')
    site.clock.advance(2_000)
    test.equal((await site.get('/a')).status, status)
    test.equal(site.tell(await site.get('/a')), '200 old origin-5xx', String(status))
  }
})

t.test('a response that is not stored because its request carried credentials supersedes nothing', async test => {
  for (const fields of [{ Authorization: 'Bearer x' }, { Cookie: 'a=1' }]) {
    const site = await story(test, [plain, { fields: { 'cache-control': 'max-age=60' }, body: 'yours' }, { status: 503, body: 'down' }])
    await site.get('/a')
    site.clock.advance(2_000)
    test.equal((await site.get('/a', fields)).body.toString(), 'yours')
    test.equal(site.tell(await site.get('/a')), '200 old origin-5xx')
  }
})

// src/policy/README.md, "Superseded responses".
t.test('neither GET no-cache nor HEAD that brings a 404 removes a fresh response, and both remove a stale one', async test => {
  for (const method of ['GET', 'HEAD'] as const) {
    const site = await story(test, [{ fields: { 'cache-control': 'max-age=60' }, body: 'page' }, { status: 404, body: 'none' }])
    await site.get('/a')
    test.equal((await site.get('/a', { 'Cache-Control': 'no-cache' }, { method })).status, 404)
    test.equal(site.tell(await site.get('/a')), '200 page fresh', method)
    site.clock.advance(61_000)
    test.equal((await site.get('/a', {}, { method })).status, 404)
    test.equal(site.tell(await site.get('/a')), '404 none no-lifetime', method)
  }
})
