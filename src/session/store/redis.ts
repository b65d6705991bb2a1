// Sessions in Redis: each step is one command or one script, and every key has a time to live.
import { hash } from 'node:crypto'
import { SpringhouseError } from '../../errors.ts'
import type { GuardedClient, RedisArgument } from '../../store/redis/connect/guarded-client.ts'
import { RedisUnavailable } from '../../store/redis/connect/guarded-client.ts'
import type { Script } from '../../store/redis/connect/script.ts'
import { dataBytes } from '../data.ts'
import { decodeRecord, memberField, memberName } from './record.ts'
import { activateScript, createScript, doomScript, endScript, enterScript, markScript, patchScript, presentScript, rotateScript, touchScript } from './scripts.ts'
import { Together } from './together.ts'
import type { EndResult, Entry, NewSession, Patch, PatchResult, Presented, SessionRecord, SessionStore, UserKey } from './store.ts'

/** A session and its keys are in one slot of a cluster, the sessions of a user in another. */
export class RedisSessionStore implements SessionStore {
  readonly #lane: GuardedClient
  readonly #prefix: string
  readonly #channel: string
  readonly #together: Together

  /** @param channel receives the id of each session that ends */
  constructor(lane: GuardedClient, prefix: string, channel: string) {
    this.#lane = lane
    this.#prefix = prefix
    this.#channel = channel
    this.#together = new Together(lane.client)
  }

  async read(sid: string): Promise<SessionRecord | undefined> {
    let reply: unknown
    try {
      this.#together.hold()
      reply = await this.#lane.call('HGETALL', [this.#record(sid)])
    } catch (cause) {
      throw new SpringhouseError('SESSION_UNAVAILABLE', { cause })
    }
    const record = decodeRecord(sid, reply)
    // A record that cannot be read has not ended: after a repair its user is still logged in.
    if (record === 'damaged') throw new SpringhouseError('SESSION_UNAVAILABLE', { detail: 'a damaged record' })
    return record
  }

  async touch(sid: string, periodMs: number): Promise<void> {
    await this.#run(touchScript, this.#record(sid), [periodMs])
  }

  async present(sid: string, digest: string, graceMs: number): Promise<Presented> {
    return String(await this.#run(presentScript, this.#record(sid), [digest, graceMs, this.#channel, sid])) as Presented
  }

  async create(sid: string, session: NewSession): Promise<boolean> {
    const { digest, user, realm, version, idleMs, absoluteMs, remembered, transport, label, mark, data } = session
    const fields: RedisArgument[] = ['h', digest, 'r', realm, 'v', version, 'i', idleMs, 't', transport, 'z', dataBytes(data), 'x', data.size, 'q', data.size]
    if (user !== undefined) fields.push('u', user)
    if (label !== undefined) fields.push('b', label)
    if (mark !== undefined) fields.push('m', mark)
    if (remembered) fields.push('k', '1')
    let number = 0
    for (const [name, text] of data) fields.push(memberField(name), `${number++}:${text}`)
    return await this.#run(createScript, this.#record(sid), [absoluteMs, user === undefined ? '' : '1', ...fields]) === 1
  }

  async patch(sid: string, { ifVersion, changes, mark, maxBytes }: Patch): Promise<PatchResult> {
    const args: RedisArgument[] = [ifVersion ?? '', mark ?? '', maxBytes]
    for (const change of changes) args.push(memberField(change.name), change.blind ? '' : marked(change.expected), marked(change.text))
    const [kind, ...rest] = texts(await this.#run(patchScript, this.#record(sid), args))
    if (kind === 'patched') return { kind, version: Number(rest[0]) }
    if (kind === 'absent' || kind === 'conflict' || kind === 'too-large') return { kind }
    const current = new Map<string, string>()
    for (let i = 0; i + 1 < rest.length; i += 2) {
      const value = rest[i + 1] as string
      if (value !== '-') current.set(memberName(rest[i] as string), value.slice(1))
    }
    return { kind: 'moved', current }
  }

  async rotate(sid: string, digest: string, windowMs: number): Promise<'issued' | 'pending' | 'absent'> {
    return String(await this.#run(rotateScript, this.#record(sid), [digest, windowMs])) as 'issued' | 'pending' | 'absent'
  }

  async mark(sid: string, position: string): Promise<void> {
    await this.#run(markScript, this.#record(sid), [position])
  }

  async end(sid: string, version?: number): Promise<EndResult> {
    const [kind, realm = '', user] = texts(await this.#run(endScript, this.#record(sid), [version ?? '', this.#channel, sid]))
    return kind === 'ended' ? { kind, realm, user } : { kind: kind === 'changed' ? 'changed' : 'absent' }
  }

  async enter(user: UserKey, sid: string, { endsInMs, max, over }: Entry): ReturnType<SessionStore['enter']> {
    const [kind, ...evicted] = texts(await this.#run(enterScript, this.#sessions(user), [sid, endsInMs, max, over]))
    return kind === 'full' ? { kind } : { kind: 'entered', evicted }
  }

  async activate(user: UserKey, sid: string): Promise<boolean> {
    return await this.#run(activateScript, this.#sessions(user), [sid]) === 1
  }

  async doom(user: UserKey, except = ''): Promise<readonly string[]> {
    return texts(await this.#run(doomScript, this.#sessions(user), [except]))
  }

  async leave(user: UserKey, sids: readonly string[]): Promise<void> {
    if (sids.length > 0) await this.#write(() => this.#lane.call('HDEL', [this.#sessions(user), ...sids]))
  }

  async list(user: UserKey): Promise<readonly string[]> {
    let reply: unknown
    try {
      reply = await this.#lane.call('HGETALL', [this.#sessions(user)])
    } catch (cause) {
      throw new SpringhouseError('SESSION_UNAVAILABLE', { cause })
    }
    const all = texts(reply)
    return all.filter((_, i) => i % 2 === 0 && all[i + 1]?.startsWith('A') === true)
  }

  #record(sid: string): string {
    return `${this.#prefix}:{s:${sid}}`
  }

  // No name of a user is in a key: keys show in logs and in MONITOR.
  #sessions({ realm, user }: UserKey): string {
    return `${this.#prefix}:{u:${hash('sha256', `${realm.length}:${realm}${user}`, 'base64url')}}`
  }

  #run(script: Script, key: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#write(() => script.run(this.#lane, [key], args))
  }

  async #write(call: () => Promise<unknown>): Promise<unknown> {
    try {
      return await call()
    } catch (cause) {
      throw new SpringhouseError(mayHaveRun(cause) ? 'SESSION_UNCONFIRMED' : 'SESSION_NOT_WRITTEN', { cause })
    }
  }
}

/** False if Redis has refused a command, or was never sent it. */
function mayHaveRun(error: unknown): boolean {
  if (!(error instanceof RedisUnavailable)) return false
  return !error.unsent && !(error.cause instanceof Error && error.cause.name === 'ReplyError')
}

function marked(text: string | undefined): string {
  return text === undefined ? '-' : `=${text}`
}

function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.filter(each => each !== null).map(String) : []
}
