// The cache, put together: the only way to build it, and its interface.
import type { Purge, PurgeReceipt } from '../store/purge/log.ts'
import { HitForMiss } from './coalesce/hit-for-miss.ts'
import type { ClientExchange, ExchangeObserver } from './client/exchange.ts'
import { explain, type ExplainRequest } from './explain/explain.ts'
import type { Explanation } from './explain/explanation.ts'
import { Handler, type Handled, type HandlerParts } from './handle.ts'
import type { Pass } from './pass/pass.ts'
import { keyedPurge } from './routing/purge-keys.ts'
import type { Route } from './routing/route.ts'

export interface CacheParts
  extends Pick<HandlerParts, 'clock' | 'store' | 'purgeLog' | 'leases' | 'origins' | 'viaName' | 'coalesce' | 'coalesceWaitMs' | 'purgeWaitMs' | 'identities' | 'unstored'> {
  readonly observer: ExchangeObserver
  /** The routes to begin with. */
  readonly routes: readonly Route[]
  /** True if a trusted proxy may name the public host. Then a purge by that host concerns each host. */
  readonly publicHosts?: boolean
  /** True if another replica may have stored responses under other routes. */
  othersDiffer?(): boolean
}

/** A cache in front of origins. */
export interface Cache {
  /** Responds to a request, or returns the pass with which it goes to its origin. A hit is served synchronously. */
  handle(exchange: ClientExchange): Handled | Pass | Promise<Handled | Pass>
  /** Returns the pass of a WebSocket handshake. @throws SpringhouseError BAD_REQUEST, NO_ROUTE */
  passUpgrade(exchange: ClientExchange): Pass | Promise<Pass>
  /** Explains the decision for a request now; undefined if no route matches. Contacts no origin, but for a try. */
  explain(request: ExplainRequest): Promise<Explanation | undefined>
  /** Adds to a purge the targets under which routes key its URLs: see keyedPurge. */
  keyed(purge: Purge, nextTurn: () => Promise<void>): Promise<Purge>
  /** Records a keyed purge, and waits at most `waitMs` milliseconds for the other replicas. @throws as PurgeLog.append does */
  purge(purge: Purge, waitMs: number, by?: string): Promise<PurgeReceipt>
  /** Takes up other routes: they count from the next request on. */
  reload(routes: readonly Route[]): void
  /** Fetches in flight. A shutdown waits for them. */
  readonly filling: number
}

/** Builds the cache. Closing its parts is the caller's. */
export function createCache({ routes: first, publicHosts = false, othersDiffer, ...parts }: CacheParts): Cache {
  let routes = first
  let reloaded = false
  const { clock, store, purgeLog, unstored, origins, viaName, observer } = parts
  const routesNow = (): readonly Route[] => routes
  const handler = new Handler({
    ...parts,
    routes: routesNow,
    hitForMiss: new HitForMiss(clock),
    via: `1.1 ${viaName}`,
    otherRoutes: () => reloaded || othersDiffer?.() === true,
  })
  const explainParts = { routes: routesNow, store, purgeLog, unstored, origins, clock, viaName }
  return {
    handle: exchange => handler.handle(exchange),
    passUpgrade: exchange => handler.passUpgrade(exchange),
    explain: request => explain(explainParts, request),
    keyed: (purge, nextTurn) => keyedPurge(routes, purge, publicHosts, nextTurn),
    purge: async (purge, waitMs, by) => {
      const receipt = await purgeLog.append(purge, waitMs, by)
      observer.count('purges')
      return receipt
    },
    reload: next => {
      routes = next
      reloaded = true
    },
    get filling() {
      return handler.filling
    },
  }
}
