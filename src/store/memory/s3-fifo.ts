// Eviction by S3-FIFO, which entries that are used once cannot flush, and which moves nothing on a hit.

/** The members of an evictable entry that the queues use. */
export interface Evictable<T> {
  /** Hashed into the record of recent evictions. */
  readonly key: string
  /** Bytes that its eviction frees. */
  charge: number
  /** Lookups since it was last considered, up to 3: the only value that a hit writes. */
  hits: number
  queue: Queue<T> | undefined
  older: T | undefined
  newer: T | undefined
}

/** A first-in first-out queue that counts its bytes. */
export interface Queue<T> {
  oldest: T | undefined
  newest: T | undefined
  bytes: number
}

// How many used entries one eviction may pass over. A hot cache has only used entries, and a search for an unused one would
// stall a write for a time that grows with the cache. Past this number, the least used of those passed is evicted.
const maxPassedOver = 512

/**
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), in bytes. A new entry joins a small
 * queue, a tenth of the room. If it is not used on its way through, it is evicted; else it moves to the main queue. There it
 * stays while it is used between two passes. A key that returns shortly after its eviction joins the main queue at once.
 */
export class Eviction<T extends Evictable<T>> {
  readonly #small: Queue<T> = { oldest: undefined, newest: undefined, bytes: 0 }
  readonly #main: Queue<T> = { oldest: undefined, newest: undefined, bytes: 0 }
  readonly #ghosts: Uint32Array
  readonly #smallShareBytes: number

  /** `maxBytes`: the bound of both queues; `ghosts`: how many evicted keys to remember, a power of two. */
  constructor(maxBytes: number, ghosts: number) {
    this.#smallShareBytes = Math.floor(maxBytes / 10)
    this.#ghosts = new Uint32Array(ghosts)
  }

  /** Bytes in both queues. */
  get bytes(): number {
    return this.#small.bytes + this.#main.bytes
  }

  add(node: T): void {
    push(this.#takeGhost(node.key) ? this.#main : this.#small, node)
  }

  remove(node: T): void {
    if (node.queue !== undefined) unlink(node.queue, node)
  }

  /** Adds `bytes` to the size of a node. */
  grow(node: T, bytes: number): void {
    node.charge += bytes
    if (node.queue !== undefined) node.queue.bytes += bytes
  }

  /** Removes and returns the node to evict, never `spare`; undefined if there is no other. */
  evict(spare: T | undefined): T | undefined {
    for (let promoted = 0;; promoted++) {
      if (promoted === maxPassedOver || (this.#small.bytes <= this.#smallShareBytes && this.#main.oldest !== undefined)) {
        const victim = this.#fromMain(spare)
        if (victim !== undefined) return victim
      }
      const node = this.#small.oldest === spare ? spare?.newer : this.#small.oldest
      if (node === undefined) return this.#fromMain(spare)
      unlink(this.#small, node)
      if (node.hits === 0) {
        this.#ghosts[hash(node.key) & (this.#ghosts.length - 1)] = hash(node.key)
        return node
      }
      node.hits = 0
      push(this.#main, node)
    }
  }

  clear(): void {
    for (const queue of [this.#small, this.#main]) {
      queue.oldest = queue.newest = undefined
      queue.bytes = 0
    }
  }

  #fromMain(spare: T | undefined): T | undefined {
    const main = this.#main
    let least: T | undefined
    for (let passed = 0; passed < maxPassedOver; passed++) {
      const node = main.oldest
      if (node === undefined || (node === spare && node.newer === undefined)) break
      unlink(main, node)
      if (node.hits === 0 && node !== spare) return node
      if (node !== spare && (least === undefined || node.hits < least.hits)) least = node
      if (node.hits > 0) node.hits--
      push(main, node)
    }
    if (least !== undefined) unlink(main, least)
    return least
  }

  // Each slot holds the last key that hashes to it: there is no list to keep, and old keys are overwritten.
  #takeGhost(key: string): boolean {
    const print = hash(key)
    const place = print & (this.#ghosts.length - 1)
    if (this.#ghosts[place] !== print) return false
    this.#ghosts[place] = 0
    return true
  }
}

function push<T extends Evictable<T>>(queue: Queue<T>, node: T): void {
  node.queue = queue
  node.older = queue.newest
  node.newer = undefined
  if (queue.newest === undefined) queue.oldest = node
  else queue.newest.newer = node
  queue.newest = node
  queue.bytes += node.charge
}

function unlink<T extends Evictable<T>>(queue: Queue<T>, node: T): void {
  if (node.older === undefined) queue.oldest = node.newer
  else node.older.newer = node.newer
  if (node.newer === undefined) queue.newest = node.older
  else node.newer.older = node.older
  node.queue = node.older = node.newer = undefined
  queue.bytes -= node.charge
}

// FNV-1a; never 0, which means an empty slot.
function hash(key: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < key.length; i++) value = Math.imul(value ^ key.charCodeAt(i), 0x01000193)
  return (value >>> 0) || 1
}
