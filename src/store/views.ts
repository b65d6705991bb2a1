// The decoded form of what is asked for now: a bounded ring, so that most look-ups decode nothing.
import type { Stored } from './store.ts'

/** What may have a view. */
export interface Viewed {
  /** Its variants, decoded. */
  view: readonly Stored[] | undefined
  /** Bytes that the view takes. */
  viewCharge: number
  /** Whether the view was used since the hand last passed: what a look-up sets. */
  seen: boolean
}

/** CLOCK over views: the hand takes the first one that was not used since it last came by. */
export class Views<T extends Viewed> {
  readonly #maxBytes: number
  readonly #ring: (T | undefined)[]
  #hand = 0
  #bytes = 0

  constructor(maxBytes: number, places: number) {
    this.#maxBytes = maxBytes
    this.#ring = Array.from<T | undefined>({ length: places })
  }

  get bytes(): number {
    return this.#bytes
  }

  add(node: T, view: readonly Stored[], charge: number): void {
    if (charge > this.#maxBytes) return
    const place = this.#nextPlace()
    this.#clearPlace(place)
    node.view = view
    node.viewCharge = charge
    node.seen = false
    this.#ring[place] = node
    this.#bytes += charge
    while (this.#bytes > this.#maxBytes) {
      const other = this.#nextPlace()
      if (other !== place) this.#clearPlace(other)
    }
  }

  /** Its variants have changed, or moved. Whoever was given the view keeps it. */
  drop(node: T): void {
    if (node.view === undefined) return
    node.view = undefined
    this.#bytes -= node.viewCharge
    // The place in the ring stays taken until the hand comes by; it tells by `view` that nobody is there.
  }

  clear(): void {
    this.#ring.fill(undefined)
    this.#bytes = 0
  }

  #nextPlace(): number {
    for (let passed = 0; passed <= this.#ring.length; passed++) {
      const place = this.#hand
      this.#hand = (place + 1) % this.#ring.length
      const node = this.#ring[place]
      if (node === undefined || !node.seen || node.view === undefined) return place
      node.seen = false
    }
    return this.#hand
  }

  #clearPlace(place: number): void {
    const node = this.#ring[place]
    this.#ring[place] = undefined
    if (node !== undefined) this.drop(node)
  }
}
