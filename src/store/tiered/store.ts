// Two tiers as one store: memory in this process, in front of the store that all replicas share.
import type { Clock } from '../../clock.ts'
import type { Metadata } from '../../policy/stored.ts'
import { RecentInvalidations, type Epoch } from './recent-invalidations.ts'
import type { MemoryStore } from '../memory/store.ts'
import { outlasts } from '../order.ts'
import type { SharedStore } from '../redis/entries/store.ts'
import type { Body, EntryPage, LocalTier, Refusal, Store, Stored, StoreKey, StoreStats, Wanted, Writer } from '../store.ts'

export interface TieredStoreOptions {
  readonly memory: MemoryStore
  readonly shared: SharedStore
  /** Longest body in memory; longer ones are only in the shared store. */
  readonly maxEntryBytes: number
  /** The most variants of one key. */
  readonly maxVariants: number
  readonly clock: Clock
}

export interface TieredStore extends Store {
  readonly local: LocalTier
  /** Empties memory at once: the purge log was lost, and with it the meaning of every stamp. */
  clear(): void
}

/**
 * Entries are written to both tiers, and a shared entry is promoted to memory when it is used. The shared store decides: a
 * response that it calls overtaken is not kept in memory either, and an entry that another replica replaces is dropped from
 * memory. If the shared store is out of reach, memory goes on alone, with reads and writes, for as long as the purge log
 * allows.
 *
 * A copy has the stamp, the times and the keepUntilMs of its original, so each lookup judges both alike. If the shared store
 * loses an entry (evicted, flushed), memory may keep it: it is as valid here as it was there.
 */
export function createTieredStore(options: TieredStoreOptions): TieredStore {
  return new Tiered(options)
}

/** An entry of the shared store that is not in memory. */
class Found implements Stored {
  readonly meta: Metadata
  readonly body: Body
  /** The epoch before the shared store was read. */
  readonly mark: Epoch
  readonly #stored: Stored

  constructor(stored: Stored, mark: Epoch) {
    this.meta = stored.meta
    this.body = stored.body
    this.mark = mark
    this.#stored = stored
  }

  used(nowMs: number): void {
    this.#stored.used?.(nowMs)
  }
}

/** An entry of memory that the shared store does not hold. */
class LocalOnly implements Stored {
  readonly meta: Metadata
  readonly body: Body
  readonly localOnly = true
  readonly #stored: Stored

  constructor(stored: Stored) {
    this.meta = stored.meta
    this.body = stored.body
    this.#stored = stored
  }

  used(nowMs: number): void {
    this.#stored.used?.(nowMs)
  }
}

const none: readonly Stored[] = Object.freeze([])

class Tiered implements TieredStore {
  readonly local: LocalTier
  readonly #memory: MemoryStore
  readonly #shared: SharedStore
  readonly #maxEntryBytes: number
  readonly #maxVariants: number
  readonly #clock: Clock
  readonly #recentInvalidations = new RecentInvalidations()
  /**
   * True while this process receives invalidation messages. Otherwise memory may only be used while Redis is out of reach.
   */
  #hears = false
  /** Long bodies that are copied into memory while they are read: each once, for any number of readers. */
  readonly #arriving = new Set<string>()

