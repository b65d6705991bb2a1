// Origins for tests: real servers on real sockets, whose behaviour a test scripts, and which record their requests.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createRawServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** A request as the origin received it. */
export interface Recorded {
  readonly method: string
  /** Exact bytes of the request target. */
  readonly target: string
  /** As received: names in the sender's case. */
  readonly rawHeaders: readonly string[]
  /** The combined value of a field, by its lower-case name. */
  header(name: string): string | undefined
  readonly socket: Socket
  /** The body, when it has come to its end; rejects when the sender broke off. */
  readonly body: Promise<Buffer>
}

export type OriginHandler = (request: IncomingMessage, response: ServerResponse, recorded: Recorded) => unknown

export interface ScriptedOrigin {
  /** `http://127.0.0.1:port`, or the given place. */
  readonly url: string
  readonly port: number
  /** Every request, in the order in which they came. */
  readonly requests: Recorded[]
  /** Resolves with request number `count` (from 1), now or when it comes. */
  nth(count: number): Promise<Recorded>
  /** Closes the listener and every connection. */
  close(): Promise<void>
}

/** Where to listen, for tests in which addresses matter: on Linux all of 127.0.0.0/8 is this machine. */
export interface Place {
  readonly host: string
  /** A free one unless given. */
  readonly port?: number
}

/** A node:http origin. If a handler throws, or rejects, the response is a 500. */
export async function startOrigin(handler: OriginHandler, place?: Place): Promise<ScriptedOrigin> {
  const requests: Recorded[] = []
  const awaited = new Map<number, (recorded: Recorded) => void>()
  const server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    const recorded = record(request)
    requests.push(recorded)
    // Within the call, so that a test that awaits `nth` finds the handler's work done up to its first await.
    const handled = (async () => handler(request, response, recorded))()
    awaited.get(requests.length)?.(recorded)
    handled.catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500)
      response.end(String(error))
    })
  })
  const base = await listen(server, place)
  return {
    ...base,
    requests,
    nth: (count) => {
      const seen = requests[count - 1]
      return seen === undefined ? new Promise((resolve) => awaited.set(count, resolve)) : Promise.resolve(seen)
    },
  }
}

function record(request: IncomingMessage): Recorded {
  const chunks: Buffer[] = []
  const body = new Promise<Buffer>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', reject)
  })
  // A test that does not read the body must not fail for it.
  body.catch(() => undefined)
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    rawHeaders: request.rawHeaders,
    header: (name) => rawHeader(request.rawHeaders, name),
    socket: request.socket,
    body,
  }
}

/** The combined value of a field in Node's rawHeaders. */
export function rawHeader(rawHeaders: readonly string[], name: string): string | undefined {
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '')
  return values.length === 0 ? undefined : values.join(', ')
}

export interface RawOrigin {
  readonly url: string
  readonly port: number
  readonly connections: Socket[]
  close(): Promise<void>
}

/** A bare TCP origin, for everything that node:http would not send. `number` counts connections from 1. */
export async function startRawOrigin(onConnection: (socket: Socket, number: number) => void): Promise<RawOrigin> {
  const connections: Socket[] = []
  const server = createRawServer((socket) => {
    socket.on('error', () => undefined)
    connections.push(socket)
    onConnection(socket, connections.length)
  })
  return { ...(await listen(server)), connections }
}

/** A bare origin that responds to each request head with these bytes, and then does `after` to the socket. */
export function startCannedOrigin(bytes: string | Buffer, after?: (socket: Socket) => void): Promise<RawOrigin> {
  return startRawOrigin((socket) => {
    let seen = ''
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      if (!seen.includes('\r\n\r\n')) return
      seen = ''
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => after?.(socket))
    })
  })
}

/** A port without a listener: it was just released. */
export async function closedPort(): Promise<number> {
  const origin = await startRawOrigin(() => undefined)
  await origin.close()
  return origin.port
}

async function listen(server: Server, { host, port: wanted = 0 }: Place = { host: '127.0.0.1' }): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(wanted, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
