// A purge costs one append, whatever it names and however much is stored. The counts of Redis commands show it.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { eventually } from '../support/log.ts'
import { callsSince, commandCalls, targetOf, writeEntries } from '../support/many-entries.ts'
import { startRedis } from '../support/redis.ts'
import { json, startReplicas, well } from '../support/site.ts'

const entries = 20_000

t.test('purges of a tag, all tags, a URL, a prefix and all over 20,000 entries: one append each, and nothing is searched', async t => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const raw = new Redis(server.url)
  t.teardown(() => raw.disconnect())
  const site = await startReplicas(t, server.url)
  const [a, b] = site.replicas
  await eventually(async () => await well(a, '/well') && await well(b, '/well'))
  const explained = (i: number) => json<{ key: string; variants: { verdict: string }[] }>(b.admin(`/v1/explain?url=${encodeURIComponent(`http://api.example${targetOf(i)}`)}`))
  const verdict = async (i: number): Promise<string | undefined> => {
    // A lookup to which Redis did not reply in time finds nothing.
    let found: string | undefined
    await eventually(async () => (found = (await explained(i)).variants[0]?.verdict) !== undefined)
    return found
  }
  const { key } = await explained(0)
  const write = async (count: number): Promise<void> =>
    writeEntries(raw, {
      count,
      prefix: 'sh',
      authority: 'api.example',
      firstKey: key,
      tags: ['every', 'one'],
      stamp: (await json<{ purgeLog: { applied: string } }>(a.admin('/v1/stats'))).purgeLog.applied,
      body: Buffer.from('x'),
      nowMs: systemClock.now(),
    })
  await write(entries)
  for (const soft of [false, true]) {
    for (const body of [{ tags: ['every'] }, { tags: ['one', 'every'], tagsMatch: 'all' }, { urls: [`http://api.example${targetOf(1)}`] }, { prefixes: ['/thin'] }, {
      all: true,
    }]) {
      // As if clients had requested these again; the others are purged again and again.
      await write(20)
      t.equal(await verdict(1), 'valid')
      const before = await commandCalls(raw)
      const receipt = await a.purge({ ...body, soft, waitMs: 30_000 })
      const calls = callsSince(before, await commandCalls(raw))
      t.match(JSON.parse(receipt.body.toString()), { replicas: { live: 2, acknowledged: 2 } })
      t.equal(calls.get('xadd'), 1, 'one append')
      for (const command of ['keys', 'scan', 'sscan', 'hscan', 'hvals', 'del', 'unlink', 'smembers']) t.equal(calls.get(command), undefined, command)
      const most = Math.max(...calls.values())
      t.ok(most < 200, `no command was called more than ${most} times, those of following the log among them`)
      t.equal(await verdict(1), soft ? 'stale' : 'dead')
      t.equal(await verdict(19), 'urls' in body ? 'valid' : soft ? 'stale' : 'dead')
    }
  }
  const before = await commandCalls(raw)
  for (let i = 0; i < 50; i++) await a.get(targetOf(i))
  const calls = callsSince(before, await commandCalls(raw))
  for (const command of ['keys', 'scan', 'sscan', 'hscan']) t.equal(calls.get(command), undefined, `no ${command} when requests are answered`)
})
