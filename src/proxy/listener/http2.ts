// HTTP/2 on the listener (RFC 9113): sessions, their bounds, and a request and a response for each stream.
import type { ServerHttp2Stream } from 'node:http2'
import { createServer, type Http2Server } from 'node:http2'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer, type TLSSocket } from 'node:tls'
import { sendContinue, sendStatus } from '../../exchange/client/sending.ts'
import type { Dispatch } from './client-request.ts'
import { Http2Request } from './http2-request.ts'
import { Http2Response } from './http2-response.ts'
import type { ProxyOptions } from './options.ts'
import { sortByPreface } from './http2-preface.ts'

const mostStreams = 128
// More fields than fit into the allowed bytes: the limit is in bytes.
const mostFields = 4_096

export interface Http2Parts {
  readonly dispatch: Dispatch
  /** Called with each stream as it opens. */
  onStream(stream: ServerHttp2Stream): void
  /** True if the requests of a connection are refused: its session then ends with its present streams. */
  isRefused(socket: Socket): boolean
}

/** The sessions of a listener. */
export interface Http2Listener {
  /** Opens no new streams from now on (GOAWAY). A session ends with its last stream. */
  close(): void
}

/**
 * Takes over the connections of a server whose client uses HTTP/2; the others stay with HTTP/1.1. A client chooses `h2` by ALPN
 * (RFC 7301), or over plain TCP by the preface (RFC 9113 §3.3).
 */
export function openHttp2(server: Server, options: ProxyOptions, parts: Http2Parts): Http2Listener {
  const sessions = new Set<{ close(): void }>()
  let closing = false
  const inner = createServer({
    maxHeaderListPairs: mostFields,
    settings: { maxConcurrentStreams: mostStreams, maxHeaderListSize: options.maxHeaderBytes, enablePush: false },
  })

  inner.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    // An error ends this session, and no other.
    session.on('error', () => undefined)
    let open = 0
    // The fourth argument is missing in the types of Node 20.
    session.on('stream', (stream: ServerHttp2Stream, _headers: object, _flags: number, rawHeaders?: readonly string[]) => {
      open++
      stream.once('close', () => open--)
      parts.onStream(stream)
      receive(stream, rawHeaders ?? [], parts)
      if (parts.isRefused(session.socket as Socket)) session.close()
    })
    session.setTimeout(options.timeouts.keepAliveMs, () => {
      if (open === 0) session.close()
    })
    if (closing) session.close()
  })
  inner.on('sessionError', () => undefined)

  if (server instanceof TlsServer) sortByAlpn(server, inner)
  else sortByPreface(server, inner, options.timeouts.headersMs)
  return {
    close: () => {
      closing = true
      for (const session of sessions) session.close()
    },
  }
}

function sortByAlpn(server: TlsServer, inner: Http2Server): void {
  const [http1] = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') inner.emit('connection', socket)
    else http1?.call(server, socket)
  })
}

function receive(stream: ServerHttp2Stream, rawHeaders: readonly string[], { dispatch }: Http2Parts): void {
  const request = new Http2Request(stream, rawHeaders)
  const response = new Http2Response(stream, request)
  // Not for a gateway (RFC 9110 §9.3.6). It has no target that could be read.
  if (request.method === 'CONNECT') return sendStatus(response, 405)
  // As over HTTP/1.1 (http1.ts): an expectation that nobody knows is ignored.
  if (request.expectsContinue) sendContinue(response)
  dispatch(request, response)
}
