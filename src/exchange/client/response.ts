// The client's side of an exchange: all that the exchange asks of a response, whatever protocol carries it.
import type { SpringhouseError } from '../../errors.ts'
import type { FieldLines } from '../../http/fields.ts'

/**
 * A response on its way to its client. HTTP/1.1 and HTTP/2 have one implementation each (proxy/listener/). The methods that
 * `put` something on the wire throw if Node refuses it. Only sending.ts calls them, which ends one exchange then.
 */
export interface ClientResponse {
  /** Whether the head is on its way. */
  readonly headersSent: boolean
  /** Whether `end` has been called. */
  readonly writableEnded: boolean
  /** Whether nothing that is written reaches the client any more. */
  readonly hasLeft: boolean
  /** Whether an interim response can be sent now: to this client, and ahead of nothing but its own response. */
  readonly takesInterim: boolean
  /** Whether the connection must end behind this response, for the request's body has not come to its end. */
  readonly hasUnreadBody: boolean
  /** @throws for a head that Node refuses */
  putHead(status: number, fields: FieldLines): void
  /** Sends a head now that Node would keep until there is something of the body to send with it. */
  putHeadAlone(): void
  /** @param status 100, 102 or 103, the last with at least one Link line. @throws for what Node refuses */
  putInterim(status: 100 | 102 | 103, fields: FieldLines): void
  /** Trailers, to go out behind the body. @throws for what Node refuses */
  putTrailers(fields: FieldLines): void
  /** Sends bytes of the body. false: no more until it drains. */
  write(chunk: Buffer): boolean
  end(chunk?: Buffer | string, encoding?: BufferEncoding): unknown
  onDrain(listener: () => void): void
  offDrain(listener: () => void): void
  /** Calls when the client has left; also, harmlessly, after a regular end. Not called if it had left before: see `hasLeft`. */
  onClose(listener: () => void): void
  offClose(listener: () => void): void
  /** Breaks off a response that has begun, so that it cannot pass for whole. */
  cut(): void
  /** Takes no more requests from the connection of this one: what has come behind it may be part of it. */
  endConnection(): void
  /** Reports a response that Node would not send: the fault is in this program. */
  reportUnsendable(error: SpringhouseError): void
}

/** Resolves when the response takes more, or never will. */
export function writable(response: ClientResponse): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.offDrain(done)
      response.offClose(done)
      resolve()
    }
    response.onDrain(done)
    response.onClose(done)
    if (response.hasLeft) done()
  })
}
