// HTTP/2 with prior knowledge (RFC 9113 §3.3): the first bytes of a plain connection show its protocol.
import type { Server } from 'node:http'
import type { Http2Server } from 'node:http2'
import type { Socket } from 'node:net'

/** The first bytes of a client over HTTP/2 (RFC 9113 §3.4). No HTTP/1.1 request begins so: PRI is reserved. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/**
 * Takes over the connections of a server, and gives each to HTTP/2 or back to HTTP/1.1 as soon as its bytes differ from the
 * preface, or are the whole of it. A client that sends neither in time is HTTP/1.1's, which has its own limit for a head.
 */
export function sortByPreface(server: Server, http2: Http2Server, timeoutMs: number): void {
  const [http1] = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    let seen: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const length = Math.min(seen.length, preface.length)
      if (preface.compare(seen, 0, length, 0, length) !== 0) give(false)
      else if (length === preface.length) give(true)
    }
    // The client has left before its first request, or in the middle of a preface.
    const leave = (): void => void socket.destroy()
    const give = (isHttp2: boolean): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('end', leave).off('error', leave).off('close', onClose)
      socket.pause()
      if (seen.length > 0) socket.unshift(seen)
      if (isHttp2) http2.emit('connection', socket)
      else {
        http1?.call(server, socket)
        socket.resume()
      }
    }
    const timer = setTimeout(() => give(false), timeoutMs)
    const onClose = (): void => clearTimeout(timer)
    socket.on('data', onData).on('end', leave).on('error', leave).on('close', onClose)
  })
}
