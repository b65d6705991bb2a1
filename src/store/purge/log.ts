// The ordered log of invalidations: what a purge is, and which purges an entry must survive to be served.
import type { Addressed, LogPosition, Named } from '../../policy/stored.ts'

/** A URL, or a prefix of one, without its scheme. */
export interface UrlPattern {
  /** Lower-case host, with the port unless it is the scheme's default; undefined for every host. */
  readonly authority: string | undefined
  /** Path and query in normal form (RFC 3986 §6.2.2). */
  readonly target: string
}

/** The entries to invalidate. A match of any of its parts is enough. */
export interface Purge {
  readonly urls: readonly UrlPattern[]
  readonly prefixes: readonly UrlPattern[]
  readonly tags: readonly string[]
  /** `all`: an entry must have every tag of `tags`; `any`: at least one. */
  readonly tagsMatch: 'any' | 'all'
  readonly all: boolean
  /** Soft: matching entries become stale, and may be validated or served stale. Hard: they are never used again. */
  readonly soft: boolean
  /**
   * Caused by an unsafe request (RFC 9111 §4.4), so any client can cause it. Hard, and only of URLs and tags. It is bounded
   * apart from purges, is not among `recent`, and is kept for later if it could not be recorded.
   */
  readonly implicit?: true
}

/** The result of a purge. */
export interface PurgeReceipt {
  readonly id: LogPosition
  readonly soft: boolean
  /** How many replicas are live, and how many of them had applied it when the wait ended. */
  readonly replicas: { readonly live: number; readonly acknowledged: number }
  /** True if the record outlives the server that took it: a Redis replica has it, or there is no Redis replica. */
  readonly copied: boolean
}

/** Takes how long purges took, in milliseconds. */
export interface PurgeTimings {
  /** A record was appended. */
  appended(ms: number): void
  /** Every live replica has applied a purge that is not implicit, so long after its append began. */
  acknowledged(ms: number): void
}

/** valid; stale (a soft purge came after it); dead (a hard purge came after it: never served, never validated). */
export type Verdict = 'valid' | 'stale' | 'dead'

/** A recorded purge, for GET /v1/purges. */
export interface PurgeRecord {
  readonly id: LogPosition
  readonly atMs: number
  readonly purge: Purge
  /** The name of the token that requested it; undefined if none is recorded. */
  readonly by?: string | undefined
}

/** The live replicas, and those of them that have applied a record. */
export interface Acknowledgements {
  /** With replicas that cannot be named. */
  readonly live: number
  readonly acknowledged: number
  readonly replicas: readonly { readonly id: string; readonly acknowledged: boolean }[]
}

/**
 * Invalidations as an ordered list. An entry carries the id of the last record applied by its replica *before* the request
 * was forwarded. It is dead, or stale, if a record with a larger id matches it. So a purge wins over every fetch that was in
 * flight, and purging a million entries costs one append.
 */
export interface PurgeLog {
  /** The id of the last record applied here. A fill reads it before it contacts the origin. */
  readonly applied: LogPosition
  /** Increases with every record applied here: an entry needs to be judged only once per revision. */
  readonly revision: number
  /** Judges an entry by the records after its stamp. */
  judge(meta: Named & { readonly stamp: LogPosition }): Verdict
  /**
   * True if a record after `stamp` may match a response for this URL whose tags are not known yet. Then no new request may
   * share a fetch that began at `stamp`. The target is in normal form.
   */
  mayMatch(stamp: LogPosition, url: Addressed): boolean
  /**
   * True if a record after the entry's stamp and before `until` matches it, hard or soft. Also true if that is not known
   * here, for instance because `until` has not been applied yet. For an entry that must survive the record `until` of its
   * own request, and no other.
   */
  matchedBetween(entry: Named & { readonly stamp: LogPosition }, until: LogPosition): boolean
  /**
   * Records a purge, with the name of the token that requested it, and waits up to `waitMs` for every live replica to apply it.
   * @throws SpringhouseError PURGE_NOT_WRITTEN if it was not recorded, and never will be. PURGE_UNCONFIRMED if that is not
   * known: it was recorded before this error, or never will be. An implicit purge takes effect in this process nevertheless,
   * and is recorded as soon as possible.
   */
  append(purge: Purge, waitMs: number, by?: string): Promise<PurgeReceipt>
  /** Returns the latest purges, newest first, without implicit ones; with `before`, those before that id. */
  recent(limit: number, before?: LogPosition): readonly PurgeRecord[]
  /** Returns the record of a purge; undefined if it is not kept. */
  find(id: LogPosition): PurgeRecord | undefined
  /**
   * Calls `seen` with the acknowledgements of a record: at once, and after each change. Resolves when every live replica has applied it and
   * it is copied, when `waitMs` is over, or when `signal` is aborted. `copied`: as of a receipt. Never rejects.
   */
  follow(id: LogPosition, waitMs: number, seen: (now: Acknowledgements) => void, signal: AbortSignal): Promise<Pick<PurgeReceipt, 'copied'>>
  /**
   * True if this replica knows every purge, up to its lag bound. If false, entries in its own memory must not be served.
   * Always true for a log that lives in this process.
   */
  isCaughtUp(): boolean
  /** Milliseconds since the last confirmed read of the log; 0 for a log that lives in this process. */
  readonly lagMs: number
  /** Implicit purges that apply in this process, and are not recorded for the others yet. */
  readonly unrecorded: number
  /** Returns the live replicas, including this one. */
  replicas(): Promise<readonly { readonly id: string; readonly applied: LogPosition }[]>
  close(): Promise<void>
}
