// The life of sessions: they begin, change, log in and out, and end, each in an order that a crash may interrupt anywhere.
import { SpringhouseError } from '../errors.ts'
import type { LogPosition } from '../policy/stored.ts'
import { changed, changesOf, dataBytes, mostMembers, type Members } from './data.ts'
import type { Login, Transport } from './instruction.ts'
import { JsonFault, type JsonObject } from './json.ts'
import type { NewSession, SessionRecord, SessionStore, UserKey } from './store/store.ts'
import { newToken, type NewToken } from './token.ts'

export interface Lifetimes {
  readonly idleMs: number
  readonly absoluteMs: number
}

export interface SessionSettings {
  readonly lifetimes: Lifetimes
  readonly remembered: Lifetimes
  readonly maxBytes: number
  readonly rotationGraceMs: number
  readonly perUser: { readonly max: number; readonly over: 'oldest' | 'refuse' }
}

/** A session that has begun or logged in, with the token that goes to its client. */
export interface Begun {
  readonly token: NewToken
  readonly transport: Transport
  readonly remembered: boolean
  /** How long it lasts at the most. */
  readonly absoluteMs: number
}

export interface Change {
  readonly patch: JsonObject | undefined
  readonly ifVersion: number | undefined
  readonly mark: LogPosition | undefined
}

// A second token is not issued while a response with the first may be on its way. Longer than most responses take.
const leastRotationWindowMs = 5000
// A loser of a race computes its change anew from what it finds. Each time another one has won, so a number of rounds is enough.
const mostRounds = 10_000
// So many sessions are ended at a time.
const atOnce = 50
const noData: JsonObject = { kind: 'object', members: new Map() }

/**
 * Changes sessions. A change is in the store when its promise resolves: every replica knows it.
 * @throws SpringhouseError from each method, as SessionStore does; and SESSION_GONE, SESSION_CONFLICT, SESSION_LIMIT,
 * SESSION_INSTRUCTION_INVALID. Nothing was changed then.
 */
export class Sessions {
  readonly #store: SessionStore
  readonly #settings: SessionSettings
  /** The last nested change of each session in this process: they queue, so that they do not compete with each other. */
  readonly #queues = new Map<string, Promise<void>>()

  constructor(store: SessionStore, settings: SessionSettings) {
    this.#store = store
    this.#settings = settings
  }

  /** Begins an anonymous session. */
  async begin(realm: string, { patch = noData, mark }: Pick<Change, 'patch' | 'mark'>): Promise<Begun> {
    const { lifetimes } = this.#settings
    const session = { user: undefined, realm, version: 1, remembered: false, transport: 'cookie', label: undefined, mark } as const
    const token = newToken()
    const created = await this.#create(token, { ...session, ...lifetimes, digest: token.digest, data: this.#merged(new Map(), patch) })
    if (!created) throw new SpringhouseError('INTERNAL', { detail: 'a random id was taken' })
    return { token, transport: 'cookie', remembered: false, absoluteMs: lifetimes.absoluteMs }
  }

  /** Changes the data of a session. `known` is the data that its request was read with. Returns the new version. */
  async change(sid: string, known: Members, { patch = noData, ifVersion, mark }: Change): Promise<number> {
    const nested = [...patch.members.values()].some(({ kind }) => kind === 'object')
    return nested ? this.#inTurn(sid, () => this.#change(sid, known, { patch, ifVersion, mark })) : this.#change(sid, known, { patch, ifVersion, mark })
  }

