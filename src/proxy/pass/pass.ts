// What a request that is not the cache's own sends and brings back through @fastify/http-proxy.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, type Duplex, type Readable } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import { cut } from '../../exchange/client/connection.ts'
import { sendInterim } from '../../exchange/client/interim.ts'
import { sendHead, sendHeadAlone, sendTrailers } from '../../exchange/client/sending.ts'
import { fieldLines, type FieldLines } from '../../http/fields.ts'
import { forwardFields } from '../../forwarding/request-fields.ts'
import type { PassingHeaders } from '../../origin/request/dispatcher.ts'
import { passing } from '../../origin/request/dispatcher.ts'
import { passStatus } from '../../policy/cache-status.ts'
import type { PassReason } from '../../policy/reasons.ts'
import type { RequestContext } from '../../forwarding/request-context.ts'
import { clientFields, clientTrailers } from '../../forwarding/response-fields.ts'

/** Where a request goes, and what the cache has to do with its answer. */
export interface Destination {
  /** The pool. */
  readonly origin: string
  /** Path and query that are asked for: the client's bytes, less the parameters that the route ignores. */
  readonly target: string
  /** Statuses for which another server is tried. */
  readonly retryOn?: readonly number[]
  /**
   * Called with the origin's answer head, before the client sees it: where unsafe methods invalidate. Awaited if a promise;
   * a failure is answered as an internal error. The body is piped through what it gives.
   */
  answered?(status: number, fields: FieldLines): void | Promise<Duplex | undefined | void>
}

/** A request on its way through. */
export interface Pass {
  readonly client: RequestContext
  /** Why it is not the cache's. */
  readonly reason: PassReason
  readonly response: ServerResponse
  /** Known when its route is. */
  to: Destination
  /** Its body, where that is read before it is sent. */
  body: Buffer | undefined
  /** The origin's answer, once its head is there. */
  status: number
  fields: FieldLines
  /** Whether nothing of its body came with the head. */
  headAlone: boolean
}

const nowhere: Destination = { origin: '', target: '' }

export function passFor(client: RequestContext, reason: PassReason, response: ServerResponse): Pass {
  return { client, reason, response, to: nowhere, body: undefined, status: 0, fields: [], headAlone: false }
}

// On the request itself: a WeakMap would say the same, and costs the garbage collector more.
const pass: unique symbol = Symbol('springhouse.pass')

type PassedMessage = IncomingMessage & { [pass]?: Pass }

export function findPass(request: IncomingMessage): Pass | undefined {
  return (request as PassedMessage)[pass]
}

/** @throws SpringhouseError INTERNAL for a request that did not come through the listener. */
export function passOf(request: unknown): Pass {
  const found = findPass(request as IncomingMessage)
  if (found === undefined) throw new SpringhouseError('INTERNAL', { detail: 'a request without a pass' })
  return found
}

export function setPass(request: IncomingMessage, made: Pass): void {
  ;(request as PassedMessage)[pass] = made
}

/** The headers for reply-from: nothing but the exact request, under the symbol by which the dispatcher finds it. */
export function requestHeaders(request: IncomingMessage, made: Pass, viaName: string): PassingHeaders {
  const { socket } = request
  return {
    [passing]: {
      method: request.method as string,
      target: made.to.target,
      fields: forwardFields(fieldLines(request.rawHeaders), made.client, viaName),
      kept: made.body,
      retryOn: made.to.retryOn,
      // A client that leaves need not be answered, and the origin need not go on.
      onAbortable: (abort) => {
        if (made.response.destroyed) abort()
        else made.response.once('close', abort)
      },
      senderGone: () => socket.destroyed || made.response.destroyed,
      onHead: (status, fields) => {
        made.status = status
        made.fields = fields
      },
      onHeadAlone: () => { made.headAlone = true },
      onInterim: (status, fields) => sendInterim(made.response, status, fields),
      onTrailers: (trailers) => sendTrailers(made.response, clientTrailers(trailers)),
    },
  } as PassingHeaders
}

/**
 * Sends the response: the head from the fields as the origin sent them, then the body, by way of `copy` if there is one. Not
 * through Fastify: it keeps fields in an object, and sends a head from within a write of the body, where nobody can guard it.
 */
export function sendPassed({ response, status, fields, reason, headAlone }: Pass, body: Readable, copy: Duplex | undefined, via: string): void {
  // Destroyed unread, a body fails too.
  body.on('error', () => cutUnlessEnded(response))
  if (response.destroyed) return void body.destroy()
  const head = clientFields(fields, via, passStatus(reason, copy !== undefined))
  // Over HTTP/1.1 the rest of the request's body would be taken for the next request.
  if (response.req.httpVersionMajor === 1 && !response.req.complete) head.push('connection', 'close')
  if (!sendHead(response, status, head)) return void body.destroy()
  // Whichever ends early takes the other with it, and the copy is dropped.
  const source = copy === undefined ? body : pipeline(body, copy, () => undefined)
  source.on('error', () => cutUnlessEnded(response))
  response.on('close', () => source.destroy())
  source.pipe(response)
  if (headAlone) sendHeadAlone(response)
}

function cutUnlessEnded(response: ServerResponse): void {
  if (response.headersSent && !response.writableEnded) cut(response)
}
