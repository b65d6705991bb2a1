// `npm run fuzz -- --seconds N --seed N`: mutated HTTP through the whole proxy, for as long as one likes.
import { parseArgs } from 'node:util'
import { fuzzResponses } from './fuzz-responses.ts'
import { fuzzThrough } from './through.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } } })
const seconds = Number(values.seconds)
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
console.log(`seed ${seed}, ${seconds} s`)
// Each has its share of the time.
const parts = [['requests', fuzzThrough], ['responses', fuzzResponses]] as const
for (const [what, fuzz] of parts) {
  const end = performance.now() + seconds * 1_000 / parts.length
  const { tried, passed, failures } = await fuzz(seed, () => performance.now() >= end)
  for (const failure of failures) console.log(failure)
  console.log(`${what}: ${tried} mutations, ${passed} got through, ${failures.length} failures`)
  if (failures.length > 0) process.exitCode = 1
}
