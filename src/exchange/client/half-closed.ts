// A client that has ended its side of the connection: its request gives way to others, and its response is still written.
import type { ClientResponse } from './response.ts'

/**
 * Gives a request the priority of an abandoned one once its client has ended its side of the connection, because that client may have
 * left. If another request needs its place, the connection is closed, and then the client has left.
 * @param unwanted see OriginExchange
 */
export function yieldIfHalfClosed(response: ClientResponse, unwanted: (giveUp: () => void) => void): void {
  response.onHalfClosed?.(() =>
    unwanted(() => {
      if (!response.headersSent) response.cut()
    })
  )
}
