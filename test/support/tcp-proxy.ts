// A line to a server that a test can make slow, hold up or cut.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/**
 * What becomes of some bytes: undefined lets them pass, a number lets so many of them pass and then resets both sides; what
 * comes after them waits until it is known.
 */
export type Gate = (bytes: Buffer) => Promise<number | undefined> | number | undefined

export interface TcpProxy {
  readonly port: number
  /** Stands before what clients send, and before what the server answers. */
  requests: Gate
  replies: Gate
  close(): Promise<void>
}

export const pass: Gate = () => undefined

export async function startTcpProxy(target: { readonly host: string, readonly port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host)
    const both = [client, upstream]
    const reset = (): void => {
      for (const socket of both) socket.resetAndDestroy()
    }
    for (const socket of both) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', reset)
      socket.on('close', () => {
        sockets.delete(socket)
        reset()
      })
    }
    pump(client, upstream, (bytes) => proxy.requests(bytes), reset)
    pump(upstream, client, (bytes) => proxy.replies(bytes), reset)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    requests: pass,
    replies: pass,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    }),
  }
  return proxy
}

// In order: bytes wait for those before them.
function pump(from: Socket, to: Socket, gate: Gate, reset: () => void): void {
  let before: Promise<void> = Promise.resolve()
  from.on('data', (bytes) => {
    before = before.then(async () => {
      const most = await gate(bytes)
      if (to.destroyed) return
      if (most === undefined) to.write(bytes)
      else to.write(bytes.subarray(0, most), reset)
    })
  })
}
