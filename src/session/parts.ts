// The parts of sessions that requests use.
import type { Clock } from '../clock.ts'
import type { ClientExchange } from '../exchange/client/exchange.ts'
import type { AnonymousLimit } from './anonymous-limit.ts'
import type { SessionCounters } from './counters.ts'
import type { SenderParts } from './sender.ts'
import type { Sessions } from './sessions.ts'
import type { SessionStore } from './store/store.ts'
import type { Streams } from './streams.ts'
import type { Touches } from './touches.ts'
import type { CookieSettings } from './transport.ts'

/** The parts of sessions that requests use. */
export interface SessionParts extends SenderParts {
  readonly store: SessionStore
  readonly sessions: Sessions
  readonly counters: SessionCounters
  readonly touches: Touches
  readonly streams: Streams
  readonly limit: AnonymousLimit
  readonly clock: Clock
  readonly cookie: CookieSettings
  readonly rotationGraceMs: number
  readonly csrf: { readonly mode: 'enforce' | 'report' | 'off'; readonly trustedOrigins: ReadonlySet<string> }
  /** True if any route has facets, so that changes must be marked. */
  usesFacets(): boolean
  /** The address of the client, as far as trusted proxies report it. */
  addressOf(exchange: ClientExchange): string
}
