// RFC 9111 §4.3 and §4.4, RFC 9211: validation, merging, invalidation and Cache-Status.
import t from 'tap'
import { collapsedStatus, forwardStatus, hitStatus, passStatus } from '../../src/policy/cache-status.ts'
import { invalidatedTargets } from '../../src/policy/invalidation.ts'
import { cacheKey } from '../../src/policy/key.ts'
import { conditionalFields, confirms, isNotModified, mergedFields, notModifiedFields } from '../../src/policy/validation.ts'
import { defaultRules, lines, request, stored, T0, type Fields } from './scene.ts'

t.test('§4.3.1: a validation carries the stored validators as they were received', async t => {
  t.same(conditionalFields(stored({ ETag: 'W/"v 1"', 'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' }).meta), ['if-none-match', 'W/"v 1"', 'if-modified-since',
    'Wed, 01 Jan 2025 00:00:00 GMT'])
  t.same(conditionalFields(stored({ 'Cache-Control': 'max-age=1', 'Last-Modified': 'yesterday' }).meta), [])
})

t.test('§4.3.4: a 304 replaces every field it brings, but Content-Length and those of its connection', async t => {
  const merged = mergedFields(
    lines({ 'X-A': ['1', '2'], 'X-B': '3', 'Content-Type': 'a/b', 'Content-Encoding': 'gzip' }),
    lines({ 'X-A': '9', 'Content-Type': 'x/y', 'Content-Encoding': 'br', 'Content-Length': '0', Connection: 'X-Hop', 'X-Hop': '1', 'X-New': '5' }),
  )
  t.same(merged, lines({ 'X-B': '3', 'X-A': '9', 'Content-Type': 'x/y', 'Content-Encoding': 'br', 'X-New': '5' }))
})

t.test('§4.3.3: a 304 that names another tag confirms nothing that is stored', async t => {
  const { meta } = stored({ ETag: '"v1"' })
  t.equal(confirms(meta, lines({})), true)
  t.equal(confirms(meta, lines({ ETag: '"v1"' })), true)
  t.equal(confirms(meta, lines({ ETag: 'W/"v1"' })), true)
  t.equal(confirms(meta, lines({ ETag: '"v2"' })), false)
  const dated = stored({ 'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' }).meta
  t.equal(confirms(dated, lines({ ETag: '"v2"' })), false, 'a tag may be that of newer bytes, changed within the same second')
  t.equal(confirms(dated, lines({ ETag: '"v2"', 'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' })), true)
  t.equal(confirms(dated, lines({})), true)
})

const preconditions: readonly [sentence: string, request: Fields, response: Fields, expected: boolean][] = [
  ['a matching tag', { 'If-None-Match': '"a"' }, { ETag: '"a"' }, true],
  ['a weak tag matches its strong form', { 'If-None-Match': 'W/"a"' }, { ETag: '"a"' }, true],
  ['one of a list', { 'If-None-Match': '"x", "a"' }, { ETag: '"a"' }, true],
  ['a star', { 'If-None-Match': '*' }, { ETag: '"a"' }, true],
  ['another tag', { 'If-None-Match': '"b"' }, { ETag: '"a"' }, false],
  ['If-None-Match comes before If-Modified-Since', { 'If-None-Match': '"b"', 'If-Modified-Since': 'Thu, 01 Jan 2026 00:00:00 GMT' }, { ETag: '"a"',
    'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' }, false],
  ['not changed since', { 'If-Modified-Since': 'Wed, 01 Jan 2025 00:00:00 GMT' }, { 'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' }, true],
  ['changed since', { 'If-Modified-Since': 'Wed, 01 Jan 2025 00:00:00 GMT' }, { 'Last-Modified': 'Wed, 01 Jan 2025 00:00:01 GMT' }, false],
  ['a date that is none is ignored', { 'If-Modified-Since': 'today' }, { 'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' }, false],
]

t.test("§4.3.2: a client's own precondition", async t => {
  for (const [sentence, asked, response, expected] of preconditions) {
    t.test(sentence, async t => {
      t.equal(isNotModified(request(asked), 200, lines(response), T0), expected)
      t.equal(isNotModified(request(asked), 404, lines(response), T0), false, 'only a 200 can be not modified')
    })
  }
})

t.test('RFC 9110 §15.4.5: a 304 carries what a client needs to update what it has', async t => {
  t.same(notModifiedFields(lines({ ETag: '"a"', 'Content-Type': 'a/b', Vary: 'x', 'Content-Length': '5' })), ['etag', '"a"', 'vary', 'x'])
})

