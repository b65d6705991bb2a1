// The keys that other replicas recently replaced: a value that was read earlier must not become a copy afterwards.
import { hash } from 'node:crypto'
import type { StoreKey } from '../store.ts'

/** A position in the order in which invalidation messages were received. */
export type Epoch = number

const mostKeys = 1024

/**
 * Records the last keys that were invalidated. Values and invalidation messages arrive on different connections, in any
 * order. A reader takes the epoch before reading, and keeps the value only if its key was not invalidated since.
 *
 * Digests stand for keys, because clients may make keys long. If two keys had one digest, a copy would not be kept, and
 * nothing else.
 */
export class RecentInvalidations {
  readonly #keys = new Map<string, Epoch>()
  #last: Epoch = 0
  /** Invalidations up to here have been dropped. */
  #forgotten: Epoch = 0

  get epoch(): Epoch {
    return this.#last
  }

  record(key: StoreKey): void {
    const name = digest(key)
    this.#keys.delete(name) // moves it to the end: the first key of a Map is its oldest
    this.#keys.set(name, ++this.#last)
    if (this.#keys.size <= mostKeys) return
    for (const [oldest, mark] of this.#keys) {
      this.#keys.delete(oldest)
      this.#forgotten = mark
      break
    }
  }

  /** As if every key had been invalidated. */
  recordAll(): void {
    this.#keys.clear()
    this.#forgotten = ++this.#last
  }

  /** True if this key was, or may have been, invalidated after `mark`. */
  invalidatedSince(mark: Epoch, key: StoreKey): boolean {
    return mark < this.#forgotten || (this.#keys.size > 0 && (this.#keys.get(digest(key)) ?? 0) > mark)
  }
}

function digest(key: StoreKey): string {
  return hash('sha256', key, 'base64url')
}
