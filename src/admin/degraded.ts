// The degraded parts, as every endpoint reports them.
import type { PurgeLog } from '../store/purge/log.ts'
import type { Store } from '../store/store.ts'

/**
 * Returns the names of degraded parts. `redis` includes a purge log that cannot be followed, because then every request is a
 * miss. `invalidations`: what unsafe requests to this replica invalidated is not yet recorded for the others.
 */
export function degraded({ store, purgeLog }: { readonly store: Store; readonly purgeLog: PurgeLog }): readonly string[] {
  const told = store.stats().degraded
  const parts = purgeLog.isCaughtUp() || told.includes('redis') ? told : [...told, 'redis']
  return purgeLog.unrecorded === 0 ? parts : [...parts, 'invalidations']
}
