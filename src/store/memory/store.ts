// The store in this process's memory: bounded in bytes, synchronous, packed small.
import type { Clock } from '../../clock.ts'
import { isAhead } from '../../policy/freshness.ts'
import type { Metadata } from '../../policy/stored.ts'
import { ChunkBuffer } from './chunks.ts'
import { encodeMetadata, keepUntilOffset, responseTimeOffset } from '../codec.ts'
import { Eviction } from './s3-fifo.ts'
import { bodyOf, bytesOf, countOf, flat, keyOverheadBytes, metadataOf, Node, timeOf, Variant, variantOf } from './entry.ts'
import { Held } from './held.ts'
import { Incoming } from './writer.ts'
import { outlasts } from '../order.ts'
import { Slabs } from './slabs.ts'
import { Slots } from './slots.ts'
import { usePeriod } from '../use-period.ts'
import { UnknownCursor, type EntryPage, type Listed, type Refusal, type Store, type Stored, type StoreKey, type StoreStats, type Wanted, type Writer } from '../store.ts'
import { DecodedCache } from './decoded-cache.ts'

export interface MemoryStoreOptions {
  /** Bound on bodies, metadata, their indexes, and incoming bodies. */
  readonly maxBytes: number
  /** Longest body that is stored. */
  readonly maxEntryBytes: number
  /** The most variants of one key. */
  readonly maxVariants: number
  readonly clock: Clock
}

/** A store with synchronous methods, and a method that empties it. */
export interface MemoryStore extends Store {
  lookup(key: StoreKey): readonly Stored[]
  refresh(key: StoreKey, was: Metadata, meta: Metadata): boolean
  refuses(key: StoreKey, meta: Metadata, bodyBytes: number): Refusal | undefined
  remove(key: StoreKey, variant?: string): void
  /** Removes everything at once. */
  clear(): void
  /**
   * Calls `report` for uses of variants that compete with others of their key, here or in the shared tier: at most once for each
   * in a period of that tier (usePeriodMs) and after a commit to its key.
   */
  reportUses(report: ReportUse): void
}

export type ReportUse = (key: StoreKey, variant: string, nowMs: number) => void

// Measured (bench/memory-tier.ts): the cost of a variant's objects, and of a Buffer, beside their bytes.
const variantOverheadBytes = 216
const bufferOverheadBytes = 350
// Bodies up to this size end in one piece; copying a longer one has no benefit.
const maxWholeBytes = 1_048_576
// How many keys each commit checks for expired variants.
const sweptPerCommit = 4
const maxNames = 256
// The most that one page of a listing reads: entries, bytes of their metadata, and empty slots.
const mostListed = 64
const mostListedBytes = 131_072
const mostEmptySlots = 8192
// More than the metadata of any response, because heads are bounded. With this much room it need not be measured.
const ampleBytes = 2_097_152
const none: readonly Stored[] = Object.freeze([])

/** Creates a memory store. A bound below about 64 KiB is of no use. */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return new Memory(options)
}

class Memory implements MemoryStore {
  readonly #options: MemoryStoreOptions
  readonly #clock: Clock
  readonly #nodes = new Map<string, Node>()
  /** The same nodes by number, for `list`. */
  readonly #slots = new Slots<Node>()
  readonly #slabs: Slabs
  readonly #slabReserve: number
  readonly #views: DecodedCache<Node>
  readonly #queues: Eviction<Node>
  /** The bound of the queues and the incoming bodies: `maxBytes` without the room for slabs and decoded entries. */
  readonly #budget: number
  readonly #incoming: Incoming
  readonly #names = new Map<string, string>()
  #entries = 0
  #evictions = 0
  #sweep: Iterator<Node> | undefined
  #uses = 0
  #report: ReportUse | undefined

  constructor(options: MemoryStoreOptions) {
    const { maxBytes, clock } = options
    this.#options = options
    this.#clock = clock
    const slabBytes = Math.max(1024, Math.min(262_144, Math.floor(maxBytes / 64)))
    this.#slabReserve = 3 * slabBytes
    const viewBytes = Math.floor(maxBytes / 16)
    this.#budget = Math.max(0, maxBytes - this.#slabReserve - viewBytes)
    // Incoming bodies may displace at most half of the room.
    this.#incoming = new Incoming({ maxEntryBytes: options.maxEntryBytes, maxBytes: this.#budget / 2, grown: () => this.#makeRoom(undefined) })
    this.#slabs = new Slabs(slabBytes, (record) => this.#views.drop((record as Variant).node))
    this.#views = new DecodedCache(viewBytes, Math.max(16, Math.min(4096, Math.floor(maxBytes / 32_768))))
    this.#queues = new Eviction(this.#budget, 2 ** Math.max(6, Math.min(16, Math.floor(Math.log2(maxBytes / 4096)))))
  }

