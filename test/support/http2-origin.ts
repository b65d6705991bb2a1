// Origins that speak HTTP/2: node:http2 servers, and others whose frames are made by hand, as no library would send them.
import { createSecureServer, createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream, type ServerOptions } from 'node:http2'
import { createServer as createRawServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { testCertificate, testKey } from './certificate.ts'
import { endHeaders, endStream, fieldBlock, frame, frameType } from '../hostile/frames.ts'

export interface Http2Origin {
  readonly url: string
  readonly port: number
  readonly sessions: ServerHttp2Session[]
  /** Every request's fields, in the order in which they came. */
  readonly requests: IncomingHttpHeaders[]
  readonly streams: ServerHttp2Stream[]
  /** Resolves when so many requests have come. */
  nth(count: number): Promise<ServerHttp2Stream>
  close(): Promise<void>
}

export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => unknown

/** A node:http2 server; `secure: false` is one without TLS. */
export async function startHttp2Origin(handler: StreamHandler, { secure = true, ...options }: ServerOptions & { readonly secure?: boolean } = {}): Promise<Http2Origin> {
  const server = secure ? createSecureServer({ cert: testCertificate, key: testKey, ...options }) : createServer(options)
  const sessions: ServerHttp2Session[] = []
  const requests: IncomingHttpHeaders[] = []
  const streams: ServerHttp2Stream[] = []
  const awaited = new Map<number, (stream: ServerHttp2Stream) => void>()
  server.on('session', (session) => {
    session.on('error', () => undefined)
    sessions.push(session)
  })
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined)
    requests.push(headers)
    streams.push(stream)
    handler(stream, headers)
    awaited.get(streams.length)?.(stream)
  })
  const listening = await listen(server, secure)
  return {
    ...listening,
    sessions,
    requests,
    streams,
    nth: (count) => {
      const seen = streams[count - 1]
      return seen === undefined ? new Promise((resolve) => awaited.set(count, resolve)) : Promise.resolve(seen)
    },
    close: () => {
      for (const session of sessions) session.destroy()
      return listening.close()
    },
  }
}

/** A received frame. */
export interface Heard {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A connection to an origin that makes its frames by hand. */
export interface FrameConnection {
  readonly socket: Socket
  readonly heard: Heard[]
  send(...frames: readonly Buffer[]): void
  /** Resolves when such a frame has come, or the connection is closed. */
  until(holds: (frame: Heard) => boolean): Promise<void>
}

export interface FrameOrigin {
  readonly url: string
  readonly port: number
  readonly connections: FrameConnection[]
  close(): Promise<void>
}

/** Called with each HEADERS frame: the stream, and how many requests have come before on this connection. */
export type FrameHandler = (connection: FrameConnection, stream: number, before: number) => void

/** Speaks TLS and chooses h2, sends SETTINGS (those given), and acknowledges the client's; all else is the handler's. */
export async function startFrameOrigin(handler: FrameHandler, settings: Buffer = Buffer.alloc(0)): Promise<FrameOrigin> {
  const connections: FrameConnection[] = []
  const server = createTlsServer({ cert: testCertificate, key: testKey, ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('error', () => undefined)
    socket.setNoDelay(true)
    const connection: FrameConnection = {
      socket,
      heard: [],
      send: (...frames) => void socket.write(Buffer.concat(frames)),
      until: (holds) =>
        new Promise((resolve) => {
          const look = (): void => {
            if (!socket.destroyed && !connection.heard.some(holds)) return
            socket.off('frame', look)
            resolve()
          }
          socket.on('frame', look)
          socket.on('close', look)
          look()
        }),
    }
    connections.push(connection)
    connection.send(frame(frameType.settings, 0, 0, settings))
    // Behind the preface (RFC 9113 §3.4).
    let pending = Buffer.alloc(0)
    let skip = 24
    let requests = 0
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      if (pending.length < skip) return
      pending = pending.subarray(skip)
      skip = 0
      while (pending.length >= 9) {
        const length = pending.readUIntBE(0, 3)
        if (pending.length < 9 + length) break
        const heard = { type: pending.readUInt8(3), flags: pending.readUInt8(4), stream: pending.readUInt32BE(5), payload: pending.subarray(9, 9 + length) }
        pending = pending.subarray(9 + length)
        connection.heard.push(heard)
        if (heard.type === frameType.settings && (heard.flags & 1) === 0) connection.send(frame(frameType.settings, 1, 0))
        if (heard.type === frameType.headers) handler(connection, heard.stream, requests++)
        socket.emit('frame')
      }
    })
  })
  return { ...await listen(server, true), connections }
}

/** A head, in one frame. */
export function head(stream: number, fields: readonly (readonly [string, string])[] = [], { status = '200', end = false } = {}): Buffer {
  return frame(frameType.headers, endHeaders | (end ? endStream : 0), stream, fieldBlock([[':status', status], ...fields]))
}

export function data(stream: number, body: string, end = false): Buffer {
  return frame(frameType.data, end ? endStream : 0, stream, body)
}

/** Returns the frames of a whole response. */
export function answer(stream: number, body: string): Buffer {
  return Buffer.concat([head(stream), data(stream, body, true)])
}

export function resetStream(stream: number, code: number): Buffer {
  return frame(frameType.reset, 0, stream, numbers(code))
}

export function goaway(lastStream: number, code = 0): Buffer {
  return frame(frameType.goaway, 0, 0, numbers(lastStream, code))
}

/** The payload of SETTINGS that allow so many streams. */
export function concurrentStreams(count: number): Buffer {
  return Buffer.concat([Buffer.from([0, 3]), numbers(count)])
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4)
  return bytes
}

/** A server that speaks neither HTTP/2 nor TLS. */
export async function startHttp1Bytes(bytes: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  return listen(createRawServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => socket.end(bytes))
  }), false)
}

async function listen(server: Server, secure: boolean): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
