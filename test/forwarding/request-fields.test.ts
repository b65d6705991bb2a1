import tap from 'tap'
import { fieldLineValues, fieldValue, hasField } from '../../src/http/fields.ts'
import { forwardFields } from '../../src/forwarding/request-fields.ts'
import { steeringFields } from '../../src/forwarding/untrusted-fields.ts'
import type { RequestContext } from '../../src/forwarding/request-context.ts'

const stranger: RequestContext = { address: '203.0.113.9', scheme: 'http', httpVersion: '1.1', trusted: false, requestId: 'made-here' }
const balancer: RequestContext = { ...stranger, address: '10.0.0.2', trusted: true, requestId: 'theirs' }

function send(client: RequestContext, ...lines: string[]): string[] {
  return forwardFields(['host', 'api.example.com', ...lines], client, 'springhouse')
}

tap.test("the origin receives the client's address, the scheme and the host", async (t) => {
  t.strictSame(send(stranger, 'accept', '*/*'), [
    'host',
    'api.example.com',
    'accept',
    '*/*',
    'x-forwarded-for',
    '203.0.113.9',
    'x-forwarded-proto',
    'http',
    'x-forwarded-host',
    'api.example.com',
    'x-forwarded-port',
    '80',
    'x-real-ip',
    '203.0.113.9',
    'forwarded',
    'for=203.0.113.9;host="api.example.com";proto=http',
    'via',
    '1.1 springhouse',
    'cdn-loop',
    'springhouse',
    'x-request-id',
    'made-here',
  ])
})

tap.test("an untrusted client's statements about earlier hops are replaced, not appended to", async (t) => {
  const sent = send(stranger, 'x-forwarded-for', '1.1.1.1', 'x-forwarded-proto', 'https', 'x-forwarded-host', 'evil.example', 'forwarded', 'for=1.1.1.1', 'x-request-id', 'forged')
  t.equal(fieldValue(sent, 'x-forwarded-for'), '203.0.113.9')
  t.equal(fieldValue(sent, 'x-forwarded-proto'), 'http')
  t.equal(fieldValue(sent, 'x-forwarded-host'), 'api.example.com')
  t.equal(fieldValue(sent, 'forwarded'), 'for=203.0.113.9;host="api.example.com";proto=http')
  t.equal(fieldValue(sent, 'x-request-id'), 'made-here')
})

tap.test("a trusted client's lists are appended to, and its scheme and host are kept", async (t) => {
  const sent = send(balancer, 'x-forwarded-for', '1.1.1.1', 'x-forwarded-for', '2.2.2.2', 'x-forwarded-proto', 'https', 'x-forwarded-host', 'www.example.com', 'forwarded',
    'for=1.1.1.1')
  t.strictSame(fieldLineValues(sent, 'x-forwarded-for'), ['1.1.1.1, 2.2.2.2, 10.0.0.2'])
  t.strictSame(fieldLineValues(sent, 'x-forwarded-proto'), ['https'])
  t.strictSame(fieldLineValues(sent, 'x-forwarded-host'), ['www.example.com'])
  t.equal(fieldValue(sent, 'forwarded'),
    'for=1.1.1.1;host="www.example.com";proto=http, for=2.2.2.2;host="www.example.com";proto=http, for=10.0.0.2;host="api.example.com";proto=http', 'X-Forwarded-For counts')
})

tap.test('every field that steers an origin stays behind, unless a trusted client sent it', async (t) => {
  for (const name of steeringFields) {
    t.notOk(fieldLineValues(send(stranger, name, 'odd'), name).includes('odd'), name)
    t.ok(fieldLineValues(send(balancer, name, 'odd'), name).includes('odd'), `${name}, trusted`)
  }
})

tap.test('a spelling that CGI reads as the same variable stays behind too', async (t) => {
  for (const name of [
    'x_forwarded_for',
    'x_real_ip',
    'x_http_method_override',
    'x-forwarded_proto',
    'x.forwarded.host',
    'x.original.url',
    "x'host",
    'content_length',
    'content.length',
    'transfer_encoding',
    'if_none_match',
    'accept_encoding',
    'cache_control',
    'x_request_id',
    'keep_alive',
  ]) t.notOk(hasField(send(stranger, name, 'x'), name), name)
  for (const name of ['my_own_field', 'my.own.field', 'api_key']) t.ok(hasField(send(stranger, name, 'x'), name), name)
})

