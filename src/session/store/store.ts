// The store of sessions: records by id, and the sessions of each user. The promises hold for Redis and for the embedded store.
import type { LogPosition } from '../../policy/stored.ts'
import type { MemberChange, Members } from '../data.ts'
import type { Transport } from '../instruction.ts'

/** A session. Times are milliseconds since the epoch, by the clock of the store. */
export interface SessionRecord {
  readonly sid: string
  /** Digests of the tokens that prove it: the current one, those that were issued and not used yet, and those that were replaced. */
  readonly digest: string
  readonly issued: readonly string[]
  readonly replaced: readonly string[]
  /** undefined: an anonymous session. */
  readonly user: string | undefined
  readonly realm: string
  /** Goes up by one with each change of the data. */
  readonly version: number
  readonly createdAt: number
  readonly loginAt: number | undefined
  readonly lastSeenAt: number
  /** It ends at the latest then, however often it is used. */
  readonly endsAt: number
  /** It ends this long after its last use. */
  readonly idleMs: number
  /** True if its cookie outlives the browser. */
  readonly remembered: boolean
  readonly transport: Transport
  readonly label: string | undefined
  /** Its reads use nothing that was requested before this position of the purge log. */
  readonly mark: LogPosition | undefined
  readonly data: Members
}

/** A session to be created. Its lifetimes begin now. */
export interface NewSession extends Pick<SessionRecord, 'digest' | 'user' | 'realm' | 'version' | 'idleMs' | 'remembered' | 'transport' | 'label' | 'mark' | 'data'> {
  readonly absoluteMs: number
}

export interface Patch {
  /** The version that the record must have; undefined: any. */
  readonly ifVersion: number | undefined
  readonly changes: readonly MemberChange[]
  readonly mark: LogPosition | undefined
  readonly maxBytes: number
}

export type PatchResult =
  | { readonly kind: 'patched'; readonly version: number }
  /** The session has ended. */
  | { readonly kind: 'absent' }
  /** It has another version than `ifVersion`. */
  | { readonly kind: 'conflict' }
  /** A member has not the text that its change expected. Nothing was written; `current` are the members of the changes, as they are. */
  | { readonly kind: 'moved'; readonly current: Members }
  | { readonly kind: 'too-large' }

export type EndResult =
  | { readonly kind: 'ended'; readonly user: string | undefined; readonly realm: string }
  | { readonly kind: 'absent' }
  /** It has another version than the caller has seen. */
  | { readonly kind: 'changed' }

/**
 * The result of presenting a token: the current one (or an issued one, which thereby becomes current), a replaced one within its
 * grace, or after it: then the session has ended. `unknown`: none of them.
 */
export type Presented = 'live' | 'superseded' | 'reused' | 'unknown'

export interface Entry {
  /** The entry is kept so long. */
  readonly endsInMs: number
  /** The most sessions of a user. */
  readonly max: number
  /** At the limit, the oldest session ends, or the new one is refused. */
  readonly over: 'oldest' | 'refuse'
}

/**
 * Keeps sessions. Each method is one step: no other step of any process comes between its parts.
 *
 * @throws SpringhouseError from each method. SESSION_UNAVAILABLE: nothing could be read. SESSION_NOT_WRITTEN: nothing was written, and
 * nothing will be. SESSION_UNCONFIRMED: that is not known.
 */
export interface SessionStore {
  /** Returns a session that has not ended. Does not prolong it. */
  read(sid: string): Promise<SessionRecord | undefined>
  /** Begins the idle time anew, unless that was done within `periodMs`. */
  touch(sid: string, periodMs: number): Promise<void>
  present(sid: string, digest: string, graceMs: number): Promise<Presented>
  /** Returns false if the id is taken. */
  create(sid: string, session: NewSession): Promise<boolean>
  patch(sid: string, patch: Patch): Promise<PatchResult>
  /** Adds a digest to `issued`, unless one was added within `windowMs`: then a response with that token is on its way (`pending`). */
  rotate(sid: string, digest: string, windowMs: number): Promise<'issued' | 'pending' | 'absent'>
  /** Moves the mark of a session forward. */
  mark(sid: string, position: LogPosition): Promise<void>
  /** Ends a session: nothing of it remains. @param version only if it has this version */
  end(sid: string, version?: number): Promise<EndResult>

  /** Enters a session that is about to be created among those of a user. It counts, and it is not active yet. `evicted` are doomed. */
  enter(user: UserKey, sid: string, entry: Entry): Promise<{ readonly kind: 'entered'; readonly evicted: readonly string[] } | { readonly kind: 'full' }>
  /** Makes an entered session active. Returns false if it was doomed, or left, meanwhile. */
  activate(user: UserKey, sid: string): Promise<boolean>
  /**
   * Dooms the sessions of a user, less `except`: none of them becomes active any more. Returns all doomed ones, also of earlier calls
   * that did not come to their end.
   */
  doom(user: UserKey, except?: string): Promise<readonly string[]>
  /** Removes sessions from those of a user, after they have ended. */
  leave(user: UserKey, sids: readonly string[]): Promise<void>
  /** Returns the active sessions of a user. */
  list(user: UserKey): Promise<readonly string[]>
}

/** Names a user: two realms may each have a user of the same name. */
export interface UserKey {
  readonly realm: string
  readonly user: string
}

/** How many tokens may be issued and not used yet, and how many replaced ones are remembered. */
export const mostTokens = 4

/** An entered session becomes active within this time, or it never does. */
export const enterMs = 60_000
