// Requests that a client sends before it has the responses to earlier ones (RFC 9112 §9.3.2), and a bound on them.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Beyond it nothing is read from the connection. Node's parser may already hold some 2,400 more. */
const mostWaiting = 64
/** Beyond it the connection is closed. Node reads on whenever a response is written, and a client that sends this many waits for none. */
const mostEver = 4_096

const waiting: unique symbol = Symbol('springhouse.waiting')

/** `_paused` is Node's own name for a connection from which it reads no more for now (_http_server.js, socketOnDrain). */
type PipelinedSocket = IncomingMessage['socket'] & { [waiting]?: number; _paused?: boolean }

/**
 * Counts a request whose response must wait for another. Node takes in as many as a client writes, and holds each of them in
 * memory; only written responses make it pause. Other requests pay nothing: their response has the connection from the start.
 */
export function countPipelined(request: IncomingMessage, response: ServerResponse): void {
  const socket = request.socket as PipelinedSocket
  const now = (socket[waiting] ?? 0) + 1
  socket[waiting] = now
  if (now > mostEver) socket.destroy()
  else if (now > mostWaiting && socket._paused !== true) {
    // Otherwise the pause would be undone at the end of each request that the parser holds.
    socket._paused = true
    socket.pause()
  }
  response.once('close', () => {
    const left = (socket[waiting] ?? 1) - 1
    socket[waiting] = left
    // As when written bytes have drained. Before they have, Node waits on, and the event comes again.
    if (left <= mostWaiting >> 1 && socket._paused === true) socket.emit('drain')
  })
}

/** Returns true if requests wait on a connection behind the response in flight. */
export function hasWaiting(socket: Duplex): boolean {
  return ((socket as PipelinedSocket)[waiting] ?? 0) > 0
}
