// The effect of a purge log's records on an entry: an index from tags, URLs and prefixes to the last record that named each.
import { purgeHost } from '../../http/authority.ts'
import type { Addressed, LogPosition, Named } from '../../policy/stored.ts'
import { InvalidationTable, type InvalidationTableOptions } from './invalidation-table.ts'
import type { Invalidation } from './invalidation.ts'
import type { Purge, PurgeRecord, UrlPattern, Verdict } from './log.ts'
import { purgeMatches } from './match.ts'

/** The last records that named something. '' sorts before every stamp: there is none. */
interface Last {
  hard: LogPosition
  soft: LogPosition
}

/** Tags of which an entry must have all. */
interface TagSet extends Last {
  readonly tags: readonly string[]
}

export interface PurgeTableOptions extends InvalidationTableOptions {
  /** The most separate records; beyond it the oldest are folded into the floor. */
  readonly maxRecords?: number
  /** The most characters of their names, for the same purpose. */
  readonly maxChars?: number
}

/**
 * The stamp alone decides two cases, whatever the entry matches:
 * - It comes from another log (it does not begin with this log's identity): dead. The purges between that log and this one
 *   are unknown.
 * - It is below the floor: dead. The number of records is bounded; when the oldest is dropped, its stamp becomes the floor.
 *   Then every entry with a smaller stamp is dead, whether or not the record matched it. That costs misses, never a stale
 *   response.
 *
 * Dropping by age costs nothing: an entry stamped before a record was stored before the record was applied there, or moments
 * after. So it has passed its keepUntil once the record is older than the longest time to keep.
 *
 * Invalidations by unsafe requests have a separate table, which is bounded without a floor: any client may cause them.
 */
export class PurgeTable {
  readonly #maxRecords: number
  readonly #maxChars: number
  readonly #maxKeepMs: number
  #identity = ''
  #floor: LogPosition = ''
  #latest: LogPosition = ''
  #latestOfTags: LogPosition = ''
  #revision = 0
  readonly #invalidations: InvalidationTable
  readonly #all: Last = { hard: '', soft: '' }
  readonly #tags = new Map<string, Last>()
  /** By the first of their tags: an entry without that tag cannot match. */
  readonly #tagSets = new Map<string, TagSet[]>()
  readonly #urls = new Map<string, Last>()
  readonly #prefixes = new Map<string, Last>()
  /** The number of prefixes of each length: a lookup checks once per length, not once per prefix. */
  readonly #prefixLengths = new Map<number, number>()
  #records: PurgeRecord[] = []
  /** The number of dropped records at the start of `#records`: removing them one by one would move all others each time. */
  #gone = 0
  #chars = 0

  constructor(options: PurgeTableOptions = {}) {
    this.#maxRecords = options.maxRecords ?? 100_000
    this.#maxChars = options.maxChars ?? 32 * 1_048_576
    this.#maxKeepMs = options.maxKeepMs ?? Infinity
    this.#invalidations = new InvalidationTable(options)
  }

  /** Increases with every record, and with every `begin`. */
  get revision(): number {
    return this.#revision
  }

  /** The stamp of the last applied record, or the floor given to `begin`. */
  get latest(): LogPosition {
    return this.#latest
  }

  get records(): readonly PurgeRecord[] {
    return this.#gone === 0 ? this.#records : this.#records.slice(this.#gone)
  }

  /** Returns the latest records, newest first; with `before`, those before that id. */
  recent(limit: number, before?: LogPosition): PurgeRecord[] {
    const end = before === undefined ? this.#records.length : this.#firstFrom(before)
    return this.#records.slice(Math.max(this.#gone, end - Math.max(0, limit)), end).toReversed()
  }

  /** Returns the record with an id; undefined if it is not kept. */
  find(id: LogPosition): PurgeRecord | undefined {
    const record = this.#records[this.#firstFrom(id)]
    return record?.id === id ? record : undefined
  }

