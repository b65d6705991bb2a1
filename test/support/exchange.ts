// An exchange for tests of the parts that take one.
import { ClientExchange, type ExchangeObserver, type RoutedExchange } from '../../src/exchange/client/exchange.ts'
import { noObserver } from '../../src/exchange/client/observer.ts'
import type { RequestOutcome } from '../../src/exchange/client/outcome.ts'
import type { ClientResponse } from '../../src/exchange/client/response.ts'
import type { RequestHead, RoutedRequest } from '../../src/exchange/routed-request.ts'
import type { RequestContext } from '../../src/forwarding/request-context.ts'
import type { RequestReason } from '../../src/policy/reasons.ts'

/** An untrusted client. */
export const someClient: RequestContext = { address: '127.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: false, requestId: 'test' }

const neverAsked = new Proxy({}, {
  get: (_, name) => {
    throw new Error(`the response is asked for ${String(name)}`)
  },
}) as ClientResponse

/** An exchange. Without a given response, every use of the response throws. */
export function exchangeFor(head: RequestHead,
  { response = neverAsked, context = someClient, observer = noObserver }: { response?: ClientResponse; context?: RequestContext; observer?: ExchangeObserver } =
    {}): ClientExchange {
  return new ClientExchange(head, response, context, observer, 0)
}

/** An exchange whose request is routed. */
export function routedExchange(routed: RoutedRequest, observer: ExchangeObserver = noObserver): RoutedExchange {
  const exchange = exchangeFor({ method: routed.request.method, url: routed.request.target, rawHeaders: [] }, { observer, context: routed.context })
  exchange.routed = routed
  return exchange as RoutedExchange
}

/** An exchange that has ended, for what counts exchanges. */
export function endedExchange(outcome: RequestOutcome, reason: RequestReason): ClientExchange {
  return Object.assign(exchangeFor({ method: 'GET', url: '/', rawHeaders: [] }), { outcome, reason })
}

/** Counts `count` requests with one outcome. */
export function endMany(observer: ExchangeObserver, count: number, outcome: RequestOutcome, reason: RequestReason): void {
  for (let i = 0; i < count; i++) observer.delivered(endedExchange(outcome, reason))
}
