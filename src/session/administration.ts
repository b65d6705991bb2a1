// Sessions as operators see and change them: lists, data, revocation, and patches from outside of a request.
import { SpringhouseError } from '../errors.ts'
import { changesOf, dataText, mostLevels, type Members } from './data.ts'
import { JsonFault, parseJson, type JsonObject } from './json.ts'
import type { Sessions } from './sessions.ts'
import type { SessionRecord, SessionStore, UserKey } from './store/store.ts'

/** A session in a list. Times are milliseconds since the epoch, by the clock of the store. */
export interface ListedSession {
  readonly sid: string
  readonly user: string | null
  readonly label: string | null
  readonly version: number
  readonly createdAt: number
  readonly loginAt: number | null
  readonly lastSeenAt: number
  readonly endsAt: number
}

export interface AdministrationParts {
  readonly store: SessionStore
  readonly sessions: Sessions
  /** True if the ends of these sessions outlive the server that took them. */
  copied(sids: readonly string[]): Promise<boolean>
}

/** @throws SpringhouseError from each method, as SessionStore does */
export class SessionAdministration {
  readonly #parts: AdministrationParts

  constructor(parts: AdministrationParts) {
    this.#parts = parts
  }

  /** The sessions of a user, at most `limit`, whose ids are greater than `after`, in the order of their ids. */
  async list(key: UserKey, after: string, limit: number): Promise<{ readonly sessions: readonly ListedSession[]; readonly more: boolean }> {
    const { store } = this.#parts
    const sids = (await store.list(key)).filter(sid => sid > after).toSorted()
    const records = await Promise.all(sids.slice(0, limit).map(sid => store.read(sid)))
    return { sessions: records.filter(record => record !== undefined).map(listed), more: sids.length > limit }
  }

  /** A session with its data as JSON text, or as the types of its members; undefined if there is none. */
  async show(sid: string, withData: boolean): Promise<{ readonly session: ListedSession; readonly dataText: string } | undefined> {
    const record = await this.#parts.store.read(sid)
    return record && { session: listed(record), dataText: dataText(withData ? record.data : typesOf(record.data)) }
  }

  /** Patches a session. @returns its user and new version; undefined if there is no such session */
  async patch(sid: string, patch: JsonObject): Promise<{ readonly user: string | undefined; readonly version: number } | undefined> {
    const { store, sessions } = this.#parts
    const record = await store.read(sid)
    if (record === undefined) return undefined
    try {
      return { user: record.user, version: await sessions.change(sid, record.data, { patch, ifVersion: undefined, mark: undefined }) }
    } catch (error) {
      if (error instanceof SpringhouseError && error.code === 'SESSION_GONE') return undefined
      throw error
    }
  }

  /** Patches each session of a user. Returns how many. */
  async patchUser(key: UserKey, patch: JsonObject): Promise<number> {
    let patched = 0
    for (const sid of await this.#parts.store.list(key)) if (await this.patch(sid, patch) !== undefined) patched++
    return patched
  }

  /** Ends a session. `copied`: no failover brings it back. */
  async end(sid: string): Promise<{ readonly revoked: number; readonly user: string | undefined; readonly copied: boolean }> {
    const { store, copied } = this.#parts
    const ended = await store.end(sid)
    if (ended.kind !== 'ended') return { revoked: 0, user: undefined, copied: await copied([sid]) }
    if (ended.user !== undefined) await store.leave({ realm: ended.realm, user: ended.user }, [sid])
    return { revoked: 1, user: ended.user, copied: await copied([sid]) }
  }

  /** Ends all sessions of a user, less `except`. */
  async revoke(key: UserKey, except: string | undefined): Promise<{ readonly revoked: number; readonly copied: boolean }> {
    const { count, sids } = await this.#parts.sessions.revokeListed(key, except)
    return { revoked: count, copied: await this.#parts.copied(sids) }
  }
}

/** Reads a merge patch. Returns why it is none otherwise. */
export function readPatch(text: string): JsonObject | string {
  try {
    const patch = parseJson(text, mostLevels)
    if (patch.kind !== 'object') return 'is not an object'
    changesOf(patch, new Map())
    return patch
  } catch (error) {
    if (error instanceof JsonFault) return `is not strict JSON: ${error.message}`
    throw error
  }
}

function listed({ sid, user, label, version, createdAt, loginAt, lastSeenAt, endsAt }: SessionRecord): ListedSession {
  return { sid, user: user ?? null, label: label ?? null, version, createdAt, loginAt: loginAt ?? null, lastSeenAt, endsAt }
}

const kinds: Readonly<Record<string, string>> = { '"': 'string', '{': 'object', '[': 'array', t: 'boolean', f: 'boolean', n: 'null' }

/** The type of each member, in place of its value. */
function typesOf(data: Members): Members {
  return new Map([...data].map(([name, text]) => [name, JSON.stringify(kinds[text[0] ?? ''] ?? 'number')]))
}
