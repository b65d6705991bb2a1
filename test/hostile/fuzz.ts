// `npm run fuzz -- --seconds N --seed N`: mutated HTTP through the whole proxy, for as long as one likes.
import { parseArgs } from 'node:util'
import { fuzzThrough } from './through.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } } })
const seconds = Number(values.seconds)
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
const end = performance.now() + seconds * 1_000
console.log(`seed ${seed}, ${seconds} s`)
const { tried, passed, failures } = await fuzzThrough(seed, () => performance.now() >= end)
for (const failure of failures) console.log(failure)
console.log(`${tried} mutations, ${passed} requests at the origin, ${failures.length} failures`)
process.exitCode = failures.length === 0 ? 0 : 1
