// The node:http server under Fastify: its limits, and its handling of bytes that never become a request.
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import { sendContinue } from '../../exchange/client/sending.ts'
import { hasBody } from '../admission/framing.ts'
import { allow, unknownMethod } from '../admission/methods.ts'
import { CertificateChoice } from './certificates.ts'
import type { Dispatch } from './client-request.ts'
import { isBehindTheEnd, isLingering } from './connection.ts'
import { Http1Response } from './http1-response.ts'
import { openSockets } from './open-sockets.ts'
import type { ProxyOptions } from './options.ts'
import { countPipelined, hasWaiting } from './pipelining.ts'
import { writeRawProblem } from '../problem.ts'
import { responseOn, isWebSocketHandshake } from '../pass/websocket.ts'

/** How often Node checks for requests that take too long; 30 s by default. */
const timeoutsCheckedEveryMs = 1_000

/**
 * Returns a server that is not listening yet.
 * @param isLast returns true if each connection is to be closed behind its next response
 * @param certificates for TLS, to be renewed by the caller
 */
export function createListener(options: ProxyOptions, isLast: () => boolean, dispatch: Dispatch, certificates?: CertificateChoice): Server {
  const onRequest = (request: IncomingMessage, response: Http1Response): void => {
    // This request gets no response: the connection is closed behind the response before it.
    if (isBehindTheEnd(request)) return
    if (response.socket === null) countPipelined(request, response)
    if (isLast()) response.shouldKeepAlive = false
    dispatch(request, response)
  }
  const { requestMs, headersMs, keepAliveMs } = options.timeouts
  const limits = {
    ServerResponse: Http1Response,
    maxHeaderSize: options.maxHeaderBytes,
    // Node's own limit would be for a whole body, however large: see upload-timeout.ts.
    requestTimeout: 0,
    headersTimeout: requestMs === 0 ? headersMs : Math.min(headersMs, requestMs),
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: timeoutsCheckedEveryMs,
    // Checked by `validateRequest`, whose error becomes a problem.
    requireHostHeader: false,
  }
  const { tls } = options
  const server = tls === undefined ? createServer(limits, onRequest) : createTlsServer({
    ...limits,
    cert: tls.cert,
    key: tls.key,
    ...(tls.minVersion !== undefined && { minVersion: tls.minVersion }),
    SNICallback: (certificates ?? new CertificateChoice(tls)).choose,
    // Half a handshake is treated as half a head.
    handshakeTimeout: headersMs,
    // A client that names http/1.0 alone, as some health checks do, would get no connection.
    ALPNProtocols: [...(tls.http2 ? ['h2'] : []), 'http/1.1', 'http/1.0'],
  }, onRequest)
  // Node would silently drop fields past 1,000, Host or Connection among them. Bytes are limited, so fields are.
  server.maxHeadersCount = 0
  // RFC 9110 §10.1.1 lets a server ignore an unknown expectation, and the field is not forwarded
  // (forwarding/request-fields.ts). Node would send 417 before the message is checked, however it is framed, and go on with the
  // bytes behind it.
  server.on('checkExpectation', onRequest)
  server.on('checkContinue', (request: IncomingMessage, response: Http1Response) => {
    onRequest(request, response)
    continueInTurn(request, response)
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => undefined)
    afterResponses(socket, () => writeRawProblem(socket, new SpringhouseError('METHOD_NOT_IMPLEMENTED')))
  })
  return server
}

/**
 * Sends 100 (RFC 9110 §10.1.1), unless the response has begun, and never ahead of its turn. Node would put it between the
 * head and the body of another response, behind which this one waits (pipelining).
 */
function continueInTurn(request: IncomingMessage, response: Http1Response): void {
  if (response.headersSent || isBehindTheEnd(request)) return
  if (response.socket !== null) sendContinue(response)
  else response.once('socket', () => {
      if (!response.headersSent) sendContinue(response)
    })
}

type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: unknown; readonly bytesParsed?: number }

