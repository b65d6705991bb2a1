// npm run check:coherence [-- --seed N --steps N --replicas N …]: shows on real processes that purges are final; exit 1 if
// one is not.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { check } from './check.ts'
import { account, summary } from './report.ts'
import { sabotageNames, sabotages, type SabotageName } from './sabotage.ts'
import { kindNames, type TroubleKind } from './trouble.ts'
import { clockLibrary } from './clocks/library.ts'

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    steps: { type: 'string', default: '5000' },
    replicas: { type: 'string', default: '3' },
    workers: { type: 'string', default: '1' },
    clients: { type: 'string', default: '24' },
    lag: { type: 'string', default: '1000' },
    trouble: { type: 'string', default: 'all' },
    sabotage: { type: 'string' },
    other: { type: 'string' },
    'other-first': { type: 'boolean', default: false },
    tell: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) {
  console.log(`npm run check:coherence -- [--seed N] [--steps N] [--replicas N]
  --workers N   how many of the replicas have two workers (1)
  --clients N   clients at a time (24)
  --lag MS      coherence.maxLagMs of the replicas (1000)
  --trouble T   all (the default), none (delays only), or one kind:
${kindNames.map((name) => `                  ${name}`).join('\n')}
  --sabotage S  takes a mend out, so that the check must find violations, or it finds nothing at all:
                  deaf: one replica does not hear of purges
${Object.entries(sabotages).map(([name, each]) => `                  ${name}: ${each.about} (shows with --trouble '${each.trouble}')`).join('\n')}
  --other FILE  every second replica runs this program, such as dist/cli/main.js of another version: a rolling upgrade
  --other-first the first replica runs it, which has workers, and every second one after it
  --tell        prints the last troubles and purges of the run, also when nothing was found
Choices come from the seed; how they interleave is the machine's. The same seed makes the same trouble, not the same run.`)
  process.exit(0)
}

function whole(name: 'seed' | 'steps' | 'replicas' | 'workers' | 'clients' | 'lag', least: number): number {
  const value = Number(options[name])
  if (Number.isInteger(value) && value >= least) return value
  console.error(`--${name} takes a whole number from ${least}`)
  process.exit(2)
}

function trouble(): 'all' | 'none' | TroubleKind {
  const found = (['all', 'none', ...kindNames] as const).find((name) => name === options.trouble)
  if (found !== undefined) return found
  console.error(`--trouble takes all, none, or one of: ${kindNames.join(', ')}`)
  process.exit(2)
}

function sabotage(): SabotageName | undefined {
  const found = sabotageNames.find((name) => name === options.sabotage)
  if (found !== undefined || options.sabotage === undefined) return found
  console.error(`--sabotage takes one of: ${sabotageNames.join(', ')}`)
  process.exit(2)
}

const replicas = whole('replicas', 1)
const seed = whole('seed', 0)
console.log(`check:coherence, seed ${seed}`)
const library = clockLibrary()
if ('missing' in library) console.log(`No clock is shifted: ${library.missing}.`)
const report = await check({
  seed,
  replicas,
  steps: whole('steps', 1),
  withWorkers: Math.min(replicas, whole('workers', 0)),
  clients: whole('clients', 1),
  maxLagMs: whole('lag', 100),
  trouble: trouble(),
  sabotage: sabotage(),
  other: options.other === undefined ? undefined : { program: resolve(options.other), first: options['other-first'] },
  mostViolations: 5,
})
for (const found of report.found) console.log(`\n${account(found)}`)
for (const what of report.hung.slice(0, 5)) console.log(`\nNOT ANSWERED: ${what}`)
if (options.tell) console.log(report.trail.about(new Set(['trouble', 'purge']), 2000))
console.log(`\n${summary(report)}`)
if (report.leftOut.length > 0) console.log(`\nNOT RUN, for want of a library that shifts clocks: ${report.leftOut.join(', ')}`)
process.exit(report.found.length === 0 ? 0 : 1)
