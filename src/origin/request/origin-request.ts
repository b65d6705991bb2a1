// Sends one request to an origin and receives its response, with retries if they are safe (failover.ts).
import { Readable } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import { fieldLineValues, fieldValue, type FieldLines } from '../../http/fields.ts'
import { settleSection } from '../../http/field-section.ts'
import { isEventStream, isGrpc } from '../../http/media-type.ts'
import type { Sweepable } from '../transport/timeout-sweep.ts'
import type { PoolWaiter, ResponseControl, ResponseHandler, Transport } from '../transport/transport.ts'
import { isConnectionFailure, isExhaustion, mapOriginError, NotProcessed } from '../failures.ts'
import { BodyTimeout } from './body-timeout.ts'
import { noteStreamedBytes } from './minor-gc.ts'
import type { OriginPool } from '../pool/pool.ts'
import { isIdempotent } from './idempotency.ts'
import { receivedHead } from './response-head.ts'
import type { OriginServer } from '../pool/server.ts'
import type { OriginPlace } from '../origin.ts'
import { bindsLogin } from './connection-login.ts'
import { Failover } from './failover.ts'
import { ReplayableBody } from './replayable-body.ts'

/** The request as it is sent. */
export interface Outgoing {
  readonly method: string
  readonly target: string
  readonly fields: FieldLines
  /**
   * Sends `TE: trailers` to an HTTP/2 server (RFC 9110 §10.1.4). HTTP/1.1 would need a Connection field with it, and its servers
   * send trailers in any case.
   */
  readonly acceptsTrailers?: boolean | undefined
  readonly body: Readable | Buffer | string | null
  /** Statuses after which the request is sent to another server; none unless the route lists them. */
  readonly retryOn?: readonly number[] | undefined
}

/** The head of a response and the part of its body that arrived with it, until the parser has accepted both. */
interface Beginning {
  readonly control: ResponseControl
  readonly status: number
  readonly fields: FieldLines
  readonly chunks: Buffer[]
}

/**
 * Sends a request to one of a pool's servers and follows the response.
 *
 * Failover:
 *
 * - If a connection cannot be made, every other server is tried, whatever the method, because nothing was sent.
 * - If a connection is reset before the first byte of a response, the request is sent again only if its method is idempotent and
 *   its body is at hand. The same server is used only if the connection had served before: then the server was probably just
 *   closing it (RFC 9112 §9.3.1).
 * - If a server reports that it did not process the request (RFC 9113 §8.7), another server or the same one is tried, whatever
 *   the method, as long as the body can be sent again.
 * - If the response has a status of `retryOn`, another server is tried, but never for a request with a body.
 *
 * The head is reported after the parser has processed all bytes that arrived together. If they are malformed, truncated or have
 * surplus bytes after the message, no response has been reported, and the client can still get an error.
 *
 * Subclasses get these calls, in this order: any `interim`, one `head`, `alone` if no byte of the body arrived with the head, any
 * `data`, `end`; or `failed` in place of any, once, last.
 */
export abstract class OriginRequest implements PoolWaiter, ResponseHandler, Sweepable {
  /** The end of the wait for a connection. */
  deadline = Infinity
  readonly #pool: OriginPool
  readonly #outgoing: Outgoing
  readonly #tries: Failover
  #server: OriginServer | undefined
  /** The server to use once the rejected response is aborted (`retryOn`). */
  #instead: OriginServer | undefined
  #transport: Transport | undefined
  #idle: BodyTimeout | undefined
  /** True if the response is an event stream, which has a place of its own. */
  #isStream = false
  /** A body that may have to be sent again. */
  readonly #upload: ReplayableBody | undefined
  #control: ResponseControl | undefined
  #started = false
  #byteSeen = false
  #headSeen = false
  #beginning: Beginning | undefined
  /** True if the head was reported to the subclass. */
  #headTold = false
  #bodySeen = false
  /** True if the end of the response, or a failure, has been received. It reports the rest. */
  #endSeen = false
  /** True if the response is a 205, whose body must be empty (RFC 9110 §15.3.6); HTTP/2 cannot carry one. */
  #mustBeEmpty = false
  /** Aborts the request after its client abandoned it: see OriginExchange. */
  #giveUp: (() => void) | undefined
  /** The settled fields of a response that arrives at once. */
  #wholeFields: FieldLines = []
  #over = false

