// Decides whether one purge names an entry; the table's indexes decide it for all purges at once.
import { purgeHost } from '../../http/authority.ts'
import type { Named } from '../../policy/stored.ts'
import type { Purge, UrlPattern } from './log.ts'

/** True if the purge was meant for the entry, had the entry been stored then. */
export function purgeMatches(purge: Purge, entry: Named): boolean {
  if (purge.all) return true
  if (purge.urls.some((url) => url.target === entry.target && onHost(url, entry))) return true
  if (purge.prefixes.some((prefix) => entry.target.startsWith(prefix.target) && onHost(prefix, entry))) return true
  if (purge.tags.length === 0) return false
  const carried = (tag: string): boolean => entry.tags.includes(tag)
  return purge.tagsMatch === 'all' ? purge.tags.every(carried) : purge.tags.some(carried)
}

/** True if a pattern names the host of an entry, or one that a trusted proxy reported for it. */
export function onHost(pattern: UrlPattern, { authority, publicHosts }: Pick<Named, 'authority' | 'publicHosts'>): boolean {
  if (pattern.authority === undefined) return true
  const host = purgeHost(pattern.authority)
  return host === purgeHost(authority) || publicHosts?.includes(host) === true
}
