// The fields of an error response: problem document (RFC 9457), Proxy-Status (RFC 9209) where the error is the proxy's own.
import type { ErrorCode, SpringhouseError } from '../../errors.ts'

// RFC 9110 §15.5.2, RFC 6750 §3.
const challenges: Readonly<Partial<Record<ErrorCode, string>>> = { SESSION_REQUIRED: 'Bearer', TOKEN_INVALID: 'Bearer error="invalid_token"' }

/** The fields of a response that the proxy makes itself: name, value, name, value. */
export function problemFields(error: SpringhouseError, document: string, cacheStatus: string): string[] {
  const fields = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(Buffer.byteLength(document)),
    'cache-control',
    'no-store', // errors of the proxy itself are momentary: no downstream cache may store them
    'cache-status',
    cacheStatus,
  ]
  if (error.proxyError !== undefined) fields.push('proxy-status', `springhouse; error=${error.proxyError}`)
  const challenge = challenges[error.code]
  if (challenge !== undefined) fields.push('www-authenticate', challenge)
  if (error.status === 503) fields.push('retry-after', '1')
  return fields
}