  lookup(key: StoreKey): readonly Stored[] {
    const node = this.#nodes.get(key)
    if (node === undefined) return none
    if (this.#clock.now() >= node.soonestKeepUntilS * 1000 && !this.#expire(node)) return none
    if (node.hits < 3) node.hits++
    const { view } = node
    if (view === undefined) return this.#open(node)
    view.seen = true
    return view.variants
  }

  // Decodes a key's variants, and caches the result.
  #open(node: Node): readonly Stored[] {
    const variants: Stored[] = []
    let charge = 0
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      const meta = metadataOf(variant)
      if (meta === undefined) continue
      variants.push(new Held(meta, bodyOf(variant), variant, this.#onUse))
      charge += 700 + 4 * variant.metaBytes
    }
    Object.freeze(variants)
    this.#views.add(node, variants, charge)
    return variants
  }

  reportUses(report: ReportUse): void {
    this.#report = report
  }

  readonly #onUse = (variant: Variant, nowMs: number): void => {
    const { node, name } = variant
    const isAlone = variant === node.first && variant.next === undefined
    if (!isAlone) variant.lastUse = ++this.#uses
    // A variant that is alone here may have others beside it in the shared tier, unless nothing selects it.
    if (this.#report === undefined || (isAlone && name === '')) return
    const period = usePeriod(nowMs)
    if (variant.reportedIn === period) return
    variant.reportedIn = period
    this.#report(node.key, name, nowMs)
  }

  refuses(key: StoreKey, meta: Metadata, bodyBytes: number): Refusal | undefined {
    const bytes = Math.max(0, bodyBytes)
    if (bytes > this.#options.maxEntryBytes || bytes > this.#budget / 2) return 'too-large'
    if (bytes + ampleBytes <= this.#budget) return undefined
    return this.#hasRoomFor(key, encodeMetadata(meta, bytes).length, bytes) ? undefined : 'too-large'
  }

  /** True if eviction could make room for an entry. */
  #hasRoomFor(key: StoreKey, metaBytes: number, bodyBytes: number): boolean {
    return this.#chargeFor(metaBytes, bodyBytes) + keyOverheadBytes + key.length <= this.#budget
  }

  write(key: StoreKey, meta: Metadata): Writer {
    return this.#incoming.writer((pieces) => this.#commit(key, meta, pieces))
  }

  #commit(key: StoreKey, meta: Metadata, pieces: ChunkBuffer): boolean {
    const now = this.#clock.now()
    this.#expireSome(now)
    if (now > meta.keepUntilMs) return false
    let node = this.#nodes.get(key)
    // An expired variant neither blocks an older one nor counts as a variant.
    if (node !== undefined && now >= node.soonestKeepUntilS * 1000 && !this.#expire(node)) node = undefined
    const present = node === undefined ? undefined : variantOf(node, meta.variant)
    const presentMeta = present === undefined ? undefined : metadataOf(present)
    if (presentMeta !== undefined && outlasts(presentMeta, meta, now)) return false
    const metaBytes = encodeMetadata(meta, pieces.bytes)
    if (!this.#hasRoomFor(key, metaBytes.length, pieces.bytes)) return false

    if (node === undefined) {
      node = new Node(flat(key))
      node.slot = this.#slots.add(node)
      this.#nodes.set(node.key, node)
      this.#queues.add(node)
    } else {
      if (present !== undefined) this.#dropVariant(present)
      this.#dropAhead(node, now)
    }
    const variant = new Variant(node, present?.name ?? this.#nameOf(meta.variant))
    this.#place(variant, metaBytes, pieces)
    this.#link(variant)
    this.#trim(node, variant)
    this.#makeRoom(node)
    return true
  }

  // After a wrong clock the order of variants is unknown, and a variant from the future would come first until its time.
  #dropAhead(node: Node, now: number): void {
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      if (isAhead(timeOf(variant, responseTimeOffset), now)) this.#dropVariant(variant)
    }
  }

  /**
   * Returns the size of an entry: its bytes in a slab plus the eighth that the slab may waste, or those of its own Buffer.
   */
  #chargeFor(metaBytes: number, bodyBytes: number): number {
    const together = metaBytes + bodyBytes
    if (together <= this.#slabs.maxSharedBytes) return variantOverheadBytes + Math.ceil(together * 1.125)
    return variantOverheadBytes + Math.ceil(metaBytes * 1.125) + bodyBytes + 2 * bufferOverheadBytes
  }

  #place(variant: Variant, metaBytes: Buffer, pieces: ChunkBuffer): void {
    variant.metaBytes = metaBytes.length
    variant.bodyBytes = pieces.bytes
    variant.charge = this.#chargeFor(metaBytes.length, pieces.bytes) + variant.name.length
    const together = metaBytes.length + pieces.bytes
    if (together <= this.#slabs.maxSharedBytes) {
      const slab = this.#slabs.place(variant, together)
      metaBytes.copy(slab.buffer, variant.offset)
      pieces.copyTo(slab.buffer, variant.offset + metaBytes.length)
    } else {
      metaBytes.copy(this.#slabs.place(variant, metaBytes.length).buffer, variant.offset)
      const { body, heldBytes } = pieces.toBody(maxWholeBytes)
      variant.body = body
      variant.charge += heldBytes - pieces.bytes
    }
  }

  // Few names serve nearly all variants, so they are shared; their memory is bounded.
  #nameOf(variant: string): string {
    const known = this.#names.get(variant)
    if (known !== undefined) return known
    if (this.#names.size >= maxNames) this.#names.clear()
    const name = flat(variant)
    this.#names.set(name, name)
    return name
  }

  #link(variant: Variant): void {
    variant.lastUse = ++this.#uses
    for (let other = variant.node.first; other !== undefined; other = other.next) other.reportedIn = -1
    variant.node.insert(variant)
    this.#queues.grow(variant.node, variant.charge)
    this.#views.drop(variant.node)
    this.#entries++
  }

  #unlink(variant: Variant): void {
    variant.node.take(variant)
    this.#queues.grow(variant.node, -variant.charge)
    this.#views.drop(variant.node)
    this.#entries--
  }

