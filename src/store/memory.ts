// The store in this process's memory: bounded in bytes, synchronous, packed small.
import type { Clock } from '../clock.ts'
import type { Metadata } from '../policy/stored.ts'
import { Pieces, WholeBody } from './body.ts'
import { decodeMetadata, encodeMetadata, fitsLatin1, keepUntilOffset, requestTimeOffset, responseTimeOffset } from './codec.ts'
import { Eviction, type Evictable, type Queue } from './eviction.ts'
import { Slabs, type Placed, type Slab } from './slabs.ts'
import type { Body, EntryPage, Store, Stored, StoreKey, StoreStats, Writer } from './store.ts'
import { Views, type View, type Viewed } from './views.ts'

export interface MemoryStoreOptions {
  /** Bound on bodies, metadata, their indexes, and bodies on their way in. */
  readonly maxBytes: number
  /** Longest body that is taken. */
  readonly maxEntryBytes: number
  /** Most variants of one key. */
  readonly maxVariants: number
  readonly clock: Clock
}

/** What the memory store gives beyond the promises of a store: answers without promises, and a way to empty it. */
export interface MemoryStore extends Store {
  lookup(key: StoreKey): readonly Stored[]
  refresh(key: StoreKey, was: Metadata, meta: Metadata): boolean
  remove(key: StoreKey, variant?: string): void
  /** Forgets everything, at once. */
  clear(): void
}

// Measured (bench/memory-tier.ts): what the objects of a key, of a variant, and of a Buffer cost beside their bytes.
const keyOverheadBytes = 200
const variantOverheadBytes = 150
const bufferOverheadBytes = 350
// Bodies up to this size end in one piece; a longer one would be copied for no one's good.
const maxWholeBytes = 1_048_576
// How many keys each commit looks at for what has expired.
const sweptPerCommit = 4
const maxNames = 256
// The largest of small integers: from then on (2038) each look takes the exact way, which is slower and no less right.
const neverS = 2 ** 31 - 1
const none: readonly Stored[] = Object.freeze([])

/** All variants of one key: what is looked up, and what is evicted. */
class Node implements Evictable<Node>, Viewed {
  readonly key: string
  /** Goes up with every new node: where `list` goes on. */
  readonly serial: number
  /** The youngest variant; the others follow it. */
  first: Variant | undefined
  /** No variant is past its keepUntil before this; in seconds, since a small integer costs no memory of its own. */
  soonestKeepUntilS = neverS
  charge: number
  hits = 0
  queue: Queue<Node> | undefined
  older: Node | undefined
  newer: Node | undefined
  view: View | undefined

  constructor(key: string, serial: number) {
    this.key = key
    this.serial = serial
    this.charge = keyOverheadBytes + key.length
  }
}

/** One stored response: its metadata, and its body if that is small, lie in a slab. */
class Variant implements Placed {
  readonly node: Node
  readonly name: string
  next: Variant | undefined
  slab: Slab | undefined
  offset = 0
  length = 0
  metaBytes = 0
  body: Body | undefined
  bodyBytes = 0
  charge = 0

  constructor(node: Node, name: string) {
    this.node = node
    this.name = name
  }
}

/** @see MemoryStoreOptions. The bound needs some 64 KiB to be of any use. */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return new Memory(options)
}

