// Errors of requests that were passed on, or never became requests: the catalogue's sentence, and no inside address.
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { SpringhouseError } from '../errors.ts'
import { problemDocument } from '../errors.ts'
import { sendProblem } from '../exchange/client/problem.ts'
import { problemFields } from '../exchange/client/problem-fields.ts'
import type { ClientExchange } from '../exchange/client/exchange.ts'
import { linger } from './listener/connection.ts'

/** RFC 9211 §2.2: only a forwarded request has a reason. */
function cacheStatus(error: SpringhouseError): string {
  return error.source === 'origin' ? 'springhouse; fwd=bypass' : 'springhouse'
}

/** Sends an error as an RFC 9457 problem document, or aborts a response that has begun. */
export function writeProblem(exchange: ClientExchange, error: SpringhouseError, extra: readonly string[] = []): void {
  sendProblem(exchange, error, cacheStatus(error), extra)
}

/** The same on a bare socket, for bytes that never became a request. Closes it. */
export function writeRawProblem(socket: Duplex, error: SpringhouseError, extra: readonly string[] = []): void {
  const requestId = randomUUID()
  const document = problemDocument(error, { requestId })
  const lines = [`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`]
  const fields = [...problemFields(error, document, cacheStatus(error)), ...extra, 'x-request-id', requestId, 'connection', 'close']
  for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  linger(socket, `${lines.join('\r\n')}\r\n\r\n${document}`)
}
