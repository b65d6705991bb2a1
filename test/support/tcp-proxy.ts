// A TCP proxy before a server that a test can make slow, hold up or reset.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/**
 * Decides about some bytes of a connection, which has a number. Undefined lets them pass. A number lets so many of them pass
 * and then resets both sides. Later bytes wait for the decision.
 */
export type Gate = (bytes: Buffer, connection: number) => Promise<number | undefined> | number | undefined

export interface TcpProxy {
  readonly port: number
  /** Stands before the requests of clients, and before the replies of the server. */
  requests: Gate
  replies: Gate
  close(): Promise<void>
}

export const pass: Gate = () => undefined

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((client) => {
    const connection = ++connections
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
    pump(client, upstream, (bytes) => proxy.requests(bytes, connection), reset)
    pump(upstream, client, (bytes) => proxy.replies(bytes, connection), reset)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    requests: pass,
    replies: pass,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return proxy
}

// In order: bytes wait for those before them.
function pump(from: Socket, to: Socket, gate: (bytes: Buffer) => ReturnType<Gate>, reset: () => void): void {
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

/** Connections on which a client subscribes, and which can be held silent, both ways, while all others flow. */
export interface Subscribers {
  /** From now on nothing passes on connections that have subscribed since the start, or will. Neither side gets a signal. */
  silence(): void
  /** Held bytes pass, and all later ones. */
  release(): void
}

/** Watches the connections that subscribe from now on. */
export function subscribersOf(proxy: TcpProxy): Subscribers {
  const subscribed = new Set<number>()
  let held: Promise<undefined> | undefined
  let release = (): void => {}
  proxy.requests = (bytes, connection) => {
    if (/\r\nsubscribe\r\n/i.test(bytes.toString('latin1'))) subscribed.add(connection)
    return subscribed.has(connection) ? held : undefined
  }
  proxy.replies = (_bytes, connection) => (subscribed.has(connection) ? held : undefined)
  return {
    silence: () => {
      held = new Promise((resolve) => {
        release = () => resolve(undefined)
      })
    },
    release: () => {
      held = undefined
      release()
    },
  }
}
