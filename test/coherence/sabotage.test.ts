// The check itself can fail: it finds a replica that purges do not reach, and a mend that is taken out of the program.
import t from 'tap'
import { check } from './check.ts'
import { clockLibrary } from './clocks/library.ts'
import { missingMends, sabotageNames } from './sabotage.ts'

const options = { steps: 20_000, replicas: 2, withWorkers: 0, clients: 20, maxLagMs: 1000, mostViolations: 1 } as const
const seed = (): number => Math.floor(Math.random() * 2 ** 31)

t.setTimeout(360_000)

void t.test('a replica that follows another log than the others is found', async (test) => {
  const report = await check({ ...options, seed: seed(), trouble: 'none', sabotage: 'deaf' })
  test.match(report.found[0]?.violation.rule, /^a response from before a (soft )?purge was served after it/, `seed ${report.seed}`)
  test.match(report.found[0]?.story, /is answered by r[12] .*\n.*purge/s)
})

const { missing = false } = clockLibrary() as { missing?: string }
void t.test('a replica that does not notice that its machine was suspended is found', { skip: missing }, async (test) => {
  const report = await check({ ...options, seed: seed(), trouble: 'suspended', sabotage: 'suspension-unnoticed' })
  test.match(report.found[0]?.violation.rule, /^a response from before a (soft )?purge was served after it/, `seed ${report.seed}`)
})

void t.test('every mend that can be taken out is in the program', async (test) => {
  for (const name of sabotageNames) {
    if (name !== 'deaf') test.same(missingMends(name), [], name)
  }
})
