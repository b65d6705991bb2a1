// A bounded run of `npm run check:coherence`, with a fixed seed and with a random one.
import t from 'tap'
import { check, type CheckOptions } from './check.ts'
import { account, summary } from './report.ts'

const options: CheckOptions = {
  seed: 0,
  steps: 500,
  replicas: 3,
  withWorkers: 1,
  clients: 20,
  maxLagMs: 1000,
  trouble: 'all',
  sabotage: undefined,
  // A loaded machine takes fewer steps, not longer.
  longestMs: 6_000,
  mostViolations: 3,
}

t.setTimeout(360_000)

void t.test('a purge is final, on several replicas, through every trouble', async (test) => {
  for (const seed of [20_260, Math.floor(Math.random() * 2 ** 31)]) {
    test.comment(`seed ${seed}`)
    const report = await check({ ...options, seed })
    test.comment(summary(report))
    test.same(report.found.map(account), [], `again: npm run check:coherence -- --seed ${seed} --steps ${options.steps}`)
    test.ok(report.trail.figure('responses judged') > 0)
  }
})
