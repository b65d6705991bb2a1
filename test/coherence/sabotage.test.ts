// The check itself can fail: a replica that purges do not reach is found.
import t from 'tap'
import { check } from './check.ts'

t.setTimeout(360_000)

void t.test('a replica that follows another log than the others is found', async (test) => {
  const { seed, found } = await check({
    seed: Math.floor(Math.random() * 2 ** 31), steps: 20_000, replicas: 2, withWorkers: 0, clients: 20, maxLagMs: 1000,
    trouble: 'none', sabotage: 'deaf', mostViolations: 1,
  })
  test.match(found[0]?.violation.rule, /^a response from before a (soft )?purge was served after it/, `seed ${seed}`)
  test.match(found[0]?.story, /is answered by r[12] .*\n.*purge/s)
})