  constructor(pool: OriginPool, outgoing: Outgoing) {
    this.#pool = pool
    this.#outgoing = outgoing
    this.#tries = new Failover(pool)
    if (pool.config.http2 === true && outgoing.body instanceof Readable) this.#upload = new ReplayableBody(outgoing.body)
  }

  /** Called each time that the request is sent, with the server. */
  protected abstract tried(server: OriginPlace): void
  /** Called each time that a server failed the request, sent or not. `code`: of the catalogue, or the status that sends it to another server. */
  protected abstract tryFailed(server: OriginPlace, code: string): void
  protected abstract interim(status: number, fields: FieldLines): void
  /** `fields`: the fields that may be forwarded. */
  protected abstract head(control: ResponseControl, status: number, fields: FieldLines): void
  /** Called if no byte of the body has arrived yet, so that the head can be sent without waiting for it. */
  protected abstract alone(): void
  protected abstract data(control: ResponseControl, chunk: Buffer): void
  /** May be called while the body is paused: a body may end with the bytes after which it was paused. */
  protected abstract end(trailers: FieldLines): void
  protected abstract failed(error: SpringhouseError, headSeen: boolean): void
  /** True if `whole` may take the place of `head`, `data` and `end`. */
  protected abstract get takesWhole(): boolean
  /** A response that arrived at once, without trailers. */
  protected abstract whole(status: number, fields: FieldLines, body: Buffer): void
  /** True if the sender of the request's body caused the failure. */
  protected senderFailed(): boolean {
    return false
  }

  /** True if the head of the response is known to be all of it. */
  protected get endsAtHead(): boolean {
    return this.#transport?.endsAtHead === true
  }

