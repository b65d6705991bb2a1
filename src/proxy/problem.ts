// Errors as the client sees them: the catalogue's sentence, and no inside address.
import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { SpringhouseError } from '../errors.ts'
import { problemDocument } from '../errors.ts'
import { hasBody } from './body.ts'

/** Who the proxy is in Cache-Status (RFC 9211) and Proxy-Status (RFC 9209). */
export const proxyName = 'springhouse'

/** Name, value, name, value: the head of an answer that the proxy makes itself. */
function problemFields(error: SpringhouseError, body: string): string[] {
  const fields = [
    'Content-Type', 'application/problem+json',
    'Content-Length', String(Buffer.byteLength(body)),
    'Cache-Control', 'no-store',
    // RFC 9211 §2.2: only a request that was forwarded says why.
    'Cache-Status', error.source === 'origin' ? `${proxyName}; fwd=bypass` : proxyName,
  ]
  if (error.proxyError !== undefined) fields.push('Proxy-Status', `${proxyName}; error=${error.proxyError}`)
  return fields
}

/**
 * Answers with an error, as an RFC 9457 problem document. Where an answer has begun already nothing honest can be said any
 * more, and the connection is cut, so that the client sees that it is not whole.
 */
export function writeProblem(response: ServerResponse, error: SpringhouseError, extra: readonly string[] = []): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = problemDocument(error)
  const fields = problemFields(error, body)
  fields.push(...extra)
  // What is left of the request's body would be taken for the next request.
  if (!response.req.complete && hasBody(response.req)) fields.push('Connection', 'close')
  response.writeHead(error.status, fields)
  response.end(body)
}

/** The same on a bare socket, for what never became a request. Closes it. */
export function writeRawProblem(socket: Duplex, error: SpringhouseError): void {
  const body = problemDocument(error)
  const lines = [`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`]
  const fields = [...problemFields(error, body), 'Connection', 'close']
  for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
