// What is stored for a key and has survived every purge.
import type { PurgeState } from '../policy/decide.ts'
import type { Metadata } from '../policy/stored.ts'
import type { PurgeLog, Verdict } from '../store/purge/log.ts'
import type { Awaitable, LocalTier, Store, Stored } from '../store/store.ts'

const nothing: readonly Stored[] = []

/**
 * What is at hand in this process without asking any further, less what a hard purge has killed: perhaps not all there is,
 * nor the latest. [] where nothing lies nearer than the rest.
 */
export function lookupLocal({ local }: Store, log: PurgeLog, key: string): readonly Stored[] {
  if (local === undefined) return nothing
  const found = local.lookup(key)
  const living = survivors(found, log)
  if (living.length < found.length && log.isCaughtUp()) giveBack(local, key, found, log)
  return living
}

// What is dead stays so; its memory may serve another.
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

/** Whether a soft purge made an entry stale, as `decide` asks it. Made once, so that a look makes no closure. */
export function purgeStateBy(log: PurgeLog): (entry: Stored) => PurgeState {
  return entry => (log.judge(entry.meta) === 'valid' ? 'valid' : 'stale')
}

/** What purges say now of what was looked up before the origin was asked. Where they may not be known, the worst counts. */
export function verdictNow(log: PurgeLog, meta: Metadata): Verdict {
  return log.isCaughtUp() ? log.judge(meta) : 'dead'
}
