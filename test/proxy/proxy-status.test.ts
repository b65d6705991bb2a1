// RFC 9209: the proxy's report of its own errors, and members of others left as they are.
import t from 'tap'
import { errorCatalogue, SpringhouseError } from '../../src/errors.ts'
import { problemFields } from '../../src/exchange/client/problem-fields.ts'
import { fieldValue } from '../../src/http/fields.ts'
import { counting, startProxy } from '../support/proxy.ts'

/** RFC 9209 §2.3: the registered types, and the status that each recommends; undefined: any that fits. */
const registered: Readonly<Record<string, number | undefined>> = {
  dns_timeout: 504,
  dns_error: 502,
  destination_not_found: 500,
  destination_unavailable: 503,
  destination_ip_prohibited: 502,
  destination_ip_unroutable: 502,
  connection_refused: 502,
  connection_terminated: 502,
  connection_timeout: 504,
  connection_read_timeout: 504,
  connection_write_timeout: 504,
  connection_limit_reached: 503,
  tls_protocol_error: 502,
  tls_certificate_error: 502,
  tls_alert_received: 502,
  http_request_error: undefined,
  http_request_denied: 403,
  http_response_incomplete: 502,
  http_response_header_section_size: 502,
  http_response_header_size: 502,
  http_response_body_size: 502,
  http_response_trailer_section_size: 502,
  http_response_trailer_size: 502,
  http_response_transfer_coding: 502,
  http_response_content_coding: 502,
  http_response_timeout: 504,
  http_upgrade_failed: 502,
  http_protocol_error: 502,
  proxy_internal_response: undefined,
  proxy_internal_error: 500,
  proxy_configuration_error: 500,
  proxy_loop_detected: 502,
}

// Where the status says more than the one that the registry recommends.
const ownStatus: Readonly<Record<string, string>> = {
  ORIGIN_UNREACHABLE: '502: a gateway without an answer; 503 would promise that it is a matter of time',
  NO_ROUTE: '404: as every server says of a host or path that it does not have',
  LOOP: '508: RFC 5842 §7.2 has a status of its own for it',
  PROXY_EXHAUSTED: '503: it is over as soon as other connections close',
  METHOD_NOT_ALLOWED: '405: RFC 9110 §15.5.6',
  SESSION_REQUIRED: '401: RFC 9110 §15.5.2, the request may be sent again with credentials',
  TOKEN_INVALID: '401: RFC 6750 §3.1',
  METHOD_NOT_IMPLEMENTED: '501: RFC 9110 §15.6.2',
}

t.test('every error that a proxy reports of itself has a registered type, and its status or a reason for another', async t => {
  for (const [code, { status, proxyError, source }] of Object.entries(errorCatalogue)) {
    if (source === 'origin') t.ok(proxyError, `${code} says what went wrong`)
    if (proxyError === undefined) continue
    t.ok(Object.hasOwn(registered, proxyError), `${code}: ${proxyError}`)
    const recommended = registered[proxyError]
    if (recommended !== undefined) t.equal(status !== recommended, code in ownStatus, `${code}: ${status}`)
  }
})

t.test("a member holds this proxy's name and the type, and nothing about the inside", async t => {
  const error = new SpringhouseError('ORIGIN_REFUSED', { cause: new Error('connect 10.0.0.1:80'), detail: 'api-1.internal' })
  t.equal(fieldValue(problemFields(error, '{}', 'springhouse'), 'proxy-status'), 'springhouse; error=connection_refused')
})

t.test('members of an origin side pass on, by either way, and are not stored for others', async t => {
  const house = await startProxy(t, { origin: counting({ 'Cache-Control': 'max-age=60', 'Proxy-Status': ['inner.example; received-status=200', 'outer; details="x, y"'] }) })
  const members = 'inner.example; received-status=200, outer; details="x, y"'
  t.equal((await house.get('/a')).header('proxy-status'), members, 'through the cache')
  t.equal((await house.get('/a', {}, { method: 'OPTIONS' })).header('proxy-status'), members, 'past it')
  t.equal((await house.get('/a')).header('proxy-status'), undefined, 'they describe one passage')
})

t.test("a response that may only come from cache says that it is the proxy's own", async t => {
  const house = await startProxy(t, { origin: counting({}) })
  const refused = await house.get('/a', { 'Cache-Control': 'only-if-cached' })
  t.equal(refused.header('proxy-status'), 'springhouse; error=proxy_internal_response')
  t.equal(refused.header('cache-status'), 'springhouse; detail=only-if-cached')
})
