// One request's way to an origin and back: a server, a connection, the answer, and another try where that is safe (failover.ts).
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { hasField, type FieldLines } from '../../http/fields.ts'
import { settleSection } from '../../http/field-section.ts'
import type { Transport, PoolWaiter } from '../transport/transport.ts'
import { isConnectionFailure, mapOriginError, NotProcessed, systemCode } from '../failures.ts'
import { BodyTimeout, isEventStream } from './body-timeout.ts'
import { noteStreamedBytes } from './minor-gc.ts'
import type { OriginPool } from '../pool/pool.ts'
import { isIdempotent } from './idempotency.ts'
import { receivedHead, receivedLines } from './response-head.ts'
import type { OriginServer } from '../pool/server.ts'
import { Failover } from './failover.ts'
import { ReplayableBody } from './replayable-body.ts'

/** What goes over the wire. */
export interface Outgoing {
  readonly method: string
  readonly target: string
  readonly fields: FieldLines
  readonly body: Readable | Buffer | string | null
  /** Statuses for which another server is tried; none unless the route says so. */
  readonly retryOn?: readonly number[] | undefined
}

/** The head of an answer, and what of its body came with it, while it is not yet known whether that is sound. */
interface Beginning {
  readonly controller: Dispatcher.DispatchController
  readonly status: number
  readonly fields: FieldLines
  readonly chunks: Buffer[]
}

/**
 * Sends a request to one of a pool's servers and follows the response.
 *
 * Failover: a connection that could not be made is tried on every other server whatever the method, for nothing was sent. One
 * that was reset before the first byte of a response is tried again only for a method that may be repeated, and a body that is at hand;
 * on the same server only if the connection had served before, when the likely cause is that the server was just closing
 * it (RFC 9112 §9.3.1). One that a server says it did not process (RFC 9113 §8.7) goes to another, or to the same again, whatever
 * the method, as long as its body can be sent anew. Because of what was answered only where `retryOn` says so, on another
 * server, and never with a body.
 *
 * An answer is told of when the parser is through with what came in one go: one of which a part is malformed, or cut, or has
 * bytes behind it, is then no answer at all, and whoever asked can still be told so.
 *
 * Subclasses hear, in this order: any `interim`, one `head`, `alone` if nothing of the body came with it, any `data`, `end`; or
 * `failed` in place of any, once, last.
 */
export abstract class OriginRequest implements PoolWaiter, Dispatcher.DispatchHandler {
  readonly #pool: OriginPool
  readonly #outgoing: Outgoing
  readonly #tries: Failover
  #server: OriginServer | undefined
  /** Where it goes once the answer that it does not want is out of the way. */
  #instead: OriginServer | undefined
  #transport: Transport | undefined
  #idle: BodyTimeout | undefined
  /** A body that may have to be sent anew. */
  readonly #upload: ReplayableBody | undefined
  #controller: Dispatcher.DispatchController | undefined
  #started = false
  #byteSeen = false
  #headSeen = false
  #beginning: Beginning | undefined
  /** Whether a subclass has heard the head. */
  #headTold = false
  #bodySeen = false
  #endSeen = false
  #bodiless = false
  /** Whether the response is a 205, whose body must be empty (RFC 9110 §15.3.6): HTTP/2 has no place for one. */
  #mustBeEmpty = false
  /** Gives up what nobody waits for: see OriginExchange. */
  #giveUp: (() => void) | undefined
  /** Whether the body ends where its length says. */
  #byLength = false
  #over = false

  constructor(pool: OriginPool, outgoing: Outgoing) {
    this.#pool = pool
    this.#outgoing = outgoing
    this.#tries = new Failover(pool)
    if (pool.config.http2 === true && outgoing.body instanceof Readable) this.#upload = new ReplayableBody(outgoing.body)
  }

  protected abstract interim(status: number, fields: FieldLines): void
  /** `lines`: as received, lower-case; `fields`: those that may be passed on. */
  protected abstract head(controller: Dispatcher.DispatchController, status: number, fields: FieldLines): void
  /** The body is yet to come: whoever is answered need not wait for it to have the head. */
  protected abstract alone(): void
  protected abstract data(controller: Dispatcher.DispatchController, chunk: Buffer): void
  /** May come while the body is paused: see Connection. */
  protected abstract end(trailers: FieldLines): void
  protected abstract failed(error: SpringhouseError, headSeen: boolean): void
  /** Whether the failure is the doing of whoever sends the request's body. */
  protected senderFailed(): boolean {
    return false
  }

