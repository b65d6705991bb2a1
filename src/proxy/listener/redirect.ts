// The HTTP listener beside HTTPS: it redirects every request, and serves none.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { SpringhouseError, problemDocument } from '../../errors.ts'
import { sendFixed } from '../../exchange/client/sending.ts'
import { Http1Response } from './http1-response.ts'

// As in the admission of requests: no user information, and nothing that ends an authority.
const validAuthority = /^([\w.~-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/i
const timeoutMs = 10_000

export interface RedirectOptions {
  /** The port of the HTTPS listener. */
  readonly httpsPort: () => number
  readonly maxHeaderBytes: number
  readonly maxConnections: number
}

/** Returns a server that is not listening yet. A connection carries one request. */
export function createRedirect({ httpsPort, maxHeaderBytes, maxConnections }: RedirectOptions): Server {
  const server = createServer(
    { ServerResponse: Http1Response, maxHeaderSize: maxHeaderBytes, requestTimeout: timeoutMs, headersTimeout: timeoutMs, connectionsCheckingInterval: 1_000,
      requireHostHeader: false },
    (request, response) => redirect(request, response, server, httpsPort()),
  )
  server.maxConnections = maxConnections
  return server
}

function redirect(request: IncomingMessage, response: Http1Response, server: Server, httpsPort: number): void {
  const { method = '', url = '' } = request
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url)
  const hosts = request.rawHeaders.filter((_, i) => i % 2 === 1 && request.rawHeaders[i - 1]?.toLowerCase() === 'host')
  const authority = absolute?.[1] ?? hosts[0] ?? ''
  const target = absolute === null ? url : (absolute[2] ?? '').replace(/^(?!\/)/, '/')
  const [, host, port] = validAuthority.exec(authority) ?? []
  if (host === undefined || hosts.length > 1 || !target.startsWith('/') || /[^!-~]/.test(target)) {
    const body = problemDocument(new SpringhouseError('BAD_REQUEST'))
    return sendFixed(response, 400, ['content-type', 'application/problem+json', 'connection', 'close'], body)
  }
  const location = `https://${host}${shownPort(httpsPort, port !== undefined, server)}${target}`
  // 301 lets clients turn a POST into a GET (RFC 9110 §15.4.2); 308 does not.
  const status = method === 'GET' || method === 'HEAD' ? 301 : 308
  sendFixed(response, status, ['location', location, 'content-length', '0', 'connection', 'close', 'cache-control', 'max-age=300'])
}

/** Without a port in the request, on another port than 80, ports are mapped: then HTTPS is on its own default port outside. */
function shownPort(httpsPort: number, hasPort: boolean, server: Server): string {
  const address = server.address()
  const isMapped = !hasPort && typeof address === 'object' && address?.port !== 80
  return httpsPort === 443 || isMapped ? '' : `:${httpsPort}`
}
