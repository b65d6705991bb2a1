// `springhouse sessions` against a real admin listener.
import { Redis } from 'ioredis'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { eventually } from '../support/log.ts'
import { startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { obedient, Visitor } from '../session/support.ts'
import { run } from './command.ts'

test('list, show, patch, revoke and keys', async (t) => {
  const token = 'a-token-for-sessions-of-the-house'
  const house = await startProxy(t, {
    origin: obedient(),
    config: { sessions: { enabled: true }, admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'operator', token, scopes: ['sessions'] }] } },
  })
  const env = { SPRINGHOUSE_ADMIN: house.app.adminUrl, SPRINGHOUSE_ADMIN_TOKEN: token }
  const cli = (...args: string[]) => run(t, ['sessions', ...args], env)
  const visitors = [new Visitor(house.port), new Visitor(house.port), new Visitor(house.port)] as const
  for (const visitor of visitors) await visitor.do('{"login":"ann","label":"phone","data":{"n":9007199254740993}}')
  const [first, second] = await Promise.all(visitors.map(async (visitor) => String((await visitor.claims())?.['sid'])))
  if (first === undefined || second === undefined) throw new Error('they are logged in')

  const list = await cli('list', '--user', 'ann')
  t.equal(list.code, 0)
  t.match(list.stdout, /^session +label +version +logged in/)
  t.equal(list.stdout.split('\n').filter((line) => line.includes('phone')).length, 3)
  t.match((await cli('show', first)).stdout, /"data":\{"n":"number"\}\}\n$/)
  t.match((await cli('show', first, '--data')).stdout, /"data":\{"n":9007199254740993\}\}\n$/)
  t.strictSame(await cli('patch', first, '{"role":"reader","n":null}'), { code: 0, stdout: 'version 2\n', stderr: '' })
  t.match(await visitors[0].claims(), { data: { role: 'reader', n: undefined } })
  t.strictSame(await cli('revoke', first), { code: 0, stdout: 'ended 1 session\n', stderr: '' })
  t.equal(await visitors[0].claims(), null)
  t.strictSame(await cli('revoke', '--user', 'ann', '--except', second, '--json'), { code: 0, stdout: '{\n  "revoked": 1\n}\n', stderr: '' })
  t.match(await visitors[1].claims(), { sub: 'ann' })
  t.match(JSON.parse((await cli('keys')).stdout), { keys: [{ kty: 'OKP' }] })
  t.match(await cli('show', first), { code: 1, stderr: /There is no such session/ })
  t.match(await cli('revoke'), { code: 2, stderr: /either the id of a session, or --user/ })
  t.match(await cli('revoke', first, '--user', 'ann'), { code: 2 })
  t.match(await cli('list'), { code: 2, stderr: /--user/ })
})

// The guard: the status in `revoke`.
test('a revocation that no Redis replica has confirmed exits with 3', async (t) => {
  const master = await startRedis()
  const copy = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  t.teardown(() => Promise.all([master.stop(), copy.stop()]))
  const commands = new Redis(master.url)
  t.teardown(() => commands.disconnect())
  await eventually(async () => /state=online/.test(await commands.info('replication')))
  const token = 'a-token-for-sessions-of-the-house'
  const house = await startProxy(t, {
    origin: obedient(),
    clock: systemClock,
    config: { sessions: { enabled: true }, redis: { url: master.url, commandTimeoutMs: 10_000 },
      admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'operator', token, scopes: ['sessions'] }] } },
  })
  const visitor = new Visitor(house.port)
  await visitor.do('{"login":"ann"}')
  copy.kill('SIGSTOP')
  const revoked = await run(t, ['sessions', 'revoke', '--user', 'ann'], { SPRINGHOUSE_ADMIN: house.app.adminUrl, SPRINGHOUSE_ADMIN_TOKEN: token })
  t.match(revoked, { code: 3, stdout: '', stderr: /ended 1 session, but no Redis replica has confirmed it/ })
  t.equal(await visitor.claims(), null, 'it has ended all the same')
})
