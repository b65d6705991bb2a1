// Decoded forms of recently used entries in a bounded ring, so that most lookups decode nothing.
import type { Stored } from '../store.ts'

/** An entry that may have a decoded form. */
export interface Decodable {
  view: DecodedEntry | undefined
}

/** The variants of a key, decoded. */
export interface DecodedEntry {
  readonly variants: readonly Stored[]
  /** Bytes in use. */
  readonly charge: number
  /** Set by a lookup; true if it was used since the hand last passed. */
  seen: boolean
}

// Once the ring is full, one in this many new entries is admitted. A frequently used key gets in soon. If all keys were
// equally frequent, entries would otherwise live just long enough to become the most expensive garbage.
const admitOneIn = 8

/** CLOCK over decoded entries: the hand evicts the first one that was not used since it last passed. */
export class DecodedCache<T extends Decodable> {
  readonly #maxBytes: number
  readonly #ring: (T | undefined)[]
  #hand = 0
  #bytes = 0
  #filled = 0
  #dice = 1

  constructor(maxBytes: number, places: number) {
    this.#maxBytes = maxBytes
    this.#ring = Array.from<T | undefined>({ length: places })
  }

  get bytes(): number {
    return this.#bytes
  }

  add(node: T, variants: readonly Stored[], charge: number): void {
    if (charge > this.#maxBytes || (this.#filled === this.#ring.length && !this.#admit())) return
    const place = this.#nextPlace()
    this.#clearPlace(place)
    node.view = { variants, charge, seen: false }
    this.#ring[place] = node
    this.#filled++
    this.#bytes += charge
    while (this.#bytes > this.#maxBytes) {
      const other = this.#nextPlace()
      if (other !== place) this.#clearPlace(other)
    }
  }

  /** Drops the decoded form when variants have changed or moved. A reader that has it keeps it. */
  drop(node: T): void {
    if (node.view === undefined) return
    this.#bytes -= node.view.charge
    node.view = undefined
    // The slot in the ring stays taken until the hand passes: without `view` it counts as empty.
  }

  clear(): void {
    this.#ring.fill(undefined)
    this.#bytes = this.#filled = 0
  }

  // Random enough that no pattern of requests excludes a key, and the same in every run.
  #admit(): boolean {
    this.#dice = (Math.imul(this.#dice, 1_664_525) + 1_013_904_223) >>> 0
    return this.#dice < 2 ** 32 / admitOneIn
  }

  #nextPlace(): number {
    for (let passed = 0; passed <= this.#ring.length; passed++) {
      const place = this.#hand
      this.#hand = (place + 1) % this.#ring.length
      const view = this.#ring[place]?.view
      if (view === undefined || !view.seen) return place
      view.seen = false
    }
    return this.#hand
  }

  #clearPlace(place: number): void {
    const node = this.#ring[place]
    this.#ring[place] = undefined
    if (node === undefined) return
    this.#filled--
    this.drop(node)
  }
}
