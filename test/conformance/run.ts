// npm run conformance: the public cache tests over each store and with each setting, scored and compared with the expectations.
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startRedis } from '../support/redis.ts'
import { type Expected, failures, kinds, reasonsFor, type Results, score, surprises } from './judge.ts'
import { runClient, startSpringhouse, startSuiteServer } from './processes.ts'
import { hasScores, places, type Row, scoreTable, withScores } from './readme.ts'
import { type Settings, settings, type Store, stores } from './runs.ts'
import { packagedSuite, type Suite, suiteAt } from './suite.ts'

const help = `npm run conformance [-- options]

  --store NAME      only this store: ${stores.map(({ name }) => name).join(', ')} (repeatable)
  --settings NAME   only these settings: ${settings.map(({ name }) => name).join(', ')} (repeatable)
  --id TEST         one test, with everything that is said on the wire; nothing is judged
  --suite DIR       another copy of the suite, such as a checkout of a newer revision with its dependencies installed.
                    Scores and failures are printed; they are judged only with --expected
  --expected FILE   judge by this file in place of test/conformance/expected.json
  --write           write the scores into README.md; with --suite into the table of a newer revision`

// Compiled, this is .build/test/conformance/run.js.
const root = fileURLToPath(new URL('../../..', import.meta.url))
const here = join(root, 'test/conformance')
const readmePath = join(root, 'README.md')

/**
 * True if more wants to run than there are processors. Some tests store responses that live for two seconds and request them at
 * once: then they measure the machine.
 */
const busy = (): boolean => (loadavg()[0] as number) > availableParallelism()

const { values: options } = parseArgs({
  options: {
    store: { type: 'string', multiple: true },
    settings: { type: 'string', multiple: true },
    id: { type: 'string', default: '' },
    suite: { type: 'string' },
    expected: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** Returns the rows of a table that were named; all if none was named. @throws for a name that is not in it. */
function chosen<T extends { readonly name: string }>(all: readonly T[], names: readonly string[] | undefined, option: string): readonly T[] {
  const unknown = names?.find(name => !all.some(one => one.name === name))
  if (unknown !== undefined) throw new Error(`--${option} takes ${all.map(({ name }) => name).join(' or ')}, not ${unknown}`)
  return all.filter(({ name }) => names === undefined || names.includes(name))
}

/** Returns the output of the suite's client for a Springhouse with these settings and this store. */
async function runOnce(suite: Suite, origin: string, its: Settings, store: Store): Promise<string> {
  const redis = store.redis ? await startRedis() : undefined
  const args = [...its.args(origin), ...(redis === undefined ? [] : ['--redis', redis.url])]
  const springhouse = await startSpringhouse(root, args, { ...store.env, SUITE_ORIGIN: origin })
  try {
    return await runClient(suite, springhouse.at, options.id)
  } finally {
    springhouse.stop()
    await redis?.stop()
  }
}

/**
 * Returns the expectations of --expected; by default those kept here for the packaged suite. For another suite there are none,
 * so that nothing is judged.
 */
function readExpected(): Expected | undefined {
  if (options.suite !== undefined && options.expected === undefined) return undefined
  return JSON.parse(readFileSync(resolve(options.expected ?? join(here, 'expected.json')), 'utf8')) as Expected
}

/** Where a run is not as expected; without expectations, nowhere. */
function judge(suite: Suite, its: Settings, store: Store, results: Results, expected: Expected | undefined): string[] {
  if (expected === undefined) return []
  return surprises(suite.tests, results, reasonsFor(expected, its.name, store.name)).map(line => `${its.name}, ${store.name}: ${line}`)
}

/**
 * The results that count, and where they are not as expected. A run that surprises is run again, alone and twice at most, but
 * only on a busy machine: on any other a surprise counts as it is.
 */
async function settled(suite: Suite, origin: string, its: Settings, store: Store, expected: Expected | undefined, first: Results): Promise<readonly [Results, string[]]> {
  let results = first
  let found = judge(suite, its, store, results, expected)
  for (let again = 0; again < 2 && found.length > 0 && busy(); again++) {
    console.log(`${its.name}, ${store.name}: not as expected in ${found.length}, on a busy machine; once more`)
    results = JSON.parse(await runOnce(suite, origin, its, store)) as Results
    found = judge(suite, its, store, results, expected)
  }
  return [results, found]
}

/** Prints the result of one run. */
function report(suite: Suite, its: Settings, store: Store, results: Results, expected: Expected | undefined): Row {
  const row = { settings: its.shown, store: store.name, score: score(suite.tests, results) }
  console.log(`${its.name.padEnd(12)}${store.name.padEnd(8)}${kinds.map(kind => `${kind} ${row.score[kind].passed}/${row.score[kind].of}`).join('   ')}`)
  if (expected === undefined) { for (const failure of failures(suite.tests, results)) console.log(`  ${failure}`) }
  return row
}

/** Writes the README's table of the suite that was run; without --write adds to `wrong` that the packaged suite's is another. */
function settle(table: string, wrong: string[]): void {
  const readme = readFileSync(readmePath, 'utf8')
  if (options.write) writeFileSync(readmePath, withScores(readme, table, options.suite === undefined ? places.packaged : places.checkout))
  else if (options.suite === undefined && !hasScores(readme, table)) wrong.push(`README.md has other scores than these; npm run conformance -- --write writes them:\n\n${table}\n`)
}

/** Returns a line for each fault. */
async function main(): Promise<string[]> {
  const [itsStores, itsSettings] = [chosen(stores, options.store, 'store'), chosen(settings, options.settings, 'settings')]
  const whole = options.store === undefined && options.settings === undefined && options.id === ''
  if (options.write && !whole) throw new Error('--write takes the whole: leave out --store, --settings and --id')
  const expected = readExpected()
  const suite = options.suite === undefined ? await packagedSuite(here) : await suiteAt(resolve(options.suite))
  const server = await startSuiteServer(suite)
  const origin = `http://127.0.0.1:${server.at}`
  console.log(suite.revision)

  const wrong: string[] = []
  const rows: Row[] = []
  for (const its of itsSettings) {
    // A run is pauses and little work: the stores go at once, each with a Springhouse and a client of its own.
    const printed = await Promise.all(itsStores.map(async store => [store, await runOnce(suite, origin, its, store)] as const))
    for (const [store, text] of printed) {
      if (options.id !== '') {
        console.log(`${its.name}, ${store.name}\n${text}`)
        continue
      }
      const [results, found] = await settled(suite, origin, its, store, expected, JSON.parse(text) as Results)
      rows.push(report(suite, its, store, results, expected))
      wrong.push(...found)
    }
  }
  if (whole) settle(scoreTable(suite.revision, rows), wrong)
  return wrong
}

if (options.help) {
  console.log(help)
  process.exit()
}
const wrong = await main().catch((error: unknown) => [error instanceof Error ? error.message : String(error)])
for (const line of wrong) console.error(line)
process.exit(wrong.length === 0 ? 0 : 1)
