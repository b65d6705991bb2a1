// The contract of src/session/store/store.ts, proved for the store that the factory makes.
import t from 'tap'
import { changesOf, dataText, mostMembers } from '../../src/session/data.ts'
import { parseJson, type JsonObject } from '../../src/session/json.ts'
import { Sessions, type SessionSettings } from '../../src/session/sessions.ts'
import type { NewSession, SessionStore } from '../../src/session/store/store.ts'
import { newToken } from '../../src/session/token.ts'

/** Makes an empty store. `pass` lets time pass for it. */
export interface Subject {
  readonly store: SessionStore
  pass(ms: number): Promise<void>
}

export const settings: SessionSettings = {
  lifetimes: { idleMs: 60_000, absoluteMs: 600_000 },
  remembered: { idleMs: 600_000, absoluteMs: 6_000_000 },
  maxBytes: 4096,
  rotationGraceMs: 10_000,
  perUser: { max: 100, over: 'oldest' },
}

export const patchOf = (text: string): JsonObject => parseJson(text, 8) as JsonObject
const change = (text: string, ifVersion?: number) => ({ patch: patchOf(text), ifVersion, mark: undefined })
const nothing = new Map<string, string>()
export const zoe = { realm: 'default', user: 'zoë' }
const login = { user: 'zoë', remember: false, fresh: false, label: undefined, transport: 'cookie' } as const

const session = (more: Partial<NewSession> = {}): NewSession => ({ digest: newToken().digest, user: undefined, realm: 'default', version: 1, idleMs: 1000, absoluteMs: 2500,
  remembered: false, transport: 'cookie', label: undefined, mark: undefined, data: nothing, ...more })

const code = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'resolved', (error: { code?: unknown }) => error.code ?? error)

