// Clients that take nothing of what waits for them: they are cut after a time, for the origin's connection waits with them.
import type { Server } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { openSockets } from './open-sockets.ts'

/** How many looks a stalled client is given. */
const looks = 4
/** Above it what is written in one piece may be under way for long: then the connection's own progress counts. */
const pieceBytes = 262_144

const last: unique symbol = Symbol('springhouse.taken')
const quiet: unique symbol = Symbol('springhouse.quiet')

/** Anything that is written to, and what was seen of it at the last look. */
interface Watched {
  [last]?: number
  [quiet]?: number
}

/** Looks after the connections of a listener, and the streams on them. */
export interface StallWatch {
  watchStream(stream: ServerHttp2Stream): void
}

/** @param stalledMs how long a client may take nothing of an answer that waits for it; 0: for ever */
export function watchStalled(server: Server, stalledMs: number): StallWatch {
  if (stalledMs === 0) return { watchStream: () => undefined }
  const sockets = openSockets(server)
  const streams = new Set<ServerHttp2Stream>()
  const secure = server instanceof TlsServer
  const timer = setInterval(() => {
    for (const socket of sockets) if (hasStalled(socket, socket.writableLength, takenBy(socket))) cutOff(socket, secure)
    for (const stream of streams) if (hasStalled(stream, stream.writableLength, takenOf(stream))) stream.destroy(new Error('the client takes nothing'))
  }, stalledMs / looks)
  timer.unref()
  server.once('close', () => clearInterval(timer))
  return {
    watchStream: (stream) => {
      streams.add(stream)
      stream.once('close', () => streams.delete(stream))
    },
  }
}

// By a reset where there can be one: an answer that only the end of the connection delimits must not look whole.
function cutOff(socket: Socket, secure: boolean): void {
  if (secure) socket.destroy()
  else socket.resetAndDestroy()
}

function hasStalled(it: Socket | ServerHttp2Stream, waiting: number, taken: number): boolean {
  const watched: Watched = it as (Socket | ServerHttp2Stream) & Watched
  const still = waiting > 0 && watched[last] === taken
  watched[last] = taken
  watched[quiet] = still ? (watched[quiet] ?? 0) + 1 : 0
  return watched[quiet] >= looks
}

// Writes that are over, and of the one that is not what the system has taken: Node's own measure of progress (net.js, _onTimeout).
function takenBy(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null }
  return socket.bytesWritten - socket.writableLength - (handle?.writeQueueSize ?? 0)
}

function takenOf(stream: ServerHttp2Stream): number {
  return stream.writableLength > pieceBytes ? stream.session?.socket.bytesWritten ?? 0 : -stream.writableLength
}
