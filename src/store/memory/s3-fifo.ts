// Who goes when memory is full: S3-FIFO, which one-hit wonders cannot flush and which moves nothing on a hit.

/** What the queues need of a thing that may be evicted. */
export interface Evictable<T> {
  /** Hashed into the memory of who was evicted lately. */
  readonly key: string
  /** Bytes that go with it. */
  charge: number
  /** Looks since it was last considered, up to 3: all that a hit has to write. */
  hits: number
  queue: Queue<T> | undefined
  older: T | undefined
  newer: T | undefined
}

/** A first-in first-out queue that knows its bytes. */
export interface Queue<T> {
  oldest: T | undefined
  newest: T | undefined
  bytes: number
}

// How many used entries one eviction may pass over. A hot cache has used ones only, and looking for one that is not
// would stall a write for as long as the cache is large; past this, the least used of those passed goes.
const maxPassedOver = 512

/**
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), in bytes. What is new enters a
 * small queue, a tenth of the room; what was not asked for again on its way through that is gone, and what was goes to
 * the main queue, where it stays for as long as it is asked for between two passes. Who comes back shortly after its
 * eviction goes to the main queue at once.
 */
export class Eviction<T extends Evictable<T>> {
  readonly #small: Queue<T> = { oldest: undefined, newest: undefined, bytes: 0 }
  readonly #main: Queue<T> = { oldest: undefined, newest: undefined, bytes: 0 }
  readonly #ghosts: Uint32Array
  readonly #smallShareBytes: number

  /** `maxBytes`: what both queues may hold; `ghosts`: how many evicted keys to remember, a power of two. */
  constructor(maxBytes: number, ghosts: number) {
    this.#smallShareBytes = Math.floor(maxBytes / 10)
    this.#ghosts = new Uint32Array(ghosts)
  }

  /** Bytes of all that is in the queues. */
  get bytes(): number {
    return this.#small.bytes + this.#main.bytes
  }

  add(node: T): void {
    push(this.#takeGhost(node.key) ? this.#main : this.#small, node)
  }

  remove(node: T): void {
    if (node.queue !== undefined) unlink(node.queue, node)
  }

  /** Tells that a node weighs `bytes` more than it did. */
  grow(node: T, bytes: number): void {
    node.charge += bytes
    if (node.queue !== undefined) node.queue.bytes += bytes
  }

  /** Takes out who is to go, never `spare`; undefined when there is nobody else. */
  evict(spare: T | undefined): T | undefined {
    for (let promoted = 0; ; promoted++) {
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

  // Each place remembers the last key that fell on it: no list to keep, and what is old is overwritten by itself.
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

// FNV-1a; never 0, which means "nobody".
function hash(key: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < key.length; i++) value = Math.imul(value ^ key.charCodeAt(i), 0x01000193)
  return (value >>> 0) || 1
}
