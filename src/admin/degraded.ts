// The degraded parts, as every endpoint reports them.
import type { PurgeLog } from '../store/purge/log.ts'
import type { Store } from '../store/store.ts'

export interface DegradedParts {
  readonly store: Store
  readonly purgeLog: PurgeLog
  /** True if the Redis of sessions alone is in trouble; undefined if they have none. */
  readonly sessionsDegraded?: (() => boolean) | undefined
}

/**
 * Returns the names of degraded parts. `redis` includes a purge log that cannot be followed, because then every request is a
 * miss. `invalidations`: what unsafe requests to this replica invalidated is not yet recorded for the others.
 * `sessions`: the Redis of sessions alone is in trouble.
 */
export function degraded({ store, purgeLog, sessionsDegraded }: DegradedParts): readonly string[] {
  const told = store.stats().degraded
  const parts = purgeLog.isCaughtUp() || told.includes('redis') ? told : [...told, 'redis']
  return [...parts, ...(purgeLog.unrecorded === 0 ? [] : ['invalidations']), ...(sessionsDegraded?.() === true ? ['sessions'] : [])]
}