/** Handles Node's clientError: bytes that its parser refused, or waited for too long. */
export function onClientError(error: ParserError, socket: Duplex): void {
  if (isLingering(socket)) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error)
    return
  }
  const inFlight = responseInFlight(socket)
  // The fault may be in the body of the request whose response is in flight. Or it is in a later request, which waits its turn.
  if (inFlight?.req.complete === true) {
    inFlight.once('close', () => {
      if (socket.writable) onClientError(error, socket)
    })
    return
  }
  // A response that has begun cannot be followed by another.
  if (inFlight?.headersSent === true) {
    socket.destroy(error)
    return
  }
  const problem = error.code === 'HPE_INVALID_METHOD' ? unknownMethod(error.rawPacket) : new SpringhouseError(codeOf(error))
  writeRawProblem(socket, problem, problem.code === 'METHOD_NOT_ALLOWED' ? ['allow', allow] : [])
}

/** The response that a connection is busy with, or waits for; Node keeps it there. */
function responseInFlight(socket: Duplex): Http1Response | undefined {
  return (socket as Duplex & { _httpMessage?: Http1Response | null })._httpMessage ?? undefined
}

/**
 * Watches the connections of a server. Returns a function that, at shutdown, adds `Connection: close` to the responses in
 * flight (RFC 9112 §9.6). A client that may keep a connection could be sending its next request as it is closed. If requests
 * wait behind a response, the last of them is not known here, and all get a response.
 */
export function closeAfterResponses(server: Server): () => void {
  const sockets = openSockets(server)
  return () => {
    for (const socket of sockets) {
      const response = responseInFlight(socket)
      if (response !== undefined && !response.headersSent && !hasWaiting(socket)) response.shouldKeepAlive = false
    }
  }
}

/** Calls when all earlier requests on a connection have their responses, if it is still open then. */
function afterResponses(socket: Duplex, then: () => void): void {
  const before = responseInFlight(socket)
  if (before === undefined) then()
  else before.once('close', () => {
      if (socket.writable) afterResponses(socket, then)
    })
}

function codeOf({ code, rawPacket, bytesParsed }: ParserError): 'URI_TOO_LONG' | 'FIELDS_TOO_LARGE' | 'REQUEST_TIMEOUT' | 'BAD_REQUEST' {
  if (code === 'HPE_HEADER_OVERFLOW') return isFirstLine(rawPacket, bytesParsed) ? 'URI_TOO_LONG' : 'FIELDS_TOO_LARGE'
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'REQUEST_TIMEOUT' : 'BAD_REQUEST'
}

/** Returns true if the parser was still in a request's first line. That is not known of a line that came in several pieces. */
function isFirstLine(packet: unknown, parsedBytes = 0): boolean {
  return Buffer.isBuffer(packet) && /^[A-Z-]+ /.test(packet.toString('latin1', 0, 32)) && !packet.subarray(0, parsedBytes).includes('\n')
}

/** Where the requests of an upgrade go. */
export interface UpgradeDispatch {
  readonly dispatch: Dispatch
  /** Relays a WebSocket. `head`: bytes that the client sent behind its handshake. Never throws. */
  readonly dispatchUpgrade: (request: IncomingMessage, client: Socket, head: Buffer) => void
}

/**
 * Sorts upgrades: WebSockets are relayed. No other protocol is changed to: the request is handled as if it had no Upgrade
 * (RFC 9110 §7.8 lets a server). It is handled once, on a connection that is then closed. If it has a body, it is refused,
 * because Node no longer parses the body here.
 */
export function sortUpgrades(server: Server, { dispatch, dispatchUpgrade }: UpgradeDispatch): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // An error of a client that leaves before there is another listener must not end the process.
    socket.on('error', () => undefined)
    // A client need not wait for one response before it requests the upgrade; bytes of two would mix.
    afterResponses(socket, () => {
      if (hasBody(request)) writeRawProblem(socket, new SpringhouseError('METHOD_NOT_IMPLEMENTED'))
      else if (isWebSocketHandshake(request)) dispatchUpgrade(request, socket as Socket, head)
      else if (!isBehindTheEnd(request)) dispatch(request, responseOn(request, socket))
    })
  })
}
