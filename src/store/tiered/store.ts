// Two tiers as one store: memory in this process, in front of what all replicas share.
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
  /** Longest body that memory takes; longer ones lie in the shared store alone. */
  readonly maxEntryBytes: number
  /** Most variants of one key. */
  readonly maxVariants: number
  readonly clock: Clock
}

export interface TieredStore extends Store {
  readonly local: LocalTier
  /** Forgets everything in memory, at once: the purge log was lost, and with it the meaning of every stamp. */
  clear(): void
}

/**
 * What is written goes to both tiers, and what is found in the shared one comes into memory when it is used. The shared
 * store decides: what it says was overtaken is not kept in memory either, and what another replica replaces there leaves
 * memory here. Where it does not answer, memory goes on alone, takes in and gives out, for as long as the purge log allows.
 *
 * A copy has the stamp, the times and the keepUntilMs of what it is a copy of, so that it is judged like it at every look.
 * That the shared store loses something (evicted, flushed) need not reach memory: it is as true here as it was there.
 */
export function createTieredStore(options: TieredStoreOptions): TieredStore {
  return new Tiered(options)
}

/** Out of the shared store, and not in memory. */
class Found implements Stored {
  readonly meta: Metadata
  readonly body: Body
  /** What had been heard before it was asked for. */
  readonly mark: Epoch

  constructor({ meta, body }: Stored, mark: Epoch) {
    this.meta = meta
    this.body = body
    this.mark = mark
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
  /** Whether this process hears of what others replace. While it does not, what is in memory may be used where Redis does not answer, and nowhere else. */
  #hears = false
  /** Long bodies that are being taken into memory while they are read: once each, however many read them. */
  readonly #arriving = new Set<string>()

  constructor({ memory, shared, maxEntryBytes, maxVariants, clock }: TieredStoreOptions) {
    this.#memory = memory
    this.#shared = shared
    this.#maxEntryBytes = maxEntryBytes
    this.#maxVariants = maxVariants
    this.#clock = clock
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
    // Not before the answer is there: what was replaced meanwhile has left memory.
    const near = this.#hears || found === undefined ? this.#memory.lookup(key) : none
    if (found === undefined) return near
    return merged(near, found.map((each) => new Found(each, epoch)), this.#maxVariants, this.#clock.now())
  }

  #keep(key: StoreKey, found: Found): Stored {
    const { meta, body } = found
    // An older copy must not outlive the look that found a newer one.
    if (meta.bodyBytes > this.#maxEntryBytes) this.#memory.remove(key, meta.variant)
    else if (body.bytes === undefined) return { meta, body: { bytes: undefined, read: (start, end) => this.#readAndKeep(key, found, start, end) } }
    else if (!this.#recentInvalidations.invalidatedSince(found.mark, key)) {
      const writer = this.#memory.write(key, meta)
      void writer.write(body.bytes)
      void writer.commit()
    }
    return found
  }

  // A long body comes into memory on its way to the first who reads all of it.
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

  // What one of them can keep is kept.
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
      get gaveUp() {
        return near.gaveUp && shared.gaveUp
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

  // Also what is on its way into memory.
  #drop(key: StoreKey, variant: string | undefined): void {
    this.#recentInvalidations.record(key)
    this.#memory.remove(key, variant)
  }

  #replaced(key: StoreKey, variants: readonly string[]): void {
    if (variants.length === 0) this.#drop(key, undefined)
    for (const variant of variants) this.#drop(key, variant)
  }

  // What all replicas share; while that is out of reach, what is here. A cursor says whose it is.
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

// Each variant once, the younger of its two, and the one in memory where they are the same.
function merged(near: readonly Stored[], found: readonly Stored[], most: number, nowMs: number): readonly Stored[] {
  if (near.length === 0) return found
  const all: Stored[] = found.map((far) => {
    const copy = near.find(({ meta }) => meta.variant === far.meta.variant)
    return copy === undefined || replacesCopy(far.meta, copy.meta, nowMs) ? far : copy
  })
  for (const copy of near) {
    if (!found.some(({ meta }) => meta.variant === copy.meta.variant)) all.push({ meta: copy.meta, body: copy.body, localOnly: true })
  }
  return all.sort((a, b) => b.meta.responseTimeMs - a.meta.responseTimeMs).slice(0, most)
}

// If neither response is newer, the shared one counts: all replicas see it. A copy of that very response stays.
function replacesCopy(shared: Metadata, copy: Metadata, nowMs: number): boolean {
  if (outlasts(copy, shared, nowMs)) return false
  return shared.requestTimeMs !== copy.requestTimeMs || shared.responseTimeMs !== copy.responseTimeMs || shared.stamp !== copy.stamp ||
    shared.bodyBytes !== copy.bodyBytes || shared.etag !== copy.etag
}