  async #change(sid: string, known: Members, { patch = noData, ifVersion, mark }: Change): Promise<number> {
    let current = known
    for (let round = 0; round < mostRounds; round++) {
      const result = await this.#store.patch(sid, { ifVersion, changes: readable(() => changesOf(patch, current)), mark, maxBytes: this.#settings.maxBytes })
      switch (result.kind) {
        case 'patched':
          return result.version
        case 'absent':
          throw new SpringhouseError('SESSION_GONE')
        case 'conflict':
          throw new SpringhouseError('SESSION_CONFLICT')
        case 'too-large':
          throw tooLarge()
        case 'moved':
          current = result.current
      }
    }
    throw new SpringhouseError('SESSION_NOT_WRITTEN', { detail: 'other changes of the same member always came first' })
  }

  /** Runs the changes of one session one after the other. */
  #inTurn<T>(sid: string, run: () => Promise<T>): Promise<T> {
    const result = (this.#queues.get(sid) ?? Promise.resolve()).then(run)
    const done = result.then(() => undefined, () => undefined)
    this.#queues.set(sid, done)
    void done.then(() => {
      if (this.#queues.get(sid) === done) this.#queues.delete(sid)
    })
    return result
  }

  /**
   * Logs a user in. The session before stays as it is until the new one is active, so that a failure loses nothing; then it ends. Its
   * data is taken over unless it was another user's, and so are changes that come while this goes on.
   */
  async login(before: SessionRecord | undefined, realm: string, login: Login, { patch = noData, ifVersion, mark }: Change): Promise<Begun> {
    if (ifVersion !== undefined && ifVersion !== (before?.version ?? 0)) throw new SpringhouseError('SESSION_CONFLICT')
    const keeps = before !== undefined && !login.fresh && (before.user === undefined || before.user === login.user)
    const lifetimes = login.remember ? this.#settings.remembered : this.#settings.lifetimes
    const key: UserKey = { realm, user: login.user }
    const token = newToken()
    const session: NewSession = {
      ...lifetimes,
      digest: token.digest,
      user: login.user,
      realm,
      version: keeps ? before.version + 1 : 1,
      remembered: login.remember,
      transport: login.transport,
      label: login.label,
      mark,
      data: this.#merged(keeps ? before.data : new Map(), patch),
    }
    const entered = await this.#store.enter(key, token.sid, { endsInMs: lifetimes.absoluteMs, ...this.#settings.perUser })
    if (entered.kind === 'full') throw new SpringhouseError('SESSION_LIMIT', { detail: 'sessions.perUser' })
    try {
      await this.#create(token, session)
      // A revocation that came meanwhile counts: its caller may have the response already.
      if (!await this.#store.activate(key, token.sid)) throw new SpringhouseError('SESSION_GONE')
      if (before !== undefined) await this.#replace(before, token.sid, keeps, patch, ifVersion)
    } catch (error) {
      await this.#undo(key, token.sid)
      throw error
    }
    await this.#endAll(key, entered.evicted)
    return { token, transport: login.transport, remembered: login.remember, absoluteMs: lifetimes.absoluteMs }
  }

  #create(token: NewToken, session: NewSession): Promise<boolean> {
    return this.#store.create(token.sid, session)
  }

  /** Ends the session before a login, at a moment when the new one has all of its data. */
  async #replace(before: SessionRecord, next: string, keeps: boolean, patch: JsonObject, ifVersion: number | undefined): Promise<void> {
    let seen = before
    for (let round = 0; round < mostRounds; round++) {
      const ended = await this.#store.end(before.sid, keeps || ifVersion !== undefined ? seen.version : undefined)
      // It has ended otherwise: this request is older than a log-out or a login.
      if (ended.kind === 'absent') throw new SpringhouseError('SESSION_GONE')
      if (ended.kind === 'ended') {
        if (before.user !== undefined) await this.#store.leave({ realm: before.realm, user: before.user }, [before.sid])
        return
      }
      if (ifVersion !== undefined) throw new SpringhouseError('SESSION_CONFLICT')
      const now = await this.#store.read(before.sid)
      if (now === undefined) throw new SpringhouseError('SESSION_GONE')
      await this.#overwrite(next, this.#merged(seen.data, patch), this.#merged(now.data, patch))
      seen = now
    }
    throw new SpringhouseError('SESSION_NOT_WRITTEN', { detail: 'the session before the login changes all the time' })
  }

  /** Nobody else knows the session yet. */
  async #overwrite(sid: string, was: Members, data: Members): Promise<void> {
    const gone = [...was.keys()].filter(name => !data.has(name))
    const changes = [...gone.map(name => ({ name, text: undefined, blind: true as const })), ...[...data].map(([name, text]) => ({ name, text, blind: true as const }))]
    const result = await this.#store.patch(sid, { ifVersion: undefined, changes, mark: undefined, maxBytes: this.#settings.maxBytes })
    if (result.kind !== 'patched') throw result.kind === 'too-large' ? tooLarge() : new SpringhouseError('SESSION_GONE')
  }

  // Best effort: a session whose token nobody has received harms nobody, and ends by itself.
  async #undo(key: UserKey, sid: string): Promise<void> {
    await this.#store.end(sid).catch(() => undefined)
    await this.#store.leave(key, [sid]).catch(() => undefined)
  }

  /** Ends a session, or sessions of its user. An anonymous session has no others. */
  async logout(session: SessionRecord, which: 'this' | 'others' | 'everywhere'): Promise<void> {
    const { sid, user, realm } = session
    if (which === 'this' || user === undefined) {
      if (which === 'others') return
      const ended = await this.#store.end(sid)
      if (ended.kind !== 'ended') throw new SpringhouseError('SESSION_GONE')
      if (user !== undefined) await this.#store.leave({ realm, user }, [sid])
      return
    }
    // The request is older than the end of its session: it changes nothing.
    if (await this.#store.read(sid) === undefined) throw new SpringhouseError('SESSION_GONE')
    await this.revoke({ realm, user }, which === 'others' ? sid : undefined)
  }

  /** Ends all sessions of a user, less `except`. Returns how many. After a failure, a repetition goes on where it ended. */
  async revoke(key: UserKey, except?: string): Promise<number> {
    return (await this.revokeListed(key, except)).count
  }

  /** The same, and returns their ids too. */
  async revokeListed(key: UserKey, except?: string): Promise<{ readonly count: number; readonly sids: readonly string[] }> {
    const sids = await this.#store.doom(key, except)
    return { count: await this.#endAll(key, sids), sids }
  }

  async #endAll(key: UserKey, sids: readonly string[]): Promise<number> {
    let count = 0
    for (let from = 0; from < sids.length; from += atOnce) {
      const some = sids.slice(from, from + atOnce)
      const ended = await Promise.all(some.map(sid => this.#store.end(sid)))
      count += ended.filter(({ kind }) => kind === 'ended').length
      await this.#store.leave(key, some)
    }
    return count
  }

  /** Issues another token for a session. Returns undefined if one was issued just now: a response with it is on its way. */
  async rotate(sid: string): Promise<NewToken | undefined> {
    const token = newToken(sid)
    const rotated = await this.#store.rotate(sid, token.digest, Math.max(leastRotationWindowMs, this.#settings.rotationGraceMs))
    if (rotated === 'absent') throw new SpringhouseError('SESSION_GONE')
    return rotated === 'issued' ? token : undefined
  }

  #merged(data: Members, patch: JsonObject): Members {
    const merged = readable(() => changed(data, changesOf(patch, data)))
    if (dataBytes(merged) > this.#settings.maxBytes || merged.size > mostMembers) throw tooLarge()
    return merged
  }
}

function tooLarge(): SpringhouseError {
  return new SpringhouseError('SESSION_INSTRUCTION_INVALID', { detail: 'the data would exceed sessions.maxBytes or 64 members' })
}

/** Runs a computation over stored texts. */
function readable<T>(compute: () => T): T {
  try {
    return compute()
  } catch (cause) {
    throw cause instanceof JsonFault ? new SpringhouseError('SESSION_UNAVAILABLE', { cause, detail: 'a damaged record' }) : cause
  }
}