t.test('§4.4: the URLs that an unsafe request invalidates', async t => {
  const after = (method: string, status: number, fields: Fields = {}): string[] =>
    invalidatedTargets({ method, scheme: 'http', authority: 'api.example.com', target: '/a?b=c' }, status, lines(fields))
  t.same(after('POST', 201), ['/a?b=c'])
  t.same(after('M-SEARCH', 200), ['/a?b=c'], 'a method that is not known counts as unsafe')
  t.same(after('PURGE-LIKE', 302), ['/a?b=c'])
  t.same(after('POST', 500), [], 'an error invalidates nothing')
  t.same(after('POST', 404), [])
  t.same(after('GET', 200, { Location: '/b' }), [], 'a safe method invalidates nothing')
  t.same(after('PUT', 200, { Location: '/b', 'Content-Location': 'http://api.example.com/c?d' }), ['/a?b=c', '/b', '/c?d'])
  t.same(after('PUT', 200, { Location: 'http://other.example.com/b', 'Content-Location': '//evil.example/c' }), ['/a?b=c'], "never another origin's")
  t.same(after('PUT', 200, { Location: 'https://api.example.com/b' }), ['/a?b=c'], 'another scheme is another origin')
  t.same(after('PUT', 200, { Location: '/x/./y' }), ['/a?b=c', '/x/./y', '/x/y'], 'as it is written, and as clients resolve it')
  t.same(after('PUT', 200, { Location: 'http://API.example.com:80/x/./y#z' }), ['/a?b=c', '/x/./y', '/x/y'])
  t.same(after('PUT', 200, { Location: 'c', 'Content-Location': '?d' }), ['/a?b=c', '/c', '/a?d'])
  t.same(after('PUT', 200, { Location: '/b?', 'Content-Location': 'http://u:p@api.example.com/c?#x' }), ['/a?b=c', '/b?', '/c?'], 'an empty query is one')
  t.same(after('PUT', 200, { Location: '/\\evil.example/b' }), ['/a?b=c'])
  t.same(after('PUT', 200, { Location: 'http://api.example.com./b' }), ['/a?b=c', '/b'], 'a final dot names the same host')
  t.same(after('PUT', 200, { Location: 'http://[' }), ['/a?b=c'], 'a value that is no URL is ignored')
})

t.test('RFC 9211: Cache-Status', async t => {
  t.equal(hitStatus('fresh', 59_400), 'springhouse; hit; ttl=59; detail=fresh')
  t.equal(hitStatus('max-stale', -1), 'springhouse; hit; ttl=-1; detail=max-stale')
  t.equal(forwardStatus({ reason: 'uri-miss', status: 200, notStored: undefined }), 'springhouse; fwd=uri-miss; fwd-status=200; stored; detail=uri-miss')
  t.equal(forwardStatus({ reason: 'uri-miss', status: 200, notStored: 'no-store' }), 'springhouse; fwd=uri-miss; fwd-status=200; detail=no-store')
  t.equal(forwardStatus({ reason: 'stale', status: 304, notStored: undefined, waited: true }), 'springhouse; fwd=stale; fwd-status=304; stored; collapsed=?0; detail=stale',
    'RFC 9211 §2.6: it waited for another fetch, and was forwarded nevertheless')
  t.equal(collapsedStatus('stale', 59_400), 'springhouse; fwd=stale; collapsed; ttl=59; detail=stale', 'RFC 9211 §2.6: served with the response to another request')
  t.equal(forwardStatus({ reason: 'uri-miss', status: undefined, notStored: undefined }), 'springhouse; fwd=uri-miss; detail=uri-miss')
  t.equal(passStatus('method'), 'springhouse; fwd=method; detail=method')
  t.equal(passStatus('upgrade'), 'springhouse; fwd=bypass; detail=upgrade')
})

t.test('RFC 9111 §2: the key', async t => {
  const keyRules = { ignoreQuery: undefined, sortQuery: false, headers: [] as string[] }
  const key = (fields: Fields, target: string, rules: Partial<typeof defaultRules> = {}, headers: string[] = []): string => {
    const r = request(fields, { target })
    return cacheKey('r', r, r.requestField, { ...defaultRules, ...rules }, { ...keyRules, headers }, [])
  }
  t.equal(key({}, '/a'), key({ Accept: 'x', Cookie: 'a=1' }, '/a'), 'fields are not part of it')
  t.not(key({}, '/a'), key({}, '/b'))
  t.not(key({}, '/a?b'), key({}, '/a?B'), 'exact bytes')
  t.not(key({ 'X-T': '1' }, '/a', {}, ['x-t']), key({ 'X-T': '2' }, '/a', {}, ['x-t']), 'but those that the route names are')
  t.not(key({ 'X-T': '' }, '/a', {}, ['x-t']), key({}, '/a', {}, ['x-t']), 'empty is not absent')
  t.not(key({ 'X-T': '1 x-u1:2' }, '/a', {}, ['x-t', 'x-u']), key({ 'X-T': '1', 'X-U': '2' }, '/a', {}, ['x-t', 'x-u']), 'no value reads as two')
  t.not(key({ Cookie: 'a=1; b=2' }, '/a', { cookies: ['a'] }), key({ Cookie: 'a=2; b=2' }, '/a', { cookies: ['a'] }), 'a cookie that the route names')
  t.equal(key({ Cookie: 'a=1; b=2' }, '/a', { cookies: ['a'] }), key({ Cookie: 'b=3; a=1' }, '/a', { cookies: ['a'] }), 'others do not count')
  for (const odd of ['\u00A0a=1', 'a=1\u00A0', 'a=\u00A01', 'a\u00A0=1']) {
    t.not(key({ Cookie: odd }, '/a', { cookies: ['a'] }), key({ Cookie: 'a=1' }, '/a', { cookies: ['a'] }), 'a byte beyond ASCII is no space')
  }
})
