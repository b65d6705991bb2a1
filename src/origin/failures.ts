// What went wrong between the proxy and an origin, in the words of the catalogue.
import type { ErrorCode } from '../errors.ts'
import { SpringhouseError } from '../errors.ts'

/**
 * A server's word that it did nothing about a request (RFC 9113 §8.7): it may be sent again, whatever it asks for. Otherwise it
 * is a reset like any other.
 */
export class NotProcessed extends Error {
  readonly code = 'ECONNRESET'
}

/** The code that Node, OpenSSL or undici put on an error, looking into the several attempts of one connect. */
export function systemCode(error: unknown): string {
  if (error instanceof Error) {
    const { code } = error as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    if (error instanceof AggregateError && error.errors.length > 0) return systemCode(error.errors[0])
  }
  return ''
}

const byCode: ReadonlyMap<string, ErrorCode> = new Map([
  ['ECONNREFUSED', 'ORIGIN_REFUSED'],
  ['ENOTFOUND', 'ORIGIN_DNS'],
  ['EAI_AGAIN', 'ORIGIN_DNS'],
  ['EAI_FAIL', 'ORIGIN_DNS'],
  ['EAI_NODATA', 'ORIGIN_DNS'],
  ['EHOSTUNREACH', 'ORIGIN_UNREACHABLE'],
  ['ENETUNREACH', 'ORIGIN_UNREACHABLE'],
  ['EHOSTDOWN', 'ORIGIN_UNREACHABLE'],
  ['ENETDOWN', 'ORIGIN_UNREACHABLE'],
  ['EADDRNOTAVAIL', 'ORIGIN_UNREACHABLE'],
  ['EACCES', 'ORIGIN_UNREACHABLE'],
  ['ETIMEDOUT', 'ORIGIN_CONNECT_TIMEOUT'],
  ['UND_ERR_CONNECT_TIMEOUT', 'ORIGIN_CONNECT_TIMEOUT'],
  ['UND_ERR_HEADERS_TIMEOUT', 'ORIGIN_TIMEOUT'],
  ['UND_ERR_BODY_TIMEOUT', 'ORIGIN_TIMEOUT'],
  ['ECONNRESET', 'ORIGIN_RESET'],
  ['ECONNABORTED', 'ORIGIN_RESET'],
  ['EPIPE', 'ORIGIN_RESET'],
  ['UND_ERR_SOCKET', 'ORIGIN_RESET'],
  ['UND_ERR_CLOSED', 'ORIGIN_UNREACHABLE'],
  ['UND_ERR_DESTROYED', 'ORIGIN_UNREACHABLE'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'ORIGIN_TRUNCATED'],
  ['UND_ERR_HEADERS_OVERFLOW', 'ORIGIN_FIELDS_TOO_LARGE'],
  // What undici will not write is the client's doing: the configuration adds nothing to the bytes.
  ['UND_ERR_INVALID_ARG', 'BAD_REQUEST'],
  ['UND_ERR_NOT_SUPPORTED', 'BAD_REQUEST'],
  ['UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'BAD_REQUEST'],
])

// How Node and OpenSSL name what can be wrong with a certificate, what the other side says is wrong, and the rest.
const certificateCode = /^(?:ERR_TLS_CERT|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH_)/
const tlsAlertCode = /^ERR_SSL_.*_ALERT_/
const tlsCode = /^(?:ERR_TLS|ERR_SSL|EPROTO)/

/**
 * The catalogue's word for an error of a socket, of TLS or of undici. `headSeen`: the response had begun to be passed on,
 * so a connection that broke is a truncated answer.
 */
export function mapOriginError(error: unknown, headSeen = false): SpringhouseError {
  if (error instanceof SpringhouseError) return error
  const code = systemCode(error)
  // undici gives its parser's errors no code that can be told apart, but a name and llhttp's reason.
  if (error instanceof Error && error.name === 'HTTPParserError') {
    const cut = error.message.includes('Invalid EOF state')
    return new SpringhouseError(!cut ? 'ORIGIN_MALFORMED' : headSeen ? 'ORIGIN_TRUNCATED' : 'ORIGIN_RESET', { cause: error })
  }
  // undici's word for a message that nobody asked for, a 100 without an Expect, or an unasked upgrade.
  if (code === 'UND_ERR_SOCKET' && (error as Error).message.startsWith('bad ')) return new SpringhouseError('ORIGIN_MALFORMED', { cause: error })
  return new SpringhouseError(codeOf(code, headSeen), { cause: error })
}

function codeOf(code: string, headSeen: boolean): ErrorCode {
  const known = byCode.get(code)
  if (known === 'ORIGIN_RESET' || known === 'ORIGIN_CONNECT_TIMEOUT') return headSeen ? 'ORIGIN_TRUNCATED' : known
  // Before the head, a length that does not match is undici's word for any parse error after a Content-Length line.
  if (known === 'ORIGIN_TRUNCATED') return headSeen ? known : 'ORIGIN_MALFORMED'
  if (known !== undefined) return known
  if (certificateCode.test(code)) return 'ORIGIN_CERTIFICATE'
  if (tlsAlertCode.test(code)) return 'ORIGIN_TLS_ALERT'
  if (tlsCode.test(code)) return 'ORIGIN_TLS'
  return headSeen ? 'ORIGIN_TRUNCATED' : 'ORIGIN_UNREACHABLE'
}

const connectionFailures: ReadonlySet<ErrorCode> = new Set([
  'ORIGIN_REFUSED', 'ORIGIN_UNREACHABLE', 'ORIGIN_DNS', 'ORIGIN_RESET', 'ORIGIN_TLS', 'ORIGIN_TLS_ALERT', 'ORIGIN_CERTIFICATE',
  'ORIGIN_CONNECT_TIMEOUT',
])

/**
 * Whether it was the connection that failed, rather than what was said over it. Only these are retried, and only these
 * count against a server: one slow or broken resource must not take the server that has it out of the pool.
 */
export function isConnectionFailure(error: SpringhouseError): boolean {
  return connectionFailures.has(error.code)
}
