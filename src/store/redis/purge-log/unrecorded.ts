// Invalidations by unsafe requests that Redis could not record: they apply in this process until all replicas can read them.
import type { Addressed, LogPosition, Named } from '../../../policy/stored.ts'
import { bucketCount, bucketOf, isTagName, entryNames, urlNames, type Invalidation } from '../../purge/invalidation.ts'

/** The most names that are kept; beyond it only buckets are. */
const maxNames = 10_000
/** The most in one record: a script must not keep Redis busy for long. */
const namesPerRecord = 500
const bucketsPerRecord = 5_000

/** Names, and buckets of names: bounded, however many there are. */
class Invalid {
  readonly names = new Set<string>()
  /** A bit for each bucket; undefined if there is none. */
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

  /** As many records as needed. */
  *records(): Iterable<Invalidation> {
    const names = [...this.names]
    for (let at = 0; at < names.length; at += namesPerRecord) yield { names: names.slice(at, at + namesPerRecord), buckets: [] }
    const buckets = this.buckets()
    for (let at = 0; at < buckets.length; at += bucketsPerRecord) yield { names: [], buckets: buckets.slice(at, at + bucketsPerRecord) }
  }
}

/**
 * Entries that match are dead for this process, whenever they were stored. Until there is a record with an id, responses
 * requested before and after the unsafe request cannot be distinguished. Memory is bounded: beyond ten thousand names only
 * buckets are kept, and entries that share a bucket are dead as well.
 */
export class Unrecorded {
  #waiting = new Invalid()
  #underWay: Invalid | undefined
  /** Recorded, and not applied here yet. At most two, so that the first is dropped however fast others follow. */
  #recorded: { until: LogPosition; readonly invalid: Invalid }[] = []
  #changes = 0

  /** Names, or buckets of names, that are not recorded yet. */
  get size(): number {
    return this.#waiting.size + (this.#underWay?.size ?? 0)
  }

  /** Increases with every change. */
  get revision(): number {
    return this.#changes
  }

  add({ names }: Invalidation): void {
    this.#changes++
    for (const name of names) this.#waiting.add(name)
  }

  /** Adds an invalidation that was recorded at `until`, which has not been applied here. */
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
   * Records everything that waits, by `append`. Later additions wait for the next time, because their requests may have come
   * after the record. Rejects as `append` does, and then everything waits again.
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

  /** Drops invalidations that were recorded and are applied by now, or that were recorded in a log that no longer exists. */
  applied(identity: string, latest: LogPosition): void {
    if (this.#recorded.length === 0) return
    this.#changes++
    this.#recorded = this.#recorded.filter(({ until }) => until.startsWith(identity) && until > latest)
  }

  /** True if there is anything at all; checked before all other methods, at each lookup. */
  get any(): boolean {
    return this.#recorded.length > 0 || this.#underWay !== undefined || this.#waiting.size > 0
  }

  touches(entry: Named): boolean {
    return entryNames(entry).some((name) => this.#has(name))
  }

  /** As PurgeLog.mayMatch. */
  mayTouch(url: Addressed): boolean {
    return this.#all().some(({ namesTags }) => namesTags) || urlNames(url).some((name) => this.#has(name))
  }

  #has(name: string): boolean {
    return this.#all().some((invalid) => invalid.has(name))
  }

  #all(): Invalid[] {
    return [this.#waiting, ...(this.#underWay === undefined ? [] : [this.#underWay]), ...this.#recorded.map(({ invalid }) => invalid)]
  }
}
