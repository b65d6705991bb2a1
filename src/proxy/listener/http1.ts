// The node:http server under Fastify: its limits, and what it does with bytes that never become a request.
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import { sendContinue } from '../../exchange/client/sending.ts'
import { hasBody } from '../admission/framing.ts'
import { allow, unknownMethod } from '../admission/methods.ts'
import type { Dispatch } from './client-request.ts'
import { isBehindTheEnd, isLingering } from './connection.ts'
import { Http1Response } from './http1-response.ts'
import { openSockets } from './open-sockets.ts'
import type { ProxyOptions } from './options.ts'
import { countPipelined, hasWaiting } from './pipelining.ts'
import { writeRawProblem } from '../problem.ts'
import { answerOn, asksForWebSocket } from '../pass/websocket.ts'

/** How often Node looks for requests that take too long; 30 s unless told. */
const timeoutsCheckedEveryMs = 1_000

/**
 * A server, not listening yet.
 * @param isLast whether each connection is to be closed behind its next response
 */
export function createListener(options: ProxyOptions, isLast: () => boolean, dispatch: Dispatch): Server {
  const onRequest = (request: IncomingMessage, response: Http1Response): void => {
    // Never answered: the connection is closed behind the response before it.
    if (isBehindTheEnd(request)) return
    if (response.socket === null) countPipelined(request, response)
    if (isLast()) response.shouldKeepAlive = false
    dispatch(request, response)
  }
  const { requestMs, headersMs, keepAliveMs } = options.timeouts
  const limits = {
    ServerResponse: Http1Response,
    maxHeaderSize: options.maxHeaderBytes,
    // Node's own would be for a whole body, however large: see upload-timeout.ts.
    requestTimeout: 0,
    headersTimeout: requestMs === 0 ? headersMs : Math.min(headersMs, requestMs),
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: timeoutsCheckedEveryMs,
    // Checked by `admit`, which answers with a problem.
    requireHostHeader: false,
  }
  const { tls } = options
  const server = tls === undefined ? createServer(limits, onRequest) : createTlsServer({
    ...limits,
    cert: tls.cert,
    key: tls.key,
    // Half a handshake is half a head.
    handshakeTimeout: headersMs,
    ALPNProtocols: tls.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
  }, onRequest)
  // Node would drop fields past 1,000 without a word, Host or Connection among them. Bytes are limited, so fields are.
  server.maxHeadersCount = 0
  // RFC 9110 §10.1.1 lets a server ignore what it does not know to be expected, and it goes no further (forwarding/request-fields.ts). Node
  // would answer 417 before anybody has looked at the message, however it is framed, and go on with what comes behind it.
  server.on('checkExpectation', onRequest)
  server.on('checkContinue', (request: IncomingMessage, response: Http1Response) => {
    onRequest(request, response)
    askForBody(request, response)
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => undefined)
    whenAnswered(socket, () => writeRawProblem(socket, new SpringhouseError('METHOD_NOT_IMPLEMENTED')))
  })
  return server
}

/**
 * RFC 9110 §10.1.1: 100, unless the request has been answered by now, and never ahead of its turn: Node would put it between the
 * head and the body of an answer that waits behind another's (pipelining).
 */
function askForBody(request: IncomingMessage, response: Http1Response): void {
  if (response.headersSent || isBehindTheEnd(request)) return
  if (response.socket !== null) sendContinue(response)
  else response.once('socket', () => { if (!response.headersSent) sendContinue(response) })
}

type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: unknown; readonly bytesParsed?: number }

/** Node's clientError: what its parser refused, or waited for too long. */
export function onClientError(error: ParserError, socket: Duplex): void {
  if (isLingering(socket)) return
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error)
    return
  }
  const underWay = answerUnderWay(socket)
  // What is wrong may be the request that is being answered, whose body goes on; or one that came behind it, whose turn is later.
  if (underWay?.req.complete === true) {
    underWay.once('close', () => { if (socket.writable) onClientError(error, socket) })
    return
  }
  // An answer that has begun cannot be followed by another.
  if (underWay?.headersSent === true) {
    socket.destroy(error)
    return
  }
  const problem = error.code === 'HPE_INVALID_METHOD' ? unknownMethod(error.rawPacket) : new SpringhouseError(codeOf(error))
  writeRawProblem(socket, problem, problem.code === 'METHOD_NOT_ALLOWED' ? ['allow', allow] : [])
}

/** The answer that a connection is busy with, or waits for; Node keeps it there. */
function answerUnderWay(socket: Duplex): Http1Response | undefined {
  return (socket as Duplex & { _httpMessage?: Http1Response | null })._httpMessage ?? undefined
}

/**
 * Watches the connections of a server, and makes what tells their clients, when it stops, that the answers under way are the
 * last on them (RFC 9112 §9.6): who was told to keep a connection may be sending its next request as it is closed. Where
 * requests wait behind an answer the last of them is not known here, and all are answered.
 */
export function lastAnswers(server: Server): () => void {
  const sockets = openSockets(server)
  return () => {
    for (const socket of sockets) {
      const answer = answerUnderWay(socket)
      if (answer !== undefined && !answer.headersSent && !hasWaiting(socket)) answer.shouldKeepAlive = false
    }
  }
}

/** Calls when all that was asked before on a connection has been answered, if it is still open then. */
function whenAnswered(socket: Duplex, then: () => void): void {
  const before = answerUnderWay(socket)
  if (before === undefined) then()
  else before.once('close', () => { if (socket.writable) whenAnswered(socket, then) })
}

function codeOf({ code, rawPacket, bytesParsed }: ParserError): 'URI_TOO_LONG' | 'FIELDS_TOO_LARGE' | 'REQUEST_TIMEOUT' | 'BAD_REQUEST' {
  if (code === 'HPE_HEADER_OVERFLOW') return isFirstLine(rawPacket, bytesParsed) ? 'URI_TOO_LONG' : 'FIELDS_TOO_LARGE'
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'REQUEST_TIMEOUT' : 'BAD_REQUEST'
}

/** Whether the parser was still in a request's first line. Of one that came in several goes that is not known. */
function isFirstLine(packet: unknown, parsedBytes = 0): boolean {
  return Buffer.isBuffer(packet) && /^[A-Z-]+ /.test(packet.toString('latin1', 0, 32)) && !packet.subarray(0, parsedBytes).includes('\n')
}

/** Where the requests of an upgrade go. */
export interface UpgradeDispatch {
  readonly dispatch: Dispatch
  /** Relays a WebSocket. `head`: what the client sent behind its handshake. Never throws. */
  readonly dispatchUpgrade: (request: IncomingMessage, client: Socket, head: Buffer) => void
}

/**
 * Sorts upgrades: WebSockets are relayed. Any other protocol is not changed to, and its request is answered as if it had not
 * asked (RFC 9110 §7.8 lets a server), once, on a connection that is then closed; unless it has a body, which Node no longer
 * parses here.
 */
export function sortUpgrades(server: Server, { dispatch, dispatchUpgrade }: UpgradeDispatch): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A client that leaves before anybody else listens must not take the process with it.
    socket.on('error', () => undefined)
    // A client need not wait for one response before it asks for the upgrade; bytes of two would mix.
    whenAnswered(socket, () => {
      if (hasBody(request)) writeRawProblem(socket, new SpringhouseError('METHOD_NOT_IMPLEMENTED'))
      else if (asksForWebSocket(request)) dispatchUpgrade(request, socket as Socket, head)
      else if (!isBehindTheEnd(request)) dispatch(request, answerOn(request, socket))
    })
  })
}
