// WebSockets through @fastify/http-proxy: which server, with which fields, verified how.
import type { IncomingMessage } from 'node:http'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import { fieldLines } from '../http/fields.ts'
import type { OriginTls } from '../origin/config.ts'
import { OriginDispatcher } from '../origin/dispatcher.ts'
import { forwardFields } from '../origin/forward.ts'
import type { Origins } from '../origin/origin.ts'
import { passOf } from './passed.ts'

/** Part of the handshake with the client; the one with the origin has its own. */
const handshake: ReadonlySet<string> = new Set([
  'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions', 'sec-websocket-protocol', 'sec-websocket-accept', 'content-length',
])

/** How to connect, carried in the headers to where the socket is opened: http-proxy has one set of options for all. */
const dialling: unique symbol = Symbol('springhouse.dialling')

interface Dialling {
  /** In place of the URL's host. */
  readonly address: string | undefined
  /** undefined: in the clear. */
  readonly tls: OriginTls | undefined
}

type UpstreamHeaders = Record<string, string | string[]> & { [dialling]?: Dialling }

/** The options of http-proxy for WebSockets. */
export function webSocketOptions(origins: Origins, viaName: string): Pick<FastifyHttpProxyOptions, 'wsClientOptions' | 'wsServerOptions'> & { websocket: true } {
  const { dispatcher } = origins
  const clientOptions = {
    perMessageDeflate: false,
    rewriteRequestHeaders: (_headers: unknown, request: { raw: IncomingMessage }) => {
      const pass = passOf(request.raw)
      const headers = upstreamHeaders(forwardFields(fieldLines(request.raw.rawHeaders), pass.client, viaName))
      const secure = pass.upstream?.url.startsWith('https:') === true
      const tls = dispatcher instanceof OriginDispatcher ? dispatcher.tlsOf(pass.origin) : undefined
      headers[dialling] = { address: pass.upstream?.address, tls: secure ? tls ?? {} : undefined }
      return headers
    },
    createConnection: openSocket,
  }
  return { websocket: true, wsServerOptions: { perMessageDeflate: false }, wsClientOptions: clientOptions as unknown as NonNullable<FastifyHttpProxyOptions['wsClientOptions']> }
}

function upstreamHeaders(lines: readonly string[]): UpstreamHeaders {
  const headers: UpstreamHeaders = {}
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1] as string
    if (handshake.has(name)) continue
    const before = headers[name]
    headers[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value]
  }
  return headers
}

function openSocket(options: { host: string; port: number; headers?: UpstreamHeaders }): Socket {
  const { port } = options
  const name = options.host.replace(/^\[|\]$/g, '')
  const { address, tls } = options.headers?.[dialling] ?? { address: undefined, tls: undefined }
  const host = address ?? name
  if (tls === undefined) return connect({ host, port })
  return connectTls({
    host,
    port,
    // SNI has no addresses (RFC 6066 §3).
    servername: tls.servername ?? (isIP(name) === 0 ? name : ''),
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  })
}
