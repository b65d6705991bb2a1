// `npm run fuzz -- --seconds N --seed N [--only PART]`: every fuzzer in turn, each for its share of the time.
import { parseArgs } from 'node:util'
import { fuzzLinear } from './fuzz-linear.ts'
import { fuzzResponses } from './fuzz-responses.ts'
import { fuzzTrusted } from './fuzz-trusted.ts'
import { fuzzRoutes } from './fuzz-routes.ts'
import { fuzzThrough } from './through.ts'

/** The result of a fuzzer. */
interface Fuzzed {
  readonly tried: number
  /** How many inputs got as far as the fuzzer means them to: one that never gets in finds nothing. */
  readonly passed: number
  /** Failures, each with the seed that reproduces it. */
  readonly failures: readonly string[]
}

/** Tries one input after another, from `seed` on, until `enough` says so. */
type Fuzzer = (seed: number, enough: (tried: number) => boolean) => Promise<Fuzzed>

/** By the name that `--only` takes. */
const parts: Readonly<Record<string, Fuzzer>> = {
  through: fuzzThrough,
  responses: fuzzResponses,
  trusted: fuzzTrusted,
  routes: fuzzRoutes,
  linear: fuzzLinear,
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, only: { type: 'string' } } })
const seconds = Number(values.seconds)
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
const chosen = Object.entries(parts).filter(([name]) => values.only === undefined || values.only === name)

if (!(seconds > 0) || !Number.isSafeInteger(seed) || chosen.length === 0) {
  console.error(`fuzz takes --seconds N, --seed N and --only ${Object.keys(parts).join(' | ')}`)
  process.exitCode = 2
} else {
  console.log(`seed ${seed}, ${seconds} s`)
  for (const [name, fuzz] of chosen) {
    const end = performance.now() + seconds * 1_000 / chosen.length
    const { tried, passed, failures } = await fuzz(seed, () => performance.now() >= end)
    for (const failure of failures) console.log(`${name}: ${failure}`)
    console.log(`${name}: ${tried} tried, ${passed} passed, ${failures.length} failures`)
    if (failures.length > 0) process.exitCode = 1
  }
}
