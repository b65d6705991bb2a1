// The number of stored responses that a purge names, where counting them costs next to nothing.
import { purgeMatches } from '../store/purge/match.ts'
import type { Purge } from '../store/purge/log.ts'
import type { AdminParts } from './parts.ts'
import type { Turns } from './turns.ts'

/** The most entries that are read for a purge, and comparisons of an entry with a name: a purge may name thousands. */
const mostEntries = 2_048
const mostComparisons = 65_536

/**
 * Counts the entries that a purge names and that no earlier one has invalidated. `unknown` if they are too many to read, or if
 * they are in Redis, where nothing finds an entry by its tags. Reads the store in pieces, each in its own turn.
 */
export async function countMatched({ store, purgeLog }: Pick<AdminParts, 'store' | 'purgeLog'>, purge: Purge, turns: Turns): Promise<number | 'unknown'> {
  const { kind, entries } = store.stats()
  const names = purge.all ? 1 : purge.urls.length + purge.prefixes.length + purge.tags.length
  if (kind !== 'memory' || entries === undefined || entries > mostEntries || entries * names > mostComparisons) return 'unknown'
  if (entries === 0) return 0
  let matched = 0
  let cursor: string | undefined
  do {
    await turns.next()
    const page = await store.list(cursor, 1000, (meta) => purgeMatches(purge, meta) && purgeLog.judge(meta) !== 'dead')
    matched += page.entries.length
    cursor = page.cursor
  } while (cursor !== undefined)
  return matched
}
