// An error as a client sees it: a problem document (RFC 9457), with Proxy-Status (RFC 9209) where it is the proxy's own.
import { problemDocument, type ErrorCode, type SpringhouseError } from '../../errors.ts'
import { problemFields } from './problem-fields.ts'
import type { ClientResponse } from './response.ts'
import { sendHead } from './sending.ts'

/**
 * Sends an error in place of a response. If a response has begun, it is truncated, so that the client sees that it is not
 * whole.
 * @param extra more fields: name, value, name, value
 */
export function sendProblem(response: ClientResponse, error: SpringhouseError, cacheStatus: string, extra: readonly string[] = []): void {
  if (response.headersSent) return response.cut()
  const document = problemDocument(error)
  // Nothing more is read on the connection after a request that can be read in two ways: the bytes behind it may be part of it.
  // The same holds after a request whose body has not ended: the rest of the body would be taken for the next request.
  const last = ambiguous.has(error.code) || response.hasUnreadBody
  if (last) response.endConnection()
  const close = last ? ['connection', 'close'] : []
  if (sendHead(response, error.status, [...problemFields(error, document, cacheStatus), ...extra, ...close])) response.end(document)
}

const ambiguous: ReadonlySet<ErrorCode> = new Set(['BAD_REQUEST', 'CODING_NOT_IMPLEMENTED', 'VERSION_NOT_SUPPORTED', 'METHOD_NOT_IMPLEMENTED', 'URI_TOO_LONG', 'FIELDS_TOO_LARGE'])
