// How the rest of the house asks an origin: one request, one sink for what comes back.
import type { Dispatcher } from 'undici'
import type { SpringhouseError } from '../errors.ts'
import type { FieldLines } from '../http/fields.ts'

/** A request to one of a pool's servers. It has no body: what has one goes through @fastify/http-proxy. */
export interface OriginRequest {
  /** Name of the pool, a key of `origins` in the configuration. */
  readonly origin: string
  readonly method: 'GET' | 'HEAD'
  /** Exact bytes of path and query as the client sent them (less ignored parameters). */
  readonly target: string
  /** Every field to send, Host included, hop-by-hop fields gone. */
  readonly fields: FieldLines
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
  request(request: OriginRequest, sink: ResponseSink): OriginExchange
  /**
   * The same servers, balancing and failover for @fastify/http-proxy: an undici Dispatcher to which the upstream
   * `http://<pool>.origin.invalid` names a pool.
   */
  readonly dispatcher: Dispatcher
  /** A server to open a WebSocket to. @throws SpringhouseError ORIGIN_UNREACHABLE when none is left. */
  pick(origin: string): OriginPlace
  status(): readonly OriginServerStatus[]
  close(): Promise<void>
}
