// The load of the listener: its open connections and requests in flight, and their bounds.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { SpringhouseError } from '../../errors.ts'
import { noObserver } from '../../exchange/client/observer.ts'
import type { ExchangeObserver } from '../../exchange/client/exchange.ts'

/** The bounds of a listener. */
export interface LoadLimits {
  /** Most connections that are served. */
  readonly maxClients: number
  /** Most connections beyond these, which are open only to get a 503. */
  readonly maxRefused: number
  /** Most requests in flight. */
  readonly maxRequests: number
}

const beyond: unique symbol = Symbol('springhouse.beyond')

type CountedSocket = Socket & { [beyond]?: true }

/**
 * Counts the connections and requests of a listener. A connection beyond `maxClients` is accepted, so that its first request gets
 * a 503 and not a reset. Such connections hold descriptors too: for each one beyond `maxRefused`, the oldest of them is closed.
 * So the newest client always gets a response, however many silent clients hold connections.
 */
export class ListenerLoad implements ExchangeObserver {
  readonly #limits: LoadLimits
  #clients = 0
  #requests = 0
  /** Connections beyond `maxClients`, the oldest first. */
  readonly #beyond = new Set<CountedSocket>()

  constructor(limits: LoadLimits) {
    this.#limits = limits
  }

  /** Counts the connections of a server from now on. Call this after HTTP/2 has taken over the connections. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#clients++
      socket.once('close', () => this.#clients--)
      if (!(server instanceof TlsServer)) this.#mark(socket)
      // Half a handshake is a connection too, and no request will show it.
      else if (this.#clients > this.#limits.maxClients + this.#limits.maxRefused) this.#closeOldest(socket)
    })
    if (server instanceof TlsServer) server.on('secureConnection', (socket: Socket) => this.#mark(socket))
  }

  #mark(socket: CountedSocket): void {
    if (this.#clients <= this.#limits.maxClients) return
    socket[beyond] = true
    this.#beyond.add(socket)
    socket.once('close', () => this.#beyond.delete(socket))
    if (this.#beyond.size > this.#limits.maxRefused) this.#closeOldest(socket)
  }

  /** Closes the oldest connection beyond the bound, or the given one if there is none. */
  #closeOldest(instead: Socket): void {
    const [oldest = instead] = this.#beyond
    this.#beyond.delete(oldest)
    oldest.destroy()
  }

  /**
   * Counts a request. `delivered` counts it out.
   * @returns why it must be refused, and its connection closed; undefined if it need not be
   */
  begin(socket: Socket | undefined): SpringhouseError | undefined {
    this.#requests++
    if (this.isBeyond(socket))
      return new SpringhouseError('PROXY_BUSY', { detail: `${this.#limits.maxClients} clients are connected, as many as proxy.maxClients or the limit of open files allows` })
    if (this.#requests > this.#limits.maxRequests)
      return new SpringhouseError('PROXY_BUSY', { detail: `${this.#limits.maxRequests} requests are in flight, as many as proxy.maxRequests allows` })
    return undefined
  }

  /** Returns true if a connection is beyond the bound now. Once others have closed, it is served like any other. */
  isBeyond(socket: CountedSocket | undefined): boolean {
    if (this.#beyond.size === 0 || socket?.[beyond] !== true) return false
    if (this.#clients > this.#limits.maxClients) return true
    socket[beyond] = undefined as never
    this.#beyond.delete(socket)
    return false
  }

  delivered(): void {
    this.#requests--
  }

  readonly failed = noObserver.failed
  readonly notStored = noObserver.notStored
  readonly deferred = noObserver.deferred
  readonly count = noObserver.count
}
