// The parts that the endpoints of the admin listener show and work on.
import type { AdminToken } from './auth.ts'
import type { Store } from '../store/store.ts'
import type { PurgeLog, Purge } from '../store/purge/log.ts'
import type { Origins } from '../origin/origin.ts'
import type { FieldLines } from '../http/fields.ts'
import type { Explanation } from '../exchange/explain/explanation.ts'
import type { NextTurn } from './turns.ts'
import type { Counters } from '../exchange/counters.ts'
import type { Clock } from '../clock.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { WorkerGroup } from './workers.ts'
import type { Comparison } from './worker-report.ts'

/** What the listener shows and works on. All of it belongs to whoever made it: closing the listener closes none of it. */
export interface AdminParts {
  /** Without any, nobody gets in but to /healthz and /readyz. Another list takes the place of this one on a reload. */
  readonly tokens: readonly AdminToken[]
  readonly store: Store
  readonly purgeLog: PurgeLog
  readonly origins: Origins
  /** What would be decided for this request now; undefined: no route matches. */
  explain(request: { url: string; method: string; fields: FieldLines }): Promise<Explanation | undefined>
  /** A purge as entries are keyed: with the targets that routes make of the URLs that people name. */
  keyed(purge: Purge, nextTurn: NextTurn): Promise<Purge>
  /** Plain counters that the request path counts in; read at scrape. */
  readonly counters: Counters
  /** How this replica's configuration compares with those that share its store; undefined: no other process does. */
  readonly fingerprints?: Comparison | undefined
  /** Lines that this process could not write to its log, or to standard error, since its start. */
  linesDropped(): number
  readonly defaultPurgeWaitMs: number
  /** Effective configuration with secrets masked. */
  config(): unknown
  /** False while starting or shutting down. */
  ready(): boolean
  readonly clock: Clock
  readonly logger: FastifyBaseLogger
  readonly version: string
  /** The other workers, where this process is one of several: numbers are then told for all of them. */
  readonly workers: WorkerGroup | undefined
  /** What lets the proxy go on between two pieces of this listener's work. */
  readonly nextTurn: NextTurn
}
