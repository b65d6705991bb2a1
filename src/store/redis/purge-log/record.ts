// The encoding of a purge as a record of the stream, and of its position as a stamp.
import type { LogPosition } from '../../../policy/stored.ts'
import { bucketsOf, type Invalidation } from '../../purge/invalidation.ts'
import type { Purge, UrlPattern } from '../../purge/log.ts'

/** A record of the stream. */
export interface StreamRecord {
  /** Redis' id: milliseconds, dash, number. */
  readonly id: string
  /** The log that it belongs to: a log that was lost and begun anew has another identity. */
  readonly identity: string
  /** The id of the previous record; undefined for the first of a log. */
  readonly before: string | undefined
  /** The name of its append; '' for the first of a log. Two records with one id have two names. */
  readonly name: string
  /** The token that requested it; undefined if none is recorded. */
  readonly by: string | undefined
  /** undefined for the first of a log, which only states that the log begins. */
  readonly purge: Purge | undefined
}

/** A record of the second stream, which holds the invalidations by unsafe requests. */
export interface UnsafeRecord {
  readonly id: string
  readonly identity: string
  /** The name of its append. */
  readonly name: string
  readonly invalidation: Invalidation | Purge
}

const everything: Purge = { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: true, soft: false }

/** No stamp begins with it: under it everything is dead. */
export const noIdentity = '!'

const timeDigits = 9
const longestTime = 36 ** timeDigits - 1

/**
 * Returns the identity of a new log, which no other log has. It sorts after earlier identities, and after `followed`. If a
 * replica finds a log that sorts before the one that it follows, an old log has come back.
 * @param followed the identity of the log that the new one replaces; '' if none is known
 */
export function newIdentity(nowMs: number, random: Buffer, followed = ''): string {
  const followedMs = /^[0-9a-z]{13}$/.test(followed) ? parseInt(followed.slice(0, timeDigits), 36) : 0
  const ms = Math.max(0, Math.floor(nowMs), followedMs < longestTime ? followedMs + 1 : 0)
  return ms.toString(36).padStart(timeDigits, '0') + (random.readUInt32LE(0) % 36 ** 4).toString(36).padStart(4, '0')
}

/** Returns the stamp of a position in a log: of fixed width, so that `<` on strings is the order of the stream. */
export function stampOf(identity: string, id: string): LogPosition {
  const [ms = '0', number = '0'] = id.split('-')
  return `${identity}.${Number(ms).toString(36).padStart(9, '0')}${Number(number).toString(36).padStart(6, '0')}`
}

/** Returns the identity of the log that a stamp belongs to. */
export function identityOf(stamp: LogPosition): string {
  return stamp.split('.', 1)[0] as string
}

/** Returns when the record was made, by the clock of Redis. */
export function timeOf(id: string): number {
  return Number(id.split('-', 1)[0])
}

export function encodePurge(purge: Purge): string {
  return JSON.stringify(purge)
}

/** Encodes an invalidation for its record, and its buckets, which remain when the record is dropped. */
export function encodeInvalidation(invalidation: Invalidation): readonly [invalidation: string, buckets: string] {
  return [JSON.stringify(invalidation), bucketsOf(invalidation).join(',')]
}

/** Decodes the records of an XRANGE reply; anything else is left out. */
export function decodeRecords(reply: unknown): StreamRecord[] {
  return entriesOf(reply).map(({ id, fields }) => {
    const before = fields.get('before')
    return {
      id,
      // A foreign record. Every stamp begins with '', so '' would let everything live.
      identity: fields.get('log') || noIdentity,
      before: before === '' ? undefined : before,
      name: fields.get('name') ?? '',
      by: fields.get('by') || undefined,
      purge: before === '' ? undefined : decodePurge(fields.get('purge')),
    }
  })
}

/** Decodes records of the second stream, without the one with the id `after`, which the reader has. */
export function decodeUnsafeRecords(reply: unknown, after: string): UnsafeRecord[] {
  return entriesOf(reply).filter(({ id }) => id !== after).map(({ id, fields }) => (
    { id, identity: fields.get('log') ?? '', name: fields.get('name') ?? '', invalidation: decodeInvalidation(fields.get('unsafe')) }
  ))
}

/** True if an id comes before another. */
export function isEarlier(id: string, other: string): boolean {
  return stampOf('', id) < stampOf('', other)
}

function entriesOf(reply: unknown): { readonly id: string; readonly fields: ReadonlyMap<string, string> }[] {
  if (!Array.isArray(reply)) return []
  const entries = []
  for (const entry of reply as unknown[]) {
    if (!Array.isArray(entry) || !Array.isArray(entry[1])) continue
    const fields = new Map<string, string>()
    for (let i = 0; i + 1 < entry[1].length; i += 2) fields.set(String(entry[1][i]), String(entry[1][i + 1]))
    entries.push({ id: String(entry[0]), fields })
  }
  return entries
}

// Handles errors like decodePurge.
function decodeInvalidation(json: string | undefined): Invalidation | Purge {
  try {
    const invalidation = JSON.parse(json ?? '') as Partial<Invalidation>
    const { names, buckets } = invalidation
    const known = hasOnly(invalidation, ['names', 'buckets']) && Array.isArray(names) && names.every((name) => typeof name === 'string') &&
      Array.isArray(buckets) && buckets.every((bucket) => Number.isSafeInteger(bucket))
    return known ? { names, buckets } : everything
  } catch {
    return everything
  }
}

// A purge that cannot be decoded must not be survived: it purges everything. So does one with a member that this build does not know: a
// newer build may name with it what the purge is for.
function decodePurge(json: string | undefined): Purge {
  try {
    const purge = JSON.parse(json ?? '') as Partial<Purge>
    const { urls, prefixes, tags, tagsMatch, all, soft } = purge
    const known = hasOnly(purge, ['urls', 'prefixes', 'tags', 'tagsMatch', 'all', 'soft']) && isPatterns(urls) && isPatterns(prefixes) && Array.isArray(tags) && tags.every((tag) =>
      typeof tag === 'string'
    ) &&
      (tagsMatch === 'any' || tagsMatch === 'all') && typeof all === 'boolean' && typeof soft === 'boolean'
    return known ? { urls, prefixes, tags, tagsMatch, all, soft } : everything
  } catch {
    return everything
  }
}

function hasOnly(value: object, names: readonly string[]): boolean {
  return Object.keys(value).every((name) => names.includes(name))
}

// JSON leaves out undefined: a pattern without an authority comes back without it.
function isPatterns(value: unknown): value is UrlPattern[] {
  return Array.isArray(value) && value.every((pattern: unknown) => {
    if (typeof pattern !== 'object' || pattern === null || !('target' in pattern) || typeof pattern.target !== 'string') return false
    return hasOnly(pattern, ['authority', 'target']) && (!('authority' in pattern) || typeof pattern.authority === 'string')
  })
}
