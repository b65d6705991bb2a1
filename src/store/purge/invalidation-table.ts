// The effects of unsafe requests: the last stamp of each remembered name, and of each bucket of forgotten names.
import type { Addressed, LogPosition, Named } from '../../policy/stored.ts'
import { bucketCount, bucketOf, entryNames, isTagName, tagName, urlName, type Invalidation } from './invalidation.ts'

export interface InvalidationTableOptions {
  /** The most separate names; beyond it the least recently named one is folded into its bucket. */
  readonly maxNames?: number
  /** The longest time that any store keeps an entry. A name that was last named earlier is folded into its bucket. */
  readonly maxKeepMs?: number
}

/** A name in the ring of all names, in the order in which they were last named. */
class Name {
  readonly text: string
  last: LogPosition = ''
  /** The stamp before `last`. */
  previous: LogPosition = ''
  atMs = 0
  before: Name = this
  after: Name = this

  constructor(text: string) {
    this.text = text
  }

  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this.after = this
  }
}

/**
 * Clients cause these invalidations. They are therefore bounded apart from purges, and never raise the floor of the log. A
 * name that is named again replaces its earlier record. A dropped name leaves its stamp in its bucket: from then on an older
 * entry in that bucket is dead, whether or not it has that name. That costs a miss, never a stale response, and affects one
 * entry in half a million.
 */
export class InvalidationTable {
  readonly #maxNames: number
  readonly #maxKeepMs: number
  readonly #names = new Map<string, Name>()
  readonly #ring = new Name('')
  #latest: LogPosition = ''
  #latestOfTags: LogPosition = ''
  /** Stamps of the buckets, in two numbers each; undefined: no bucket has one. */
  #buckets: { readonly high: Float64Array; readonly low: Uint32Array } | undefined

  constructor(options: InvalidationTableOptions = {}) {
    this.#maxNames = options.maxNames ?? 32_768
    this.#maxKeepMs = options.maxKeepMs ?? Infinity
  }

  /** The number of separate names. */
  get size(): number {
    return this.#names.size
  }

  clear(): void {
    this.#names.clear()
    this.#ring.leave()
    this.#latest = this.#latestOfTags = ''
    this.#buckets = undefined
  }

  /** Applies the next record. Its id must be larger than those of earlier records. */
  apply(id: LogPosition, atMs: number, { names, buckets }: Invalidation): void {
    this.#latest = id
    for (const text of names) {
      if (isTagName(text)) this.#latestOfTags = id
      this.#name(text, id, atMs)
    }
    if (buckets.length > 0) this.#latestOfTags = id
    for (const bucket of buckets) this.#raise(bucket, id)
    this.#letGo(atMs)
  }

  #name(text: string, id: LogPosition, atMs: number): void {
    let name = this.#names.get(text)
    if (name === undefined) this.#names.set(text, name = new Name(text))
    else name.leave()
    name.previous = name.last
    name.last = id
    name.atMs = atMs
    name.before = this.#ring.before
    name.after = this.#ring
    name.before.after = name.after.before = name
  }

  #letGo(nowMs: number): void {
    for (let oldest = this.#ring.after; oldest !== this.#ring; oldest = this.#ring.after) {
      if (nowMs - oldest.atMs <= this.#maxKeepMs && this.#names.size <= this.#maxNames) return
      // A name is never dropped without its bucket, however old. The clock that measures its age may have been set forward,
      // and another configuration or replica may keep entries for longer. A stamp in a bucket affects only entries that are
      // older than the stamp.
      this.#raise(bucketOf(oldest.text), oldest.last)
      oldest.leave()
      this.#names.delete(oldest.text)
    }
  }

  /**
   * Loads buckets that outlived their records elsewhere: six bytes of time and six of number for each, in order. Their
   * stamps must not be larger than that of the last applied record.
   */
  load(bytes: Buffer): void {
    this.#latestOfTags = this.#latest
    const { high, low } = this.#open()
    for (let bucket = 0, at = 0; at + 12 <= bytes.length; bucket++, at += 12) {
      const time = bytes.readUIntBE(at, 6)
      const number = bytes.readUIntBE(at + 6, 6)
      if (bucket < bucketCount && isBelow(high[bucket] as number, low[bucket] as number, time, number)) {
        high[bucket] = time
        low[bucket] = number
      }
    }
  }

  #open(): { readonly high: Float64Array; readonly low: Uint32Array } {
    return this.#buckets ??= { high: new Float64Array(bucketCount), low: new Uint32Array(bucketCount) }
  }

  #raise(bucket: number, stamp: LogPosition): void {
    if (!(bucket >= 0 && bucket < bucketCount)) return
    const { high, low } = this.#open()
    const [time, number] = [timeOf(stamp), numberOf(stamp)]
    if (!isBelow(high[bucket] as number, low[bucket] as number, time, number)) return
    high[bucket] = time
    low[bucket] = number
  }

  /** True if a record after `stamp` names the URL. */
  killsUrl(stamp: LogPosition, { authority, publicHosts, target }: Addressed): boolean {
    if (this.#latest <= stamp) return false
    return this.#kills(stamp, urlName(authority, target)) || publicHosts?.some((host) => this.#kills(stamp, urlName(host, target))) === true
  }

  /** True if a record after the entry's stamp names it. */
  kills(stamp: LogPosition, entry: Named): boolean {
    if (this.#latest <= stamp) return false
    if (this.killsUrl(stamp, entry)) return true
    return this.#latestOfTags > stamp && entry.tags.some((tag) => this.#kills(stamp, tagName(tag)))
  }

  #kills(stamp: LogPosition, text: string): boolean {
    const name = this.#names.get(text)
    return name !== undefined && name.last > stamp ? true : this.#bucketIsAbove(stamp, text)
  }

  #bucketIsAbove(stamp: LogPosition, text: string): boolean {
    if (this.#buckets === undefined) return false
    const bucket = bucketOf(text)
    return isBelow(timeOf(stamp), numberOf(stamp), this.#buckets.high[bucket] as number, this.#buckets.low[bucket] as number)
  }

  /** True if a record after `stamp` may name a tag of a response whose tags are not known yet. */
  namesTagsAfter(stamp: LogPosition): boolean {
    return this.#latestOfTags > stamp
  }

  /** True if a record after `stamp` and before `until` names the entry, or if that is not known any more. */
  namedBetween(stamp: LogPosition, until: LogPosition, entry: Named): boolean {
    if (this.#latest <= stamp) return false
    return entryNames(entry).some((text) => {
      const name = this.#names.get(text)
      if (this.#bucketIsAbove(stamp, text)) return true
      if (name === undefined || name.last <= stamp) return false
      return name.last !== until || name.previous > stamp
    })
  }
}

// Stamps of one log have equal lengths, so their ends order them: nine characters of time and six of number, in base 36.
function timeOf(stamp: LogPosition): number {
  return Number.parseInt(stamp.slice(-15, -6), 36) || 0
}

function numberOf(stamp: LogPosition): number {
  return Number.parseInt(stamp.slice(-6), 36) || 0
}

function isBelow(high: number, low: number, otherHigh: number, otherLow: number): boolean {
  return high < otherHigh || (high === otherHigh && low < otherLow)
}
