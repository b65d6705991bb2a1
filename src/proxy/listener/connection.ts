// How a connection of HTTP/1.1 ends: behind which request, and how long what its client still sends is taken.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

const ended: unique symbol = Symbol('springhouse.ended')

/** undici takes the socket off a request whose body it breaks off. */
type EndedSocket = (IncomingMessage['socket'] & { [ended]?: true }) | null

/** Takes no more requests from this connection. The client sees Connection: close; Node's parser goes on with the bytes it has. */
export function endConnection(request: IncomingMessage): void {
  const socket = request.socket as EndedSocket
  if (socket === null) return
  socket[ended] = true
  // Node calls this behind the last response of a connection.
  socket.destroySoon = () => linger(socket)
}

/** True if a request came behind one after which there must be none. */
export function isBehindTheEnd(request: IncomingMessage): boolean {
  return (request.socket as EndedSocket)?.[ended] === true
}

const lingerMs = 2_000
const lingering: unique symbol = Symbol('springhouse.lingering')

/**
 * Sends what there is yet to send and nothing after it, and goes on taking what comes, for a while. A connection that is closed
 * with bytes in it that nobody has read is reset, and by the reset the client may lose the response (RFC 9112 §9.6).
 */
export function linger(socket: Duplex & { [lingering]?: true }, last?: string): void {
  socket[lingering] = true
  socket.end(last)
  socket.resume()
  const timeout = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timeout))
}

/** True once nothing that comes on a connection is read as a request. */
export function isLingering(socket: Duplex & { [lingering]?: true }): boolean {
  return socket[lingering] === true
}
