// Stopping a listener: what is under way is answered, what never began is not waited for, and nothing waits for ever.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const idleCheckedEveryMs = 50

/** A listener that can be stopped. */
export interface Drain {
  /**
   * Runs `close`, which resolves when the last connection is gone. Connections that have sent nothing yet (a browser keeps
   * spare ones) are closed at once, and so is each other one when it has nothing under way; what is under way gets
   * `graceMs` milliseconds, and is then cut.
   */
  drain(close: () => Promise<unknown>, graceMs: number): Promise<void>
}

/** Watches a server's connections from now on. */
export function drainable(server: Server): Drain {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return {
    async drain(close, graceMs) {
      const closed = close()
      // What a client has sent by now may not have been read yet: one turn reads it.
      await new Promise((resolve) => { setImmediate(resolve) })
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
      const grace = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      // An answer whose head went out before the stop has told its client to keep the connection: nobody else closes it.
      const idle = setInterval(() => server.closeIdleConnections(), idleCheckedEveryMs)
      try {
        await closed
      } finally {
        clearTimeout(grace)
        clearInterval(idle)
      }
    },
  }
}
