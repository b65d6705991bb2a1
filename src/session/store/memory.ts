// Sessions in the memory of the only process: the embedded store. They end with the process.
import type { Clock } from '../../clock.ts'
import { SpringhouseError } from '../../errors.ts'
import type { LogPosition } from '../../policy/stored.ts'
import { changed, dataBytes, outgrows } from '../data.ts'
import { enterMs, mostTokens, type EndResult, type Entry, type NewSession, type Patch, type PatchResult, type Presented, type SessionRecord, type SessionStore,
  type UserKey } from './store.ts'

interface Token {
  readonly digest: string
  readonly ms: number
}

interface Held {
  session: Omit<SessionRecord, 'issued' | 'replaced'>
  issued: Token[]
  replaced: Token[]
  expiresMs: number
  bytes: number
}

interface Member {
  state: 'entered' | 'active' | 'doomed'
  readonly endsMs: number
  readonly enteredMs: number
}

/** The bytes of a session beside its data, user and label: objects, strings and its place in the maps. */
const recordBytes = 900
// A full store searches for ended sessions at most so often, because that reads all of them.
const sweepMs = 1000

export interface MemorySessionOptions {
  readonly clock: Clock
  /** Called with the id of each session that ends before its time. */
  readonly ended?: (sid: string) => void
  /** Beyond it no session begins. None is ever evicted: that would be a log-out. */
  readonly maxBytes: number
}

/** Keeps sessions in this process. No step waits, so none comes between the parts of another. */
export class MemorySessionStore implements SessionStore {
  readonly #clock: Clock
  readonly #maxBytes: number
  readonly #ended: (sid: string) => void
  readonly #offsetMs: number
  readonly #sessions = new Map<string, Held>()
  readonly #users = new Map<string, Map<string, Member>>()
  #bytes = 0
  #sweptMs = -Infinity

  constructor({ clock, maxBytes, ended = () => undefined }: MemorySessionOptions) {
    this.#ended = ended
    this.#clock = clock
    this.#maxBytes = maxBytes
    // Lifetimes do not change with the time of day.
    this.#offsetMs = clock.now() - clock.monotonic()
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#sessions.size
  }

  async read(sid: string): Promise<SessionRecord | undefined> {
    const held = this.#find(sid)
    return held && { ...held.session, issued: held.issued.map(({ digest }) => digest), replaced: held.replaced.map(({ digest }) => digest) }
  }

  async touch(sid: string, periodMs: number): Promise<void> {
    const held = this.#find(sid)
    const nowMs = this.#now()
    if (held === undefined || nowMs - held.session.lastSeenAt < periodMs) return
    held.session = { ...held.session, lastSeenAt: nowMs }
    held.expiresMs = Math.min(nowMs + held.session.idleMs, held.session.endsAt)
  }

  async present(sid: string, digest: string, graceMs: number): Promise<Presented> {
    const held = this.#find(sid)
    if (held === undefined) return 'unknown'
    if (held.session.digest === digest) return 'live'
    const nowMs = this.#now()
    const issued = held.issued.find(token => token.digest === digest)
    if (issued !== undefined) {
      held.issued = held.issued.filter(token => token !== issued)
      held.replaced = [...held.replaced, { digest: held.session.digest, ms: nowMs + graceMs }].slice(-mostTokens)
      held.session = { ...held.session, digest }
      return 'live'
    }
    const replaced = held.replaced.find(token => token.digest === digest)
    if (replaced === undefined) return 'unknown'
    if (nowMs <= replaced.ms) return 'superseded'
    this.#remove(sid, held)
    this.#ended(sid)
    return 'reused'
  }

