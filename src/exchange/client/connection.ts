// The client's side of an answer under way: whether anybody is still there, when there is room again, how it is broken off.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'

/**
 * Whether nothing that is written reaches the client any more. The request is asked too: of an answer that waits behind
 * another on its connection (pipelining) Node does not say that it was closed, and it would hold what is written for ever.
 */
export function hasLeft(response: ServerResponse): boolean {
  return response.destroyed || response.req.destroyed
}

/** Calls when the client has left; also, harmlessly, after an answer's regular end. Not called if it had left before: see `hasLeft`. */
export function onLeaving(response: ServerResponse, listener: () => void): void {
  response.on('close', listener)
  response.req.on('close', listener)
}

export function offLeaving(response: ServerResponse, listener: () => void): void {
  response.off('close', listener)
  response.req.off('close', listener)
}

/** Resolves when the response takes more, or never will. */
export function writable(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.off('drain', done)
      offLeaving(response, done)
      resolve()
    }
    response.on('drain', done)
    onLeaving(response, done)
    if (hasLeft(response)) done()
  })
}

/** Breaks off an answer that has begun, so that it cannot pass for whole. */
export function cut(response: ServerResponse): void {
  const { socket } = response
  // To HTTP/1.0 there are no chunks: where there is no length either, an orderly end of the connection would be the end of
  // the body (RFC 9112 §8). Only a reset is not. Under TLS the missing close_notify says the same (RFC 9112 §9.8).
  const toHttp10 = response.req.httpVersionMajor === 1 && response.req.httpVersionMinor === 0
  if (toHttp10 && socket !== null && (socket as Partial<TLSSocket>).encrypted !== true) socket.resetAndDestroy()
  response.destroy()
}

const ended: unique symbol = Symbol('springhouse.ended')

/** Node takes the socket off a request whose client has left. */
type EndedSocket = (IncomingMessage['socket'] & { [ended]?: true }) | null

/**
 * Takes no more requests from the connection of this one: what has come behind it may be part of it. Connection: close says so
 * to the client, but Node's parser goes on with what it has. Each stream of HTTP/2 stands for itself.
 */
export function endConnection(request: IncomingMessage): void {
  const socket = isStream(request) ? null : request.socket as EndedSocket
  if (socket === null) return
  socket[ended] = true
  // What Node calls behind the last answer of a connection.
  socket.destroySoon = () => linger(socket)
}

const lingerMs = 2_000
const lingering: unique symbol = Symbol('springhouse.lingering')

/**
 * Sends what there is yet to send and nothing after it, and goes on taking what comes, for a while. A connection that is closed
 * with bytes in it that nobody has read is reset, and by the reset the client may lose the answer (RFC 9112 §9.6).
 */
export function linger(socket: Duplex & { [lingering]?: true }, last?: string): void {
  socket[lingering] = true
  socket.end(last)
  socket.resume()
  const patience = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(patience))
}

/** Whether nothing that comes on a connection is of interest any more. */
export function isLingering(socket: Duplex & { [lingering]?: true }): boolean {
  return socket[lingering] === true
}

/** Whether a request came behind one after which there must be none. */
export function isBehindTheEnd(request: IncomingMessage): boolean {
  return !isStream(request) && (request.socket as EndedSocket)?.[ended] === true
}

/** Whether a request came over HTTP/2. Not by the version alone: HTTP/1.1's parser also gives requests that only say so. */
export function isStream(request: IncomingMessage): boolean {
  return request.httpVersionMajor === 2 && 'stream' in request
}
