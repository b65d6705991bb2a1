// How the rest of the house asks an origin: one request, one sink for what comes back.
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { SpringhouseError } from '../errors.ts'
import type { FieldLines } from '../http/fields.ts'

/** A request to one of a pool's servers. It has no body: what has one goes through @fastify/http-proxy. */
export interface RequestForOrigin {
  /** Name of the pool, a key of `origins` in the configuration. */
  readonly origin: string
  readonly method: 'GET' | 'HEAD'
  /** Exact bytes of path and query as the client sent them (less ignored parameters). */
  readonly target: string
  /** Every field to send, Host included, hop-by-hop fields gone. */
  readonly fields: FieldLines
  /** Statuses for which another server is tried instead. */
  readonly retryOn?: readonly number[] | undefined
}

/**
 * Takes one response. Calls come in this order: any onInterim, one onHead, any onData, then onEnd; or onError in place
 * of any of them, once, last. onEnd means that the end of the message was seen: a body cut short is an onError, and so
 * is a close-delimited body ended by a reset.
 */
export interface ResponseSink {
  /** A 1xx answer other than 101. */
  onInterim?(status: number, fields: FieldLines): void
  onHead(status: number, fields: FieldLines): void
  /** Right after onHead, where nothing of the body has come with it. */
  onHeadAlone?(): void
  /** The chunk belongs to the sink. */
  onData(chunk: Buffer): void
  onEnd(trailers: FieldLines): void
  /** From the catalogue, source `origin`; `headSeen` tells whether onHead had been called. */
  onError(error: SpringhouseError, headSeen: boolean): void
}

/** A request under way. */
export interface OriginExchange {
  /** Back-pressure: no onData until resume. Safe at any time. */
  pause(): void
  resume(): void
  /** Gives up: the connection is closed, and the sink hears nothing more. */
  abort(): void
  /**
   * Nobody waits for the answer any more. It goes on, but not at the cost of others: `giveUp` is called where a request would
   * have to wait for its place, or where it is itself still waiting for one.
   */
  unwanted(giveUp: () => void): void
}

/** A request to change protocols: a GET without a body. */
export interface UpgradeRequest {
  /** Name of the pool. */
  readonly origin: string
  readonly target: string
  /** Every field to send, Connection and Upgrade among them. */
  readonly fields: FieldLines
  /** What Upgrade asks for, in lower case. */
  readonly protocol: string
}

/** Hears one of these, once. */
export interface UpgradeSink {
  /** `fields`: those of the 101 that may be passed on; `head`: what came on the socket after it. Both are the sink's now. */
  onSwitched(fields: FieldLines, socket: Socket, head: Buffer): void
  /** An ordinary answer. `sound`, asked at its end: whether its connection ended in order, where that is what ends the body. */
  onRefused(status: number, fields: FieldLines, body: Readable, sound: () => boolean): void
  /** From the catalogue, source `origin`. */
  onError(error: SpringhouseError): void
}

/** An upgrade under way. */
export interface OriginUpgrade {
  /** Gives up: the connection is closed, and the sink hears nothing more. */
  abort(): void
}

/** Where a server is. */
export interface OriginPlace {
  /** Its base URL, as configured. */
  readonly url: string
  /** Where to connect to, in place of the URL's host; undefined: the host as it is. */
  readonly address?: string
}

/** A server of a pool, for /v1/origins: each address of a name that has several is a server of its own. */
export interface OriginServerStatus extends OriginPlace {
  readonly origin: string
  readonly healthy: boolean
  readonly pending: number
  readonly consecutiveFailures: number
}

export interface Origins {
  request(request: RequestForOrigin, sink: ResponseSink): OriginExchange
  /**
   * The same servers, balancing and failover for @fastify/http-proxy: an undici Dispatcher to which the upstream
   * `http://<pool>.origin.invalid` names a pool.
   */
  readonly dispatcher: Dispatcher
  /** Asks for another protocol: one request, one sink for what becomes of it. */
  upgrade(request: UpgradeRequest, sink: UpgradeSink): OriginUpgrade
  status(): readonly OriginServerStatus[]
  close(): Promise<void>
}
