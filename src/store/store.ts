// The contract of a store. test/store/contract.ts proves it, in the same terms, for every store.
import type { Metadata } from '../policy/stored.ts'

export type Awaitable<T> = T | Promise<T>

/**
 * A primary cache key: opaque to the store, at most a few kilobytes, may hold any character. Stores hash it if names matter.
 */
export type StoreKey = string

/**
 * A stored body. A reader can read it to its end, whatever is committed, removed or purged meanwhile. If the store loses it,
 * `read` throws `BodyGone`, before the first chunk or later.
 */
export interface Body {
  /** The whole body if it is in memory in one piece: the hit path writes it together with the head. */
  readonly bytes: Buffer | undefined
  /** Reads the bytes from `start` up to, not including, `end`, in chunks. */
  read(start: number, end: number): AsyncIterable<Buffer>
}

/**
 * The body is lost. Before the response has begun, this is a miss. Later, the reader requests the rest from the origin, or
 * aborts the connection.
 */
export class BodyGone extends Error {
  override readonly name = 'BodyGone'
}

/** The body is lost to a reader that was too slow for it. Others may read it on. */
export class FellBehind extends BodyGone {}

export interface Stored {
  readonly meta: Metadata
  readonly body: Body
  /**
   * Set if the shared tier was read and does not hold it. Redis may have evicted it, or another replica may have removed it a moment
   * ago: it is not used stale.
   */
  readonly localOnly?: true
  /**
   * Reports that the response was used, at this time of day. It costs nearly nothing: a hit does it. Left out if the store does
   * not hold the response.
   */
  used?(nowMs: number): void
}

/** too-large: the store can never keep it. store-refused: the store cannot keep it now. */
export type Refusal = 'too-large' | 'store-refused'

/** Writes one response. Exactly one of commit and abort ends it; dropping all references to it counts as abort. */
export interface Writer {
  /**
   * Takes the next bytes of the body. If it returns a promise, wait before the next call. The buffer must not change
   * afterwards.
   */
  write(chunk: Buffer): Awaitable<void>
  /**
   * Returns bytes that were written, from a position on, while the writer has them in memory; undefined if it does not. They are not
   * committed: only for clients that may read this very response. Left out by a writer that keeps none.
   */
  written?(position: number): Buffer | undefined
  /** Why nothing written will be kept: then commit resolves to false. Left out by a writer that does not know. */
  readonly gaveUp?: Refusal | undefined
  /** After a commit: how many other variants of the key the store holds. Left out if each lookup knows them all. */
  readonly others?: number | undefined
  /**
   * Makes the whole entry visible at once, with the written length as its `bodyBytes`. Resolves to false if the store did
   * not take it (no room, out of reach, lost a race with a newer entry). Never throws.
   */
  commit(): Awaitable<boolean>
  /** Discards the written bytes. Safe to call at any time; does nothing after commit. */
  abort(): void
}

/**
 * The in-process tier of a tiered store. Synchronous. It may lack variants, or hold one that another replica has replaced,
 * so it may only be used for fresh hits; use `lookup` of the store for everything else.
 */
export interface LocalTier {
  /** Returns the local variants, youngest first; [] if there are none. */
  lookup(key: StoreKey): readonly Stored[]
  /** Copies a shared entry into this tier when it is used. Returns the entry to deliver instead of it. */
  promote(key: StoreKey, stored: Stored): Stored
  /** Drops the local copy of one variant; the shared entry stays. */
  drop(key: StoreKey, variant: string): void
}

/** An entry in a listing. */
export interface Listed {
  readonly key: StoreKey
  readonly meta: Metadata
}

/** Returns true if a listing includes the entry. */
export type Wanted = (meta: Metadata) => boolean

/** A page of the stored entries, for the admin API. */
export interface EntryPage {
  readonly entries: readonly Listed[]
  /** Where the next page starts; undefined only at the end. A page may be short or empty and still have a cursor. */
  readonly cursor: string | undefined
}

/** A cursor that did not come from a page of this store. */
export class UnknownCursor extends Error {
  override readonly name = 'UnknownCursor'
}

export interface StoreStats {
  /** `memory`, `redis`, `tiered`. */
  readonly kind: string
  /** undefined if counting is expensive. For a tiered store, this and the following members describe its memory. */
  readonly entries: number | undefined
  /** Bytes that count against the bound: bodies and metadata. */
  readonly bytes: number | undefined
  readonly maxBytes: number | undefined
  readonly evictions: number
  /** The parts that are out of order ("redis"); [] if none is. */
  readonly degraded: readonly string[]
}

/**
 * Stores bodies and metadata. Never judges freshness.
 * - Nothing is visible before `commit`. A writer that is aborted or dropped, or whose input ends early, leaves no partial
 *   body.
 * - A commit replaces the same variant at once; a reader of the old body can finish it.
 * - `keepUntilMs` is when the store may drop an entry, not when it becomes stale. Past it, the entry reads as absent.
 * - A body that is lost between metadata and read is a miss, not an error.
 * - An incomplete entry reads as absent.
 * - Memory is bounded in bytes, counting bodies and metadata.
 * - An unknown metadata version, or a damaged value, reads as absent.
 * - A key has at most `maxVariants` variants; beyond that the one that was least recently stored or used is dropped. Processes
 *   that share a store report uses to it at most once in ten seconds: within that time the order may be wrong.
 * - The store does not change values that it received or returned.
 * - If the store is out of reach, a lookup returns nothing and a commit false, within its deadline; it never throws.
 */
export interface Store {
  /** Left out if the store has a single tier. */
  readonly local?: LocalTier
  /** Returns every variant stored under a key, the youngest `responseTimeMs` first; [] if there is none. */
  lookup(key: StoreKey): Awaitable<readonly Stored[]>
  /**
   * Returns why an entry with a body of that length could never be kept; undefined if it could. -1: the length is unknown,
   * and only the metadata counts. Left out if the configured `maxEntryBytes` is the only limit.
   */
  refuses?(key: StoreKey, meta: Metadata, bodyBytes: number): Refusal | undefined
  /** Begins an entry. The `bodyBytes` in this metadata is ignored. */
  write(key: StoreKey, meta: Metadata): Writer
  /**
   * Replaces the metadata of a variant and keeps its body (a 304 merge, RFC 9111 §4.3.4). `was` is the metadata that was
   * validated: if the stored variant has other metadata by now, nothing changes and the result is false.
   */
  refresh(key: StoreKey, was: Metadata, meta: Metadata): Awaitable<boolean>
  /** Removes one variant, or all of a key. This frees space; correctness never depends on it. */
  remove(key: StoreKey, variant?: string): Awaitable<void>
  /**
   * Lists some of the entries, in no promised order. A page reads a bounded number of entries, and none of the pages before
   * it. From the first page to the last, each entry that is stored all the time is listed: once, if nothing else changes.
   * @param limit the most entries to list: 1 to 1000
   * @param wanted selects the entries to list; without it, all
   * @throws UnknownCursor
   */
  list(cursor: string | undefined, limit: number, wanted?: Wanted): Promise<EntryPage>
  stats(): StoreStats
  close(): Promise<void>
}
