// The ordered log of invalidations: what a purge is, and what an entry must survive to be served.
import type { Metadata, LogPosition } from '../../policy/stored.ts'

/** A URL, or the beginning of one, without its scheme. */
export interface UrlPattern {
  /** Lower-case host, with the port unless it is the scheme's default; undefined: every host. */
  readonly authority: string | undefined
  /** Path and query in normal form (RFC 3986 §6.2.2). */
  readonly target: string
}

/** What to invalidate. A match of any of its parts is enough. */
export interface Purge {
  readonly urls: readonly UrlPattern[]
  readonly prefixes: readonly UrlPattern[]
  readonly tags: readonly string[]
  /** `all`: an entry must carry every tag of `tags`; `any`: one of them. */
  readonly tagsMatch: 'any' | 'all'
  readonly all: boolean
  /** Soft: matching entries become stale (and may be validated or served stale); hard: they are gone. */
  readonly soft: boolean
  /**
   * Brought about by an unsafe request (RFC 9111 §4.4), so that anybody can: hard, of URLs and tags alone. It is bounded apart
   * from purges, is not among `recent`, and is kept where it could not be recorded, to be recorded later.
   */
  readonly implicit?: true
}

/** What became of a purge. */
export interface PurgeReceipt {
  readonly id: LogPosition
  readonly soft: boolean
  /** How many replicas are live, and how many of them had applied it when the wait ended. */
  readonly replicas: { readonly live: number; readonly acknowledged: number }
  /** Whether the record outlives the server that took it: a Redis replica has it, or there is none that could. */
  readonly copied: boolean
}

/** valid; stale (a soft purge came after it); dead (a hard purge came after it: never served, never validated). */
export type Verdict = 'valid' | 'stale' | 'dead'

/** A recorded purge, for GET /v1/purges. */
export interface PurgeRecord {
  readonly id: LogPosition
  readonly atMs: number
  readonly purge: Purge
}

/**
 * Invalidations as an ordered list. An entry carries the id of the last record that had been applied where it was asked
 * for, *before* the origin was asked; it is dead, or stale, if a record with a larger id matches it. So a purge wins over
 * every fetch that was in flight, and purging a million entries costs one append.
 */
export interface PurgeLog {
  /** The id of the last record applied here. What a fill notes before it asks the origin. */
  readonly applied: LogPosition
  /** Goes up with every record applied here: an entry judged at this revision need not be judged again at it. */
  readonly revision: number
  /** What the records after the entry's birth say of it. */
  judge(meta: Pick<Metadata, 'stamp' | 'authority' | 'target' | 'tags'>): Verdict
  /**
   * Whether a record after `stamp` may touch a response for this URL whose tags are not known yet: then nobody new may
   * share a fetch that began at `stamp`. The target is in normal form.
   */
  mayMatch(stamp: LogPosition, authority: string, target: string): boolean
  /**
   * Whether a record after the entry's stamp and before `until` matches it, hard or soft; true as well where that is not
   * known here, as when `until` has not been applied yet. For an entry that is to survive the record `until`, which its
   * own request brought about, and no other.
   */
  matchedBetween(entry: Pick<Metadata, 'stamp' | 'authority' | 'target' | 'tags'>, until: LogPosition): boolean
  /**
   * Records a purge and waits up to `waitMs` for every live replica to apply it.
   * @throws SpringhouseError PURGE_NOT_WRITTEN when it was not recorded, and never will be; PURGE_UNCONFIRMED when that
   * is not known: it was recorded before this was said, or never will be. An implicit purge is in force in this process all
   * the same, and is recorded as soon as that is possible.
   */
  append(purge: Purge, waitMs: number): Promise<PurgeReceipt>
  /** The latest purges, newest first, without implicit ones; of those before the id `before`, if that is given. */
  recent(limit: number, before?: LogPosition): readonly PurgeRecord[]
  /**
   * Whether this replica knows of every purge, up to its lag bound. False: what it has in its own memory must not be
   * served. Always true for a log that lives in this process.
   */
  isCaughtUp(): boolean
  /** Implicit purges that are in force in this process, and yet to be recorded for the others. */
  readonly unrecorded: number
  /** Replicas that are live, this one included. */
  replicas(): Promise<readonly { readonly id: string; readonly applied: LogPosition }[]>
  close(): Promise<void>
}
