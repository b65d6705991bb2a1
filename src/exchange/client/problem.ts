// An error as a client sees it: a problem document (RFC 9457), with Proxy-Status (RFC 9209) where it is the proxy's own.
import { problemDocument, type ErrorCode, type SpringhouseError } from '../../errors.ts'
import { problemFields } from './problem-fields.ts'
import type { ClientExchange } from './exchange.ts'
import { sendHead } from './sending.ts'

/**
 * Sends an error in place of a response. If a response has begun, it is truncated, so that the client sees that it is not
 * whole.
 * @param extra more fields: name, value, name, value
 */
export function sendProblem(exchange: ClientExchange, error: SpringhouseError, cacheStatus: string, extra: readonly string[] = []): void {
  const { response } = exchange
  if (response.headersSent || response.hasLeft) return response.cut()
  exchange.outcome = 'error'
  const document = problemDocument(error, { requestId: exchange.requestId })
  // Nothing more is read on the connection after a request that could be read in two ways, for what stands behind it may be part
  // of it; nor after one whose body has not come to its end, for what is left of it would be taken for the next.
  const last = ambiguous.has(error.code) || response.hasUnreadBody
  if (last) response.endConnection()
  const close = last ? ['connection', 'close'] : []
  if (!sendHead(exchange, error.status, [...problemFields(error, document, cacheStatus), ...extra, ...close])) return
  exchange.bodyBytes += Buffer.byteLength(document)
  response.end(document)
}

const ambiguous: ReadonlySet<ErrorCode> = new Set(['BAD_REQUEST', 'CODING_NOT_IMPLEMENTED', 'VERSION_NOT_SUPPORTED', 'METHOD_NOT_IMPLEMENTED', 'URI_TOO_LONG', 'FIELDS_TOO_LARGE'])