  constructor({ memory, shared, maxEntryBytes, maxVariants, clock }: TieredStoreOptions) {
    this.#memory = memory
    this.#shared = shared
    this.#maxEntryBytes = maxEntryBytes
    this.#maxVariants = maxVariants
    this.#clock = clock
    memory.reportUses((key, variant, nowMs) => shared.reportUse(key, variant, nowMs))
    this.local = {
      lookup: (key) => (this.#hears || shared.outOfReach ? memory.lookup(key) : none),
      promote: (key, stored) => (stored instanceof Found ? this.#keep(key, stored) : stored),
      drop: (key, variant) => memory.remove(key, variant),
    }
    shared.follow({
      onReplaced: (key, variants) => this.#replaced(key, variants),
      onResumed: () => {
        this.clear()
        this.#hears = true
      },
      onGap: (silent) => {
        this.#hears = false
        if (silent) this.clear()
      },
    })
  }

  async lookup(key: StoreKey): Promise<readonly Stored[]> {
    const { epoch } = this.#recentInvalidations
    const found = await this.#shared.find(key)
    // Only after the reply: entries replaced meanwhile have left memory by then.
    const near = this.#hears || found === undefined ? this.#memory.lookup(key) : none
    if (found === undefined) return near
    return merged(near, found.map((each) => new Found(each, epoch)), this.#maxVariants, this.#clock.now())
  }

  #keep(key: StoreKey, found: Found): Stored {
    const { meta, body } = found
    // An older copy must not outlive the lookup that found a newer one.
    if (meta.bodyBytes > this.#maxEntryBytes) this.#memory.remove(key, meta.variant)
    else if (body.bytes === undefined)
      return { meta, body: { bytes: undefined, read: (start, end) => this.#readAndKeep(key, found, start, end) }, used: nowMs => found.used(nowMs) }
    else if (!this.#recentInvalidations.invalidatedSince(found.mark, key)) {
      const writer = this.#memory.write(key, meta)
      void writer.write(body.bytes)
      void writer.commit()
    }
    return found
  }

  // Copies a long body into memory for the first reader that reads all of it.
  async *#readAndKeep(key: StoreKey, { meta, body, mark }: Found, start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const name = `${meta.variant}\n${key}`
    if (start > 0 || end < meta.bodyBytes || this.#arriving.has(name)) return yield* body.read(start, end)
    this.#arriving.add(name)
    const writer = this.#memory.write(key, meta)
    try {
      for await (const chunk of body.read(start, end)) {
        void writer.write(chunk)
        yield chunk
      }
      if (!this.#recentInvalidations.invalidatedSince(mark, key)) void writer.commit()
    } finally {
      writer.abort()
      this.#arriving.delete(name)
    }
  }

  // Refuses an entry only if both tiers do.
  refuses(key: StoreKey, meta: Metadata, bodyBytes: number): Refusal | undefined {
    return this.#memory.refuses(key, meta, bodyBytes) && this.#shared.refuses(key, meta, bodyBytes)
  }

  write(key: StoreKey, meta: Metadata): Writer {
    const near = this.#memory.write(key, meta)
    const shared = this.#shared.begin(key, meta)
    return {
      write: (chunk) => {
        void near.write(chunk)
        return shared.write(chunk)
      },
      written: position => near.written?.(position),
      get gaveUp() {
        return near.gaveUp && shared.gaveUp
      },
      get others() {
        return shared.others
      },
      commit: async () => {
        const { epoch } = this.#recentInvalidations
        const outcome = await shared.commit()
        const latest = outcome !== 'overtaken' && !this.#recentInvalidations.invalidatedSince(epoch, key)
        const kept = latest && await near.commit()
        near.abort()
        if (!kept && outcome !== 'refused') this.#drop(key, meta.variant)
        return kept || outcome === 'taken'
      },
      abort: () => {
        near.abort()
        shared.abort()
      },
    }
  }

  async refresh(key: StoreKey, was: Metadata, meta: Metadata): Promise<boolean> {
    const outcome = await this.#shared.renew(key, was, meta)
    const kept = outcome !== 'overtaken' && this.#memory.refresh(key, was, meta)
    if (!kept && outcome !== 'refused') {
      this.#drop(key, was.variant)
      this.#drop(key, meta.variant)
    }
    return kept || outcome === 'taken'
  }

  async remove(key: StoreKey, variant?: string): Promise<void> {
    this.#drop(key, variant)
    await this.#shared.remove(key, variant)
  }

  // Also prevents copies that are being written.
  #drop(key: StoreKey, variant: string | undefined): void {
    this.#recentInvalidations.record(key)
    this.#memory.remove(key, variant)
  }

  #replaced(key: StoreKey, variants: readonly string[]): void {
    if (variants.length === 0) this.#drop(key, undefined)
    for (const variant of variants) this.#drop(key, variant)
  }

  // Lists the shared entries, or those in memory while the shared store is out of reach. A cursor names its tier.
  async list(cursor: string | undefined, limit: number, wanted?: Wanted): Promise<EntryPage> {
    const here = cursor === undefined ? this.#shared.outOfReach : cursor.startsWith('m')
    if (!here) return this.#shared.list(cursor, limit, wanted)
    const page = await this.#memory.list(cursor?.slice(1), limit, wanted)
    return { entries: page.entries, cursor: page.cursor === undefined ? undefined : `m${page.cursor}` }
  }

  stats(): StoreStats {
    return { ...this.#memory.stats(), kind: 'tiered', degraded: this.#shared.stats().degraded }
  }

  clear(): void {
    this.#recentInvalidations.recordAll()
    this.#memory.clear()
  }

  async close(): Promise<void> {
    await this.#shared.close()
    await this.#memory.close()
  }
}

// Returns each variant once: the younger of two, and the one in memory if they are equal.
function merged(near: readonly Stored[], found: readonly Stored[], most: number, nowMs: number): readonly Stored[] {
  if (near.length === 0) return found
  const all: Stored[] = found.map((far) => {
    const copy = near.find(({ meta }) => meta.variant === far.meta.variant)
    return copy === undefined || replacesCopy(far.meta, copy.meta, nowMs) ? far : copy
  })
  // The shared store keeps the variants that are in use, of whatever age.
  for (const copy of near) {
    if (all.length < most && !found.some(({ meta }) => meta.variant === copy.meta.variant)) all.push(new LocalOnly(copy))
  }
  return all.sort((a, b) => b.meta.responseTimeMs - a.meta.responseTimeMs)
}

// If neither response is newer, the shared one counts: all replicas see it. A copy of that very response stays.
function replacesCopy(shared: Metadata, copy: Metadata, nowMs: number): boolean {
  if (outlasts(copy, shared, nowMs)) return false
  return shared.requestTimeMs !== copy.requestTimeMs || shared.responseTimeMs !== copy.responseTimeMs || shared.stamp !== copy.stamp ||
    shared.bodyBytes !== copy.bodyBytes || shared.etag !== copy.etag
}
