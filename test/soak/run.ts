// npm run soak [-- --minutes N --seed N --fast]: mixed load and a fault each minute, on real processes; exit 1 at any violation.
import { parseArgs } from 'node:util'
import { faults } from './faults.ts'
import { summary } from './report.ts'
import { soak } from './soak.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    clients: { type: 'string', default: '24' },
    fast: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) {
  console.log(`npm run soak -- [--minutes N] [--seed N] [--clients N] [--fast]
  --minutes N   how long (30)
  --clients N   clients at a time (24)
  --fast        a fault each 6 s for 1.5 s, where it is each minute for 10 s: a minute touches every one
In turn: ${faults.map(({ name }) => name).join(', ')}.`)
  process.exit(0)
}

function positive(name: 'minutes' | 'seed' | 'clients', whole: boolean): number {
  const value = Number(options[name])
  if (value > 0 && (!whole || Number.isInteger(value))) return value
  console.error(`--${name} takes a ${whole ? 'whole ' : ''}number above 0`)
  process.exit(2)
}

const seed = positive('seed', true)
const periodMs = options.fast ? 6_000 : 60_000
console.log(`soak, seed ${seed}`)
const report = await soak({
  seed,
  periodMs,
  faults: Math.max(1, Math.floor(positive('minutes', false) * 60_000 / periodMs)),
  faultMs: options.fast ? 1_500 : 10_000,
  sampleMs: options.fast ? 1_000 : 10_000,
  clients: positive('clients', true),
  timed: true,
  tell: (line) => console.log(line),
})
for (const what of report.violations) console.log(`\nVIOLATION: ${what}`)
console.log(`\n${summary(report)}`)
process.exit(report.violations.length === 0 ? 0 : 1)
