// The purge log of a process that shares its cache with no other: for the embedded store.
import type { Clock } from '../../clock.ts'
import type { LogPosition } from '../../policy/stored.ts'
import { foldedPurge } from './invalidation.ts'
import type { PurgeLog, PurgeTimings } from './log.ts'
import { PurgeTable, type PurgeTableOptions } from './table.ts'

export interface LocalPurgeLogOptions extends PurgeTableOptions {
  readonly clock: Clock
  readonly timings?: PurgeTimings | undefined
}

/** The name of the only replica. */
export const ownReplica = 'local'

/**
 * A purge log in memory. It ends with the process, like the entries that carry its stamps. Recording a purge also applies
 * it, so an append never waits.
 */
export function createLocalPurgeLog(options: LocalPurgeLogOptions): PurgeLog {
  const { clock } = options
  const table = new PurgeTable(options)
  let count = 0
  // Fixed width, so that `<` on strings is `<` on numbers.
  const stamp = (): LogPosition => String(count).padStart(16, '0')
  table.begin('', stamp())
  return {
    get applied() {
      return table.latest
    },
    get revision() {
      return table.revision
    },
    judge: (meta) => table.judge(meta),
    mayMatch: (since, url) => table.mayTouch(since, url),
    matchedBetween: (entry, until) => table.touchedBefore(entry, until),
    append: async (purge, _waitMs, by) => {
      count++
      const id = stamp()
      const startedMs = clock.monotonic()
      if (purge.implicit === true) table.invalidate(id, clock.now(), foldedPurge(purge))
      else table.apply({ id, atMs: clock.now(), purge, by })
      const tookMs = clock.monotonic() - startedMs
      options.timings?.appended(tookMs)
      if (purge.implicit !== true) options.timings?.acknowledged(tookMs)
      return { id, soft: purge.soft, replicas: { live: 1, acknowledged: 1 }, copied: true }
    },
    recent: (limit, before) => table.recent(limit, before),
    find: (id) => table.find(id),
    follow: async (_id, _waitMs, seen) => {
      seen({ live: 1, acknowledged: 1, replicas: [{ id: ownReplica, acknowledged: true }] })
      return { copied: true }
    },
    isCaughtUp: () => true,
    lagMs: 0,
    unrecorded: 0,
    replicas: async () => [{ id: ownReplica, applied: table.latest }],
    close: async () => {},
  }
}
