// RFC 9111 §3: the responses that may be stored.
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
  ['a response with neither freshness nor validator is not stored', {}, {}, 'no-lifetime'],
  ['max-age=0 without a validator is not stored', { 'Cache-Control': 'max-age=0' }, {}, 'not-fresh'],
  ['no-store is not stored', { 'Cache-Control': 'no-store, max-age=60' }, {}, 'no-store'],
  ['no-store spelt with an argument is still no-store', { 'Cache-Control': 'no-store=yes, max-age=60' }, {}, 'no-store'],
  ['private is not stored', { 'Cache-Control': 'private, max-age=60' }, {}, 'private'],
  ['private for one field stores the rest', { 'Cache-Control': 'private="x-user", max-age=60' }, {}, 'stored'],
  ['a request with no-store leaves nothing behind', { 'Cache-Control': 'max-age=60' }, { request: { 'Cache-Control': 'no-store' } }, 'request-no-store'],
  ['the response to Authorization is not stored', { 'Cache-Control': 'max-age=60' }, { request: { Authorization: 'Bearer x' } }, 'authorization'],
  ['the response to Authorization is stored with public', { 'Cache-Control': 'public, max-age=60' }, { request: { Authorization: 'Bearer x' } }, 'stored'],
  ['the response to Authorization is stored with must-revalidate', { 'Cache-Control': 'must-revalidate, max-age=60' }, { request: { Authorization: 'Bearer x' } }, 'stored'],
  ['the response to Authorization is stored with s-maxage', { 'Cache-Control': 's-maxage=60' }, { request: { Authorization: 'Bearer x' } }, 'stored'],
  ['the response to Cookie is not stored', { 'Cache-Control': 'max-age=60' }, { request: { Cookie: 'sid=1' } }, 'cookie'],
  ['the response to Cookie is stored with public', { 'Cache-Control': 'public, max-age=60' }, { request: { Cookie: 'sid=1' } }, 'stored'],
  ['the response to Cookie is stored where the route ignores cookies', { 'Cache-Control': 'max-age=60' }, { request: { Cookie: 'sid=1' }, rules: { cookies: 'ignore' } }, 'stored'],
  ['a response that sets a cookie is not stored', { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'sid=1' }, {}, 'set-cookie'],
  ['a response that sets a cookie is stored where the route says so', { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'sid=1' }, { rules: { setCookie: 'store' } }, 'stored'],
  ['a cookie that private withholds does not prevent storing the rest', { 'Cache-Control': 'private="set-cookie", max-age=60', 'Set-Cookie': 'sid=1' }, {}, 'stored'],
  ['Vary: * is not stored', { 'Cache-Control': 'max-age=60', Vary: '*' }, {}, 'vary-star'],
  ['Vary: * in a second line is not stored', { 'Cache-Control': 'max-age=60', Vary: ['Accept', 'Foo, *'] }, {}, 'vary-star'],
  ['a partial response is not an entry', { 'Cache-Control': 'max-age=60', 'Content-Range': 'bytes 0-1/9' }, { status: 206 }, 'partial'],
  ['a 304 is not an entry', { 'Cache-Control': 'max-age=60' }, { status: 304 }, 'status'],
  ['a 412 is not an entry, whatever lifetime it gives', { 'Cache-Control': 'max-age=60' }, { status: 412 }, 'status'],
  ['a 404 with max-age is stored', { 'Cache-Control': 'max-age=60' }, { status: 404 }, 'stored'],
  ['a 404 without freshness is not, even with a validator', { ETag: '"e"' }, { status: 404 }, 'no-lifetime'],
  ['a 404 is stored for the lifetime of its status', {}, { status: 404, rules: { statusTtlMs: new Map([[404, 5000]]) } }, 'stored'],
  ['a 599 with max-age is stored', { 'Cache-Control': 'max-age=60' }, { status: 599 }, 'stored'],
  ['a 302 without freshness is not guessed about', { 'Last-Modified': lastYear }, { status: 302 }, 'status'],
  ['must-understand with a known status lifts no-store', { 'Cache-Control': 'must-understand, no-store, max-age=60' }, {}, 'stored'],
  ['must-understand with an unknown status is not stored', { 'Cache-Control': 'must-understand, max-age=60' }, { status: 299 }, 'must-understand'],
  ['the response to POST is not stored', { 'Cache-Control': 'max-age=60' }, { method: 'POST' }, 'request-method'],
  ['CDN-Cache-Control overrides no-store', { 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=60' }, {}, 'stored'],
  ['CDN-Cache-Control: no-store overrides max-age', { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'no-store' }, {}, 'no-store'],
  ['a malformed CDN-Cache-Control is ignored in what it permits', { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'max-age=0, &' }, {}, 'stored'],
  ['more fields than are kept', { 'Cache-Control': 'max-age=60', X: Array.from({ length: 40 }, () => 'x'.repeat(1000)) }, {}, 'too-large'],
  ['and holds in what it forbids', { 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'no-store, &' }, {}, 'no-store'],
  ['Surrogate-Control comes before Cache-Control', { 'Cache-Control': 'no-store', 'Surrogate-Control': 'max-age=60' }, {}, 'stored'],
  ['a malformed max-age is stale, so it is not stored', { 'Cache-Control': 'max-age=sixty' }, {}, 'bad-lifetime'],
  ['a default TTL stores what gives none', {}, { rules: { defaultTtlMs: 1000 } }, 'stored'],
  ['a default TTL does not store an error', {}, { status: 404, rules: { defaultTtlMs: 1000 } }, 'no-lifetime'],
  ['more tags than can be purged again are not stored', { 'Cache-Control': 'max-age=60', 'Surrogate-Key': Array.from({ length: 1500 }, (_, i) => `t${i}`).join(' ') }, {},
    'too-many-tags'],
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

t.test('cache-only fields are kept apart from the fields for clients', async t => {
  const { meta } = stored({ 'Surrogate-Control': 'max-age=60', 'Cache-Tag': 'a, b', 'Surrogate-Key': 'c' })
  t.same(meta.fields, ['date', dateT0])
  t.same(meta.cacheOnlyFields, ['surrogate-control', 'max-age=60', 'cache-tag', 'a, b', 'surrogate-key', 'c'])
  t.same(meta.tags, ['a', 'b', 'c'])
})

t.test('RFC 9110 §6.6.1: a Date is added where the origin sent none', async t => {
  const verdict = assess({ 'Cache-Control': 'max-age=60', 'Date': [] })
  t.ok(verdict.store && verdict.meta.fields.includes(dateT0))
})

// RFC 9110 §15.1 (206 is stored by another rule), and the statuses that concern one request alone.
const guessed = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
// The guard: neverStored. RFC 6585 §3 to §6: 428, 429, 431 and 511 MUST NOT be stored.
const never = new Set([206, 304, 428, 429, 431, 511])
// The guard: judgesOneMessage. An oversized field of one client must not replace a page for everybody.
const byName = new Set([400, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426])
const storedUnnamed = (status: number): boolean => status >= 200 && !never.has(status) && !byName.has(status)
const statuses = Array.from({ length: 500 }, (_, i) => 100 + i)

t.test('§3: with explicit freshness every final status is stored, known or not, except those that concern one request alone', async t => {
  for (const fields of [{ 'Cache-Control': 'max-age=60' }, { 'Cache-Control': 's-maxage=60' }, { Expires: 'Thu, 01 Jan 2026 00:01:00 GMT' }, {
    'CDN-Cache-Control': 'max-age=60',
  }]) {
    const kept = statuses.filter(status => assess(fields, { status }).store)
    t.same(kept, statuses.filter(storedUnnamed), JSON.stringify(fields))
  }
})

t.test('statuses that judge one message are stored only where the operator names them, and those of RFC 6585 not even then', async t => {
  const named = new Map(statuses.filter(status => status >= 400).map(status => [status, 5000]))
  for (const fields of [{}, { 'Cache-Control': 'max-age=60' }]) {
    const kept = statuses.filter(status => status >= 400 && assess(fields, { status, rules: { statusTtlMs: named } }).store)
    t.same(kept, statuses.filter(status => status >= 400 && !never.has(status)), JSON.stringify(fields))
  }
})

t.test('§4.2.2: without it those that are heuristically cacheable are, and with public any', async t => {
  const guess = (fields: Fields): number[] =>
    statuses.filter(status => {
      const verdict = assess(fields, { status })
      return verdict.store && verdict.meta.lifetimeSource === 'heuristic'
    })
  t.same(guess({ 'Last-Modified': lastYear }), guessed)
  t.same(guess({ 'Last-Modified': lastYear, 'Cache-Control': 'public' }), statuses.filter(storedUnnamed))
})

t.test('§5.2.2.3: must-understand lifts no-store for every status that is understood, and stores no other', async t => {
  for (const status of [200, 204, 301, 404, 410, 503]) t.equal(assess({ 'Cache-Control': 'no-store, must-understand, max-age=60' }, { status }).store, true, String(status))
  for (const status of [201, 202, 299, 418, 599]) t.equal(assess({ 'Cache-Control': 'must-understand, max-age=60' }, { status }).store, false, String(status))
})

t.test('RFC 9110 §9.3.3: a response to POST is stored with explicit freshness and its own URL as Content-Location', async t => {
  const post = (fields: Fields, options: Parameters<typeof assess>[1] = {}): string => {
    const verdict = assess({ 'Cache-Control': 'max-age=60', ...fields }, { ...options, method: 'POST' })
    return verdict.store ? 'stored' : verdict.reason
  }
  for (const own of ['/a', 'a', './a', '/x/../a', 'http://api.example.com/a', 'HTTP://API.example.com:80/a', '//api.example.com/a', '', '/a#part', './a#'])
    t.equal(post({ 'Content-Location': own }), 'stored', own)
  for (const other of ['/b', '/a/', '/A', '/%61', '/a?', '/a?x', 'https://api.example.com/a', 'http://api.example.com:8080/a', '//other.example.com/a', 'http://[', '/a, /a']) {
    t.equal(post({ 'Content-Location': other }), 'request-method', other)
  }
  t.equal(post({}), 'request-method')
  t.equal(post({ 'Content-Location': ['/a', '/a'] }), 'request-method')
  for (const status of [201, 202, 203, 204, 303, 404]) t.equal(post({ 'Content-Location': '/a' }, { status }), 'request-method', String(status))
  t.equal(post({ 'Content-Location': '/a', 'Cache-Control': [], 'Last-Modified': lastYear }), 'request-method', 'a guess is not enough')
  t.equal(post({ 'Content-Location': '/a', 'Cache-Control': [] }, { rules: { defaultTtlMs: 60_000 } }), 'request-method', 'nor is what an operator sets')
  t.equal(post({ 'Content-Location': '/a', 'Cache-Control': 'private, max-age=60' }), 'private')
  t.equal(post({ 'Content-Location': '/a' }, { request: { Authorization: 'x' } }), 'authorization')
  for (const method of ['PUT', 'PATCH', 'DELETE', 'QUERY', 'HEAD']) t.equal(assess({ 'Cache-Control': 'max-age=60', 'Content-Location': '/a' }, { method }).store, false, method)
})
