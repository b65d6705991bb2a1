// The port by which the exchange identifies requests. The session room implements it.
import type { Awaitable } from '../../store/store.ts'
import type { RoutedExchange } from './exchange.ts'

/** Identifies the senders of requests. */
export interface Identities {
  /**
   * Judges a routed request, and identifies its sender: sets `identified` and replaces `routed`. Returns synchronously if the
   * request presents nothing. Must not touch the response.
   * @throws SpringhouseError if the request is refused. May reject with it.
   */
  identify(exchange: RoutedExchange): Awaitable<void>
}
