// What an unsafe request invalidated, folded small: a name for each URL and group, and for each name one of many buckets.
import { hash } from 'node:crypto'
import type { Purge } from './log.ts'

/**
 * Names, and buckets for what was too much to name. An entry matches if one of its names is among the names, or falls into one
 * of the buckets.
 */
export interface Invalidation {
  readonly names: readonly string[]
  readonly buckets: readonly number[]
}

/** Names whose records are let go live on as the last stamp of their bucket. Two to the nineteenth: 6 MiB, once any is used. */
export const bucketCount = 524_288

/** A longer name is folded into its digest, so that no client decides how much memory a name takes. */
const longestName = 96

/** The name of a URL. No host holds a line feed, and no tag does. */
export function urlName(authority: string, target: string): string {
  const name = `${authority}\n${target}`
  return name.length <= longestName ? name : `#${digest(name)}`
}

/** The name of a tag, or of a group (RFC 9875). */
export function tagName(tag: string): string {
  return tag.length <= longestName ? `${tagMark}${tag}` : `${tagMark}#${digest(tag)}`
}

/** Whether a name is that of a tag. */
export function isTagName(name: string): boolean {
  return name.startsWith(tagMark)
}

const tagMark = 'tag '

// Names that are equal have equal digests, so none is missed. Two names with one digest would be invalidated together, which
// costs a miss, and nobody can find such a pair.
function digest(name: string): string {
  return hash('sha256', name, 'base64url')
}

/**
 * The bucket of a name. Replicas of one cache must agree, so this never changes. Not a secret, and need not be one: what shares a
 * bucket is invalidated together at worst, and only with what an unsafe request may invalidate anyway.
 */
export function bucketOf(name: string): number {
  let state = 0x811c9dc5
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193)
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return ((state ^ (state >>> 16)) >>> 0) % bucketCount
}

/** What a purge of URLs and tags names. It is hard, and a match of any name is enough. */
export function foldedPurge({ urls, tags }: Purge): Invalidation {
  const names = new Set<string>()
  for (const { authority, target } of urls) names.add(urlName(authority ?? '', target))
  for (const tag of tags) names.add(tagName(tag))
  return { names: [...names], buckets: [] }
}

/** Each bucket that it falls into, once. */
export function bucketsOf({ names, buckets }: Invalidation): number[] {
  return [...new Set([...names.map(bucketOf), ...buckets])]
}
