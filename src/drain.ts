// Stops a listener: requests in flight get a bounded time, and idle connections are closed at once.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const idleCheckedEveryMs = 50

/** A listener that can be stopped. */
export interface Drain {
  /**
   * Runs `close`, which resolves when the last connection is closed. Connections without a request are closed at once (a
   * browser keeps spare ones), and others when they have no request in flight. After `graceMs` milliseconds the rest is
   * aborted.
   */
  drain(close: () => Promise<unknown>, graceMs: number): Promise<void>
}

/** Starts to watch a server's connections. */
export function drainable(server: Server): Drain {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return {
    async drain(close, graceMs) {
      const closed = close()
      // Bytes that a client has sent may not have been read yet: one turn of the event loop reads them.
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
      const grace = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      // A response whose head was sent before the stop promised to keep its connection: nothing else closes that connection.
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