  /** Starts the request. No call to the subclass happens before the caller returns. */
  send(): void {
    const server = this.#pool.closed ? undefined : this.#pool.choose()
    if (server === undefined) {
      const error = new SpringhouseError(this.#pool.closed ? 'ORIGIN_UNREACHABLE' : 'ORIGIN_BUSY')
      queueMicrotask(() => this.#fail(error))
      return
    }
    this.#pool.retryBudget.earn()
    this.#acquire(server)
  }

  #acquire(server: OriginServer): void {
    this.#server = server
    server.acquire(this)
    if (this.#transport !== undefined || this.#over) return
    const { http2 = false, timeouts: { queueMs, connectMs } } = this.#pool.config
    // Over HTTP/2 a request also waits while its connection is made, which has a timeout and errors of its own.
    this.deadline = this.#pool.sweep.after(http2 ? queueMs + connectMs : queueMs)
    this.#pool.sweep.join(this)
  }

  #waitsNoLonger(): void {
    if (this.deadline === Infinity) return
    this.deadline = Infinity
    this.#pool.sweep.leave(this)
  }

  /** Fails the request, because it has waited for a connection as long as it may (`queueMs`). */
  expired(): void {
    this.#waitsNoLonger()
    if (this.#over || this.#server?.cancel(this) !== true) return
    this.#fail(new SpringhouseError('ORIGIN_BUSY', { detail: 'no connection became free in time' }))
  }

  /** Aborts the request. The subclass gets no further call. */
  abandon(): void {
    if (this.#over) return
    this.#over = true
    this.#forget()
    this.#idle?.end()
    this.#waitsNoLonger()
    this.#discardUpload()
    if (this.#control !== undefined) this.#control.abort(new SpringhouseError('CLIENT_GONE'))
    // While the connection is being opened, nothing can be aborted; onRequestStart aborts then.
    else this.#server?.cancel(this)
  }

  /** See OriginExchange. */
  unwanted(giveUp: () => void): void {
    if (this.#over) return
    // A stream may never end, so it goes with its client.
    if (this.#transport === undefined || this.#isStream) return giveUp()
    this.#forget()
    this.#giveUp = giveUp
    this.#server?.unwanted(giveUp)
  }

  #forget(): void {
    if (this.#giveUp !== undefined) this.#server?.over(this.#giveUp)
    this.#giveUp = undefined
  }

  start(transport: Transport): void {
    this.#waitsNoLonger()
    if (this.#over) return this.#server?.release(transport)
    this.#transport = transport
    const server = this.#server as OriginServer
    const { method, target, body, acceptsTrailers } = this.#outgoing
    const fields = server.fieldsOf(this.#outgoing.fields)
    const sent = acceptsTrailers === true && transport.isHttp2 ? [...fields, 'te', 'trailers'] : fields
    this.tried(server)
    transport.dispatch({ path: server.targetOf(target), method, fields: sent, body: this.#upload?.open() ?? body }, this)
    if (bindsLogin(fieldValue(fields, 'authorization'))) transport.serveNoOther()
  }

  onConnectError(error: Error): void {
    this.#waitsNoLonger()
    this.#server?.unserved()
    if (!this.#over) this.#recover(error, false)
  }

  onRequestStart(control: ResponseControl): void {
    this.#started = true
    this.#control = control
    if (this.#over) control.abort(new SpringhouseError('CLIENT_GONE'))
  }

  onResponseStart(control: ResponseControl, status: number, lines: FieldLines): void {
    if (this.#over) return
    const { fields, fault } = receivedHead(status, lines, this.#pool.clock.now(), { isHttp10: this.#transport?.isHttp10 === true })
    if (fault !== undefined) return control.abort(new SpringhouseError('ORIGIN_MALFORMED', { detail: fault }))
    this.#server?.succeeded()
    if (status === 401 && bindsLogins(lines)) this.#transport?.serveNoOther()
    // Decided before any part of the response is reported. The rest of the response is dropped with its connection.
    if (this.#goesElsewhere(status)) {
      this.tryFailed(this.#server as OriginServer, String(status))
      return control.abort(new SpringhouseError('ORIGIN_RESET'))
    }
    if (status < 200) return this.interim(status, fields)
    this.#upload?.release()
    this.#mustBeEmpty = status === 205
    const isSilent = isEventStream(fields)
    const streams = isSilent && this.#outgoing.method !== 'HEAD' && status !== 304 && status !== 204
    if (streams && !this.#becomesStream()) return control.abort(new SpringhouseError('ORIGIN_BUSY', { detail: 'all places for streams are taken (maxStreams)' }))
    const { idleMs } = this.#pool.config.timeouts
    if (idleMs > 0 && !isSilent && !isGrpc(fields)) this.#idle = new BodyTimeout(control, idleMs, this.#pool.sweep)
    this.#headSeen = true
    this.#beginning = { control, status, fields, chunks: [] }
    // The end of the response ends an unfinished upload. So the head must be reported before.
    if (this.uploads) this.#tell()
    queueMicrotask(() => this.#parsed())
  }

  #becomesStream(): boolean {
    this.#isStream = this.#transport !== undefined && this.#server?.becomesStream(this.#transport) === true
    return this.#isStream
  }

  /** Runs after the parser has processed the bytes that arrived with the head. */
  #parsed(): void {
    // If the end or a failure is there already, its handler reports the response.
    if (this.#over || this.#endSeen) return
    const alone = !this.#bodySeen
    this.#tell()
    if (alone && !this.#over) this.alone()
  }

  #tell(): void {
    const beginning = this.#beginning
    if (beginning === undefined) return
    this.#beginning = undefined
    this.#headTold = true
    const { control, status, fields, chunks } = beginning
    this.head(control, status, fields)
    for (const chunk of chunks) {
      if (!this.#over) this.data(control, chunk)
    }
  }

  onResponseData(control: ResponseControl, chunk: Buffer): void {
    if (this.#over || chunk.length === 0) return
    if (this.#mustBeEmpty) {
      const fault = new SpringhouseError('ORIGIN_MALFORMED', { detail: 'a body on 205' })
      // Fails now: the abort is reported later, after the head would have been forwarded.
      this.#fail(fault)
      return control.abort(fault)
    }
    this.#bodySeen = true
    noteStreamedBytes(chunk.length)
    this.#idle?.refresh()
    if (this.#beginning === undefined) this.data(control, chunk)
    else this.#beginning.chunks.push(chunk)
  }

  /** Called by a subclass that resumes a body: restarts the body timeout. */
  protected resumed(): void {
    this.#idle?.refresh()
  }

  onResponseEnd(_control: ResponseControl, trailers: FieldLines): void {
    this.#endSeen = true
    this.#release()
    if (!this.#over && this.#instead === undefined) this.#finish(trailers)
  }

  /** Gives back the transport of a response that is complete. */
  #release(): void {
    const transport = this.#transport
    this.#idle?.end()
    this.#transport = undefined
    this.#control = undefined
    if (transport !== undefined) this.#server?.release(transport)
  }

  acceptsWhole(status: number, lines: FieldLines): boolean {
    // A 205 with a body is refused, and another status may be retried: both need the single steps.
    if (this.#over || !this.takesWhole || status === 205 || this.#outgoing.retryOn?.includes(status) === true) return false
    const { fields, fault } = receivedHead(status, lines, this.#pool.clock.now(), { isHttp10: this.#transport?.isHttp10 === true })
    if (fault !== undefined || isEventStream(fields)) return false
    if (status === 401 && bindsLogins(lines)) this.#transport?.serveNoOther()
    this.#wholeFields = fields
    return true
  }

  onResponseWhole(status: number, body: Buffer): void {
    this.#server?.succeeded()
    this.#release()
    this.#over = true
    this.#forget()
    this.#upload?.drain()
    noteStreamedBytes(body.length)
    this.whole(status, this.#wholeFields, body)
  }

  onResponseError(_control: ResponseControl | undefined, error: Error): void {
    const transport = this.#transport
    this.#idle?.end()
    // Over HTTP/1.1 these are malformed bytes that arrived with the head: nothing of the response is reported.
    this.#endSeen = transport?.isHttp2 !== true
    if (transport?.receivedAny === true) this.#byteSeen = true
    this.#transport = undefined
    this.#control = undefined
    const stale = this.#started && !this.#byteSeen && transport?.stale === true
    // If the request's bytes are refused, the connection was not used and can be.
    const unmade = !this.#started && mapOriginError(error).source !== 'client'
    // Runs after the caller, which may be a call of this request that aborts it.
    queueMicrotask(() => {
      if (transport !== undefined && unmade) this.#server?.discard(transport)
      else if (transport !== undefined) this.#server?.release(transport)
      if (this.#over) return
      if (this.#instead === undefined) this.#recover(error, stale)
      else this.#tryInstead(this.#instead)
    })
  }

  /** Decides whether the request goes to another server because of the response's status, and chooses that server. */
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
    this.#acquire(next)
  }

  #recover(cause: Error, stale: boolean): void {
    const server = this.#server as OriginServer
    const error = this.senderFailed() ? new SpringhouseError('CLIENT_GONE', { cause }) : mapOriginError(cause, this.#headSeen)
    if (isExhaustion(error) && !this.#started) {
      const other = this.#tries.onExhaustion(server)
      return other === undefined ? this.#fail(error) : this.#again(other)
    }
    if (error.source === 'origin' && !stale) this.tryFailed(server, error.code)
    if (!isConnectionFailure(error)) return this.#fail(error)
    const refused = cause instanceof NotProcessed && !this.#headSeen
    if (!stale && !refused) {
      server.failed(cause)
      if (error.code === 'ORIGIN_REFUSED') server.refusedConnection()
      this.#pool.refreshAddressesSoon()
    }
    // If nothing was sent, or the server processed nothing, it does not count as a try: every other server may be used.
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
    // The subclass may have aborted on the head.
    if (this.#over) return
    this.#over = true
    this.#forget()
    this.#discardUpload()
    this.end(settleSection(trailers, this.#pool.clock.now()))
  }

  #fail(error: SpringhouseError): void {
    if (this.#over) return
    this.#over = true
    this.#forget()
    this.#discardUpload()
    this.failed(error, this.#headTold)
  }

  /** Discards what the transport has not read of the body, so that a client that is still sending reaches its response. */
  #discardUpload(): void {
    const { body } = this.#outgoing
    if (this.#upload !== undefined) this.#upload.drain()
    else if (body instanceof Readable && !body.readableEnded && !body.destroyed) body.resume()
  }
}

/** True if a challenge begins a login of the whole connection. */
function bindsLogins(lines: FieldLines): boolean {
  return fieldLineValues(lines, 'www-authenticate').some(bindsLogin)
}
