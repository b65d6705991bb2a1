// The interface to origins: a request, and a sink for its response.
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { SpringhouseError } from '../errors.ts'
import type { FieldLines } from '../http/fields.ts'
import type { OriginConfig } from './config.ts'

/** A request to one of a pool's servers. */
export interface RequestForOrigin {
  /** Name of the pool, a key of `origins` in the configuration. */
  readonly origin: string
  readonly method: string
  /** The exact bytes of path and query as the client sent them, without ignored parameters. */
  readonly target: string
  /** Every field to send, including Host, without hop-by-hop fields. */
  readonly fields: FieldLines
  /** A Buffer can be sent again; a stream is read once, at the pace of the server. None unless given. */
  readonly body?: Readable | Buffer | null | undefined
  /** True if the client accepts trailers: see Outgoing. */
  readonly acceptsTrailers?: boolean | undefined
  /** True if the client that sends the body has left. Then a truncated body is not the server's failure. */
  senderGone?(): boolean
  /** Statuses after which the request is sent to another server. */
  readonly retryOn?: readonly number[] | undefined
}

/**
 * Takes one response. Calls come in this order: any onInterim, one onHead, any onData, then onEnd; or onError in place
 * of any of them, once, last. onEnd means that the end of the message was seen. A truncated body is an onError, and so
 * is a close-delimited body that a reset ends.
 */
export interface ResponseSink {
  /** The request is sent, for the first time or again, to the server with this base URL, at this address if it has one. */
  onTry?(server: string, address?: string): void
  /** A server failed the request, sent or not. `code`: of the catalogue, or the status for which another server is tried. */
  onTryFailed?(server: string, address: string | undefined, code: string): void
  /** An interim response (1xx) other than 101. */
  onInterim?(status: number, fields: FieldLines): void
  /** @param endsAtHead true if the head is known to be all of the response */
  onHead(status: number, fields: FieldLines, endsAtHead: boolean): void
  /** Called right after onHead if no byte of the body arrived with the head. */
  onHeadAlone?(): void
  /** The chunk belongs to the sink. */
  onData(chunk: Buffer): void
  onEnd(trailers: FieldLines): void
  /**
   * In place of onHead, onData and onEnd: a response without trailers that arrived at once. HTTP/1.1 alone calls it, and not for a
   * request that is paused. The body belongs to the sink.
   */
  onWhole?(status: number, fields: FieldLines, body: Buffer): void
  /** `error` is from the catalogue, source `origin`; `headSeen`: onHead had been called. */
  onError(error: SpringhouseError, headSeen: boolean): void
}

/** A request in flight. */
export interface OriginExchange {
  /** Back-pressure: no onData until resume. Safe at any time. */
  pause(): void
  resume(): void
  /** Closes the connection; the sink gets no further call. */
  abort(): void
  /**
   * Marks the request as abandoned by its client. It goes on, but not at the cost of others: `giveUp` is called if another
   * request needs its slot, or if this request is still waiting for a slot.
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
  /** The requested protocol of Upgrade, in lower case. */
  readonly protocol: string
  /** The handshake is sent, for the first time or again, to the server with this base URL, at this address if it has one. */
  onTry?(server: string, address?: string): void
  /** See ResponseSink. */
  onTryFailed?(server: string, address: string | undefined, code: string): void
}

/** Takes the result of an upgrade: exactly one of these calls, once. */
export interface UpgradeSink {
  /** `fields`: the fields of the 101 that may be forwarded; `head`: the bytes after it. The sink owns the socket now. */
  onSwitched(fields: FieldLines, socket: Socket, head: Buffer): void
  /** An ordinary response. `sound`, called at its end: whether the connection ended in order, which matters if that ends the body. */
  onRefused(status: number, fields: FieldLines, body: Readable, sound: () => boolean): void
  /** `error` is from the catalogue, source `origin`. */
  onError(error: SpringhouseError): void
}

/** An upgrade in flight. */
export interface OriginUpgrade {
  /** Closes the connection; the sink gets no further call. */
  abort(): void
}

/** The location of a server. */
export interface OriginPlace {
  /** Its base URL, as configured. */
  readonly url: string
  /** Address to connect to, in place of the URL's host; undefined: the host itself. */
  readonly address?: string | undefined
}

/** The status of a pool's server, for /v1/origins. Each address of a name is a server of its own. */
export interface OriginServerStatus extends OriginPlace {
  readonly origin: string
  readonly healthy: boolean
  /** Requests in flight or waiting, without streams. */
  readonly pending: number
  /** WebSockets and event streams. */
  readonly streams: number
  readonly consecutiveFailures: number
}

export interface Origins {
  request(request: RequestForOrigin, sink: ResponseSink): OriginExchange
  /** Requests another protocol; the sink takes the result. */
  upgrade(request: UpgradeRequest, sink: UpgradeSink): OriginUpgrade
  status(): readonly OriginServerStatus[]
  /**
   * Takes up other origins by their names. Requests in flight end on the servers that they were sent to, and fail over to the new
   * ones. Call it before routes lead to new origins.
   */
  reload(origins: Readonly<Record<string, OriginConfig>>): void
  close(): Promise<void>
}