  /** Begins. Nothing is heard before the caller's turn is over. */
  send(): void {
    const server = this.#pool.closed ? undefined : this.#pool.choose()
    if (server === undefined) {
      const error = new SpringhouseError(this.#pool.closed ? 'ORIGIN_UNREACHABLE' : 'ORIGIN_BUSY')
      queueMicrotask(() => this.#fail(error))
      return
    }
    this.#server = server
    this.#pool.retryBudget.earn()
    server.acquire(this)
  }

  /** Gives up. Nothing is heard afterwards. */
  abandon(): void {
    if (this.#over) return
    this.#over = true
    this.#forget()
    this.#idle?.end()
    if (this.#controller !== undefined) this.#controller.abort(new SpringhouseError('CLIENT_GONE'))
    // While the connection is being opened nothing can be aborted; onRequestStart does it then.
    else this.#server?.cancel(this)
  }

  /** See OriginExchange. */
  unwanted(giveUp: () => void): void {
    if (this.#over) return
    if (this.#transport === undefined) return giveUp()
    this.#giveUp = giveUp
    this.#server?.unwanted(giveUp)
  }

  #forget(): void {
    if (this.#giveUp !== undefined) this.#server?.over(this.#giveUp)
    this.#giveUp = undefined
  }

  start(transport: Transport): void {
    if (this.#over) return this.#server?.release(transport)
    this.#transport = transport
    const { method, target, fields, body } = this.#outgoing
    const options = {
      path: target,
      method: method as Dispatcher.HttpMethod,
      headers: fields as string[],
      body: this.#upload?.open() ?? body,
      // Any constant but the client's Host: undici closes a TLS connection whenever this changes. See http1-connection.ts.
      servername: 'origin',
    }
    transport.dispatch(options, this)
  }

  onConnectError(error: Error): void {
    this.#server?.unserved()
    if (!this.#over) this.#recover(error, false)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#started = true
    this.#controller = controller
    if (this.#over) controller.abort(new SpringhouseError('CLIENT_GONE'))
  }

  onResponseStarted(): void {
    this.#byteSeen = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#over) return
    const lines = receivedLines(controller.rawHeaders)
    const { fields, fault } = receivedHead(status, lines, this.#pool.clock.now(), { isHttp10: this.#transport?.isHttp10 === true })
    if (fault !== undefined) return controller.abort(new SpringhouseError('ORIGIN_MALFORMED', { detail: fault }))
    this.#server?.succeeded()
    // Decided before anything of the answer is heard; what is left of it goes with its connection.
    if (this.#goesElsewhere(status)) return controller.abort(new SpringhouseError('ORIGIN_RESET'))
    if (status < 200) return this.interim(status, fields)
    this.#upload?.release()
    this.#bodiless = status === 304 || status === 204
    this.#mustBeEmpty = status === 205
    this.#transport?.answering(controller)
    const { idleMs } = this.#pool.config.timeouts
    if (idleMs > 0 && !isEventStream(fields)) this.#idle = new BodyTimeout(controller, idleMs)
    this.#headSeen = true
    this.#byLength = !this.#bodiless && this.#outgoing.method !== 'HEAD' && hasField(lines, 'content-length')
    this.#beginning = { controller, status, fields, chunks: [] }
    // undici breaks off an upload whose answer has come to its end, and the client's connection with it: what there is to tell
    // must be on its way by then.
    if (this.uploads) this.#tell()
    queueMicrotask(() => this.#parsed())
  }

  /** The parser is through with what came with the head. */
  #parsed(): void {
    // Whether the message is sound is told where its end, or its failure, is.
    if (this.#over || this.#endSeen || this.#transport?.broken === true) return
    const alone = !this.#bodySeen
    this.#tell()
    if (alone && !this.#over) this.alone()
  }

  #tell(): void {
    const beginning = this.#beginning
    if (beginning === undefined) return
    this.#beginning = undefined
    this.#headTold = true
    const { controller, status, fields, chunks } = beginning
    this.head(controller, status, fields)
    for (const chunk of chunks) {
      if (!this.#over) this.data(controller, chunk)
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // An empty chunk is the parser's, when it is flushed at the end of the socket: nothing that could be paused.
    if (this.#over || chunk.length === 0) return
    if (this.#mustBeEmpty) {
      const fault = new SpringhouseError('ORIGIN_MALFORMED', { detail: 'a body on 205' })
      // Now: undici tells of an abort later, when the head would have been passed on.
      this.#fail(fault)
      return controller.abort(fault)
    }
    this.#bodySeen = true
    noteStreamedBytes(chunk.length)
    this.#idle?.refresh()
    if (this.#beginning === undefined) this.data(controller, chunk)
    else this.#beginning.chunks.push(chunk)
  }

  /** Called by a subclass that resumes a body: from here on its silence counts anew. */
  protected resumed(): void {
    this.#idle?.refresh()
  }

  onResponseEnd(controller: Dispatcher.DispatchController, _trailers: IncomingHttpHeaders): void {
    const transport = this.#transport
    this.#endSeen = true
    this.#idle?.end()
    transport?.messageEnded()
    // When the parser is through with what came: see Transport.settle.
    queueMicrotask(() => this.#ended(controller, transport))
  }

  #ended(controller: Dispatcher.DispatchController, transport: Transport | undefined): void {
    const trailers = receivedLines(controller.rawTrailers)
    const fault = transport?.settle(this.#byLength, trailers)
    this.#transport = undefined
    if (transport !== undefined) this.#server?.release(transport)
    if (fault !== undefined) return this.#fail(fault)
    if (this.#over || this.#instead !== undefined) return
    this.#finish(trailers)
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    const transport = this.#transport
    this.#idle?.end()
    transport?.answering(undefined)
    if (transport?.receivedAny === true) this.#byteSeen = true
    this.#transport = undefined
    this.#controller = undefined
    // RFC 9110 §8.6: a 304 may tell the length of what it does not send. undici holds it to the bytes that came, and closes
    // the connection; the message itself was whole, or its parser would have said something else.
    if (this.#bodiless && systemCode(error) === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return this.#endWithout(transport)
    const stale = this.#started && !this.#byteSeen && transport?.stale === true
    // undici refuses bytes before it looks at the connection, which is then as good as before.
    const unmade = !this.#started && mapOriginError(error).source === 'origin'
    queueMicrotask(() => {
      if (transport !== undefined && unmade) this.#server?.discard(transport)
      else if (transport !== undefined) this.#server?.release(transport)
      if (this.#over) return
      if (this.#instead === undefined) this.#recover(error, stale)
      else this.#tryInstead(this.#instead)
    })
  }

  #endWithout(transport: Transport | undefined): void {
    queueMicrotask(() => {
      if (transport !== undefined) this.#server?.release(transport)
      if (!this.#over) this.#finish([])
    })
  }

  /** Whether the request goes to another server in place of taking this one's answer; settles which. */
  #goesElsewhere(status: number): boolean {
    const { retryOn, body, method } = this.#outgoing
    if (retryOn?.includes(status) !== true || body !== null) return false
    this.#instead = this.#tries.onStatus(this.#server as OriginServer, method)
    return this.#instead !== undefined
  }

  #tryInstead(next: OriginServer): void {
    this.#instead = undefined
    this.#byteSeen = false
    this.#again(next)
  }

  #again(next: OriginServer): void {
    if (this.#started) this.#tries.count()
    this.#started = false
    this.#endSeen = false
    this.#forget()
    this.#server = next
    next.acquire(this)
  }

  #recover(cause: Error, stale: boolean): void {
    const server = this.#server as OriginServer
    const error = this.senderFailed() ? new SpringhouseError('CLIENT_GONE', { cause }) : mapOriginError(cause, this.#headSeen)
    if (!isConnectionFailure(error)) return this.#fail(error)
    const refused = cause instanceof NotProcessed && !this.#headSeen
    if (!stale && !refused) {
      server.failed(cause)
      this.#pool.refreshAddressesSoon()
    }
    // Where nothing was sent, or nothing was done, it was no try: every other server may have it.
    if (refused && this.#tries.onRefused() && this.#upload?.spent !== true) this.#started = false
    const safe = !this.#started || (!this.#byteSeen && error.code === 'ORIGIN_RESET' && this.repeatable)
    const next = safe ? this.#tries.onFailure(server, { refused, stale, sent: this.#started }) : undefined
    if (next === undefined) this.#fail(error)
    else this.#again(next)
  }

  get repeatable(): boolean {
    const { method, body } = this.#outgoing
    return isIdempotent(method) && (body === null || Buffer.isBuffer(body))
  }

  get uploads(): boolean {
    return this.#outgoing.body instanceof Readable
  }

  #finish(trailers: FieldLines): void {
    this.#tell()
    // Whoever heard the head may have given up.
    if (this.#over) return
    this.#over = true
    this.#forget()
    this.#upload?.drain()
    this.end(settleSection(trailers, this.#pool.clock.now()))
  }

  #fail(error: SpringhouseError): void {
    if (this.#over) return
    this.#over = true
    this.#forget()
    this.#upload?.drain()
    this.failed(error, this.#headTold)
  }
}
