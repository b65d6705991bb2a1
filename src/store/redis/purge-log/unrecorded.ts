// What unsafe requests invalidated and Redis would not record: in force in this process, until all others can be told.
import type { Metadata, LogPosition } from '../../../policy/stored.ts'
import { bucketCount, bucketOf, isTagName, tagName, urlName, type Invalidation } from '../../purge/invalidation.ts'

/** Names that are kept; of those beyond it, only the buckets. */
const maxNames = 10_000
/** What one record may hold: a script must not keep Redis busy for long. */
const namesPerRecord = 500
const bucketsPerRecord = 5_000

type Named = Pick<Metadata, 'authority' | 'target' | 'tags'>

/** Names, and buckets of names: bounded, however many there are. */
class Invalid {
  readonly names = new Set<string>()
  /** A bit each; undefined: none. */
  #bits: Uint8Array | undefined
  #inBuckets = 0
  namesTags = false

  get size(): number {
    return this.names.size + this.#inBuckets
  }

  add(name: string): void {
    this.namesTags ||= isTagName(name)
    if (this.names.size < maxNames || this.names.has(name)) this.names.add(name)
    else this.addBucket(bucketOf(name))
  }

  addBucket(bucket: number): void {
    this.#bits ??= new Uint8Array(bucketCount / 8)
    const bit = 1 << (bucket & 7)
    if (((this.#bits[bucket >> 3] as number) & bit) !== 0) return
    this.#bits[bucket >> 3] = (this.#bits[bucket >> 3] as number) | bit
    this.#inBuckets++
  }

  has(name: string): boolean {
    if (this.names.has(name)) return true
    if (this.#bits === undefined) return false
    const bucket = bucketOf(name)
    return ((this.#bits[bucket >> 3] as number) & (1 << (bucket & 7))) !== 0
  }

  buckets(): number[] {
    const buckets: number[] = []
    if (this.#bits === undefined) return buckets
    for (const [at, bits] of this.#bits.entries()) {
      for (let bit = 0; bits >> bit > 0; bit++) if (((bits >> bit) & 1) === 1) buckets.push(at * 8 + bit)
    }
    return buckets
  }

  addAll(other: Invalid): void {
    for (const name of other.names) this.add(name)
    for (const bucket of other.buckets()) this.addBucket(bucket)
    this.namesTags ||= other.namesTags
  }

  /** In as many records as it takes. */
  *records(): Iterable<Invalidation> {
    const names = [...this.names]
    for (let at = 0; at < names.length; at += namesPerRecord) yield { names: names.slice(at, at + namesPerRecord), buckets: [] }
    const buckets = this.buckets()
    for (let at = 0; at < buckets.length; at += bucketsPerRecord) yield { names: [], buckets: buckets.slice(at, at + bucketsPerRecord) }
  }
}

/**
 * Whatever is in here is dead for this process, whenever it was stored: what was fetched before the request and what was
 * fetched after it cannot be told apart until there is a record with an id. Memory is bounded: of names beyond ten thousand
 * the buckets alone are kept, and entries that share one of them are dead as well.
 */
export class Unrecorded {
  #waiting = new Invalid()
  #underWay: Invalid | undefined
  /** Recorded, and not applied here yet: two at the most, so that the first is let go however fast others come. */
  #recorded: { until: LogPosition, readonly invalid: Invalid }[] = []
  #changes = 0

  /** Names, or buckets of names, that are yet to be recorded. */
  get size(): number {
    return this.#waiting.size + (this.#underWay?.size ?? 0)
  }

  /** Goes up with every change. */
  get revision(): number {
    return this.#changes
  }

  add({ names }: Invalidation): void {
    this.#changes++
    for (const name of names) this.#waiting.add(name)
  }

  /** Recorded at `until`, which has not been applied here. */
  addRecorded({ names }: Invalidation, until: LogPosition): void {
    const invalid = new Invalid()
    for (const name of names) invalid.add(name)
    this.#untilApplied(until, invalid)
  }

  #untilApplied(until: LogPosition, invalid: Invalid): void {
    this.#changes++
    const [, last] = this.#recorded
    if (last === undefined) this.#recorded.push({ until, invalid })
    else {
      if (until > last.until) last.until = until
      last.invalid.addAll(invalid)
    }
  }

  /**
   * Records all that waits, by `append`. What is added meanwhile waits for the next time, for its request may have come after
   * the record. Rejects as `append` does, and then all of it waits again.
   */
  async record(append: (invalidation: Invalidation) => Promise<LogPosition>): Promise<number> {
    if (this.#underWay !== undefined || this.#waiting.size === 0) return 0
    const invalid = this.#waiting
    this.#underWay = invalid
    this.#waiting = new Invalid()
    try {
      let until: LogPosition = ''
      for (const record of invalid.records()) until = await append(record)
      this.#untilApplied(until, invalid)
      return invalid.size
    } catch (error) {
      this.#waiting.addAll(invalid)
      throw error
    } finally {
      this.#underWay = undefined
      this.#changes++
    }
  }

  /** Lets go of what has been recorded and is applied by now, or was recorded in a log that there is no more. */
  applied(identity: string, latest: LogPosition): void {
    if (this.#recorded.length === 0) return
    this.#changes++
    this.#recorded = this.#recorded.filter(({ until }) => until.startsWith(identity) && until > latest)
  }

  /** Whether there is anything at all; asked before every other question, at each look. */
  get any(): boolean {
    return this.#recorded.length > 0 || this.#underWay !== undefined || this.#waiting.size > 0
  }

  touches({ authority, target, tags }: Named): boolean {
    return this.#has(urlName(authority, target)) || tags.some((tag) => this.#has(tagName(tag)))
  }

  /** As PurgeLog.mayTouch. */
  mayTouch(authority: string, target: string): boolean {
    return this.#all().some(({ namesTags }) => namesTags) || this.#has(urlName(authority, target))
  }

  #has(name: string): boolean {
    return this.#all().some((invalid) => invalid.has(name))
  }

  #all(): Invalid[] {
    return [this.#waiting, ...(this.#underWay === undefined ? [] : [this.#underWay]), ...this.#recorded.map(({ invalid }) => invalid)]
  }
}
