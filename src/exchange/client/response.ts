// The client's side of an exchange: a response as the exchange uses it, over any protocol.
import type { FieldLines } from '../../http/fields.ts'

/**
 * A response on its way to its client. HTTP/1.1 and HTTP/2 have one implementation each (proxy/listener/). The `put` methods put
 * fields on the wire, and throw if Node refuses them. Only sending.ts calls these: it ends the exchange then, and nothing else.
 */
export interface ClientResponse {
  /** True once the head is on its way. */
  readonly headersSent: boolean
  /** The status of the head that is on its way; 0 before. */
  readonly status: number
  /** True once `end` has been called. */
  readonly writableEnded: boolean
  /** True once written bytes no longer reach the client. */
  readonly hasLeft: boolean
  /** True while an interim response may be sent: the client knows them, and it would precede this response and no other. */
  readonly takesInterim: boolean
  /** True if the connection must end behind this response, because the end of the request's body has not been read. */
  readonly hasUnreadBody: boolean
  /**
   * Says that neither a body nor trailers follow the next head. Over HTTP/2 the head then ends the stream: gRPC takes only such a
   * response for an error without a message (`Trailers-Only`).
   */
  endAtHead(): void
  /** @throws for a head that Node refuses */
  putHead(status: number, fields: FieldLines): void
  /** Sends the head now. Node would keep it until there are bytes of the body to send with it. */
  putHeadAlone(): void
  /** @param status 100, 102 or 103, the last with at least one Link line. @throws for what Node refuses */
  putInterim(status: 100 | 102 | 103, fields: FieldLines): void
  /** Trailers, to go out behind the body. @throws for what Node refuses */
  putTrailers(fields: FieldLines): void
  /** Sends bytes of the body. Returns false if the caller must wait for a drain. */
  write(chunk: Buffer): boolean
  end(chunk?: Buffer | string, encoding?: BufferEncoding): unknown
  onDrain(listener: () => void): void
  offDrain(listener: () => void): void
  /** Calls `listener` when the client leaves, and after a regular end. Not called if the client left before: see `hasLeft`. */
  onClose(listener: () => void): void
  offClose(listener: () => void): void
  /**
   * Calls `listener` once the client has ended its side of the connection and may wait for the response, now if it has. Over HTTP/2 the
   * end of a request says nothing about the client.
   */
  onHalfClosed?(listener: () => void): void
  /** Breaks off a response that has begun, so that it cannot pass for whole. */
  cut(): void
  /** Takes no more requests from this connection: the bytes behind this request may be part of it. */
  endConnection(): void
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
