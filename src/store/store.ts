// What a store promises. The promises are proved, in the same words, by test/store/contract.ts over every store.
import type { Metadata } from '../policy/stored.ts'

export type Awaitable<T> = T | Promise<T>

/** A primary cache key: opaque to the store, at most a few kilobytes, may hold any character. Stores hash it where names matter. */
export type StoreKey = string

/**
 * A stored body. It stays readable to its end for whoever has it, whatever is committed, removed or purged meanwhile,
 * unless the store lost it, which `read` reports by throwing `BodyGone` before its first chunk or in the middle.
 */
export interface Body {
  /** The whole body, when it is at hand in one piece: the hit path writes it with the head in one go. */
  readonly bytes: Buffer | undefined
  /** The bytes from `start` up to, not including, `end`, in chunks. */
  read(start: number, end: number): AsyncIterable<Buffer>
}

/** The body is no longer there: a miss for whoever has not begun to answer. Whoever has asks the origin for the rest, or cuts the connection. */
export class BodyGone extends Error {
  override readonly name = 'BodyGone'
}

export interface Stored {
  readonly meta: Metadata
  readonly body: Body
  /**
   * Set if the shared tier was read and does not hold it. Redis may have evicted it, or another replica may have removed it a moment
   * ago: it is not used stale.
   */
  readonly localOnly?: true
}

/** too-large: the store can never keep it. store-refused: it cannot now. */
export type Refusal = 'too-large' | 'store-refused'

/** One stored response on its way in. Exactly one of commit and abort ends it; forgetting it counts as abort. */
export interface Writer {
  /** Takes the next bytes of the body; a promise means: wait before the next one. The buffer must not change afterwards. */
  write(chunk: Buffer): Awaitable<void>
  /** Why nothing that is written will be kept, once that is so: commit resolves to false then. Left out by a writer that cannot tell. */
  readonly gaveUp?: Refusal | undefined
  /**
   * Makes the entry visible, whole, at once, with the length that was written as its `bodyBytes`; resolves to false when
   * the store did not take it (no room, out of reach, lost a race with a newer one). Never throws.
   */
  commit(): Awaitable<boolean>
  /** Throws away what was written. Safe to call at any time, also after commit (when it does nothing). */
  abort(): void
}

/**
 * The part of a store that lies in this process, before one that others share. It answers at once, and may hold only some
 * of the variants of a key, or one that another replica has since replaced: good for a plain fresh answer, and for
 * everything else `lookup` is asked, which knows both.
 */
export interface LocalTier {
  /** What is at hand, the youngest first; [] where there is nothing. */
  lookup(key: StoreKey): readonly Stored[]
  /** Takes in what `lookup` found further away, now that it is used; answers what to deliver in its place. */
  promote(key: StoreKey, stored: Stored): Stored
  /** Gives the memory of one variant back; the shared one stays. */
  drop(key: StoreKey, variant: string): void
}

/** An entry as a listing tells it. */
export interface Listed {
  readonly key: StoreKey
  readonly meta: Metadata
}

/** Whether a listing is to tell an entry. */
export type Wanted = (meta: Metadata) => boolean

/** A page of what is stored, for the admin API. */
export interface EntryPage {
  readonly entries: readonly Listed[]
  /** Where the next page starts; undefined at the end, and only there: a page may be short, or empty, and have a cursor. */
  readonly cursor: string | undefined
}

/** A cursor that no page of this store has given. */
export class UnknownCursor extends Error {
  override readonly name = 'UnknownCursor'
}

export interface StoreStats {
  /** `memory`, `redis`, `tiered`. */
  readonly kind: string
  /** undefined where it cannot be told cheaply. Of a tiered store this and what follows is told of its memory. */
  readonly entries: number | undefined
  /** Bytes that count against the bound: bodies and metadata both. */
  readonly bytes: number | undefined
  readonly maxBytes: number | undefined
  readonly evictions: number
  /** What is out of order ("redis"), [] when all is well. */
  readonly degraded: readonly string[]
}

/**
 * Bytes and metadata. A store never asks "is it fresh?".
 *
 * - Nothing is visible before `commit`. A writer that is aborted, forgotten or cut off leaves no trace and no partial body.
 * - A commit replaces the same variant at once; a reader of the old body finishes it.
 * - `keepUntilMs` says when the store may forget; it is never a freshness answer. Past it, the entry reads as absent.
 * - A body that is gone between metadata and read is a miss, not an error.
 * - Half an entry is no entry.
 * - Memory is bounded in bytes, bodies and metadata both counted.
 * - An unknown metadata version, or a damaged value, reads as absent.
 * - At most `maxVariants` variants of a key; beyond it the one that was stored first goes.
 * - Whatever was handed in or out is not changed by the store afterwards.
 * - A store that is out of reach answers a look-up with nothing, a commit with false, within its deadline; it never throws.
 */
export interface Store {
  /** Left out where all that is stored lies equally near: then there is no first look to take. */
  readonly local?: LocalTier
  /** Every variant stored under a key, the youngest `responseTimeMs` first; [] where there is none. */
  lookup(key: StoreKey): Awaitable<readonly Stored[]>
  /**
   * Returns why an entry with a body of that length could never be kept; undefined if it could. -1: the length is not known, and the
   * metadata alone counts. Left out where the configured `maxEntryBytes` is the only limit.
   */
  refuses?(key: StoreKey, meta: Metadata, bodyBytes: number): Refusal | undefined
  /** Begins an entry; `bodyBytes` of the metadata given here is ignored. */
  write(key: StoreKey, meta: Metadata): Writer
  /**
   * Puts new metadata on a variant whose body stays (a 304 merge, RFC 9111 §4.3.4). `was` is the metadata that was
   * validated: if the stored variant is no longer that one, nothing changes and the answer is false.
   */
  refresh(key: StoreKey, was: Metadata, meta: Metadata): Awaitable<boolean>
  /** Forgets one variant, or all of a key. Space comes back; correctness never depends on it. */
  remove(key: StoreKey, variant?: string): Awaitable<void>
  /**
   * Some of what is stored, in no promised order. A page looks at a bounded number of entries, and at none of the pages
   * before it. From the first page to the last, each entry that is stored all the while is told: once, if nothing else changes.
   * @param limit how many entries to tell at most: 1 to 1000
   * @param wanted which entries to tell; every one without it
   * @throws UnknownCursor
   */
  list(cursor: string | undefined, limit: number, wanted?: Wanted): Promise<EntryPage>
  stats(): StoreStats
  close(): Promise<void>
}
