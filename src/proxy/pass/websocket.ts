// WebSockets (RFC 6455): the handshake goes to an origin as it came, and once it is accepted bytes go both ways, unread.
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import { cut } from '../../exchange/client/connection.ts'
import { sendHead } from '../../exchange/client/sending.ts'
import { fieldLines, type FieldLines } from '../../http/fields.ts'
import { forwardFields } from '../../forwarding/request-fields.ts'
import type { Origins, OriginUpgrade, UpgradeSink } from '../../origin/origin.ts'
import { passStatus } from '../../policy/cache-status.ts'
import type { Destination } from './pass.ts'
import { writeRawProblem } from '../problem.ts'
import type { RequestContext } from '../../forwarding/request-context.ts'
import { clientFields } from '../../forwarding/response-fields.ts'

export interface WebSocketParts {
  readonly origins: Origins
  readonly viaName: string
  /** Checks the request and tells who asks. @throws SpringhouseError, source client */
  admit(request: IncomingMessage): RequestContext
  /** @throws SpringhouseError NO_ROUTE, BAD_REQUEST */
  destination(request: IncomingMessage, client: RequestContext): Destination
  /** A line for the log. */
  failed(error: SpringhouseError, request: IncomingMessage): void
}

// A peer that is gone without a word is found out by the system: a WebSocket may be silent for hours, and has no timeout here.
const probeAfterMs = 60_000

/** Whether a request asks for a WebSocket. To HTTP/1.0 there are no upgrades (RFC 9110 §7.8). */
export function asksForWebSocket({ method, headers, httpVersion }: IncomingMessage): boolean {
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.trim().toLowerCase() === 'websocket'
}

/** Relays one WebSocket. `head` is what the client sent behind its request. */
export function relayWebSocket(parts: WebSocketParts, request: IncomingMessage, client: Socket, head: Buffer): void {
  try {
    const connection = parts.admit(request)
    const fields = forwardFields(fieldLines(request.rawHeaders), connection, parts.viaName)
    // Both belong to one hop (§7.6.1): off came the client's, on go this hop's own.
    fields.push('connection', 'Upgrade', 'upgrade', 'websocket')
    const relay = new Relay(parts, request, client, head)
    relay.start(parts.destination(request, connection), fields)
  } catch (error) {
    fail(parts, request, client, error instanceof SpringhouseError ? error : new SpringhouseError('INTERNAL', { cause: error }))
  }
}

function fail(parts: WebSocketParts, request: IncomingMessage, client: Socket, error: SpringhouseError): void {
  parts.failed(error, request)
  writeRawProblem(client, error)
}

class Relay implements UpgradeSink {
  readonly #parts: WebSocketParts
  readonly #request: IncomingMessage
  readonly #client: Socket
  readonly #head: Buffer
  #upgrade: OriginUpgrade | undefined

  constructor(parts: WebSocketParts, request: IncomingMessage, client: Socket, head: Buffer) {
    this.#parts = parts
    this.#request = request
    this.#client = client
    this.#head = head
  }

  start({ origin, target }: Destination, fields: FieldLines): void {
    const { origins } = this.#parts
    this.#upgrade = origins.upgrade({ origin, target, fields, protocol: 'websocket' }, this)
    this.#client.on('close', () => this.#upgrade?.abort())
    if (this.#client.destroyed) this.#upgrade.abort()
  }

  onSwitched(fields: FieldLines, origin: Socket, head: Buffer): void {
    const client = this.#client
    origin.on('error', () => undefined)
    if (client.destroyed) return void origin.destroy()
    client.write(headOf(101, 'Switching Protocols', ['connection', 'Upgrade', 'upgrade', 'websocket', ...this.#answerFields(fields)]), 'latin1')
    if (head.length > 0) client.write(head)
    if (this.#head.length > 0) origin.write(this.#head)
    join(client, origin)
  }

  onRefused(status: number, fields: FieldLines, body: Readable, sound: () => boolean): void {
    const response = answerOn(this.#request, this.#client)
    if (!sendHead(response, status, this.#answerFields(fields))) {
      body.on('error', () => undefined)
      body.destroy()
      return
    }
    body.on('error', () => cut(response))
    // A body that the end of the connection delimits is not whole when that end was a reset.
    body.on('end', () => { if (sound()) response.end(); else cut(response) })
    body.pipe(response, { end: false })
  }

  onError(error: SpringhouseError): void {
    if (!this.#client.destroyed) fail(this.#parts, this.#request, this.#client, error)
  }

  #answerFields(fields: FieldLines): string[] {
    return clientFields(fields, `1.1 ${this.#parts.viaName}`, passStatus('upgrade'))
  }
}

/** An ordinary response on a connection that Node has given up, which it closes. */
export function answerOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as IncomingMessage['socket'])
  // Node took its own listener off when it gave the socket up.
  socket.on('drain', () => response.emit('drain'))
  response.on('finish', () => socket.end())
  return response
}

function headOf(status: number, phrase: string, fields: FieldLines): string {
  const lines = [`HTTP/1.1 ${status} ${phrase}`]
  for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** What one side sends the other gets, at the pace of the slower; the end of either is the end of both. */
function join(client: Socket, origin: Socket): void {
  for (const [side, other] of [[client, origin], [origin, client]] as const) {
    side.setTimeout(0)
    side.setNoDelay(true)
    side.setKeepAlive(true, probeAfterMs)
    side.pipe(other)
    side.on('close', () => other.destroy())
  }
}
