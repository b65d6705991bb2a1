// How a purge looks as a record of the stream, and how its place in the stream becomes a stamp.
import type { LogPosition } from '../../../policy/stored.ts'
import { bucketsOf, type Invalidation } from '../../purge/invalidation.ts'
import type { Purge, UrlPattern } from '../../purge/log.ts'

/** A record as it lies in the stream. */
export interface StreamRecord {
  /** Redis' own id: milliseconds, dash, number. */
  readonly id: string
  /** Which log it belongs to: a log that was lost and begun anew has another. */
  readonly identity: string
  /** The id of the record before it; undefined for the first of a log. */
  readonly before: string | undefined
  /** What its append was called; '' for the first of a log. Two records of one id have two names. */
  readonly name: string
  /** undefined for the first of a log, which says nothing but that the log begins. */
  readonly purge: Purge | undefined
}

/** A record of the stream beside the log, in which lies what unsafe requests invalidated. */
export interface UnsafeRecord {
  readonly id: string
  readonly identity: string
  /** Of the append that made it. */
  readonly name: string
  readonly invalidation: Invalidation | Purge
}

const everything: Purge = { urls: [], prefixes: [], tags: [], tagsMatch: 'any', all: true, soft: false }

/** No stamp begins with it: under it everything is dead. */
export const noIdentity = '!'

const timeDigits = 9
const longestTime = 36 ** timeDigits - 1

/**
 * A name for a new log, which no other log has. It sorts after those that were made earlier, and after `followed`: a replica that
 * finds a log whose name sorts before the one that it follows knows by this that an old log has come back.
 *
 * @param followed the identity of the log that the new one takes the place of; '': none is known
 */
export function newIdentity(nowMs: number, random: Buffer, followed = ''): string {
  const followedMs = /^[0-9a-z]{13}$/.test(followed) ? parseInt(followed.slice(0, timeDigits), 36) : 0
  const ms = Math.max(0, Math.floor(nowMs), followedMs < longestTime ? followedMs + 1 : 0)
  return ms.toString(36).padStart(timeDigits, '0') + (random.readUInt32LE(0) % 36 ** 4).toString(36).padStart(4, '0')
}

/** The stamp of a place in a log: of fixed width, so that `<` on strings is the order of the stream. */
export function stampOf(identity: string, id: string): LogPosition {
  const [ms = '0', number = '0'] = id.split('-')
  return `${identity}.${Number(ms).toString(36).padStart(9, '0')}${Number(number).toString(36).padStart(6, '0')}`
}

/** When the record was made, by the clock of Redis. */
export function timeOf(id: string): number {
  return Number(id.split('-', 1)[0])
}

export function encodePurge(purge: Purge): string {
  return JSON.stringify(purge)
}

/** An invalidation as its record holds it, and the buckets that it is kept in once its record is let go. */
export function encodeInvalidation(invalidation: Invalidation): readonly [invalidation: string, buckets: string] {
  return [JSON.stringify(invalidation), bucketsOf(invalidation).join(',')]
}

/** The records of an XRANGE reply; what is not a record at all is left out. */
export function decodeRecords(reply: unknown): StreamRecord[] {
  return entriesOf(reply).map(({ id, fields }) => {
    const before = fields.get('before')
    return {
      id,
      // Another hand's record. Every stamp begins with '', so that would let everything live.
      identity: fields.get('log') || noIdentity,
      before: before === '' ? undefined : before,
      name: fields.get('name') ?? '',
      purge: before === '' ? undefined : decodePurge(fields.get('purge')),
    }
  })
}

/** The same of the stream beside the log; without the one with the id `after`, which a reader has. */
export function decodeUnsafeRecords(reply: unknown, after: string): UnsafeRecord[] {
  return entriesOf(reply).filter(({ id }) => id !== after).map(({ id, fields }) => (
    { id, identity: fields.get('log') ?? '', name: fields.get('name') ?? '', invalidation: decodeInvalidation(fields.get('unsafe')) }
  ))
}

/** Whether an id comes before another. */
export function isEarlier(id: string, other: string): boolean {
  return stampOf('', id) < stampOf('', other)
}

function entriesOf(reply: unknown): { readonly id: string, readonly fields: ReadonlyMap<string, string> }[] {
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

// As a purge that cannot be understood.
function decodeInvalidation(json: string | undefined): Invalidation | Purge {
  try {
    const { names, buckets } = JSON.parse(json ?? '') as Partial<Invalidation>
    const known = Array.isArray(names) && names.every((name) => typeof name === 'string') &&
      Array.isArray(buckets) && buckets.every((bucket) => Number.isSafeInteger(bucket))
    return known ? { names, buckets } : everything
  } catch {
    return everything
  }
}

// What cannot be understood must not be survived: it purges everything.
function decodePurge(json: string | undefined): Purge {
  try {
    const purge = JSON.parse(json ?? '') as Partial<Purge>
    const { urls, prefixes, tags, tagsMatch, all, soft } = purge
    const known = isPatterns(urls) && isPatterns(prefixes) && Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') &&
      (tagsMatch === 'any' || tagsMatch === 'all') && typeof all === 'boolean' && typeof soft === 'boolean'
    return known ? { urls, prefixes, tags, tagsMatch, all, soft } : everything
  } catch {
    return everything
  }
}

// JSON leaves out what is undefined: a pattern without an authority comes back without it.
function isPatterns(value: unknown): value is UrlPattern[] {
  return Array.isArray(value) && value.every((pattern: unknown) => {
    if (typeof pattern !== 'object' || pattern === null || !('target' in pattern) || typeof pattern.target !== 'string') return false
    return !('authority' in pattern) || typeof pattern.authority === 'string'
  })
}