export function sessionStoreContract(name: string, make: (test: typeof t) => Promise<Subject>): void {
  const promise = (sentence: string, prove: (test: typeof t, subject: Subject) => Promise<unknown>): void => {
    void t.test(`${name}: ${sentence}`, async test => {
      const subject = await make(test as typeof t)
      await prove(test as typeof t, subject)
    })
  }

  promise('a session comes back as it was created, its members in their order', async (test, { store }) => {
    const { sid, digest } = newToken()
    const long = `"${'x'.repeat(100)}"`
    const data = new Map([['z', '9007199254740993'], ['a', '[]'], ['__proto__', '{}'], ['é "\n', long]])
    test.equal(await store.create(sid, session({ digest, user: 'zoë', label: 'phone', remembered: true, transport: 'token', data, version: 7, mark: 'm1' })), true)
    test.equal(await store.create(sid, session()), false, 'an id is used once')
    const read = await store.read(sid)
    test.match(read, { sid, digest, user: 'zoë', realm: 'default', version: 7, remembered: true, transport: 'token', label: 'phone', mark: 'm1', idleMs: 1000, issued: [],
      replaced: [] })
    test.same([...read?.data ?? []], [...data])
    test.equal(read?.loginAt, read?.createdAt)
    test.equal((read?.endsAt ?? 0) - (read?.createdAt ?? 0), 2500)
    test.equal(await store.read(newToken().sid), undefined)
  })

  promise('a session ends when it was idle for too long, and at its end however often it is used', async (test, { store, pass }) => {
    const [used, idle] = [newToken().sid, newToken().sid]
    await store.create(used, session())
    await store.create(idle, session())
    for (let i = 0; i < 3; i++) {
      await pass(700)
      await store.touch(used, 100)
    }
    test.ok(await store.read(used))
    test.equal(await store.read(idle), undefined)
    await pass(700)
    await store.touch(used, 100)
    test.equal(await store.read(used), undefined)
  })

  promise('a patch changes what it names, in order, and counts', async (test, { store }) => {
    const sessions = new Sessions(store, settings)
    const { token: { sid } } = await sessions.begin('default', { patch: patchOf('{"a":1,"b":{"c":[],"d":{}}}'), mark: undefined })
    test.equal(await sessions.change(sid, nothing, change('{"x":9007199254740993,"b":{"c":null,"e":1}}')), 2)
    test.equal(await sessions.change(sid, nothing, change('{"a":null}')), 3)
    test.equal(await sessions.change(sid, nothing, change('{}')), 3, 'an empty patch changes nothing')
    const read = await store.read(sid)
    test.equal(dataText(read?.data ?? nothing), '{"b":{"d":{},"e":1},"x":9007199254740993}')
    test.equal(await code(sessions.change(sid, nothing, change('{"a":1}', 2))), 'SESSION_CONFLICT')
    test.equal(await sessions.change(sid, nothing, change('{"a":1}', 3)), 4)
  })

  promise('data is bounded, and can shrink', async (test, { store }) => {
    const sessions = new Sessions(store, settings)
    const { token: { sid } } = await sessions.begin('default', { patch: undefined, mark: undefined })
    const fits = 'x'.repeat(4096 - '{"a":"",}'.length)
    await sessions.change(sid, nothing, change(`{"a":"${fits}"}`))
    test.equal(await code(sessions.change(sid, nothing, change(`{"a":"${fits}x"}`))), 'SESSION_INSTRUCTION_INVALID')
    test.equal(await code(sessions.change(sid, nothing, change('{"b":1}'))), 'SESSION_INSTRUCTION_INVALID')
    test.equal((await store.read(sid))?.version, 2, 'a refused patch changes nothing')
    const narrower = { ifVersion: undefined, mark: undefined, maxBytes: 50 }
    test.same(await store.patch(sid, { ...narrower, changes: changesOf(patchOf('{"a":"shorter, and still too long for the new limit of 50"}'), nothing) }), { kind: 'patched',
      version: 3 })
    await sessions.change(sid, nothing, change('{"a":null}'))
    const many = Object.fromEntries(Array.from({ length: mostMembers }, (_, i) => [`m${i}`, i]))
    await sessions.change(sid, nothing, change(JSON.stringify(many)))
    test.equal(await code(sessions.change(sid, nothing, change('{"another":1}'))), 'SESSION_INSTRUCTION_INVALID')
    await sessions.change(sid, nothing, change('{"m0":null,"another":1}'))
  })

  promise('a nested change that was computed from another text writes nothing', async (test, { store }) => {
    const { sid } = newToken()
    await store.create(sid, session({ data: new Map([['a', '{"x":1}']]) }))
    const stale = changesOf(patchOf('{"a":{"y":2},"b":1}'), nothing)
    test.same(await store.patch(sid, { ifVersion: undefined, changes: stale, mark: undefined, maxBytes: 4096 }), { kind: 'moved', current: new Map([['a', '{"x":1}']]) })
    test.equal((await store.read(sid))?.version, 1)
  })

  promise('an ended session stays ended: nothing in flight writes to it', async (test, { store }) => {
    const sessions = new Sessions(store, settings)
    const { token } = await sessions.begin('default', { patch: patchOf('{"a":1}'), mark: undefined })
    const read = await store.read(token.sid)
    if (read === undefined) throw new Error('it was just created')
    await sessions.logout(read, 'this')
    test.equal(await code(sessions.change(token.sid, read.data, change('{"a":2}'))), 'SESSION_GONE')
    test.equal(await code(sessions.change(token.sid, read.data, change('{"a":{"b":2}}'))), 'SESSION_GONE')
    test.equal(await code(sessions.rotate(token.sid)), 'SESSION_GONE')
    test.equal(await code(sessions.logout(read, 'this')), 'SESSION_GONE')
    test.equal(await code(sessions.login(read, 'default', login, change('{}'))), 'SESSION_GONE')
    await store.touch(token.sid, 0)
    await store.mark(token.sid, 'm')
    test.equal(await store.read(token.sid), undefined)
    test.same(await store.list(zoe), [], 'the login that came too late is not listed')
  })

  promise('rotation: the old token counts until the new one is used, then for the grace, and then it ends the session', async (test, { store, pass }) => {
    const sessions = new Sessions(store, settings)
    const { token } = await sessions.begin('default', { patch: undefined, mark: undefined })
    const fifty = await Promise.all(Array.from({ length: 50 }, () => sessions.rotate(token.sid)))
    const issued = fifty.filter(each => each !== undefined)
    test.equal(issued.length, 1, 'fifty requests at once issue one token')
    await pass(11_000)
    test.equal(await store.present(token.sid, token.digest, 1000), 'live', 'the response was lost')
    const again = await sessions.rotate(token.sid)
    const [first] = issued
    if (first === undefined || again === undefined) throw new Error('no token was issued')
    test.equal(await store.present(token.sid, first.digest, 1000), 'live', 'the first of two comes late')
    test.equal(await store.present(token.sid, token.digest, 1000), 'superseded')
    test.equal(await store.present(token.sid, again.digest, 1000), 'live')
    test.equal(await store.present(token.sid, newToken(token.sid).digest, 1000), 'unknown')
    test.match(await store.read(token.sid), { digest: again.digest })
    await pass(1500)
    test.equal(await store.present(token.sid, token.digest, 1000), 'reused')
    test.equal(await store.read(token.sid), undefined)
  })

  promise('login: a new id and secret, the data of the anonymous session, and the old session ends', async (test, { store }) => {
    const sessions = new Sessions(store, settings)
    const { token: { sid } } = await sessions.begin('default', { patch: patchOf('{"basket":[1]}'), mark: undefined })
    const before = await store.read(sid)
    // Another request changes the basket after the login's request was read.
    await sessions.change(sid, nothing, change('{"basket":[1,2],"late":{"a":1}}'))
    const { token } = await sessions.login(before, 'default', login, change('{"tenant":"t"}'))
    test.not(token.sid, sid)
    test.equal(await store.read(sid), undefined)
    const read = await store.read(token.sid)
    test.match(read, { user: 'zoë', digest: token.digest })
    test.equal(dataText(read?.data ?? nothing), '{"basket":[1,2],"tenant":"t","late":{"a":1}}')
    test.same(await store.list(zoe), [token.sid])
    const other = await sessions.login(read, 'default', { ...login, user: 'ann' }, change('{}'))
    test.equal((await store.read(other.token.sid))?.data.size, 0, "another user's data is dropped")
    test.same(await store.list(zoe), [])
    const fresh = await sessions.login(await store.read(other.token.sid), 'default', { ...login, user: 'ann', fresh: true }, change('{"a":1}'))
    test.equal(dataText((await store.read(fresh.token.sid))?.data ?? nothing), '{"a":1}')
    test.equal(await code(sessions.login(await store.read(fresh.token.sid), 'default', login, change('{}', 9))), 'SESSION_CONFLICT')
  })

  // The guard: login creates beside the old session, and ends that one last.
  promise('a login that fails at any step leaves the session before it as it was', async (test, { store }) => {
    for (const step of ['enter', 'create', 'activate', 'end'] as const) {
      const good = new Sessions(store, settings)
      const { token: { sid } } = await good.begin('default', { patch: patchOf('{"basket":[1]}'), mark: undefined })
      const failing = new Proxy(store, {
        get: (target, method: keyof SessionStore) => (...args: [string]) => {
          if (method === step && (step !== 'end' || args[0] === sid)) return Promise.reject(new Error(`no ${step}`))
          return (target[method] as (...args: unknown[]) => unknown).apply(target, args)
        },
      })
      await test.rejects(new Sessions(failing, settings).login(await store.read(sid), 'default', login, change('{}')), { message: `no ${step}` })
      test.equal(dataText((await store.read(sid))?.data ?? nothing), '{"basket":[1]}', step)
      test.same(await store.list(zoe), [], step)
    }
  })

  promise('a session that is entered while all are revoked never becomes active', async (test, { store }) => {
    const { sid } = newToken()
    await store.enter(zoe, sid, { endsInMs: 60_000, max: 100, over: 'oldest' })
    await store.create(sid, session({ user: 'zoë' }))
    test.same(await store.doom(zoe), [sid])
    test.equal(await store.activate(zoe, sid), false)
    test.same(await store.doom(zoe), [sid], 'a repetition finds what is left')
    await store.leave(zoe, [sid])
    test.equal(await store.activate(zoe, sid), false)
  })

  promise('log out everywhere, and others', async (test, { store }) => {
    const sessions = new Sessions(store, settings)
    const logins = []
    for (let i = 0; i < 4; i++) logins.push((await sessions.login(undefined, 'default', login, change('{}'))).token.sid)
    const elsewhere = await sessions.login(undefined, 'other', login, change('{}'))
    const [mine = ''] = logins
    const read = await store.read(mine)
    if (read === undefined) throw new Error('it was just created')
    await sessions.logout(read, 'others')
    test.same(await store.list(zoe), [mine])
    test.same(await Promise.all(logins.map(async sid => await store.read(sid) !== undefined)), [true, false, false, false])
    await sessions.logout(read, 'everywhere')
    test.equal(await store.read(mine), undefined)
    test.ok(await store.read(elsewhere.token.sid), 'the user of another realm is another user')
    test.equal(await code(sessions.logout(read, 'everywhere')), 'SESSION_GONE')
    test.equal(await sessions.revoke({ ...zoe, realm: 'other' }), 1)
  })

  promise('the sessions of a user are limited: the oldest ends, or the new one is refused', async (test, { store, pass }) => {
    const two = new Sessions(store, { ...settings, perUser: { max: 2, over: 'oldest' } })
    const sids = []
    for (let i = 0; i < 3; i++) {
      sids.push((await two.login(undefined, 'default', { ...login, remember: i === 0 }, change('{}'))).token.sid)
      await pass(5)
    }
    test.same((await store.list(zoe)).toSorted(), sids.slice(1).toSorted())
    test.equal(await store.read(sids[0] as string), undefined)
    const strict = new Sessions(store, { ...settings, perUser: { max: 2, over: 'refuse' } })
    test.equal(await code(strict.login(undefined, 'default', login, change('{}'))), 'SESSION_LIMIT')
    test.equal((await store.list(zoe)).length, 2)
  })

  promise('marks only move forward', async (test, { store }) => {
    const { sid } = newToken()
    await store.create(sid, session({ idleMs: 60_000 }))
    await store.mark(sid, 'b')
    await store.mark(sid, 'a')
    test.equal((await store.read(sid))?.mark, 'b')
    await store.patch(sid, { ifVersion: undefined, changes: [], mark: 'c', maxBytes: 4096 })
    test.match(await store.read(sid), { mark: 'c', version: 1 })
  })
}
