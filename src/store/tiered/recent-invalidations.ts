// Which keys were lately replaced by others: what was read before that must not become a copy after it.
import { hash } from 'node:crypto'
import type { StoreKey } from '../store.ts'

/** A place in the order in which replacements were heard of. */
export type Epoch = number

const mostKeys = 1024

/**
 * Remembers the last keys heard of. A value comes over one connection and the news that it was replaced over another, so
 * the news may be first: whoever reads notes a mark before it asks, and keeps what it got only if nothing was heard since.
 * Of keys their digests are kept, as clients may make them long; a key that has another's would not be kept, no more.
 */
export class RecentInvalidations {
  readonly #keys = new Map<string, Epoch>()
  #last: Epoch = 0
  /** Nothing is known of what was heard up to here. */
  #forgotten: Epoch = 0

  get epoch(): Epoch {
    return this.#last
  }

  record(key: StoreKey): void {
    const name = digest(key)
    this.#keys.delete(name) // so that it goes to the end: the first of a Map is its oldest
    this.#keys.set(name, ++this.#last)
    if (this.#keys.size <= mostKeys) return
    for (const [oldest, mark] of this.#keys) {
      this.#keys.delete(oldest)
      this.#forgotten = mark
      break
    }
  }

  /** As if every key had been heard of. */
  recordAll(): void {
    this.#keys.clear()
    this.#forgotten = ++this.#last
  }

  /** Whether a replacement of this key was, or may have been, heard of after `mark`. */
  invalidatedSince(mark: Epoch, key: StoreKey): boolean {
    return mark < this.#forgotten || (this.#keys.size > 0 && (this.#keys.get(digest(key)) ?? 0) > mark)
  }
}

function digest(key: StoreKey): string {
  return hash('sha256', key, 'base64url')
}
