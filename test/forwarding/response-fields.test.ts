import tap from 'tap'
import { malformed } from '../../src/origin/request/response-head.ts'
import { responseFields } from '../../src/forwarding/response-fields.ts'

tap.test('hop-by-hop fields and those that Connection names are not forwarded', async (t) => {
  t.strictSame(responseFields(200, ['connection', 'X-Hop', 'x-hop', '1', 'keep-alive', 'timeout=5', 'transfer-encoding', 'chunked', 'trailer', 'x', 'etag', '"1"']), ['etag',
    '"1"'])
})

tap.test('Connection cannot make a private response storable', async (t) => {
  const lines = ['cache-control', 'private', 'vary', 'cookie', 'set-cookie', 'a=b']
  t.strictSame(responseFields(200, [...lines, 'connection', 'cache-control, vary, set-cookie']), lines)
})

tap.test('a 204 has no Content-Length (RFC 9110 §8.6)', async (t) => {
  t.strictSame(responseFields(204, ['content-length', '5', 'etag', '"1"']), ['etag', '"1"'])
  t.strictSame(responseFields(304, ['content-length', '5']), ['content-length', '5'])
})

tap.test('heads that two readers may read differently are malformed', async (t) => {
  t.ok(malformed(200, ['content-length', '5', 'content-length', '5']))
  t.ok(malformed(200, ['content-length', '5, 5']))
  t.ok(malformed(200, ['content-length', '+5']))
  t.ok(malformed(200, ['content-length', '5', 'transfer-encoding', 'chunked']))
  t.ok(malformed(200, ['transfer-encoding', 'gzip, chunked']))
  for (const coding of ['identity', 'gzip', 'xchunked', 'chunked, identity', 'x, chunked', 'a b', '"chunked"', '', 'chunked;q=1', '\vchunked']) {
    t.ok(malformed(200, ['transfer-encoding', coding]), coding)
  }
  t.ok(malformed(200, ['content-length', '5', 'transfer-encoding', 'abcdef']))
  t.ok(malformed(200, ['transfer-encoding', 'abcdef', 'transfer-encoding', 'chunked']))
  t.equal(malformed(200, ['transfer-encoding', 'abcdef']), undefined, 'a name that codes nothing: to the end of the connection')
  t.ok(malformed(101, []))
  t.ok(malformed(600, []))
  t.ok(malformed(99, []))
  t.equal(malformed(200, ['transfer-encoding', 'Chunked']), undefined)
  t.equal(malformed(200, ['content-length', '5']), undefined)
})
