// The decoded form of what is asked for now: a bounded ring, so that most look-ups decode nothing.
import type { Stored } from '../store.ts'

/** What may have a view. */
export interface Decodable {
  view: DecodedEntry | undefined
}

/** The variants of a key, decoded. */
export interface DecodedEntry {
  readonly variants: readonly Stored[]
  /** Bytes that it takes. */
  readonly charge: number
  /** Whether it was used since the hand last passed: what a look-up sets. */
  seen: boolean
}

// Once the ring is full, one new view in this many takes a place. What is asked for often gets in soon; when everything is
// asked for alike, views would otherwise live just long enough to be the garbage that costs most.
const admitOneIn = 8

/** CLOCK over views: the hand takes the first one that was not used since it last came by. */
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

  /** Its variants have changed, or moved. Whoever was given the view keeps it. */
  drop(node: T): void {
    if (node.view === undefined) return
    this.#bytes -= node.view.charge
    node.view = undefined
    // The place in the ring stays taken until the hand comes by; it tells by `view` that nobody is there.
  }

  clear(): void {
    this.#ring.fill(undefined)
    this.#bytes = this.#filled = 0
  }

  // Random enough that no pattern of requests keeps one out, and the same in every run.
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
