// Sends every error of the admin listener as an RFC 9457 problem.
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { problemDocument, SpringhouseError, type ErrorCode } from '../errors.ts'

/** A problem of a request. `path` is like `urls[0]`; empty for the whole body or query. */
export interface RequestError {
  readonly path: string
  readonly message: string
}

/**
 * An error from the catalogue with more information for the client. Unlike `SpringhouseError.detail`, `members` are sent: the
 * client has a token, or the members describe only its own request.
 */
export class AdminProblem extends SpringhouseError {
  /** Members to add to the problem document. */
  readonly members: Readonly<Record<string, unknown>>
  /** Response fields to add. */
  readonly fields: Readonly<Record<string, string>>

  constructor(code: ErrorCode, members: Readonly<Record<string, unknown>> = {}, fields: Readonly<Record<string, string>> = {}) {
    super(code)
    this.members = members
    this.fields = fields
  }
}

/** Returns a 400 that lists every problem. */
export function requestProblem(errors: readonly RequestError[]): AdminProblem {
  return new AdminProblem('BAD_ADMIN_REQUEST', { errors })
}

/** Maps error codes of Fastify to problems. */
function frameworkProblem(code: string, bodyLimit: number | undefined): AdminProblem | undefined {
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new AdminProblem('UNSUPPORTED_MEDIA_TYPE', { detail: 'Send JSON, with content-type: application/json.' }, { accept: 'application/json' })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new AdminProblem('PAYLOAD_TOO_LARGE', bodyLimit === undefined ? {} : { detail: `The limit is ${bodyLimit} bytes.` })
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return requestProblem([{ path: '', message: 'does not have the length of its Content-Length' }])
    case 'FST_ERR_BAD_URL':
      return requestProblem([{ path: '', message: 'the path has a malformed percent-encoding' }])
    default:
      return undefined
  }
}

function asProblem(error: unknown, bodyLimit?: number): SpringhouseError {
  if (error instanceof SpringhouseError) return error
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  return frameworkProblem(code, bodyLimit) ?? new SpringhouseError('INTERNAL', { cause: error })
}

/** Sends a problem document, as bytes, so that Fastify adds no charset (RFC 8259 §11: JSON has none). */
export function replyWithProblem(reply: FastifyReply, error: SpringhouseError): FastifyReply {
  const members = error instanceof AdminProblem ? error.members : {}
  if (error instanceof AdminProblem) reply.headers(error.fields)
  return reply
    .code(error.status)
    .header('cache-control', 'no-store')
    .header('content-type', 'application/problem+json')
    .send(Buffer.from(problemDocument(error, members)))
}

/** The error handler of the listener: logs errors that the client did not cause, and sends the catalogue's sentence. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = asProblem(thrown, request.routeOptions.bodyLimit)
  if (error.source === 'internal') request.log.error({ err: thrown, code: error.code, token: request.tokenName, url: request.url }, 'admin request failed')
  else if (error.status >= 500) request.log.warn({ err: thrown, code: error.code, token: request.tokenName, url: request.url, detail: error.detail }, 'admin request not completed')
  void replyWithProblem(reply, error)
}

/** Responds to bytes that the HTTP parser refused, before there is a request. */
export function answerParserError(error: Error & { code?: string }, socket: Socket): void {
  if (socket.writable && error.code !== 'ECONNRESET') {
    const problem = new SpringhouseError(
      error.code === 'HPE_HEADER_OVERFLOW' ? 'FIELDS_TOO_LARGE' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'REQUEST_TIMEOUT' : 'BAD_REQUEST',
    )
    const body = problemDocument(problem)
    socket.write(
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: application/problem+json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroy()
}
