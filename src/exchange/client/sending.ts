// The only caller of the methods that put fields on the wire. Node throws for fields that it will not send; here that ends one
// exchange.
import { problemDocument, SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import { problemFields } from './problem-fields.ts'
import type { ClientResponse } from './response.ts'

// The fields of an origin are settled when they are received (http/field-section.ts), those in Redis when they are read (store/codec.ts). So
// nothing here should ever fail. If it does, the fault is in this program, and the process and all other exchanges go on.

/**
 * Sends a response head. Returns false if Node refuses it: then the exchange has ended here, with a 500 if nothing had been
 * sent, else by truncation. The caller sends nothing more.
 */
export function sendHead(response: ClientResponse, status: number, fields: FieldLines): boolean {
  try {
    response.putHead(status, fields)
    return true
  } catch (cause) {
    const error = refused(response, cause, `the head of a ${status}`)
    if (response.headersSent || !sendRefusal(response, error)) response.cut()
    return false
  }
}

/** Sends a head now that Node would keep back until there is something of the body to send with it. */
export function sendHeadAlone(response: ClientResponse): void {
  guarded(response, 'a head alone', () => response.putHeadAlone())
}

/** Adds trailers, which go out behind the body. */
export function sendTrailers(response: ClientResponse, trailers: FieldLines): void {
  guarded(response, 'trailers', () => response.putTrailers(trailers))
}

/** Sends a 100 (Continue). */
export function sendContinue(response: ClientResponse): void {
  guarded(response, 'a 100', () => response.putInterim(100, []))
}

/** Sends a 102 (Processing) or a 103 (Early Hints). A client that does not get it loses nothing. */
export function sendHint(response: ClientResponse, status: 102 | 103, fields: FieldLines): void {
  try {
    response.putInterim(status, fields)
  } catch { /* see above */ }
}

// The head has been sent, or the body follows: only truncation shows that the response is not whole.
function guarded(response: ClientResponse, what: string, send: () => void): void {
  try {
    send()
  } catch (cause) {
    refused(response, cause, what)
    response.cut()
  }
}

function refused(response: ClientResponse, cause: unknown, what: string): SpringhouseError {
  const error = new SpringhouseError('INTERNAL', { cause, detail: `Node would not send ${what}` })
  response.reportUnsendable(error)
  return error
}

/** Sends the error in place of a head that was refused. False if that is refused too. */
function sendRefusal(response: ClientResponse, error: SpringhouseError): boolean {
  const document = problemDocument(error)
  try {
    response.putHead(error.status, problemFields(error, document, 'springhouse'))
    response.end(document)
    return true
  } catch {
    return false
  }
}
