// An upgrade request (RFC 9110 §7.8): the pool's servers and failover, and the bare socket after the server's 101.
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { SpringhouseError } from '../../errors.ts'
import { fieldLines, fieldValue } from '../../http/fields.ts'
import { isConnectionFailure, isExhaustion, mapOriginError } from '../failures.ts'
import type { OriginUpgrade, UpgradeRequest, UpgradeSink } from '../origin.ts'
import type { OriginPool } from '../pool/pool.ts'
import { receivedHead } from './response-head.ts'
import type { OriginServer } from '../pool/server.ts'

/**
 * Tries one server after another until a response begins: the request is a GET without a body, so it may be sent twice. It
 * counts as in flight until the socket is closed.
 */
export class UpgradeTrip implements OriginUpgrade {
  readonly #pool: OriginPool
  readonly #request: UpgradeRequest
  readonly #sink: UpgradeSink
  readonly #tried: OriginServer[] = []
  #retries: number
  #sent: ClientRequest | undefined
  #socket: Socket | undefined
  #patience: NodeJS.Timeout | undefined
  #over = false

  constructor(pool: OriginPool, request: UpgradeRequest, sink: UpgradeSink) {
    this.#pool = pool
    this.#request = request
    this.#sink = sink
    this.#retries = pool.config.retries
  }

  start(): void {
    const server = this.#pool.closed ? undefined : this.#pool.choose('stream')
    if (server === undefined) this.#fail(new SpringhouseError(this.#pool.closed ? 'ORIGIN_UNREACHABLE' : 'ORIGIN_BUSY'))
    else this.#try(server)
  }

  abort(): void {
    this.#over = true
    clearTimeout(this.#patience)
    this.#sent?.destroy()
    this.#socket?.destroy()
  }

  #try(server: OriginServer): void {
    server.dial((...result) => {
      const [error, socket] = result
      if (error !== null) return this.#failed(server, error, false)
      if (this.#over) return socket.destroy()
      this.#socket = socket
      this.#ask(server, socket)
    })
  }

  #ask(server: OriginServer, socket: Socket): void {
    const { target, fields } = this.#request
    this.#request.onTry?.(server.url, server.address)
    const sent = httpRequest({ method: 'GET', path: server.targetOf(target), headers: server.fieldsOf(fields), setHost: false, maxHeaderSize: this.#pool.config.maxHeaderBytes,
      createConnection: () => socket })
    // Node would silently drop fields after the first 1,000.
    sent.maxHeadersCount = 0
    this.#sent = sent
    this.#patience = setTimeout(() => sent.destroy(new SpringhouseError('ORIGIN_TIMEOUT')), this.#pool.config.timeouts.headersMs)
    // Later errors of the socket belong to the sink that owns it.
    sent.on('error', (error) => this.#failed(server, error, true))
    sent.on('upgrade', (message, _socket, head) => {
      if (this.#answered(server, message)) this.#switched(message, socket, head)
    })
    sent.on('response', (message) => {
      // A 101 that Node does not treat as an upgrade names no protocol, or is malformed.
      if (this.#answered(server, message)) this.#refused(message, socket)
    })
    sent.end()
  }

  /** Records a response and returns whether it is still wanted. */
  #answered(server: OriginServer, message: IncomingMessage): boolean {
    clearTimeout(this.#patience)
    server.succeeded()
    if (!this.#over) return true
    message.destroy()
    return false
  }

  #switched(message: IncomingMessage, socket: Socket, head: Buffer): void {
    const lines = fieldLines(message.rawHeaders)
    // RFC 9110 §7.8: HTTP/1.0 has no upgrades. Node's parser also accepts RTSP and other versions.
    if (message.httpVersion !== '1.1') return this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: 'status line' }))
    // §15.2.2: only the requested protocol.
    if (fieldValue(lines, 'upgrade')?.toLowerCase() !== this.#request.protocol) {
      return this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: 'switched to a protocol that was not requested' }))
    }
    const { fields, fault } = receivedHead(101, lines, this.#pool.clock.now(), { switching: true })
    if (fault !== undefined) return this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: fault }))
    this.#over = true
    this.#sink.onSwitched(fields, socket, head)
  }

  #refused(message: IncomingMessage, socket: Socket): void {
    const status = message.statusCode ?? 0
    const lines = fieldLines(message.rawHeaders)
    const isHttp10 = message.httpVersion === '1.0'
    if (!isHttp10 && message.httpVersion !== '1.1') return this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: 'status line' }))
    const { fields, fault } = receivedHead(status, lines, this.#pool.clock.now(), { isHttp10 })
    if (fault !== undefined) return this.#fail(new SpringhouseError('ORIGIN_MALFORMED', { detail: fault }))
    this.#over = true
    this.#sink.onRefused(status, fields, message, () => socket.errored === null)
  }

  #failed(server: OriginServer, cause: Error, wasSent: boolean): void {
    clearTimeout(this.#patience)
    if (this.#over) return
    const error = mapOriginError(cause)
    // This machine could not connect: that says nothing about the server, and costs no retry.
    const exhausted = isExhaustion(error)
    if (!exhausted && !isConnectionFailure(error)) return this.#fail(error)
    if (!exhausted) {
      this.#request.onTryFailed?.(server.url, server.address, error.code)
      server.failed(cause)
      this.#pool.refreshAddressesSoon()
    }
    this.#tried.push(server)
    const next = (!wasSent || this.#retries > 0) && !this.#pool.closed ? this.#pool.another(this.#tried, 'stream') : undefined
    if (next === undefined || !(exhausted || this.#pool.retryBudget.spend())) return this.#fail(error)
    if (wasSent) this.#retries--
    this.#try(next)
  }

  #fail(error: SpringhouseError): void {
    if (this.#over) return
    this.abort()
    this.#sink.onError(error)
  }
}
