import tap from 'tap'
import { SpringhouseError } from '../../src/errors.ts'
import { isConnectionFailure, mapOriginError } from '../../src/origin/failures.ts'

function coded(code: string): Error {
  return Object.assign(new Error('connect 10.0.0.1:80'), { code })
}

tap.test('errors of sockets, DNS and TLS have their place in the catalogue', async (t) => {
  const cases = {
    ECONNREFUSED: 'ORIGIN_REFUSED',
    ENOTFOUND: 'ORIGIN_DNS',
    EAI_AGAIN: 'ORIGIN_DNS',
    EHOSTUNREACH: 'ORIGIN_UNREACHABLE',
    ETIMEDOUT: 'ORIGIN_CONNECT_TIMEOUT',
    UND_ERR_CONNECT_TIMEOUT: 'ORIGIN_CONNECT_TIMEOUT',
    ECONNRESET: 'ORIGIN_RESET',
    EPIPE: 'ORIGIN_RESET',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'ORIGIN_CERTIFICATE',
    CERT_HAS_EXPIRED: 'ORIGIN_CERTIFICATE',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'ORIGIN_CERTIFICATE',
    ERR_TLS_CERT_ALTNAME_INVALID: 'ORIGIN_CERTIFICATE',
    EPROTO: 'ORIGIN_TLS',
    ERR_SSL_WRONG_VERSION_NUMBER: 'ORIGIN_TLS',
    ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'ORIGIN_TLS_ALERT',
    UND_ERR_DESTROYED: 'ORIGIN_UNREACHABLE',
    HPE_HEADER_OVERFLOW: 'ORIGIN_FIELDS_TOO_LARGE',
    HPE_INVALID_CONSTANT: 'ORIGIN_MALFORMED',
    EWHATEVER: 'ORIGIN_UNREACHABLE',
  }
  for (const [code, expected] of Object.entries(cases)) {
    const error = mapOriginError(coded(code))
    t.equal(error.code, expected, code)
    t.notMatch(error.message, /10\.0\.0\.1/, 'the sentence names no address')
    t.ok(error.cause, 'the log has the cause')
  }
})

tap.test('several failed attempts of one connect count as the first', async (t) => {
  t.equal(mapOriginError(new AggregateError([coded('ECONNREFUSED'), coded('EHOSTUNREACH')])).code, 'ORIGIN_REFUSED')
})

tap.test('once the head was forwarded, a broken connection is a truncated response', async (t) => {
  for (const code of ['ECONNRESET', 'EPIPE', 'ETIMEDOUT']) t.equal(mapOriginError(coded(code), true).code, 'ORIGIN_TRUNCATED', code)
})

tap.test('a malformed message is not a failure of its connection', async (t) => {
  t.ok(isConnectionFailure(new SpringhouseError('ORIGIN_REFUSED')))
  for (const code of ['ORIGIN_TIMEOUT', 'ORIGIN_MALFORMED', 'ORIGIN_TRUNCATED', 'BAD_REQUEST', 'CLIENT_GONE'] as const)
    t.notOk(isConnectionFailure(new SpringhouseError(code)), code)
})
