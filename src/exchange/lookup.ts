// What is stored for a key and has survived every purge.
import type { Softness } from '../policy/decide.ts'
import type { PurgeLog } from '../store/purge-log.ts'
import type { Awaitable, Store, Stored } from '../store/store.ts'

const nothing: readonly Stored[] = []

/** The variants of a key, youngest first, without those that a hard purge has killed. */
export function lookup(store: Store, log: PurgeLog, key: string): Awaitable<readonly Stored[]> {
  const found = store.lookup(key)
  return found instanceof Promise ? found.then(variants => survivors(variants, log)) : survivors(found, log)
}

function survivors(variants: readonly Stored[], log: PurgeLog): readonly Stored[] {
  // A replica that may have missed a purge has nothing that it may serve.
  if (variants.length === 0 || !log.current()) return nothing
  for (const variant of variants) {
    // Nearly always nothing is dead, and then the store's own list goes on as it is.
    if (log.judge(variant.meta) === 'dead') return variants.filter(one => log.judge(one.meta) !== 'dead')
  }
  return variants
}

/** Whether a soft purge made an entry stale, as `decide` asks it. Made once, so that a look makes no closure. */
export function softnessBy(log: PurgeLog): (entry: Stored) => Softness {
  return entry => (log.judge(entry.meta) === 'valid' ? 'valid' : 'stale')
}