class Memory implements MemoryStore {
  readonly #options: MemoryStoreOptions
  readonly #clock: Clock
  readonly #nodes = new Map<string, Node>()
  readonly #slabs: Slabs
  readonly #slabReserve: number
  readonly #views: Views<Node>
  readonly #queues: Eviction<Node>
  /** What the queues and the bodies on their way in may hold: the bound less what slabs and views take beside. */
  readonly #budget: number
  readonly #names = new Map<string, string>()
  #inFlight = 0
  #entries = 0
  #evictions = 0
  #serial = 0
  #sweep: Iterator<Node> | undefined
  // Safe: the registry knows only the pieces' count, never the writer, so a forgotten writer can be collected.
  readonly #forgotten = new FinalizationRegistry<InFlight>((held) => {
    this.#inFlight -= held.bytes
    held.bytes = 0
  })

  constructor(options: MemoryStoreOptions) {
    const { maxBytes, clock } = options
    this.#options = options
    this.#clock = clock
    const slabBytes = Math.max(1024, Math.min(262_144, Math.floor(maxBytes / 64)))
    this.#slabReserve = 3 * slabBytes
    const viewBytes = Math.floor(maxBytes / 16)
    this.#budget = Math.max(0, maxBytes - this.#slabReserve - viewBytes)
    this.#slabs = new Slabs(slabBytes, (record) => this.#views.drop((record as Variant).node))
    this.#views = new Views(viewBytes, Math.max(16, Math.min(4096, Math.floor(maxBytes / 32_768))))
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

  // Decodes a key's variants, and keeps that while it is asked for.
  #open(node: Node): readonly Stored[] {
    const variants: Stored[] = []
    let charge = 0
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      const meta = metadataOf(variant)
      if (meta === undefined) continue
      variants.push({ meta, body: bodyOf(variant) })
      charge += 700 + 4 * variant.metaBytes
    }
    Object.freeze(variants)
    this.#views.add(node, variants, charge)
    return variants
  }

  write(key: StoreKey, meta: Metadata): Writer {
    const held: InFlight = { bytes: 0 }
    const pieces = new Pieces()
    let state: 'open' | 'failed' | 'ended' = 'open'
    const end = (to: 'failed' | 'ended'): void => {
      state = to
      this.#inFlight -= held.bytes
      held.bytes = 0
      this.#forgotten.unregister(held)
    }
    const writer: Writer = {
      write: (chunk) => {
        if (state !== 'open') return
        if (held.bytes === 0 && chunk.length > 0) this.#forgotten.register(writer, held, held)
        pieces.add(chunk)
        this.#inFlight += pieces.heldBytes - held.bytes
        held.bytes = pieces.heldBytes
        // Half of the room is the most that bodies on their way in may push out of it.
        if (pieces.bytes > this.#options.maxEntryBytes || this.#inFlight > this.#budget / 2) {
          end('failed')
          pieces.clear()
        } else this.#makeRoom(undefined)
      },
      commit: () => {
        if (state !== 'open') return false
        end('ended')
        const taken = this.#commit(key, meta, pieces)
        pieces.clear()
        return taken
      },
      abort: () => {
        if (state !== 'open') return
        end('ended')
        pieces.clear()
      },
    }
    return writer
  }

  #commit(key: StoreKey, meta: Metadata, pieces: Pieces): boolean {
    const now = this.#clock.now()
    this.#expireSome(now)
    if (now > meta.keepUntilMs) return false
    let node = this.#nodes.get(key)
    const present = node === undefined ? undefined : variantOf(node, meta.variant)
    if (present !== undefined && timeOf(present, requestTimeOffset) > meta.requestTimeMs) return false
    const metaBytes = encodeMetadata(meta, pieces.bytes)
    // A length that no eviction can make room for.
    if (this.#chargeFor(metaBytes.length, pieces.bytes) + keyOverheadBytes + key.length > this.#budget) return false

    if (node === undefined) {
      node = new Node(flat(key), this.#serial++)
      this.#nodes.set(node.key, node)
      this.#queues.add(node)
    } else if (present !== undefined) this.#dropVariant(present)
    const variant = new Variant(node, present?.name ?? this.#nameOf(meta.variant))
    this.#place(variant, metaBytes, pieces)
    this.#link(variant)
    this.#trim(node, variant)
    this.#makeRoom(node)
    return true
  }

  /** What an entry counts for: its bytes in a slab with the eighth that the slab may waste, or those of its own Buffer. */
  #chargeFor(metaBytes: number, bodyBytes: number): number {
    const together = metaBytes + bodyBytes
    if (together <= this.#slabs.maxSharedBytes) return variantOverheadBytes + Math.ceil(together * 1.125)
    return variantOverheadBytes + Math.ceil(metaBytes * 1.125) + bodyBytes + 2 * bufferOverheadBytes
  }

  #place(variant: Variant, metaBytes: Buffer, pieces: Pieces): void {
    variant.metaBytes = metaBytes.length
    variant.bodyBytes = pieces.bytes
    variant.charge = this.#chargeFor(metaBytes.length, pieces.bytes)
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

  // Few names serve nearly all variants, so they are shared; the memory of them is bounded.
  #nameOf(variant: string): string {
    const known = this.#names.get(variant)
    if (known !== undefined) return known
    if (this.#names.size >= maxNames) this.#names.clear()
    const name = flat(variant)
    this.#names.set(name, name)
    return name
  }

  // Puts a variant among those of its node, the youngest first; of two of an age, the later comer.
  #link(variant: Variant): void {
    const { node } = variant
    const responseTimeMs = timeOf(variant, responseTimeOffset)
    let before: Variant | undefined
    let after = node.first
    while (after !== undefined && timeOf(after, responseTimeOffset) > responseTimeMs) {
      before = after
      after = after.next
    }
    variant.next = after
    if (before === undefined) node.first = variant
    else before.next = variant
    node.soonestKeepUntilS = Math.min(node.soonestKeepUntilS, secondsOf(timeOf(variant, keepUntilOffset)))
    this.#queues.grow(node, variant.charge)
    this.#views.drop(node)
    this.#entries++
  }

  #unlink(variant: Variant): void {
    const { node } = variant
    let soonest = neverS
    for (let at = node.first, before: Variant | undefined; at !== undefined; at = at.next) {
      if (at === variant) {
        if (before === undefined) node.first = at.next
        else before.next = at.next
      } else {
        soonest = Math.min(soonest, secondsOf(timeOf(at, keepUntilOffset)))
        before = at
      }
    }
    node.soonestKeepUntilS = soonest
    this.#queues.grow(node, -variant.charge)
    this.#views.drop(node)
    this.#entries--
  }

  #dropVariant(variant: Variant): void {
    this.#unlink(variant)
    this.#slabs.drop(variant)
  }

  #dropNode(node: Node): void {
    this.#queues.remove(node)
    this.#nodes.delete(node.key)
    this.#views.drop(node)
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      this.#slabs.drop(variant)
      this.#entries--
    }
    node.first = undefined
  }

  // At most maxVariants, and no key larger than the store: the oldest but `spared` go.
  #trim(node: Node, spared: Variant): void {
    for (;;) {
      let count = 0
      let oldest: Variant | undefined
      for (let variant = node.first; variant !== undefined; variant = variant.next) {
        count++
        if (variant !== spared) oldest = variant
      }
      if (oldest === undefined || (count <= this.#options.maxVariants && node.charge <= this.#budget)) return
      this.#dropVariant(oldest)
      this.#evictions++
    }
  }

  #makeRoom(spared: Node | undefined): void {
    while (this.#queues.bytes + this.#inFlight > this.#budget) {
      const node = this.#queues.evict(spared)
      if (node === undefined) return
      for (let variant = node.first; variant !== undefined; variant = variant.next) this.#evictions++
      this.#dropNode(node)
    }
  }

  // Drops what has expired of a node; false when nothing is left.
  #expire(node: Node): boolean {
    const now = this.#clock.now()
    for (let variant = node.first; variant !== undefined; variant = variant.next) {
      if (now > timeOf(variant, keepUntilOffset)) this.#dropVariant(variant)
    }
    if (node.first !== undefined) return true
    this.#dropNode(node)
    return false
  }

  // Goes round all keys in small steps: what nobody asks for gives its room back without a timer.
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
    // The encoding is a function of the metadata: the same bytes are the same metadata.
    const stored = variant.slab.buffer.subarray(variant.offset, variant.offset + variant.metaBytes)
    if (!encodeMetadata(was).equals(stored)) return false
    const metaBytes = encodeMetadata(meta, variant.bodyBytes)
    if (this.#chargeFor(metaBytes.length, variant.bodyBytes) + keyOverheadBytes + key.length > this.#budget) return false

    const namesake = meta.variant === was.variant ? undefined : variantOf(node, meta.variant)
    if (namesake !== undefined) this.#dropVariant(namesake)
    const { body } = variant
    const pieces = new Pieces()
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
      renewed.charge = variant.charge + Math.ceil((metaBytes.length - variant.metaBytes) * 1.125)
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

  // The cursor is the serial of a node and how many of its variants have been told. Nodes lie in the order of serials.
  async list(cursor: string | undefined, limit: number): Promise<EntryPage> {
    const [from = 0, told = 0] = (cursor ?? '0.0').split('.').map(Number)
    const most = Math.max(1, Math.min(1000, limit))
    const now = this.#clock.now()
    const entries: { key: StoreKey, meta: Metadata }[] = []
    for (const node of this.#nodes.values()) {
      if (node.serial < from) continue
      let place = 0
      for (let variant = node.first; variant !== undefined; variant = variant.next, place++) {
        if ((node.serial === from && place < told) || now > timeOf(variant, keepUntilOffset)) continue
        if (entries.length === most) return { entries, cursor: `${node.serial}.${place}` }
        const meta = metadataOf(variant)
        if (meta !== undefined) entries.push({ key: node.key, meta })
      }
    }
    return { entries, cursor: undefined }
  }

  stats(): StoreStats {
    return {
      kind: 'memory',
      entries: this.#entries,
      bytes: this.#queues.bytes + this.#inFlight + this.#views.bytes + Math.min(this.#slabReserve, this.#slabs.allocatedBytes),
      maxBytes: this.#options.maxBytes,
      evictions: this.#evictions,
      degraded: [],
    }
  }

  clear(): void {
    this.#nodes.clear()
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

interface InFlight {
  bytes: number
}

function variantOf(node: Node, name: string): Variant | undefined {
  let variant = node.first
  while (variant !== undefined && variant.name !== name) variant = variant.next
  return variant
}

function metadataOf(variant: Variant): Metadata | undefined {
  const { slab, offset, metaBytes } = variant
  return slab === undefined ? undefined : decodeMetadata(slab.buffer, offset, offset + metaBytes, true)
}

function secondsOf(ms: number): number {
  return Math.min(neverS, Math.floor(ms / 1000))
}

// A time out of the encoded metadata: kept there alone, it costs no memory of its own.
function timeOf(variant: Variant, offset: number): number {
  return variant.slab === undefined ? 0 : variant.slab.buffer.readDoubleLE(variant.offset + offset)
}

function bytesOf(variant: Variant): Buffer {
  const { slab, offset, metaBytes, length } = variant
  return slab === undefined ? Buffer.alloc(0) : slab.buffer.subarray(offset + metaBytes, offset + length)
}

function bodyOf(variant: Variant): Body {
  return variant.body ?? new WholeBody(bytesOf(variant))
}

// A string of its own: one that was cut out of a request's would keep all of that alive.
function flat(value: string): string {
  if (value === '') return value
  const encoding = fitsLatin1(value) ? 'latin1' : 'utf16le'
  return Buffer.from(value, encoding).toString(encoding)
}
