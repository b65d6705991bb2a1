// Stored responses for a key that have survived every purge.
import type { PurgeState } from '../policy/decide.ts'
import type { Metadata } from '../policy/stored.ts'
import type { PurgeLog, Verdict } from '../store/purge/log.ts'
import type { Awaitable, LocalTier, Store, Stored } from '../store/store.ts'

const nothing: readonly Stored[] = []

/**
 * Looks in the local tier only, without responses that a hard purge invalidated. May be incomplete or out of date. Returns []
 * if there is no local tier.
 */
export function lookupLocal({ local }: Store, log: PurgeLog, key: string): readonly Stored[] {
  if (local === undefined) return nothing
  const found = local.lookup(key)
  const living = survivors(found, log)
  if (living.length < found.length && log.isCaughtUp()) giveBack(local, key, found, log)
  return living
}

// A purged response never becomes valid again; its memory may serve another.
function giveBack(near: LocalTier, key: string, found: readonly Stored[], log: PurgeLog): void {
  for (const { meta } of found) {
    if (log.judge(meta) === 'dead') near.drop(key, meta.variant)
  }
}

/** The variants of a key, youngest first, without those that a hard purge has killed. */
export function lookup(store: Store, log: PurgeLog, key: string): Awaitable<readonly Stored[]> {
  const found = store.lookup(key)
  return found instanceof Promise ? found.then(variants => survivors(variants, log)) : survivors(found, log)
}

function survivors(variants: readonly Stored[], log: PurgeLog): readonly Stored[] {
  // A replica that may have missed a purge has nothing that it may serve.
  if (variants.length === 0 || !log.isCaughtUp()) return nothing
  for (const variant of variants) {
    // Nearly always nothing is dead, and then the store's own list goes on as it is.
    if (log.judge(variant.meta) === 'dead') return variants.filter(one => log.judge(one.meta) !== 'dead')
  }
  return variants
}

/** Returns the function by which `decide` checks for soft purges. Made once, so that a lookup makes no closure. */
export function purgeStateBy(log: PurgeLog): (entry: Stored) => PurgeState {
  return entry => (log.judge(entry.meta) === 'valid' ? 'valid' : 'stale')
}

/** Returns the present verdict on a response that was looked up before the origin was contacted. If purges may have been missed, it is the worst. */
export function verdictNow(log: PurgeLog, meta: Metadata): Verdict {
  return log.isCaughtUp() ? log.judge(meta) : 'dead'
}
