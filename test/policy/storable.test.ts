// RFC 9111 §3: what may be stored.
import t from 'tap'
import type { NotStoredReason } from '../../src/policy/reasons.ts'
import { assess, dateT0, stored, type Fields } from './scene.ts'

const lastYear = 'Wed, 01 Jan 2025 00:00:00 GMT'

const rows: readonly [sentence: string, response: Fields, options: Parameters<typeof assess>[1], expected: 'stored' | NotStoredReason][] = [
  ['a response with max-age is stored', { 'Cache-Control': 'max-age=60' }, {}, 'stored'],
  ['a response with s-maxage is stored', { 'Cache-Control': 's-maxage=60' }, {}, 'stored'],
  ['a response with a future Expires is stored', { Expires: 'Thu, 01 Jan 2026 00:01:00 GMT' }, {}, 'stored'],
  ['a response with nothing but Last-Modified is stored by heuristics', { 'Last-Modified': lastYear }, {}, 'stored'],
  ['a stale response with a validator is stored, to be validated', { ETag: '"v1"', 'Cache-Control': 'no-cache' }, {}, 'stored'],
  ['a response with neither freshness nor validator is not stored', {}, {}, 'not-fresh'],
  ['max-age=0 without a validator is not stored', { 'Cache-Control': 'max-age=0' }, {}, 'not-fresh'],
  ['no-store is not stored', { 'Cache-Control': 'no-store, max-age=60' }, {}, 'no-store'],
  ['no-store spelt with an argument is still no-store', { 'Cache-Control': 'no-store=yes, max-age=60' }, {}, 'no-store'],
  ['private is not stored', { 'Cache-Control': 'private, max-age=60' }, {}, 'private'],
  ['private for one field stores the rest', { 'Cache-Control': 'private="x-user", max-age=60' }, {}, 'stored'],
  ['a request with no-store leaves nothing behind', { 'Cache-Control': 'max-age=60' }, { request: { 'Cache-Control': 'no-store' } }, 'request-no-store'],
  ['the answer to Authorization is not stored', { 'Cache-Control': 'max-age=60' }, { request: { Authorization: 'Bearer x' } }, 'authorization'],
  ['the answer to Authorization is stored with public', { 'Cache-Control': 'public, max-age=60' }, { request: { Authorization: 'Bearer x' } }, 'stored'],
  ['the answer to Authorization is stored with must-revalidate', { 'Cache-Control': 'must-revalidate, max-age=60' }, { request: { Authorization: 'Bearer x' } }, 'stored'],
  ['the answer to Authorization is stored with s-maxage', { 'Cache-Control': 's-maxage=60' }, { request: { Authorization: 'Bearer x' } }, 'stored'],
  ['the answer to Cookie is not stored', { 'Cache-Control': 'max-age=60' }, { request: { Cookie: 'sid=1' } }, 'cookie'],
  ['the answer to Cookie is stored with public', { 'Cache-Control': 'public, max-age=60' }, { request: { Cookie: 'sid=1' } }, 'stored'],
  ['the answer to Cookie is stored where the route ignores cookies', { 'Cache-Control': 'max-age=60' }, { request: { Cookie: 'sid=1' }, rules: { cookies: 'ignore' } }, 'stored'],
  ['a response that sets a cookie is not stored', { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'sid=1' }, {}, 'set-cookie'],
  ['a response that sets a cookie is stored where the route says so', { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'sid=1' }, { rules: { setCookie: 'store' } }, 'stored'],
  ['a cookie that private keeps back does not stop the rest', { 'Cache-Control': 'private="set-cookie", max-age=60', 'Set-Cookie': 'sid=1' }, {}, 'stored'],
  ['Vary: * is not stored', { 'Cache-Control': 'max-age=60', Vary: '*' }, {}, 'vary-star'],
  ['Vary: * in a second line is not stored', { 'Cache-Control': 'max-age=60', Vary: ['Accept', 'Foo, *'] }, {}, 'vary-star'],
  ['a partial response is not an entry', { 'Cache-Control': 'max-age=60', 'Content-Range': 'bytes 0-1/9' }, { status: 206 }, 'partial'],
  ['a 304 is not an entry', { 'Cache-Control': 'max-age=60' }, { status: 304 }, 'status'],
  ['a 412 is not an entry, whatever it says', { 'Cache-Control': 'max-age=60' }, { status: 412 }, 'status'],
  ['a 404 with max-age is stored', { 'Cache-Control': 'max-age=60' }, { status: 404 }, 'stored'],
  ['a 404 without freshness is not, even with a validator', { ETag: '"e"' }, { status: 404 }, 'not-fresh'],
  ['a 404 is stored for the negative TTL', {}, { status: 404, rules: { negativeTtlMs: new Map([[404, 5000]]) } }, 'stored'],
  ['a 599 with max-age is stored', { 'Cache-Control': 'max-age=60' }, { status: 599 }, 'stored'],
  ['a 302 without freshness is not guessed about', { 'Last-Modified': lastYear }, { status: 302 }, 'status'],
  ['must-understand with a known status lifts no-store', { 'Cache-Control': 'must-understand, no-store, max-age=60' }, {}, 'stored'],
  ['must-understand with an unknown status is not stored', { 'Cache-Control': 'must-understand, max-age=60' }, { status: 299 }, 'must-understand'],
  ['the answer to POST is not stored', { 'Cache-Control': 'max-age=60' }, { method: 'POST' }, 'request-method'],
  ['CDN-Cache-Control overrides no-store', { 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=60' }, {}, 'stored'],
  ['CDN-Cache-Control: no-store overrides max-age', { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'no-store' }, {}, 'no-store'],
  ['a malformed CDN-Cache-Control is ignored as a whole', { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'no-store, &' }, {}, 'stored'],
  ['Surrogate-Control comes before Cache-Control', { 'Cache-Control': 'no-store', 'Surrogate-Control': 'max-age=60' }, {}, 'stored'],
  ['a malformed max-age is stale, so it is not stored', { 'Cache-Control': 'max-age=sixty' }, {}, 'not-fresh'],
  ['a default TTL stores what gives none', {}, { rules: { defaultTtlMs: 1000 } }, 'stored'],
  ['a default TTL does not store an error', {}, { status: 404, rules: { defaultTtlMs: 1000 } }, 'not-fresh'],
  ['more tags than can be purged again are not stored', { 'Cache-Control': 'max-age=60', 'Surrogate-Key': Array.from({ length: 1500 }, (_, i) => `t${i}`).join(' ') }, {}, 'too-many-tags'],
]

t.test('RFC 9111 §3', async t => {
  for (const [sentence, response, options, expected] of rows) {
    t.test(sentence, async t => {
      const verdict = assess(response, options)
      t.equal(verdict.store ? 'stored' : verdict.reason, expected)
    })
  }
})

t.test('§3.1: hop-by-hop fields and those named by Connection are not stored', async t => {
  const { meta } = stored({ 'Cache-Control': 'max-age=60', Connection: 'X-Hop, close', 'X-Hop': '1', 'Keep-Alive': '5', 'Transfer-Encoding': 'chunked', 'X-Kept': '2' })
  t.same(meta.fields, ['date', dateT0, 'cache-control', 'max-age=60', 'x-kept', '2'])
})

t.test('§5.2.2.7, §5.2.2.4: fields named by private and no-cache are kept from others', async t => {
  const { meta } = stored({ 'Cache-Control': 'max-age=60, private="X-User", no-cache="x-nonce"', 'X-User': 'a', 'X-Nonce': 'b', 'X-Shared': 'c' })
  t.same(meta.fields.filter((_, i) => i % 2 === 0), ['date', 'cache-control', 'x-shared'])
  t.equal(meta.alwaysValidate, false)
})

t.test('what is told to this cache alone is kept apart from what clients are sent', async t => {
  const { meta } = stored({ 'Surrogate-Control': 'max-age=60', 'Cache-Tag': 'a, b', 'Surrogate-Key': 'c' })
  t.same(meta.fields, ['date', dateT0])
  t.same(meta.cacheOnlyFields, ['surrogate-control', 'max-age=60', 'cache-tag', 'a, b', 'surrogate-key', 'c'])
  t.same(meta.tags, ['a', 'b', 'c'])
})

t.test('RFC 9110 §6.6.1: a Date is added where the origin sent none', async t => {
  const verdict = assess({ 'Cache-Control': 'max-age=60', 'Date': [] })
  t.ok(verdict.store && verdict.meta.fields.includes(dateT0))
})
