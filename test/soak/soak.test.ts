// A bounded run of `npm run soak`: every fault once.
import t from 'tap'
import { faults } from './faults.ts'
import { summary } from './report.ts'
import { soak } from './soak.ts'

t.setTimeout(360_000)

void t.test('whatever fails, no client gets a wrong, truncated, foreign or purged body, nor an error that the origin did not make', async (test) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  test.comment(`seed ${seed}`)
  const report = await soak({
    seed,
    faults: faults.length,
    periodMs: 1_000,
    faultMs: 400,
    sampleMs: 1_000,
    clients: 8,
    // A loaded machine recovers later, and collects later.
    timed: false,
    tell: (line) => test.comment(line),
  })
  test.comment(summary(report))
  test.same(report.violations, [], `again: npm run soak -- --fast --minutes 1 --seed ${seed}`)
  test.ok(report.trail.figure('bodies verified') > 0)
})
