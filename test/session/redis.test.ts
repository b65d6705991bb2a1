// Sessions in a real Redis: the contract, races between two clients, what remains, and what Redis holds when it is damaged or out of reach.
import { Redis } from 'ioredis'
import { pino } from 'pino'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { dataText } from '../../src/session/data.ts'
import { Sessions } from '../../src/session/sessions.ts'
import { RedisSessionStore } from '../../src/session/store/redis.ts'
import { newToken } from '../../src/session/token.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { startRedis } from '../support/redis.ts'
import { patchOf, sessionStoreContract, settings, zoe } from './contract.ts'

const server = await startRedis()
const commands = new Redis(server.url)
let number = 0

/** Two clients, in turn: each store that is opened has the other one. */
const clients = [0, 1].map(() => connectRedis({ url: server.url, commandTimeoutMs: 10_000, clock: systemClock, logger: pino({ level: 'silent' }) }))
let opened = 0

function open(prefix: string): RedisSessionStore {
  return new RedisSessionStore((clients[opened++ % 2] as RedisConnections).small, prefix, `${prefix}:ended`)
}

t.before(() => Promise.all(clients.map(client => client.ready())))
t.teardown(() => clients.forEach(client => client.close()))
t.teardown(() => commands.disconnect())
t.teardown(() => server.stop())

/** Lets time pass for Redis: everything that it keeps is written as if it had been written earlier. */
async function pass(prefix: string, ms: number): Promise<void> {
  for (const key of await commands.keys(`${prefix}:*`)) {
    const left = await commands.pttl(key)
    if (left - ms <= 0) {
      await commands.del(key)
      continue
    }
    await commands.pexpire(key, left - ms)
    for (const [field, value] of Object.entries(await commands.hgetall(key))) {
      if (['c', 'l', 's', 'e'].includes(field)) await commands.hset(key, field, Number(value) - ms)
      else if (field === 'n' || field === 'p') await commands.hset(key, field, value.replaceAll(/:(\d+)/g, (_, at: string) => `:${Number(at) - ms}`))
      else if (field.length === 22) await commands.hset(key, field, value.replaceAll(/\d+/g, at => String(Number(at) - ms)))
    }
  }
}

sessionStoreContract('redis', async () => {
  const prefix = `c${++number}`
  return { store: open(prefix), pass: ms => pass(prefix, ms) }
})

const change = (text: string) => ({ patch: patchOf(text), ifVersion: undefined, mark: undefined })
const login = { user: 'zoë', remember: false, fresh: false, label: undefined, transport: 'cookie' } as const

t.test('10,000 patches at once over two clients: none is lost, and the version counts each', async t => {
  const [one, other] = [open('lost'), open('lost')]
  const both = [new Sessions(one, { ...settings, maxBytes: 16_384 }), new Sessions(other, { ...settings, maxBytes: 16_384 })] as const
  const { token: { sid } } = await both[0].begin('default', { patch: patchOf('{"n":{}}'), mark: undefined })
  const known = (await one.read(sid))?.data ?? new Map<string, string>()
  // Each writes its own member, half of them nested, so that a lost one shows.
  await Promise.all(Array.from({ length: 10_000 }, (_, i) => {
    const text = i % 4 === 0 ? `{"n":{"k${i % 100}":${i}}}` : `{"f${i % 50}":${i}}`
    return (both[i % 2] as Sessions).change(sid, known, change(text))
  }))
  const read = await other.read(sid)
  t.equal(read?.version, 10_001)
  t.equal(read?.data.size, 51)
  t.equal(Object.keys(JSON.parse(read?.data.get('n') ?? '{}') as object).length, 25)
})

// The guard: `activate` fails for a doomed entry.
t.test('a login and a revocation of all at once: whatever was logged in before the revocation ended is dead', async t => {
  const [one, other] = [open('race'), open('race')]
  const [logins, admin] = [new Sessions(one, settings), new Sessions(other, settings)]
  for (let round = 0; round < 30; round++) {
    let revoked = false
    const revocation = admin.revoke(zoe).then(() => {
      revoked = true
    })
    const tokens = await Promise.all(Array.from({ length: 8 }, async () => {
      const before = revoked
      try {
        const { token } = await logins.login(undefined, 'default', login, change('{}'))
        return { sid: token.sid, before }
      } catch (error) {
        t.match(error, { code: 'SESSION_GONE' })
        return undefined
      }
    }))
    await revocation
    const listed = await one.list(zoe)
    for (const token of tokens) if (token !== undefined) t.equal(await other.read(token.sid) !== undefined, listed.includes(token.sid), 'alive exactly if it can be revoked')
    await admin.revoke(zoe)
    t.same(await one.list(zoe), [])
    for (const token of tokens) if (token !== undefined) t.equal(await other.read(token.sid), undefined)
  }
  t.same(await commands.keys('race:{s:*'), [], 'no record is left')
})

