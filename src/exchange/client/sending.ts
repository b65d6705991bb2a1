// The only caller of what puts fields on the wire. Node throws for fields that it will not send; here that ends one exchange.
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Server } from 'node:net'
import { problemDocument, SpringhouseError } from '../../errors.ts'
import { linePairs, type FieldLines } from '../../http/fields.ts'
import { cut, isStream } from './connection.ts'
import { problemFields } from './problem-fields.ts'

// The fields of an origin are settled when they are received (http/field-section.ts), those in Redis when they are read (store/codec.ts). So
// nothing here should ever fail. If it does, the fault is in this program, and the process and all other exchanges go on.

/** What is told of a response that Node would not send. */
export type UnsendableListener = (error: SpringhouseError, request: IncomingMessage) => void

const unsendable = 'springhouse.unsendable'

/** Calls for each response on a server's connections that Node would not send. */
export function onUnsendable(server: Server, listener: UnsendableListener): void {
  server.on(unsendable, listener)
}

/**
 * Sends a response head. False if Node refuses it: then the exchange has ended here, with a 500 if nothing had been sent, else by a
 * cut. The caller sends nothing more.
 */
export function sendHead(response: ServerResponse, status: number, fields: readonly string[]): boolean {
  try {
    response.writeHead(status, fields as string[])
    return true
  } catch (cause) {
    const error = refused(response, cause, `the head of a ${status}`)
    if (response.headersSent || !sendRefusal(response, error)) cut(response)
    return false
  }
}

/** Sends a head now that Node would keep back until there is something of the body to send with it. */
export function sendHeadAlone(response: ServerResponse): void {
  guarded(response, 'a head alone', () => response.flushHeaders())
}

/** Adds trailers, which go out behind the body. */
export function sendTrailers(response: ServerResponse, trailers: FieldLines): void {
  guarded(response, 'trailers', () => response.addTrailers(linePairs(trailers)))
}

/** Sends a 100 (Continue). */
export function sendContinue(response: ServerResponse): void {
  guarded(response, 'a 100', () => response.writeContinue())
}

/** Sends a 102 (Processing). A client that does not get it loses nothing. */
export function sendProcessing(response: ServerResponse): void {
  try {
    response.writeProcessing()
  } catch { /* see above */ }
}

/** Sends a 103 (Early Hints). Node refuses a link that it cannot read. A client that does not get a hint loses nothing. */
export function sendEarlyHints(response: ServerResponse, hints: Record<string, string | string[]>): void {
  try {
    response.writeEarlyHints(hints)
  } catch { /* see above */ }
}

// The head has been sent, or the body follows: only a cut shows that the response is not whole.
function guarded(response: ServerResponse, what: string, send: () => void): void {
  try {
    send()
  } catch (cause) {
    refused(response, cause, what)
    cut(response)
  }
}

function refused(response: ServerResponse, cause: unknown, what: string): SpringhouseError {
  const error = new SpringhouseError('INTERNAL', { cause, detail: `Node would not send ${what}` })
  // The server, over HTTP/2 too. A request whose connection is gone has none, and nobody to answer.
  const { server } = response.req.socket as unknown as { readonly server?: Server | null }
  server?.emit(unsendable, error, response.req)
  return error
}

/** Sends the error in place of a head that was refused. False if that is refused too. */
function sendRefusal(response: ServerResponse, error: SpringhouseError): boolean {
  const document = problemDocument(error)
  try {
    // Over HTTP/1.1 Node keeps the phrase of the head that it refused.
    if (!isStream(response.req)) response.statusMessage = STATUS_CODES[error.status] as string
    response.writeHead(error.status, problemFields(error, document, 'springhouse'))
    response.end(document)
    return true
  } catch {
    return false
  }
}
