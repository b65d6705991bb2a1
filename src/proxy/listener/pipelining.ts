// Requests that a client sends before it has the answers to those before them (RFC 9112 §9.3.2), and how many are taken in.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Beyond it nothing is read from the connection; what Node's parser has been given already may be some 2,400 more. */
const mostWaiting = 64
/** Beyond it the connection is cut: Node reads on whenever an answer is written, and who sends this many does not wait for any. */
const mostEver = 4_096

const waiting: unique symbol = Symbol('springhouse.waiting')

/** `_paused` is Node's own word for a connection from which it takes no more for now (_http_server.js, socketOnDrain). */
type PipelinedSocket = IncomingMessage['socket'] & { [waiting]?: number; _paused?: boolean }

/**
 * Counts a request whose answer has to wait for another's. Node takes in as many as a client writes, and holds each of them in
 * memory; only written answers make it pause. Others pay nothing: an answer that has the connection has it from the start.
 */
export function countPipelined(request: IncomingMessage, response: ServerResponse): void {
  const socket = request.socket as PipelinedSocket
  const now = (socket[waiting] ?? 0) + 1
  socket[waiting] = now
  if (now > mostEver) socket.destroy()
  else if (now > mostWaiting && socket._paused !== true) {
    // By itself a pause would be undone at the end of each request that is in the parser's hands.
    socket._paused = true
    socket.pause()
  }
  response.once('close', () => {
    const left = (socket[waiting] ?? 1) - 1
    socket[waiting] = left
    // As when what was written has drained; while it has not, Node waits on, and is asked again.
    if (left <= mostWaiting >> 1 && socket._paused === true) socket.emit('drain')
  })
}

/** Whether requests have come on a connection behind the one that is being answered. */
export function hasWaiting(socket: Duplex): boolean {
  return ((socket as PipelinedSocket)[waiting] ?? 0) > 0
}
