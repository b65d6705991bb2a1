// The end of an HTTP/1.1 connection: behind which request it ends, and how long later bytes are still read.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

const ended: unique symbol = Symbol('springhouse.ended')

type EndedSocket = IncomingMessage['socket'] & { [ended]?: true }

/** Takes no more requests from this connection. The client sees Connection: close; Node's parser goes on with the bytes it has. */
export function endConnection(request: IncomingMessage): void {
  const socket = request.socket as EndedSocket
  socket[ended] = true
  // Node calls this behind the last response of a connection.
  socket.destroySoon = () => linger(socket)
}

/** True if a request came behind the last one of its connection. */
export function isBehindTheEnd(request: IncomingMessage): boolean {
  return (request.socket as EndedSocket)[ended] === true
}

const lingerMs = 2_000
const lingering: unique symbol = Symbol('springhouse.lingering')

/**
 * Sends the pending bytes and nothing behind them, and goes on reading for a while. If a connection is closed with unread
 * bytes, it is reset, and the client may lose the response (RFC 9112 §9.6).
 */
export function linger(socket: Duplex & { [lingering]?: true }, last?: string): void {
  socket[lingering] = true
  socket.end(last)
  socket.resume()
  const timeout = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timeout))
}

/** True once no bytes of a connection are read as a request any more. */
export function isLingering(socket: Duplex & { [lingering]?: true }): boolean {
  return socket[lingering] === true
}
