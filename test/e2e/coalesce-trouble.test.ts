// Requests that wait for another process: that process dies, is held up, or Redis is lost.
import t from 'tap'
import { detail } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { askAll, countFrom, startReplicas, tally, type ReplicaProcess } from '../support/processes.ts'

const fields = { 'Cache-Control': 'max-age=600' }

t.test('a process that is killed while it fetches is replaced within its lease, and all requests that wait elsewhere get a response', async t => {
  const { replicas, asked, nth } = await startReplicas(t, { count: 4, env: { SPRINGHOUSE_COHERENCE_LEASE_MS: '1000' } })
  const count = await countFrom(replicas)
  const answers = Promise.allSettled(askAll(replicas, 200, '/a'))
  await nth('/a', 1)
  await eventually(async () => await count('waits') === 199)
  const leads = await Promise.all(replicas.map(async replica => (await replica.stats()).leases === 1))
  const killed = replicas[leads.indexOf(true)] as ReplicaProcess
  const left = replicas.filter(replica => replica !== killed)
  const countLeft = await countFrom(left)
  killed.kill('SIGKILL')
  const killedMs = performance.now()
  const second = await nth('/a', 2)
  t.comment(`killed with a lease of 1000 ms: the next asks ${Math.round(performance.now() - killedMs)} ms later`)
  t.equal(await countLeft('leasesTakenOver'), 1)
  second.answer(200, fields, 'two')
  const settled = await answers
  t.same(tally(settled.map((one, i) => one.status === 'fulfilled' ? one.value.body.toString() : replicas[i % 4] === killed ? 'was with it' : 'lost')), { 'two': 150,
    'was with it': 50 })
  t.equal(asked('/a').length, 2)
})

t.test('a process that was stopped for longer than its lease goes on beside the next, and its older response replaces nothing', async t => {
  const { replicas, asked, nth } = await startReplicas(t, { count: 2, env: { SPRINGHOUSE_COHERENCE_LEASE_MS: '300' } })
  const [a, b] = replicas as [ReplicaProcess, ReplicaProcess]
  const older = a.get('/a')
  const first = await nth('/a', 1)
  const younger = b.get('/a')
  await eventually(async () => (await b.stats()).waits === 1)
  a.kill('SIGSTOP')
  const second = await nth('/a', 2)
  second.answer(200, fields, 'younger')
  t.equal((await younger).body.toString(), 'younger')
  a.kill('SIGCONT')
  first.answer(200, fields, 'older')
  // Its last bytes come after the commit.
  t.equal((await older).body.toString(), 'older', 'its own client gets its response')
  for (const replica of [a, b]) {
    const hit = await replica.get('/a')
    t.equal(hit.body.toString(), 'younger')
    t.equal(detail(hit), 'fresh')
  }
  t.equal(asked('/a').length, 2)
})

for (const [how, signal] of [['is killed', 'SIGKILL'], ['hangs', 'SIGSTOP']] as const) {
  t.test(`requests that wait when Redis ${how} do not wait for the end of a lease: each process fetches`, async t => {
    // A lease as long as the test may take.
    const env = { SPRINGHOUSE_COHERENCE_LEASE_MS: '60000', SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '1000' }
    const { redis, replicas, asked, nth } = await startReplicas(t, { count: 3, env })
    const count = await countFrom(replicas)
    const all = askAll(replicas, 30, '/a')
    await nth('/a', 1)
    await eventually(async () => await count('waits') === 29)
    redis.kill(signal)
    // Only calls without a reply reveal that Redis hangs.
    const others = askAll(replicas, 30, '/other', () => ({ 'Cache-Control': 'only-if-cached' }))
    await nth('/a', 3)
    t.same(tally((await Promise.all(others)).map(({ status }) => String(status))), { 504: 30 })
    let answered = 0
    const answering = setInterval(() => {
      for (const one of asked('/a').slice(answered)) {
        answered++
        one.answer(200, fields, 'x')
      }
    }, 5)
    t.same(tally((await Promise.all(all)).map(answer => answer.body.toString())), { x: 30 })
    clearInterval(answering)
    t.comment(`30 requests over 3 processes when Redis ${how}: ${asked('/a').length} requests to the origin`)
  })
}