  // Returns the index of the first record whose id is not before this one: ids are ascending.
  #firstFrom(id: LogPosition): number {
    let start = this.#gone
    let end = this.#records.length
    while (start < end) {
      const middle = (start + end) >> 1
      if ((this.#records[middle] as PurgeRecord).id < id) start = middle + 1
      else end = middle
    }
    return end
  }

  /**
   * Drops everything and starts again. Stamps of this log begin with `identity`, and nothing is known about entries stamped
   * before `floor`.
   */
  begin(identity: string, floor: LogPosition): void {
    this.#identity = identity
    this.#floor = floor
    this.#latest = floor
    this.#latestOfTags = ''
    this.#all.hard = this.#all.soft = ''
    for (const index of [this.#tags, this.#tagSets, this.#urls, this.#prefixes, this.#prefixLengths]) index.clear()
    this.#records = []
    this.#gone = this.#chars = 0
    this.#invalidations.clear()
    this.#revision++
  }

  /** Applies the invalidations of an unsafe request, as the next record. */
  invalidate(id: LogPosition, atMs: number, invalidation: Invalidation): void {
    this.reach(id)
    this.#revision++
    this.#invalidations.apply(id, atMs, invalidation)
  }

  /** Loads buckets of invalidations whose records are not kept any more: see InvalidationTable. */
  loadBuckets(bytes: Buffer): void {
    this.#revision++
    this.#invalidations.load(bytes)
  }

  /** Records that all records up to `id` have been applied. */
  reach(id: LogPosition): void {
    if (id > this.#latest) this.#latest = id
  }

  /** The number of names that unsafe requests invalidated, beside purges. */
  get invalidations(): number {
    return this.#invalidations.size
  }

  /** Applies the next record. Its id must be larger than those of earlier records. */
  apply(record: PurgeRecord): void {
    const { id, purge } = record
    this.reach(id)
    this.#revision++
    const kind = purge.soft ? 'soft' : 'hard'
    if (purge.all) this.#all[kind] = id
    for (const url of purge.urls) note(this.#urls, patternName(url), kind, id)
    for (const prefix of purge.prefixes) {
      const name = patternName(prefix)
      if (!this.#prefixes.has(name)) bump(this.#prefixLengths, prefix.target.length, 1)
      note(this.#prefixes, name, kind, id)
    }
    if (purge.tags.length > 0) this.#latestOfTags = id
    if (purge.tagsMatch === 'any' || purge.tags.length === 1) {
      for (const tag of purge.tags) note(this.#tags, tag, kind, id)
    } else if (purge.tags.length > 1) this.#noteTagSet([...new Set(purge.tags)].sort(), kind, id)
    this.#records.push(record)
    this.#chars += charsOf(purge)
    this.#collapse(record.atMs)
  }

  #noteTagSet(tags: readonly string[], kind: 'hard' | 'soft', id: LogPosition): void {
    const [first = ''] = tags
    const sets = this.#tagSets.get(first) ?? []
    let set = sets.find((other) => sameTags(other.tags, tags))
    if (set === undefined) sets.push(set = { tags, hard: '', soft: '' })
    set[kind] = id
    this.#tagSets.set(first, sets)
  }

  #collapse(nowMs: number): void {
    const records = this.#records
    for (; this.#gone < records.length; this.#gone++) {
      const record = records[this.#gone] as PurgeRecord
      const over = records.length - this.#gone > this.#maxRecords || this.#chars > this.#maxChars
      if (!over && nowMs - record.atMs <= this.#maxKeepMs) break
      this.#floor = record.id
      this.#chars -= charsOf(record.purge)
      this.#forget(record)
    }
    if (this.#gone * 8 > records.length) {
      records.splice(0, this.#gone)
      this.#gone = 0
    }
  }

  // Drops names that no later record has named again; the floor covers them now.
  #forget({ id, purge }: PurgeRecord): void {
    for (const url of purge.urls) forget(this.#urls, patternName(url), id)
    for (const prefix of purge.prefixes) {
      if (forget(this.#prefixes, patternName(prefix), id)) bump(this.#prefixLengths, prefix.target.length, -1)
    }
    for (const tag of purge.tags) {
      forget(this.#tags, tag, id)
      const sets = this.#tagSets.get(tag)?.filter((set) => set.hard > id || set.soft > id)
      if (sets === undefined) continue
      if (sets.length === 0) this.#tagSets.delete(tag)
      else this.#tagSets.set(tag, sets)
    }
  }

  judge(meta: Named & { readonly stamp: LogPosition }): Verdict {
    const { stamp } = meta
    if (!stamp.startsWith(this.#identity) || stamp < this.#floor) return 'dead'
    if (stamp >= this.#latest) return 'valid'
    if (this.#invalidations.kills(stamp, meta)) return 'dead'
    let verdict = weigh('valid', this.#all, stamp)
    if (verdict !== 'dead') verdict = this.#judgeUrl(verdict, stamp, meta)
    for (let i = 0; i < meta.tags.length && verdict !== 'dead'; i++) {
      const tag = meta.tags[i] as string
      verdict = weigh(verdict, this.#tags.get(tag), stamp)
      for (const set of this.#tagSets.get(tag) ?? []) {
        if (set.tags.every((needed) => meta.tags.includes(needed))) verdict = weigh(verdict, set, stamp)
      }
    }
    return verdict
  }

  #judgeUrl(before: Verdict, stamp: LogPosition, { authority, publicHosts, target }: Addressed): Verdict {
    let verdict = this.#judgeOnHost(before, stamp, '', target)
    verdict = this.#judgeOnHost(verdict, stamp, purgeHost(authority), target)
    if (publicHosts !== undefined) { for (const host of publicHosts) verdict = this.#judgeOnHost(verdict, stamp, host, target) }
    return verdict
  }

  // The host '' is every host.
  #judgeOnHost(before: Verdict, stamp: LogPosition, host: string, target: string): Verdict {
    let verdict = weigh(before, this.#urls.get(nameOf(host, target)), stamp)
    for (const length of this.#prefixLengths.keys()) {
      if (verdict === 'dead') break
      if (length <= target.length) verdict = weigh(verdict, this.#prefixes.get(nameOf(host, target.slice(0, length))), stamp)
    }
    return verdict
  }

  mayTouch(stamp: LogPosition, url: Addressed): boolean {
    if (!stamp.startsWith(this.#identity) || stamp < this.#floor) return true
    if (stamp >= this.#latest) return false
    if (this.#invalidations.namesTagsAfter(stamp) || this.#invalidations.killsUrl(stamp, url)) return true
    return this.#latestOfTags > stamp || this.#judgeUrl(weigh('valid', this.#all, stamp), stamp, url) !== 'valid'
  }

  // The indexes know only the last record of each name, and that may be `until` itself. Therefore the records are checked
  // one by one, back from the latest. All records after the floor are there.
  touchedBefore(entry: Named & { readonly stamp: LogPosition }, until: LogPosition): boolean {
    const { stamp } = entry
    if (!stamp.startsWith(this.#identity) || !until.startsWith(this.#identity) || stamp < this.#floor || until > this.#latest) return true
    if (this.#invalidations.namedBetween(stamp, until, entry)) return true
    for (let i = this.#records.length - 1; i >= 0; i--) {
      const { id, purge } = this.#records[i] as PurgeRecord
      if (id <= stamp) return false
      if (id < until && purgeMatches(purge, entry)) return true
    }
    return false
  }
}

function weigh(verdict: Verdict, last: Last | undefined, stamp: LogPosition): Verdict {
  if (last === undefined || verdict === 'dead') return verdict
  if (last.hard > stamp) return 'dead'
  return last.soft > stamp ? 'stale' : verdict
}

// No host contains a line feed, and none is empty: '' stands for every host.
function nameOf(authority: string, target: string): string {
  return `${authority}\n${target}`
}

function patternName(pattern: UrlPattern): string {
  return nameOf(purgeHost(pattern.authority ?? ''), pattern.target)
}

function note(index: Map<string, Last>, name: string, kind: 'hard' | 'soft', id: LogPosition): void {
  const last = index.get(name)
  if (last !== undefined) last[kind] = id
  else index.set(name, kind === 'hard' ? { hard: id, soft: '' } : { hard: '', soft: id })
}

function forget(index: Map<string, Last>, name: string, id: LogPosition): boolean {
  const last = index.get(name)
  return last !== undefined && last.hard <= id && last.soft <= id && index.delete(name)
}

function bump(counts: Map<number, number>, length: number, by: number): void {
  const count = (counts.get(length) ?? 0) + by
  if (count === 0) counts.delete(length)
  else counts.set(length, count)
}

function sameTags(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((tag, i) => tag === b[i])
}

function charsOf(purge: Purge): number {
  let chars = 64
  for (const { authority, target } of purge.urls) chars += 64 + (authority?.length ?? 0) + target.length
  for (const { authority, target } of purge.prefixes) chars += 64 + (authority?.length ?? 0) + target.length
  for (const tag of purge.tags) chars += 64 + tag.length
  return chars
}
