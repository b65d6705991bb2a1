// Maps failures between the proxy and an origin to codes of the error catalogue.
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import type { ErrorCode } from '../errors.ts'
import { SpringhouseError } from '../errors.ts'

/**
 * Reports that the server did not process the request (RFC 9113 §8.7). Such a request may be sent again, whatever its method.
 * Otherwise this error is a reset like any other.
 */
export class NotProcessed extends Error {
  readonly code = 'ECONNRESET'
}

/** Returns the code that Node, OpenSSL or undici gave an error. For a connect with several attempts, the code of the first. */
export function systemCode(error: unknown): string {
  if (error instanceof Error) {
    const { code } = error as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    if (error instanceof AggregateError && error.errors.length > 0) return systemCode(error.errors[0])
  }
  return ''
}

// This machine has no descriptor, local port or memory left for a connection. Says nothing about the server.
const exhaustionCodes = ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM', 'EAGAIN'] as const

const byCode: ReadonlyMap<string, ErrorCode> = new Map([
  ...exhaustionCodes.map((code): [string, ErrorCode] => [code, 'PROXY_EXHAUSTED']),
  ['ECONNREFUSED', 'ORIGIN_REFUSED'],
  ['ENOTFOUND', 'ORIGIN_DNS'],
  ['EAI_AGAIN', 'ORIGIN_DNS'],
  ['EAI_FAIL', 'ORIGIN_DNS'],
  ['EAI_NODATA', 'ORIGIN_DNS'],
  // glibc's resolver without a descriptor for its configuration.
  ['EBUSY', 'ORIGIN_DNS'],
  ['EHOSTUNREACH', 'ORIGIN_UNREACHABLE'],
  ['ENETUNREACH', 'ORIGIN_UNREACHABLE'],
  ['EHOSTDOWN', 'ORIGIN_UNREACHABLE'],
  ['ENETDOWN', 'ORIGIN_UNREACHABLE'],
  ['EACCES', 'ORIGIN_UNREACHABLE'],
  ['ETIMEDOUT', 'ORIGIN_CONNECT_TIMEOUT'],
  ['UND_ERR_CONNECT_TIMEOUT', 'ORIGIN_CONNECT_TIMEOUT'],
  ['ECONNRESET', 'ORIGIN_RESET'],
  ['ECONNABORTED', 'ORIGIN_RESET'],
  ['EPIPE', 'ORIGIN_RESET'],
  ['UND_ERR_DESTROYED', 'ORIGIN_UNREACHABLE'],
  ['HPE_HEADER_OVERFLOW', 'ORIGIN_FIELDS_TOO_LARGE'],
])

// Codes of Node and OpenSSL for certificate errors, for alerts of the peer, and for other TLS errors.
const certificateCode = /^(?:ERR_TLS_CERT|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH_)/
const tlsAlertCode = /^ERR_SSL_.*_ALERT_/
const tlsCode = /^(?:ERR_TLS|ERR_SSL|EPROTO)/

/**
 * Maps an error of a socket, of TLS or of undici's connector to the catalogue. `headSeen`: forwarding of the response had begun, so a broken
 * connection means a truncated response.
 */
export function mapOriginError(error: unknown, headSeen = false): SpringhouseError {
  if (error instanceof SpringhouseError) return error
  const code = systemCode(error)
  return new SpringhouseError(codeOf(code, headSeen), { cause: error })
}

function codeOf(code: string, headSeen: boolean): ErrorCode {
  const known = byCode.get(code)
  if (known === 'ORIGIN_RESET' || known === 'ORIGIN_CONNECT_TIMEOUT') return headSeen ? 'ORIGIN_TRUNCATED' : known
  if (known === 'ORIGIN_DNS' && !canOpenFiles()) return 'PROXY_EXHAUSTED'
  if (known !== undefined) return known
  // Node's own parser, which reads the responses to upgrades: the message is at fault, and not the connection.
  if (code.startsWith('HPE_')) return code === 'HPE_INVALID_EOF_STATE' ? (headSeen ? 'ORIGIN_TRUNCATED' : 'ORIGIN_RESET') : 'ORIGIN_MALFORMED'
  if (certificateCode.test(code)) return 'ORIGIN_CERTIFICATE'
  if (tlsAlertCode.test(code)) return 'ORIGIN_TLS_ALERT'
  if (tlsCode.test(code)) return 'ORIGIN_TLS'
  return headSeen ? 'ORIGIN_TRUNCATED' : 'ORIGIN_UNREACHABLE'
}

/**
 * Returns whether this process can open one more file. Without a descriptor the resolver reports that no name exists, because
 * it cannot open /etc/hosts or a socket.
 */
function canOpenFiles(): boolean {
  try {
    closeSync(openSync(devNull, 'r'))
    return true
  } catch {
    return false
  }
}

/** Returns whether this machine had no resources for a connection. Such a failure must never count against a server. */
export function isExhaustion(error: SpringhouseError): boolean {
  return error.code === 'PROXY_EXHAUSTED'
}

const connectionFailures: ReadonlySet<ErrorCode> = new Set([
  'ORIGIN_REFUSED',
  'ORIGIN_UNREACHABLE',
  'ORIGIN_DNS',
  'ORIGIN_RESET',
  'ORIGIN_TLS',
  'ORIGIN_TLS_ALERT',
  'ORIGIN_CERTIFICATE',
  'ORIGIN_CONNECT_TIMEOUT',
])

/**
 * Returns whether the connection failed, rather than the message on it. Only connection failures are retried and count against
 * a server: one slow or broken resource must not eject its server from the pool.
 */
export function isConnectionFailure(error: SpringhouseError): boolean {
  return connectionFailures.has(error.code)
}
