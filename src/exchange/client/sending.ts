// The only caller of the methods that put fields on the wire. Node throws for fields that it will not send; here that ends one
// exchange.
import { problemDocument, SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'
import { problemFields } from './problem-fields.ts'
import type { ClientExchange } from './exchange.ts'
import type { ClientResponse } from './response.ts'

// The fields of an origin are settled when they are received (http/field-section.ts), those in Redis when they are read (store/codec.ts). So
// nothing here should ever fail. If it does, the fault is in this program, and the process and all other exchanges go on.

/**
 * Sends a response head, with the id of the request. False if Node refuses it: then the exchange has ended here. It ends with a
 * 500 if nothing had been sent, and with an abort otherwise. The caller sends nothing more.
 * @param fields made for this response: the id is added to them
 */
export function sendHead(exchange: ClientExchange, status: number, fields: string[]): boolean {
  const { response } = exchange
  fields.push('x-request-id', exchange.requestId)
  const sent = exchange.identified === undefined ? fields : exchange.identified.clientFields(fields)
  try {
    response.putHead(status, sent)
    return true
  } catch (cause) {
    const error = refused(exchange, cause, `the head of a ${status}`)
    if (response.headersSent || !sendRefusal(exchange, error)) response.cut()
    return false
  }
}

/** Sends a head now that Node would keep back until there is something of the body to send with it. */
export function sendHeadAlone(exchange: ClientExchange): void {
  guarded(exchange, 'a head alone', () => exchange.response.putHeadAlone())
}

/** Adds trailers, which go out behind the body. */
export function sendTrailers(exchange: ClientExchange, trailers: FieldLines): void {
  guarded(exchange, 'trailers', () => exchange.response.putTrailers(trailers))
}

/** Sends a status alone, for what is no request. */
export function sendStatus(response: ClientResponse, status: number): void {
  response.putHead(status, [])
  response.end()
}

/** Sends a response of fixed fields, and of values that are known to be field values, for what is no request to an origin. */
export function sendFixed(response: ClientResponse, status: number, fields: FieldLines, body?: string): void {
  response.putHead(status, fields)
  response.end(body)
}

/** Sends a 100 (Continue), which has no fields that Node could refuse. */
export function sendContinue(response: ClientResponse): void {
  response.putInterim(100, [])
}

/** Sends a 102 (Processing) or a 103 (Early Hints). A client that does not get it loses nothing. */
export function sendHint(response: ClientResponse, status: 102 | 103, fields: FieldLines): void {
  try {
    response.putInterim(status, fields)
  } catch { /* see above */ }
}

// The head has been sent, or the body follows: only an abort shows that the response is incomplete.
function guarded(exchange: ClientExchange, what: string, send: () => void): void {
  try {
    send()
  } catch (cause) {
    refused(exchange, cause, what)
    exchange.response.cut()
  }
}

function refused(exchange: ClientExchange, cause: unknown, what: string): SpringhouseError {
  const error = new SpringhouseError('INTERNAL', { cause, detail: `Node would not send ${what}` })
  exchange.observer.count('unsendable')
  exchange.observer.failed(error, exchange)
  return error
}

/** Sends the error in place of a head that was refused. False if that is refused too. */
function sendRefusal(exchange: ClientExchange, error: SpringhouseError): boolean {
  const { response, requestId } = exchange
  const document = problemDocument(error, { requestId })
  exchange.outcome = 'error'
  try {
    response.putHead(error.status, [...problemFields(error, document, 'springhouse'), 'x-request-id', requestId])
    response.end(document)
    return true
  } catch {
    return false
  }
}
