// The interface between requests and the two transports, HTTP/1.1 and HTTP/2.
import type { Readable } from 'node:stream'
import type { FieldLines } from '../../http/fields.ts'

/** A request as a server gets it. */
export interface TransportRequest {
  readonly method: string
  /** The bytes of the request target. It begins with a slash. */
  readonly path: string
  /** Every field to send, without those of the connection and of framing. Content-Length, if given, is the length of the body. */
  readonly fields: FieldLines
  /** A stream is read at the pace of the server. Its owner discards the rest of it, if the response ends before it. */
  readonly body: Readable | Buffer | string | null
}

/** The flow of the response that is arriving. */
export interface ResponseControl {
  readonly paused: boolean
  pause(): void
  resume(): void
  /** Gives the request up. The handler gets this error. */
  abort(reason: Error): void
}

/**
 * Takes the events of one response. Calls come in this order: `onRequestStart`, any `onResponseStart` with an interim status, one with the
 * final status, any `onResponseData`, then `onResponseEnd`; or `onResponseError` in place of any, once, last. Chunks belong to the handler.
 */
export interface ResponseHandler {
  /** The request is about to be sent. A call of `abort` prevents that. */
  onRequestStart(control: ResponseControl): void
  /** @param lines as received. A 100 is not reported */
  onResponseStart(control: ResponseControl, status: number, lines: FieldLines): void
  onResponseData(control: ResponseControl, chunk: Buffer): void
  /** @param trailers as received */
  onResponseEnd(control: ResponseControl, trailers: FieldLines): void
  /**
   * Returns whether `onResponseWhole` may take the place of a final `onResponseStart` and of all after it, for a response without trailers
   * that arrived at once.
   */
  acceptsWhole?(status: number, lines: FieldLines): boolean
  onResponseWhole?(status: number, body: Buffer): void
  /** @param control undefined if no connection could be made */
  onResponseError(control: ResponseControl | undefined, error: Error): void
}

/** An HTTP/1.1 connection for one request at a time, or one HTTP/2 stream. */
export interface Transport {
  /** Sends the request and calls the handler, never before this call returns. */
  dispatch(request: TransportRequest, handler: ResponseHandler): void
  /** True if a byte of a response arrived, including bytes not reported to the handler. */
  readonly receivedAny: boolean
  readonly isHttp2: boolean
  /** True if the current response is HTTP/1.0. */
  readonly isHttp10: boolean
  /** True if the head of the current response is known to be all of it: no body and no trailers follow. */
  readonly endsAtHead: boolean
  /** After a failure before any response: whether the server was probably closing an idle connection that had served before. */
  readonly stale: boolean
  /** Keeps every other request off its connection, because the server may bind a login to it. */
  serveNoOther(): void
  /** Gives its place in the pool to others: its response is a stream, which has a place of its own. Called before `release`. */
  leavePool(): void
  /** Returns the transport to its pool, after the last call of its handler has begun. */
  release(): void
  /** Returns a transport whose connection could not be made. It is not reused. */
  discard(): void
}

/** A request that waits for a transport. */
export interface PoolWaiter {
  /** True if the request may be sent twice. If so, any idle connection will do, even if it turns out to be closed. */
  readonly repeatable: boolean
  /** True if the request has a body. A slow sender holds its connection for as long as the body takes. */
  readonly uploads: boolean
  /** Gives the waiter a transport, which it owns until it releases or discards it. */
  start(transport: Transport): void
  /** Called if no connection can be made. Nothing was sent. */
  onConnectError(error: Error): void
}

/** The transports to one server, and the queue of waiters. */
export interface TransportPool {
  /** Gives the waiter a transport, now or when one is free. */
  acquire(waiter: PoolWaiter): void
  /** Removes a waiter from the queue. False if it already has a transport. */
  cancel(waiter: PoolWaiter): boolean
  /** Closes idle connections, and the others after their requests, because the server accepts no more. It is probably being stopped. */
  refused(): void
  /** Closes idle connections and lets requests in flight finish, because the server's address is no longer in DNS. */
  retire(): void
  close(): Promise<void>
}
