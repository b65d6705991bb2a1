// The parts of the process that the admin endpoints use.
import type { AdminToken } from './token.ts'
import type { Store } from '../store/store.ts'
import type { PurgeLog, Purge, PurgeReceipt } from '../store/purge/log.ts'
import type { Origins } from '../origin/origin.ts'
import type { ExplainRequest } from '../exchange/explain/explain.ts'
import type { Explanation } from '../exchange/explain/explanation.ts'
import type { RequestError } from './problems.ts'
import type { NextTurn } from './turns.ts'
import type { SessionAdministration } from '../session/administration.ts'
import type { SessionCounts, TokenCounts } from '../session/counters.ts'
import type { Counters } from '../exchange/counters.ts'
import type { Fleet } from '../observe/fleet.ts'
import type { ProcessState } from '../observe/fleet-report.ts'
import type { Tail } from '../observe/tail.ts'
import type { Observation } from '../observe/observation.ts'
import type { Clock } from '../clock.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { WorkerGroup } from './workers.ts'
import type { Comparison } from './worker-report.ts'

/** Reloads the configuration. `waiting` names the sections whose changes take effect at the next start. */
export type AdminReload = () => Promise<{ readonly done: true; readonly waiting: readonly string[] } | { readonly done: false; readonly problems: readonly RequestError[] }>

/** A route, as the endpoints show it. */
export interface ShownRoute {
  readonly id: string
  readonly origin: string
  readonly mode: 'cache' | 'bypass'
}

/** The parts that the listener shows and uses. Closing the listener closes none of them. */
export interface AdminParts {
  /** The accepted tokens. Without any, only /healthz and /readyz can be used. A reload replaces the list. */
  readonly tokens: readonly AdminToken[]
  /** How long a login lasts, in milliseconds. */
  readonly sessionTtlMs: number
  /** Failed logins of an address within a minute, after which its logins get 429. */
  readonly loginsPerMinute: number
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly origins: Origins
  /** Explains the decision for a request now; undefined if no route matches. */
  explain(request: ExplainRequest): Promise<Explanation | undefined>
  /** Converts a purge to cache keys: routes map the URLs that operators name to targets. */
  keyed(purge: Purge, nextTurn: NextTurn): Promise<Purge>
  /** Records a keyed purge, waiting at most `waitMs` for the other replicas, and counts it. */
  purge(purge: Purge, waitMs: number, by?: string): Promise<PurgeReceipt>
  /** The plain counters of the request path, read at a scrape. */
  readonly counters: Counters
  /** The numbers of this process; undefined if `observe.enabled` is false. */
  readonly observation?: Observation | undefined
  /** Shows requests to watchers; undefined if `observe.enabled` is false. */
  readonly tail?: Tail | undefined
  /** The numbers of all replicas; undefined without Redis. */
  readonly fleet?: Fleet | undefined
  /** The state of this process. */
  ownState(): ProcessState
  /** The routes of the configuration, in its order, each id once. */
  routes(): readonly ShownRoute[]
  /** Lists, changes and ends sessions; undefined while sessions are off. */
  readonly sessionAdministration?: SessionAdministration | undefined
  /** The public keys of sessions as a JSON text; undefined while sessions are off. */
  readonly keySet?: (() => string) | undefined
  /** True if the listener has the page for browsers. */
  readonly dashboard: boolean
  /** True if the Redis of sessions alone is in trouble; undefined if they have none of their own. */
  readonly sessionsDegraded?: (() => boolean) | undefined
  /** The counters of sessions; undefined while sessions are off. */
  readonly sessionCounts?: (() => SessionCounts) | undefined
  /** The counters of bearer tokens; undefined while sessions and tokens are off. */
  readonly tokenCounts?: (() => TokenCounts) | undefined
  /** Compares this replica's configuration with the others on its store; undefined if no other process shares it. */
  readonly fingerprints?: Comparison | undefined
  /** Lines that this process could not write to its log, or to standard error, since its start. */
  linesDropped(): number
  readonly defaultPurgeWaitMs: number
  /** Returns the effective configuration with secrets masked. */
  config(): unknown
  /** False while starting or shutting down. */
  ready(): boolean
  readonly clock: Clock
  readonly logger: FastifyBaseLogger
  readonly version: string
  /** The group of workers, if there are several. Metrics and stats then cover all of them. */
  readonly workers: WorkerGroup | undefined
  /** Reloads the configuration; undefined if nothing can. */
  readonly reload?: AdminReload | undefined
  /** Yields to the proxy between two pieces of this listener's work. */
  readonly nextTurn: NextTurn
}