  #dropVariant(variant: Variant): void {
    this.#unlink(variant)
    this.#slabs.drop(variant)
  }

  #dropNode(node: Node): void {
    this.#queues.remove(node)
    this.#nodes.delete(node.key)
    this.#slots.remove(node.slot)
    this.#views.drop(node)
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      this.#slabs.drop(variant)
      this.#entries--
    }
    node.first = undefined
  }

  // Evicts the least recently used variants except `spared`, down to maxVariants and to the size of the store.
  #trim(node: Node, spared: Variant): void {
    for (;;) {
      let count = 0
      let least: Variant | undefined
      for (let variant = node.first; variant !== undefined; variant = variant.next) {
        count++
        if (variant !== spared && (least === undefined || variant.lastUse < least.lastUse)) least = variant
      }
      if (least === undefined || (count <= this.#options.maxVariants && node.charge <= this.#budget)) return
      this.#dropVariant(least)
      this.#evictions++
    }
  }

  #makeRoom(spared: Node | undefined): void {
    while (this.#queues.bytes + this.#incoming.bytes > this.#budget) {
      const node = this.#queues.evict(spared)
      if (node === undefined) return
      for (let variant = node.first; variant !== undefined; variant = variant.next) this.#evictions++
      this.#dropNode(node)
    }
  }

  // Drops expired variants of a node. False if none is left.
  #expire(node: Node): boolean {
    const now = this.#clock.now()
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      if (now > timeOf(variant, keepUntilOffset)) this.#dropVariant(variant)
    }
    if (node.first !== undefined) return true
    this.#dropNode(node)
    return false
  }

  // Visits all keys in small steps: unused expired entries free their room without a timer.
  #expireSome(now: number): void {
    for (let step = 0; step < sweptPerCommit; step++) {
      this.#sweep ??= this.#nodes.values()
      const { value, done } = this.#sweep.next()
      if (done === true) {
        this.#sweep = undefined
        return
      }
      if (now >= value.soonestKeepUntilS * 1000) this.#expire(value)
    }
  }

  refresh(key: StoreKey, was: Metadata, meta: Metadata): boolean {
    const node = this.#nodes.get(key)
    const variant = node === undefined ? undefined : variantOf(node, was.variant)
    if (node === undefined || variant?.slab === undefined || this.#clock.now() > timeOf(variant, keepUntilOffset)) return false
    // The encoding is a function of the metadata: equal bytes mean equal metadata.
    const stored = variant.slab.buffer.subarray(variant.offset, variant.offset + variant.metaBytes)
    if (!encodeMetadata(was).equals(stored)) return false
    const metaBytes = encodeMetadata(meta, variant.bodyBytes)
    if (!this.#hasRoomFor(key, metaBytes.length, variant.bodyBytes)) return false

    const namesake = meta.variant === was.variant ? undefined : variantOf(node, meta.variant)
    if (namesake !== undefined) this.#dropVariant(namesake)
    const { body } = variant
    const pieces = new ChunkBuffer()
    if (body === undefined) pieces.add(bytesOf(variant))
    this.#unlink(variant)
    const renewed = new Variant(node, this.#nameOf(meta.variant))
    if (body === undefined) this.#place(renewed, metaBytes, pieces)
    else {
      const slab = this.#slabs.place(renewed, metaBytes.length)
      metaBytes.copy(slab.buffer, renewed.offset)
      renewed.metaBytes = metaBytes.length
      renewed.body = body
      renewed.bodyBytes = variant.bodyBytes
      renewed.charge = variant.charge + Math.ceil((metaBytes.length - variant.metaBytes) * 1.125) + renewed.name.length - variant.name.length
    }
    this.#slabs.drop(variant)
    this.#link(renewed)
    this.#trim(node, renewed)
    this.#makeRoom(node)
    return true
  }

  remove(key: StoreKey, variant?: string): void {
    const node = this.#nodes.get(key)
    if (node === undefined) return
    const only = variant === undefined ? undefined : variantOf(node, variant)
    if (only !== undefined) this.#dropVariant(only)
    if (variant === undefined || node.first === undefined) this.#dropNode(node)
  }

  // The cursor is a slot, and how many of its variants remain to be listed, counted from the oldest: a younger variant may
  // join those before it. A node keeps its slot, so nothing before the cursor is read again.
  async list(cursor: string | undefined, limit: number, wanted: Wanted = everything): Promise<EntryPage> {
    let [slot, left] = parseCursor(cursor)
    const most = Math.max(1, Math.min(1000, limit))
    const now = this.#clock.now()
    const entries: Listed[] = []
    let looked = 0
    let bytes = 0
    let empty = 0
    for (; slot < this.#slots.length; slot++, left = Infinity) {
      const node = this.#slots.at(slot)
      if (node === undefined) {
        if (++empty === mostEmptySlots) return { entries, cursor: `${slot + 1}` }
        continue
      }
      let behind = countOf(node)
      for (let variant = node.first; variant !== undefined; variant = variant.next, behind--) {
        if (behind > left) continue
        if (entries.length === most || looked === mostListed || bytes >= mostListedBytes) return { entries, cursor: `${slot}.${behind}` }
        looked++
        bytes += variant.metaBytes
        if (now > timeOf(variant, keepUntilOffset)) continue
        const meta = metadataOf(variant)
        if (meta !== undefined && wanted(meta)) entries.push({ key: node.key, meta })
      }
    }
    return { entries, cursor: undefined }
  }

  stats(): StoreStats {
    return {
      kind: 'memory',
      entries: this.#entries,
      bytes: this.#queues.bytes + this.#incoming.bytes + this.#views.bytes + Math.min(this.#slabReserve, this.#slabs.allocatedBytes),
      maxBytes: this.#options.maxBytes,
      evictions: this.#evictions,
      degraded: [],
    }
  }

  clear(): void {
    this.#nodes.clear()
    this.#slots.clear()
    this.#queues.clear()
    this.#slabs.clear()
    this.#views.clear()
    this.#sweep = undefined
    this.#entries = 0
  }

  async close(): Promise<void> {
    this.clear()
  }
}

const everything: Wanted = () => true

function parseCursor(cursor: string | undefined): [slot: number, left: number] {
  if (cursor === undefined) return [0, Infinity]
  if (!/^\d{1,10}(?:\.\d{1,10})?$/.test(cursor)) throw new UnknownCursor()
  const [slot, left] = cursor.split('.')
  return [Number(slot), left === undefined ? Infinity : Number(left)]
}
