// What is out of order, as every endpoint tells it.
import type { PurgeLog } from '../store/purge/log.ts'
import type { Store } from '../store/store.ts'

/**
 * Names of the parts. A purge log that cannot be followed makes misses of everything, whatever the store says of itself.
 * `invalidations`: other replicas are yet to be told what unsafe requests to this one have invalidated.
 */
export function degraded({ store, purgeLog }: { readonly store: Store, readonly purgeLog: PurgeLog }): readonly string[] {
  const told = store.stats().degraded
  const parts = purgeLog.isCaughtUp() || told.includes('redis') ? told : [...told, 'redis']
  return purgeLog.unrecorded === 0 ? parts : [...parts, 'invalidations']
}