tap.test('fields in which other proxies describe the first request steer too', async (t) => {
  for (const name of ['x-original-forwarded-host', 'x-original-forwarded-proto', 'x-original-authority', 'x-envoy-original-host', 'x-envoy-original-method', 'x-replaced-path',
    'x-ms-original-url', 'x-waws-unencoded-url', 'x-requested-method']) {
    t.notOk(hasField(send(stranger, name, 'x'), name), name)
  }
})
tap.test('Connection removes no field by which a trusted client steers, because it is in the key', async (t) => {
  t.ok(hasField(send(balancer, 'connection', 'x-forwarded-prefix, x-own', 'x-forwarded-prefix', '/app', 'x-own', '1'), 'x-forwarded-prefix'))
  t.notOk(hasField(send(balancer, 'connection', 'x-own', 'x-own', '1'), 'x-own'))
})

tap.test('hop-by-hop fields and those that Connection names go no further (RFC 9110 §7.6.1)', async (t) => {
  const sent = send(
    stranger,
    'connection',
    'close, X-Secret',
    'x-secret',
    '1',
    'keep-alive',
    'timeout=5',
    'te',
    'trailers',
    'trailer',
    'x',
    'transfer-encoding',
    'chunked',
    'upgrade',
    'h2c',
    'http2-settings',
    'AAA',
    'proxy-authorization',
    'Basic x',
    'proxy-connection',
    'keep-alive',
    'expect',
    '100-continue',
    'x-kept',
    '1',
  )
  for (const name of ['connection', 'x-secret', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings', 'proxy-authorization', 'proxy-connection',
    'expect']) {
    t.notOk(hasField(sent, name), name)
  }
  t.ok(hasField(sent, 'x-kept'))
})

tap.test('Connection cannot remove fields that decide on access and storing, nor those that the proxy adds', async (t) => {
  const guarded = ['host', 'authorization', 'cookie', 'cache-control', 'content-length', 'range', 'accept-encoding', 'x-forwarded-for', 'x-forwarded-proto', 'forwarded', 'via',
    'cdn-loop', 'x-request-id']
  const sent = send(stranger, 'authorization', 'Bearer x', 'cookie', 'a=b', 'cache-control', 'no-cache', 'content-length', '0', 'range', 'bytes=0-1', 'accept-encoding', 'gzip',
    'connection', guarded.join(', '))
  for (const name of guarded) t.ok(hasField(sent, name), name)
})

tap.test('an IPv6 address is bracketed and quoted in Forwarded (RFC 7239 §6)', async (t) => {
  const sent = send({ ...stranger, address: '2001:db8::1', scheme: 'https' })
  t.equal(fieldValue(sent, 'forwarded'), 'for="[2001:db8::1]";host="api.example.com";proto=https')
  t.equal(fieldValue(sent, 'x-forwarded-for'), '2001:db8::1')
})

tap.test('a Host that would break out of its quotes is escaped', async (t) => {
  const sent = forwardFields(['host', 'a";for=1.1.1.1'], stranger, 'springhouse')
  t.equal(fieldValue(sent, 'forwarded'), 'for=203.0.113.9;host="a\\";for=1.1.1.1";proto=http')
})

tap.test('Via names the version in which the client spoke, after the hops before', async (t) => {
  const sent = send({ ...stranger, httpVersion: '1.0' }, 'via', '1.1 edge')
  t.equal(fieldValue(sent, 'via'), '1.1 edge, 1.0 springhouse')
})

tap.test('CDN-Loop keeps its members, whatever they are, and Connection does not remove it (RFC 8586 §2)', async (t) => {
  const sent = send(stranger, 'cdn-loop', 'other.example; a="b', 'connection', 'CDN-Loop', 'cdn-loop', 'springhouse;x=1')
  t.strictSame(fieldLineValues(sent, 'cdn-loop'), ['other.example; a="b', 'springhouse;x=1', 'springhouse'])
})

tap.test('a client without Host gets none invented for it', async (t) => {
  const sent = forwardFields(['accept', '*/*'], stranger, 'springhouse')
  t.notOk(hasField(sent, 'host'))
  t.notOk(hasField(sent, 'x-forwarded-host'))
  t.equal(fieldValue(sent, 'forwarded'), 'for=203.0.113.9;proto=http')
})

tap.test('lines of one name stay apart and in order', async (t) => {
  t.strictSame(fieldLineValues(send(stranger, 'x-many', '1', 'accept', '*/*', 'x-many', '2'), 'x-many'), ['1', '2'])
})
