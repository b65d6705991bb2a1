// Small records packed into large buffers, because a Buffer of its own costs each of them some 350 bytes.

/** Where a record lies. The owner keeps it, and may read `buffer` from `offset` on for `length` bytes. */
export interface Placed {
  slab: Slab | undefined
  offset: number
  length: number
}

/** One buffer full of records. Bytes that were once written into it are never written again. */
export interface Slab {
  readonly buffer: Buffer
  used: number
  /** Bytes of records that are still there. */
  live: number
  readonly records: Placed[]
  /** Place in the list of slabs. */
  index: number
}

/**
 * A log-structured heap: records are only ever appended, the room of dropped ones comes back when what is left of a
 * slab is copied to another. So a view of a record that was handed out stays what it was for as long as its reader holds
 * it (it keeps the old slab alive, nothing else), with no count of readers.
 *
 * Allocated bytes stay below 9/8 of the live ones, and three slabs: what is dropped is reclaimed, from the emptiest
 * slab, as soon as it is more than an eighth. Each byte reclaimed costs at most eight copied.
 */
export class Slabs {
  /** Records longer than this get a buffer to themselves. */
  readonly maxSharedBytes: number
  readonly #slabBytes: number
  readonly #moved: (record: Placed) => void
  readonly #slabs: Slab[] = []
  #open: Slab | undefined
  #live = 0
  #allocated = 0

  /** `moved` is told of each record whose place has changed by itself. */
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

  /** Room for `length` bytes, to be written by the caller before anyone reads. */
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

  /** Gives a record's room back. Whoever has a view of it keeps what is there. */
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

  // Moves what is left of the emptiest slab. False where there is nothing to gain.
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
