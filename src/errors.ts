// The catalogue of errors: code, status, source, and the only sentence that a client sees.

/** The party that caused an error. Decides log level and metric label. */
export type ErrorSource = 'client' | 'origin' | 'store' | 'config' | 'internal'

interface CatalogueRow {
  readonly status: number
  readonly source: ErrorSource
  /** Safe for anyone to read: names no address, path or version. */
  readonly sentence: string
  /** RFC 9209 §2.3 proxy error type, for Proxy-Status. */
  readonly proxyError?: string
}

const catalogue = {
  ORIGIN_REFUSED: { status: 502, source: 'origin', sentence: 'The origin server refused the connection.', proxyError: 'connection_refused' },
  ORIGIN_UNREACHABLE: { status: 502, source: 'origin', sentence: 'The origin server could not be reached.', proxyError: 'destination_unavailable' },
  ORIGIN_DNS: { status: 502, source: 'origin', sentence: 'The name of the origin server could not be resolved.', proxyError: 'dns_error' },
  ORIGIN_RESET: { status: 502, source: 'origin', sentence: 'The origin server closed the connection before it sent a response.', proxyError: 'connection_terminated' },
  ORIGIN_TRUNCATED: { status: 502, source: 'origin', sentence: 'The response of the origin server is incomplete.', proxyError: 'http_response_incomplete' },
  ORIGIN_MALFORMED: { status: 502, source: 'origin', sentence: 'The response of the origin server is not valid HTTP.', proxyError: 'http_protocol_error' },
  ORIGIN_FIELDS_TOO_LARGE: { status: 502, source: 'origin', sentence: 'The response of the origin server has too many or too large header fields.',
    proxyError: 'http_response_header_section_size' },
  ORIGIN_TLS: { status: 502, source: 'origin', sentence: 'A secure connection to the origin server could not be made.', proxyError: 'tls_protocol_error' },
  ORIGIN_TLS_ALERT: { status: 502, source: 'origin', sentence: 'The origin server refused the secure connection.', proxyError: 'tls_alert_received' },
  ORIGIN_CERTIFICATE: { status: 502, source: 'origin', sentence: 'The certificate of the origin server could not be verified.', proxyError: 'tls_certificate_error' },
  ORIGIN_CONNECT_TIMEOUT: { status: 504, source: 'origin', sentence: 'The origin server did not accept the connection in time.', proxyError: 'connection_timeout' },
  ORIGIN_TIMEOUT: { status: 504, source: 'origin', sentence: 'The origin server did not respond in time.', proxyError: 'http_response_timeout' },
  ORIGIN_BUSY: { status: 503, source: 'origin', sentence: 'Every connection to the origin servers is in use.', proxyError: 'connection_limit_reached' },
  PROXY_EXHAUSTED: { status: 503, source: 'internal', sentence: 'The proxy has no resources left for a connection to the origin server.', proxyError: 'proxy_internal_error' },
  PROXY_BUSY: { status: 503, source: 'internal', sentence: 'The proxy serves as many clients as it can.', proxyError: 'proxy_internal_response' },
  NO_ROUTE: { status: 404, source: 'client', sentence: 'No route matches this host and path.', proxyError: 'destination_not_found' },
  NOT_CACHED: { status: 504, source: 'client', sentence: 'The request allows only a stored response, and no usable one is stored.', proxyError: 'proxy_internal_response' },
  BAD_REQUEST: { status: 400, source: 'client', sentence: 'The request is not valid HTTP.', proxyError: 'http_request_error' },
  METHOD_NOT_IMPLEMENTED: { status: 501, source: 'client', sentence: 'This method is not supported here.', proxyError: 'http_request_denied' },
  CODING_NOT_IMPLEMENTED: { status: 501, source: 'client', sentence: 'A transfer coding other than chunked is not supported here.', proxyError: 'http_request_error' },
  VERSION_NOT_SUPPORTED: { status: 505, source: 'client', sentence: 'This version of HTTP is not supported here.', proxyError: 'http_request_error' },
  METHOD_NOT_ALLOWED: { status: 405, source: 'client', sentence: 'This method is not allowed here.', proxyError: 'http_request_denied' },
  LOOP: { status: 508, source: 'client', sentence: 'The request has passed through this proxy before.', proxyError: 'proxy_loop_detected' },
  URI_TOO_LONG: { status: 414, source: 'client', sentence: 'The request target is too long.', proxyError: 'http_request_error' },
  FIELDS_TOO_LARGE: { status: 431, source: 'client', sentence: 'The request has too many or too large header fields.', proxyError: 'http_request_error' },
  REQUEST_TIMEOUT: { status: 408, source: 'client', sentence: 'The request did not arrive in time.', proxyError: 'http_request_error' },
  CLIENT_GONE: { status: 499, source: 'client', sentence: 'The client closed the connection.' },
  STORE_UNAVAILABLE: { status: 503, source: 'store', sentence: 'The shared store cannot be reached.' },
  PURGE_NOT_WRITTEN: { status: 503, source: 'store', sentence: 'The purge could not be recorded, and nothing was purged.' },
  PURGE_UNCONFIRMED: { status: 503, source: 'store', sentence: 'The purge may not have been recorded. Repeat it.' },
  SESSION_REQUIRED: { status: 401, source: 'client', sentence: 'This resource needs a user who is logged in.', proxyError: 'http_request_denied' },
  TOKEN_INVALID: { status: 401, source: 'client', sentence: 'The bearer token is not valid.', proxyError: 'http_request_denied' },
  CSRF_REFUSED: { status: 403, source: 'client', sentence: 'Requests from other web sites are refused.', proxyError: 'http_request_denied' },
  SESSION_CONFLICT: { status: 409, source: 'client', sentence: 'The session has changed since the request began.', proxyError: 'proxy_internal_response' },
  SESSION_GONE: { status: 409, source: 'client', sentence: 'The session of this request has ended.', proxyError: 'proxy_internal_response' },
  SESSION_LIMIT: { status: 429, source: 'client', sentence: 'Too many sessions.', proxyError: 'proxy_internal_response' },
  SESSION_INSTRUCTION_INVALID: { status: 502, source: 'origin', sentence: 'The origin server requested a change of the session that is not allowed.',
    proxyError: 'proxy_internal_response' },
  SESSION_UNAVAILABLE: { status: 503, source: 'store', sentence: 'The session or token cannot be checked for the moment.', proxyError: 'proxy_internal_response' },
  SESSION_NOT_WRITTEN: { status: 503, source: 'store', sentence: 'The change of the session could not be written.', proxyError: 'proxy_internal_response' },
  SESSION_UNCONFIRMED: { status: 503, source: 'store', sentence: 'The change of the session may not have been written.', proxyError: 'proxy_internal_response' },
  BAD_ADMIN_REQUEST: { status: 400, source: 'client', sentence: 'The request is not valid for this endpoint.' },
  ADMIN_THROTTLED: { status: 429, source: 'client', sentence: 'Too many requests with a token that is not valid came from this address.' },
  UNAUTHENTICATED: { status: 401, source: 'client', sentence: 'A valid token is needed, as a bearer token or by a login.' },
  FORBIDDEN: { status: 403, source: 'client', sentence: 'The token lacks the required scope.' },
  TOO_MANY_STREAMS: { status: 503, source: 'client', sentence: 'Too many event streams are open.' },
  NOT_FOUND: { status: 404, source: 'client', sentence: 'This path does not exist.' },
  FOREIGN_ORIGIN: { status: 403, source: 'client', sentence: 'Requests from other web sites are refused.' },
  MISDIRECTED: { status: 421, source: 'client', sentence: 'This listener does not serve that host name.' },
  PAYLOAD_TOO_LARGE: { status: 413, source: 'client', sentence: 'The request body is too large.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, source: 'client', sentence: 'This endpoint does not accept the content type of the request body.' },
  NOT_READY: { status: 503, source: 'internal', sentence: 'The proxy is starting or shutting down.' },
  CONFIG_INVALID: { status: 422, source: 'config', sentence: 'The configuration is not valid.' },
  INTERNAL: { status: 500, source: 'internal', sentence: 'The proxy has an internal error.', proxyError: 'proxy_internal_error' },
} as const satisfies Record<string, CatalogueRow>

export type ErrorCode = keyof typeof catalogue

/** The catalogue, for the reference and its test. */
export const errorCatalogue: Readonly<Record<ErrorCode, CatalogueRow>> = catalogue

/**
 * An error from the catalogue. `message` is the catalogue's sentence and may be shown to any client. `cause` and `detail` are
 * for the log only.
 */
export class SpringhouseError extends Error {
  readonly code: ErrorCode
  readonly detail: string | undefined

  constructor(code: ErrorCode, options: { cause?: unknown; detail?: string } = {}) {
    super(catalogue[code].sentence, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SpringhouseError'
    this.code = code
    this.detail = options.detail
  }

  get status(): number {
    return catalogue[this.code].status
  }

  get source(): ErrorSource {
    return catalogue[this.code].source
  }

  /** The RFC 9209 §2.3 error type; undefined if a proxy does not report this error. */
  get proxyError(): string | undefined {
    return errorCatalogue[this.code].proxyError
  }
}

/** Returns the RFC 9457 problem document for an error as JSON text. */
export function problemDocument(error: SpringhouseError, extra?: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ type: 'about:blank', title: error.message, status: error.status, code: error.code, ...extra })
}

/** Makes a missing case of a closed union a compile error, and an exception at run time. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
