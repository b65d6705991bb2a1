// Small records packed into large buffers, because a separate Buffer costs each of them some 350 bytes.

/** The location of a record. Its owner may read `length` bytes of `buffer` from `offset` on. */
export interface Placed {
  slab: Slab | undefined
  offset: number
  length: number
}

/** A buffer of records. Written bytes are never overwritten. */
export interface Slab {
  readonly buffer: Buffer
  used: number
  /** Bytes of records that are still in use. */
  live: number
  readonly records: Placed[]
  /** Index in the list of slabs. */
  index: number
}

/**
 * A log-structured heap: records are only appended. The room of dropped records returns when the rest of a slab is copied to
 * another slab. So a view of a record stays unchanged for as long as its reader holds it, without a count of readers. It
 * keeps the old slab alive, and nothing else.
 *
 * Allocated bytes stay below 9/8 of the live bytes, plus three slabs: dropped bytes are reclaimed, from the emptiest slab,
 * as soon as they are more than an eighth. Each reclaimed byte costs at most eight copied bytes.
 */
export class Slabs {
  /** Longer records get a buffer to themselves. */
  readonly maxSharedBytes: number
  readonly #slabBytes: number
  readonly #moved: (record: Placed) => void
  readonly #slabs: Slab[] = []
  #open: Slab | undefined
  #live = 0
  #allocated = 0

  /** `moved` is called for each record that compaction has moved. */
  constructor(slabBytes: number, moved: (record: Placed) => void) {
    this.#slabBytes = slabBytes
    this.maxSharedBytes = slabBytes >>> 4
    this.#moved = moved
  }

  get allocatedBytes(): number {
    return this.#allocated
  }

  get liveBytes(): number {
    return this.#live
  }

  /** Allocates `length` bytes, which the caller writes before any reader sees them. */
  place(record: Placed, length: number): Slab {
    let slab = this.#open
    if (length > this.maxSharedBytes) slab = this.#add(length)
    else if (slab === undefined || slab.used + length > slab.buffer.length) slab = this.#open = this.#add(this.#slabBytes)
    record.slab = slab
    record.offset = slab.used
    record.length = length
    slab.used += length
    slab.live += length
    slab.records.push(record)
    this.#live += length
    return slab
  }

  /** Frees a record. A reader that has a view of it keeps the bytes. */
  drop(record: Placed): void {
    const slab = record.slab
    if (slab === undefined) return
    record.slab = undefined
    slab.live -= record.length
    this.#live -= record.length
    if (slab.live === 0 && slab !== this.#open) this.#free(slab)
    while (this.#allocated - this.#live > (this.#live >>> 3) + 2 * this.#slabBytes && this.#compact());
  }

  clear(): void {
    this.#slabs.length = 0
    this.#open = undefined
    this.#live = 0
    this.#allocated = 0
  }

  // Moves the rest of the emptiest slab. False if nothing would be gained.
  #compact(): boolean {
    let emptiest: Slab | undefined
    let most = 0
    for (const slab of this.#slabs) {
      const garbage = slab.buffer.length - slab.live
      if (garbage > most && slab !== this.#open) {
        emptiest = slab
        most = garbage
      }
    }
    if (emptiest === undefined) return false
    const { buffer, records } = emptiest
    for (const record of records) {
      if (record.slab !== emptiest) continue
      const { offset, length } = record
      this.#live -= length // place counts it again
      const slab = this.place(record, length)
      buffer.copy(slab.buffer, record.offset, offset, offset + length)
      this.#moved(record)
    }
    this.#free(emptiest)
    return true
  }

  #add(bytes: number): Slab {
    const slab: Slab = { buffer: Buffer.allocUnsafeSlow(bytes), used: 0, live: 0, records: [], index: this.#slabs.length }
    this.#slabs.push(slab)
    this.#allocated += bytes
    return slab
  }

  #free(slab: Slab): void {
    const last = this.#slabs.pop() as Slab
    if (last !== slab) {
      this.#slabs[slab.index] = last
      last.index = slab.index
    }
    this.#allocated -= slab.buffer.length
  }
}
