// The interface between requests and the two transports, HTTP/1.1 and HTTP/2.
import type { Dispatcher } from 'undici'
import type { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'

/** The delimiter of a response (RFC 9112 §6.3). */
export type MessageEnd = 'length' | 'head' | 'coding'

/** An HTTP/1.1 connection for one request at a time, or one HTTP/2 stream. Both call the handler as undici does. */
export interface Transport {
  /** Sends the request. Calls the handler as undici's Client would: on failure once, after `onRequestStart`. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void
  /** True if a byte of a response arrived, including bytes not reported to the handler. */
  readonly receivedAny: boolean
  readonly isHttp2: boolean
  /** True if the current response is HTTP/1.0. */
  readonly isHttp10: boolean
  /** True if the head of the current response is known to be all of it: no body and no trailers follow. */
  readonly endsAtHead: boolean
  /** True if the transport has failed and its handler is about to be called. */
  readonly broken: boolean
  /** After a failure before any response: whether the server was probably closing an idle connection that had served before. */
  readonly stale: boolean
  /** Announces that a response body follows; undefined: that none does. */
  answering(controller: Dispatcher.DispatchController | undefined): void
  /** Called when the parser reports the end of the message. */
  messageEnded(): void
  /**
   * Called after the parser has processed the bytes that arrived with the end. Returns an error if the message is incomplete.
   * @param byLength true if Content-Length delimits the body
   * @param trailers the fields after the body
   */
  settle(end: MessageEnd, trailers: FieldLines): SpringhouseError | undefined
  /** Keeps every other request off its connection, because the server may bind a login to it. */
  serveNoOther(): void
  /** Gives its place in the pool to others: its response is a stream, which has a place of its own. Called before `release`. */
  leavePool(): void
  /** Returns the transport to its pool. After a failure, call it only when undici's own call has returned and reset the client. */
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
