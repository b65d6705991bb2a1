// Decides whether one purge names an entry; the table's indexes decide it for all purges at once.
import type { Metadata } from '../../policy/stored.ts'
import type { Purge, UrlPattern } from './log.ts'

/** True if the purge was meant for the entry, had the entry been stored then. */
export function purgeMatches(purge: Purge, entry: Pick<Metadata, 'authority' | 'target' | 'tags'>): boolean {
  if (purge.all) return true
  if (purge.urls.some((url) => onHost(url, entry.authority) && url.target === entry.target)) return true
  if (purge.prefixes.some((prefix) => onHost(prefix, entry.authority) && entry.target.startsWith(prefix.target))) return true
  if (purge.tags.length === 0) return false
  const carried = (tag: string): boolean => entry.tags.includes(tag)
  return purge.tagsMatch === 'all' ? purge.tags.every(carried) : purge.tags.some(carried)
}

function onHost(pattern: UrlPattern, authority: string): boolean {
  return pattern.authority === undefined || pattern.authority === authority
}
