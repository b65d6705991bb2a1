// What carries one request to a server and its answer back, and where it comes from: the seam between HTTP/1.1 and HTTP/2.
import type { Dispatcher } from 'undici'
import type { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'

/** A connection that carries one request at a time, or one stream of a session that carries many. Both speak as undici does. */
export interface Transport {
  /** Sends the request. The handler hears of it as undici's Client would tell it: on failure once, after `onRequestStart`. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void
  /** Whether a byte of an answer has come, also one that the handler was not told of. */
  readonly receivedAny: boolean
  /** Whether the answer that is coming is one of HTTP/1.0. */
  readonly isHttp10: boolean
  /** Whether it has failed, and whoever has it is about to hear of that. */
  readonly broken: boolean
  /** After a failure before any answer: whether the server was likely just closing a connection that had served before. */
  readonly stale: boolean
  /** The body of a response is coming; undefined: no more. */
  answering(controller: Dispatcher.DispatchController | undefined): void
  /** The message has come to its end, by the parser's word. */
  messageEnded(): void
  /**
   * Told when the parser is through with what came with the end: why the message was not whole after all, if so.
   * @param byLength whether the body ends where its length says
   * @param trailers the fields behind it
   */
  settle(byLength: boolean, trailers: FieldLines): SpringhouseError | undefined
  /** Given back. After a failure, not from within undici's own call: it must have put the client in order. */
  release(): void
  /** Given back, and of no use to anybody: a connection that could not be made. */
  discard(): void
}

/** Who waits for a transport. */
export interface PoolWaiter {
  /** Whether it may be sent twice, should its connection turn out to be gone: then any idle one will do. */
  readonly repeatable: boolean
  /** Whether it has a body, which comes as slowly as its sender likes, and holds a connection for as long. */
  readonly uploads: boolean
  /** The transport is the waiter's until it is given back. */
  start(transport: Transport): void
  /** There is none to be had, and nothing was sent. */
  onConnectError(error: Error): void
}

/** All that carries requests to one server, and the queue before it. */
export interface TransportPool {
  /** Gives the waiter a transport: now, or when one is free. */
  acquire(waiter: PoolWaiter): void
  /** Stops waiting. False: it has a transport already. */
  cancel(waiter: PoolWaiter): boolean
  /** The server's address has vanished: what is idle is closed, and what is under way finishes. */
  retire(): void
  close(): Promise<void>
}
