// The URLs and groups that an unsafe request invalidated, as short names, each of which falls into one of many buckets.
import { hash } from 'node:crypto'
import { purgeHost } from '../../http/authority.ts'
import type { Addressed, Named } from '../../policy/stored.ts'
import type { Purge } from './log.ts'

/**
 * Names, and buckets for names that were not kept. An entry matches if one of its names is listed or falls into a listed
 * bucket.
 */
export interface Invalidation {
  readonly names: readonly string[]
  readonly buckets: readonly number[]
}

/** A dropped name lives on as the last stamp of its bucket. 2^19 buckets take 6 MiB, once any is used. */
export const bucketCount = 524_288

/** A longer name is replaced by its digest, so that no client decides how much memory a name takes. */
const longestName = 96

/** Returns the name of a URL. No host and no tag contains a line feed. */
export function urlName(authority: string, target: string): string {
  const name = `${purgeHost(authority)}\n${target}`
  return name.length <= longestName ? name : `#${digest(name)}`
}

/** Returns the names of a URL: on its host, and on the hosts that a trusted proxy reported. */
export function urlNames({ authority, publicHosts, target }: Addressed): string[] {
  return [urlName(authority, target), ...(publicHosts ?? []).map((host) => urlName(host, target))]
}

/** Returns the names of an entry. */
export function entryNames(entry: Named): string[] {
  return [...urlNames(entry), ...entry.tags.map(tagName)]
}

/** Returns the name of a tag, or of a group (RFC 9875). */
export function tagName(tag: string): string {
  return tag.length <= longestName ? `${tagMark}${tag}` : `${tagMark}#${digest(tag)}`
}

/** True for the name of a tag. */
export function isTagName(name: string): boolean {
  return name.startsWith(tagMark)
}

const tagMark = 'tag '

// Equal names have equal digests, so none is missed. Two names with one digest would be invalidated together, which costs a
// miss. Nobody can find such a pair.
function digest(name: string): string {
  return hash('sha256', name, 'base64url')
}

/**
 * Returns the bucket of a name. Replicas of one cache must agree, so this never changes. It is not a secret: at worst, names
 * in one bucket are invalidated together, and only with names that an unsafe request may invalidate anyway.
 */
export function bucketOf(name: string): number {
  let state = 0x811c9dc5
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193)
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return ((state ^ (state >>> 16)) >>> 0) % bucketCount
}

/** Returns the names in a purge of URLs and tags. The purge is hard, and a match of any name is enough. */
export function foldedPurge({ urls, tags }: Purge): Invalidation {
  const names = new Set<string>()
  for (const { authority, target } of urls) names.add(urlName(authority ?? '', target))
  for (const tag of tags) names.add(tagName(tag))
  return { names: [...names], buckets: [] }
}

/** Returns the buckets of all names, each once. */
export function bucketsOf({ names, buckets }: Invalidation): number[] {
  return [...new Set([...names.map(bucketOf), ...buckets])]
}
