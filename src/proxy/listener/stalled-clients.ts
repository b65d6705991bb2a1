// Disconnects clients that stop reading, because each holds an origin connection.
import type { Server } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { openSockets } from './open-sockets.ts'

/** The number of checks within the time limit of a client. */
const checks = 4
/** A larger write, in one piece, may be in flight for long: then the connection's own progress counts. */
const pieceBytes = 262_144

const last: unique symbol = Symbol('springhouse.taken')
const quiet: unique symbol = Symbol('springhouse.quiet')

/** A writable, with its state at the last check. */
interface Watched {
  [last]?: number
  [quiet]?: number
}

/** Watches the connections of a listener, and the streams on them. */
export interface StallWatch {
  watchStream(stream: ServerHttp2Stream): void
}

/** @param stalledMs how long a client may stop reading a response; 0: no limit */
export function watchStalled(server: Server, stalledMs: number): StallWatch {
  if (stalledMs === 0) return { watchStream: () => undefined }
  const sockets = openSockets(server)
  const streams = new Set<ServerHttp2Stream>()
  const secure = server instanceof TlsServer
  const timer = setInterval(() => {
    for (const socket of sockets) if (hasStalled(socket, socket.writableLength, takenBy(socket))) cutOff(socket, secure)
    for (const stream of streams) if (hasStalled(stream, stream.writableLength, takenOf(stream))) stream.destroy(new Error('the client takes nothing'))
  }, stalledMs / checks)
  timer.unref()
  server.once('close', () => clearInterval(timer))
  return {
    watchStream: (stream) => {
      streams.add(stream)
      stream.once('close', () => streams.delete(stream))
    },
  }
}

// Resets the connection if possible: a response that only the end of the connection delimits must not seem complete.
function cutOff(socket: Socket, secure: boolean): void {
  if (secure) socket.destroy()
  else socket.resetAndDestroy()
}

function hasStalled(it: Socket | ServerHttp2Stream, waiting: number, taken: number): boolean {
  const watched: Watched = it as (Socket | ServerHttp2Stream) & Watched
  const still = waiting > 0 && watched[last] === taken
  watched[last] = taken
  watched[quiet] = still ? (watched[quiet] ?? 0) + 1 : 0
  return watched[quiet] >= checks
}

// Bytes of finished writes, and those of the pending write that the system has taken. This is Node's own measure of progress
// (net.js, _onTimeout).
function takenBy(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null }
  return socket.bytesWritten - socket.writableLength - (handle?.writeQueueSize ?? 0)
}

function takenOf(stream: ServerHttp2Stream): number {
  return stream.writableLength > pieceBytes ? stream.session?.socket.bytesWritten ?? 0 : -stream.writableLength
}