  async create(sid: string, { absoluteMs, ...session }: NewSession): Promise<boolean> {
    if (this.#find(sid) !== undefined) return false
    const nowMs = this.#now()
    const bytes = bytesOf(session)
    this.#reserve(bytes)
    this.#bytes += bytes
    this.#sessions.set(sid, {
      session: { ...session, sid, createdAt: nowMs, loginAt: session.user === undefined ? undefined : nowMs, lastSeenAt: nowMs, endsAt: nowMs + absoluteMs },
      issued: [],
      replaced: [],
      expiresMs: nowMs + Math.min(session.idleMs, absoluteMs),
      bytes,
    })
    return true
  }

  async patch(sid: string, { ifVersion, changes, mark, maxBytes }: Patch): Promise<PatchResult> {
    const held = this.#find(sid)
    if (held === undefined) return { kind: 'absent' }
    const { session } = held
    if (ifVersion !== undefined && session.version !== ifVersion) return { kind: 'conflict' }
    if (changes.some(change => !change.blind && session.data.get(change.name) !== change.expected)) {
      const names = new Set(changes.map(({ name }) => name))
      return { kind: 'moved', current: new Map([...session.data].filter(([name]) => names.has(name))) }
    }
    const data = changed(session.data, changes)
    if (outgrows({ bytes: dataBytes(session.data), members: session.data.size }, { bytes: dataBytes(data), members: data.size }, { maxBytes })) return { kind: 'too-large' }
    const next = { ...session, data, mark: later(session.mark, mark), version: changes.length > 0 ? session.version + 1 : session.version }
    const bytes = bytesOf(next)
    this.#reserve(bytes - held.bytes)
    this.#bytes += bytes - held.bytes
    held.session = next
    held.bytes = bytes
    return { kind: 'patched', version: next.version }
  }

  async rotate(sid: string, digest: string, windowMs: number): Promise<'issued' | 'pending' | 'absent'> {
    const held = this.#find(sid)
    if (held === undefined) return 'absent'
    const nowMs = this.#now()
    const last = held.issued.at(-1)
    if (last !== undefined && nowMs - last.ms < windowMs) return 'pending'
    held.issued = [...held.issued, { digest, ms: nowMs }].slice(-mostTokens)
    return 'issued'
  }

  async mark(sid: string, position: LogPosition): Promise<void> {
    const held = this.#find(sid)
    if (held !== undefined) held.session = { ...held.session, mark: later(held.session.mark, position) }
  }

  async end(sid: string, version?: number): Promise<EndResult> {
    const held = this.#find(sid)
    if (held === undefined) return { kind: 'absent' }
    if (version !== undefined && held.session.version !== version) return { kind: 'changed' }
    this.#remove(sid, held)
    this.#ended(sid)
    return { kind: 'ended', user: held.session.user, realm: held.session.realm }
  }

  async enter(user: UserKey, sid: string, { endsInMs, max, over }: Entry): ReturnType<SessionStore['enter']> {
    const nowMs = this.#now()
    const members = this.#users.get(nameOf(user)) ?? new Map<string, Member>()
    for (const [name, { state, endsMs, enteredMs }] of members) if ((state === 'entered' ? enteredMs + enterMs : endsMs) <= nowMs) members.delete(name)
    const alive = [...members].filter(([, { state }]) => state !== 'doomed').sort(([, a], [, b]) => a.enteredMs - b.enteredMs)
    if (alive.length >= max && over === 'refuse') return { kind: 'full' }
    const evicted = alive.slice(0, Math.max(0, alive.length - max + 1))
    for (const [, member] of evicted) member.state = 'doomed'
    members.set(sid, { state: 'entered', endsMs: nowMs + endsInMs, enteredMs: nowMs })
    this.#users.set(nameOf(user), members)
    return { kind: 'entered', evicted: evicted.map(([name]) => name) }
  }

  async activate(user: UserKey, sid: string): Promise<boolean> {
    const member = this.#users.get(nameOf(user))?.get(sid)
    if (member?.state !== 'entered') return false
    member.state = 'active'
    return true
  }

  async doom(user: UserKey, except?: string): Promise<readonly string[]> {
    const members = this.#users.get(nameOf(user)) ?? new Map<string, Member>()
    for (const [sid, member] of members) if (sid !== except) member.state = 'doomed'
    return [...members].filter(([, { state }]) => state === 'doomed').map(([sid]) => sid)
  }

  async leave(user: UserKey, sids: readonly string[]): Promise<void> {
    const members = this.#users.get(nameOf(user))
    if (members === undefined) return
    for (const sid of sids) members.delete(sid)
    if (members.size === 0) this.#users.delete(nameOf(user))
  }

  async list(user: UserKey): Promise<readonly string[]> {
    return [...this.#users.get(nameOf(user)) ?? []].filter(([, { state }]) => state === 'active').map(([sid]) => sid)
  }

  #now(): number {
    return Math.floor(this.#clock.monotonic() + this.#offsetMs)
  }

  #find(sid: string): Held | undefined {
    const held = this.#sessions.get(sid)
    if (held === undefined || held.expiresMs > this.#now()) return held
    this.#forget(sid, held)
    return undefined
  }

  #remove(sid: string, { bytes }: Held): void {
    if (this.#sessions.delete(sid)) this.#bytes -= bytes
  }

  /** Removes a session whose time is over, also from the sessions of its user. */
  #forget(sid: string, held: Held): void {
    this.#remove(sid, held)
    const { user, realm } = held.session
    if (user !== undefined) void this.leave({ user, realm }, [sid])
  }

  #reserve(bytes: number): void {
    if (bytes <= 0 || this.#bytes + bytes <= this.#maxBytes) return
    const nowMs = this.#now()
    if (nowMs - this.#sweptMs >= sweepMs) {
      this.#sweptMs = nowMs
      for (const [sid, held] of this.#sessions) if (held.expiresMs <= nowMs) this.#forget(sid, held)
    }
    if (this.#bytes + bytes > this.#maxBytes) throw new SpringhouseError('SESSION_NOT_WRITTEN', { detail: 'sessions.memory.maxBytes is reached' })
  }
}

function bytesOf({ data, user = '', label = '' }: Pick<NewSession, 'data' | 'user' | 'label'>): number {
  return recordBytes + 2 * (dataBytes(data) + user.length + label.length)
}

function later(one: LogPosition | undefined, other: LogPosition | undefined): LogPosition | undefined {
  return one === undefined || (other !== undefined && other > one) ? other : one
}

function nameOf({ realm, user }: UserKey): string {
  return `${realm.length}:${realm}${user}`
}