t.test('every key has a time to live, no secret is in Redis, and nothing remains of an ended session', async t => {
  const store = open('left')
  const sessions = new Sessions(store, settings)
  const anonymous = await sessions.begin('default', { patch: patchOf('{"a":1}'), mark: undefined })
  const { token } = await sessions.login(await store.read(anonymous.token.sid), 'default', login, change('{"tenant":"t"}'))
  const next = await sessions.rotate(token.sid)
  for (const key of await commands.keys('left:*')) {
    t.ok(await commands.pttl(key) > 0, key)
    const text = JSON.stringify(await commands.hgetall(key))
    for (const secret of [anonymous.token, token, next]) t.notOk(text.includes(secret?.text.slice(26) ?? ''), key)
    t.notMatch(key, /zo/, 'no name in a key')
  }
  t.ok((await commands.memory('USAGE', `left:{s:${token.sid}}`) ?? 0) <= 600 + 64, 'a small record')
  const read = await store.read(token.sid)
  if (read === undefined) throw new Error('it was just created')
  await sessions.logout(read, 'this')
  t.same(await commands.keys('left:*'), [])
})

t.test('few commands: a login at most five, a patch at most two, a read one', async t => {
  const store = open('few')
  const sessions = new Sessions(store, settings)
  const { token: { sid } } = await sessions.begin('default', { patch: patchOf('{"a":{"b":1}}'), mark: undefined })
  const before = await store.read(sid)
  const seen: string[] = []
  const monitor = await commands.monitor()
  t.teardown(() => monitor.disconnect())
  monitor.on('monitor', (_time: string, [command = '', ...args]: string[], source: string) => {
    if (source !== 'lua' && args.some(arg => arg.startsWith('few:'))) seen.push(command.toLowerCase() === 'get' ? args[0] as string : command)
  })
  // The monitor is a connection of its own: a command with a mark shows that all before it have come.
  let marks = 0
  const caughtUp = async (): Promise<void> => {
    const mark = `few:mark${++marks}`
    await commands.get(mark)
    while (!seen.includes(mark)) await new Promise(resolve => monitor.once('monitor', resolve))
  }
  const counted = async (act: () => Promise<unknown>): Promise<number> => {
    await caughtUp()
    seen.length = 0
    await act()
    await caughtUp()
    return seen.length - 1
  }
  await sessions.login(undefined, 'default', { ...login, user: 'warm' }, change('{}'))
  t.equal(await counted(() => store.read(sid)), 1)
  t.equal(await counted(() => sessions.change(sid, before?.data ?? new Map<string, string>(), change('{"a":{"c":1}}'))), 1)
  t.equal(await counted(() => sessions.change(sid, before?.data ?? new Map<string, string>(), change('{"a":{"d":1}}'))), 2, 'after another change')
  t.ok(await counted(() => sessions.login(undefined, 'default', login, change('{}'))) <= 5)
})

t.test('a damaged record is unavailable and not a log-out; it can be ended', async t => {
  const store = open('damaged')
  const sessions = new Sessions(store, settings)
  for (const damage of [['hdel', 'h'], ['hset', 'v', 'x'], ['hset', 'dx', '1:1'], ['hset', 'd"x"', 'text'], ['hdel', 'i'], ['del']] as const) {
    const { token: { sid } } = await sessions.begin('default', { patch: patchOf('{"a":{}}'), mark: undefined })
    const key = `damaged:{s:${sid}}`
    const [command, ...args] = damage
    await commands.call(command, key, ...args)
    if (command === 'del') await commands.set(key, 'no hash')
    if (args[0] !== 'i' || command !== 'hdel') await t.rejects(store.read(sid), { code: 'SESSION_UNAVAILABLE' }, damage.join(' '))
    t.match(await store.end(sid), { kind: 'ended' })
    t.equal(await commands.exists(key), 0)
  }
  const { token: { sid } } = await sessions.begin('default', { patch: patchOf('{"a":{}}'), mark: undefined })
  await commands.hset(`damaged:{s:${sid}}`, 'd"a"', '0:{"half')
  const read = await store.read(sid)
  await t.rejects(sessions.change(sid, read?.data ?? new Map<string, string>(), change('{"a":{"b":1}}')), { code: 'SESSION_UNAVAILABLE' })
  t.equal(dataText(read?.data ?? new Map<string, string>()), '{"a":{"half}')
})

t.test('a Redis out of reach: nothing was written, or that is not known', async t => {
  const gone = await startRedis()
  const connections = connectRedis({ url: gone.url, commandTimeoutMs: 200, clock: systemClock, logger: pino({ level: 'silent' }) })
  t.teardown(() => connections.close())
  await connections.ready()
  const store = new RedisSessionStore(connections.small, 'gone', 'gone:ended')
  const sessions = new Sessions(store, settings)
  const { token: { sid } } = await sessions.begin('default', { patch: undefined, mark: undefined })
  gone.kill('SIGSTOP')
  await t.rejects(store.read(sid), { code: 'SESSION_UNAVAILABLE' })
  await t.rejects(sessions.change(sid, new Map(), change('{"a":1}')), { code: 'SESSION_UNCONFIRMED' })
  await gone.stop()
  await t.rejects(store.read(newToken().sid), { code: 'SESSION_UNAVAILABLE' })
  while (connections.small.healthy !== false) await new Promise(resolve => connections.small.client.once('close', resolve))
  await t.rejects(sessions.change(sid, new Map(), change('{"a":1}')), { code: 'SESSION_NOT_WRITTEN' })
})
