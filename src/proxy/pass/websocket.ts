// WebSockets (RFC 6455): the handshake goes to an origin as it came, and once it is accepted bytes go both ways, unread.
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import type { Clock } from '../../clock.ts'
import type { SpringhouseError } from '../../errors.ts'
import { relayBody } from '../../exchange/client/relay-body.ts'
import { sendHead } from '../../exchange/client/sending.ts'
import type { Pass } from '../../exchange/pass/pass.ts'
import type { FieldLines } from '../../http/fields.ts'
import type { Origins, OriginUpgrade, UpgradeSink } from '../../origin/origin.ts'
import { passStatus } from '../../policy/cache-status.ts'
import { Http1Response } from '../listener/http1-response.ts'
import { clientFields } from '../../forwarding/response-fields.ts'

/** A WebSocket's handshake, and the parts that relay it. */
export interface WebSocketHandshake {
  readonly origins: Origins
  readonly clock: Clock
  readonly viaName: string
  readonly pass: Pass
  readonly client: Socket
  /** Bytes that the client sent behind its request. */
  readonly head: Buffer
  /** Logs an error and sends the client its problem. */
  failed(cause: unknown): void
}

// The system finds a peer that is lost without a signal: a WebSocket may be silent for hours, and has no timeout here.
const probeAfterMs = 60_000

/** Returns true if a request is a WebSocket handshake. HTTP/1.0 has no upgrades (RFC 9110 §7.8). */
export function isWebSocketHandshake({ method, headers, httpVersion }: IncomingMessage): boolean {
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.trim().toLowerCase() === 'websocket'
}

/** Relays one WebSocket. */
export function relayWebSocket(handshake: WebSocketHandshake): void {
  new Relay(handshake).start()
}

class Relay implements UpgradeSink {
  readonly #handshake: WebSocketHandshake
  readonly #client: Socket
  #upgrade: OriginUpgrade | undefined

  constructor(handshake: WebSocketHandshake) {
    this.#handshake = handshake
    this.#client = handshake.client
  }

  start(): void {
    const { origins, clock, pass: { routed, exchange } } = this.#handshake
    // Both belong to one hop (§7.6.1): off came the client's, on go this hop's own.
    const fields = [...routed.allFields(), 'connection', 'Upgrade', 'upgrade', 'websocket']
    this.#upgrade = origins.upgrade({ origin: routed.route.origin, target: routed.request.target, fields, protocol: 'websocket',
      onTry: server => exchange.tried(server, clock.monotonic()) }, this)
    this.#client.on('close', () => this.#closed())
    if (this.#client.destroyed) this.#closed()
  }

  #closed(): void {
    this.#upgrade?.abort()
    this.#handshake.pass.exchange.end()
  }

  onSwitched(fields: FieldLines, origin: Socket, head: Buffer): void {
    const client = this.#client
    const { exchange } = this.#handshake.pass
    origin.on('error', () => undefined)
    if (client.destroyed) return void origin.destroy() // The response that an error would have had gives the connection back.
    ;(exchange.response as Http1Response).detachSocket(client)
    exchange.hasSwitched = true
    client.write(headOf(101, 'Switching Protocols', ['connection', 'Upgrade', 'upgrade', 'websocket', ...this.#responseFields(fields), 'x-request-id', exchange.requestId]),
      'latin1')
    if (head.length > 0) client.write(head)
    if (this.#handshake.head.length > 0) origin.write(this.#handshake.head)
    join(client, origin)
  }

  onRefused(status: number, fields: FieldLines, body: Readable, sound: () => boolean): void {
    const { exchange } = this.#handshake.pass
    const { response } = exchange
    exchange.responded(this.#handshake.clock.monotonic())
    const refused = this.#handshake.pass.refused(status)
    if (refused !== undefined) {
      body.on('error', () => undefined)
      body.destroy()
      return this.onError(refused)
    }
    if (!sendHead(exchange, status, this.#responseFields(fields))) {
      body.on('error', () => undefined)
      body.destroy()
      return
    }
    body.on('error', () => response.cut())
    // A body that the end of the connection delimits is not whole when that end was a reset.
    relayBody(body, exchange, () => {
      if (sound()) response.end()
      else response.cut()
    })
  }

  onError(error: SpringhouseError): void {
    if (!this.#client.destroyed) this.#handshake.failed(error)
  }

  #responseFields(fields: FieldLines): string[] {
    const { viaName, pass: { reason, routed } } = this.#handshake
    return clientFields(fields, routed.cacheOnly, `1.1 ${viaName}`, passStatus(reason))
  }
}

/** Returns an ordinary response on a connection that Node has given up. The response closes the connection. */
export function responseOn(request: IncomingMessage, socket: Duplex): Http1Response {
  const response = new Http1Response(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as IncomingMessage['socket'])
  // Node removed its own listener when it gave the socket up.
  socket.on('drain', () => response.emit('drain'))
  response.on('finish', () => socket.end())
  return response
}

function headOf(status: number, phrase: string, fields: FieldLines): string {
  const lines = [`HTTP/1.1 ${status} ${phrase}`]
  for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Relays the bytes of each side to the other, at the pace of the slower. The end of either ends both. */
function join(client: Socket, origin: Socket): void {
  for (const [side, other] of [[client, origin], [origin, client]] as const) {
    side.setTimeout(0)
    side.setNoDelay(true)
    side.setKeepAlive(true, probeAfterMs)
    side.pipe(other)
    side.on('close', () => other.destroy())
  }
}
