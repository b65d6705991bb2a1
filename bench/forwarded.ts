// Requests that reach the origin: CPU per request beside other proxies, and beside an older build of this one (`--before DIR`).
import { type Contestant, startBefore, startForwarders, startSpringhouse } from './contestants.ts'
import { type FixedLoad, type FixedMeasured, fixedLoad } from './fixed.ts'
import { median } from './table.ts'

interface Measurable extends Contestant {
  readonly pid: number
}

/** A limit for CPU of another contestant divided by ours, or for ours divided by another's. */
type Goal = { readonly beside: string; readonly atLeast: number } | { readonly beside: string; readonly atMost: number }

interface Row {
  readonly title: string
  readonly load: Omit<FixedLoad, 'url'>
  readonly path: string
  readonly goals: readonly Goal[]
  /** Names of those that take part besides this project; all unless given. */
  readonly beside?: readonly string[]
  /** True if the p99 counts, and not the CPU. */
  readonly byLatency?: true
}

const httpProxy = '@fastify/http-proxy alone'
const dispatch = 'node:http and undici dispatch'
const nginx = 'nginx'
const before = 'springhouse before'

const get = { connections: 50, count: 40_000, method: 'GET', bodyBytes: 0, unique: false }
const rows: readonly Row[] = [
  { title: 'An uncacheable GET, 1 KB', load: get, path: '/miss', goals: [{ beside: httpProxy, atLeast: 2.2 }, { beside: dispatch, atLeast: 1.3 }, { beside: nginx, atMost: 3 }] },
  { title: 'A POST of 200 bytes', load: { ...get, method: 'POST', bodyBytes: 200 }, path: '/post', goals: [{ beside: httpProxy, atLeast: 1.4 }] },
  { title: 'A fill of a unique URL, 1 KB', load: { ...get, unique: true }, path: '/hit', goals: [{ beside: before, atLeast: 1.5 }], beside: [before] },
  { title: 'A validation (304 from the origin)', load: get, path: '/validate', goals: [{ beside: before, atLeast: 1.3 }], beside: [before] },
  { title: '1 MiB, streamed', load: { ...get, connections: 10, count: 1_000 }, path: '/large', goals: [{ beside: nginx, atMost: 1.3 }] },
  { title: '1,000 concurrent requests, origin of 50 ms: p99', load: { ...get, connections: 1_000, count: 40_000 }, path: '/slow', goals: [{ beside: before, atLeast: 1 }],
    beside: [before], byLatency: true },
]

/** Each row in interleaved rounds, this project twice. The difference of these two is the error of the measurement. */
export async function forwarded(origin: Contestant, rounds: number, older: string | undefined): Promise<string> {
  const own: Measurable = await startSpringhouse(origin)
  const again: Measurable = { ...await startSpringhouse(origin), name: 'springhouse (A/A)' }
  const others: Measurable[] = await startForwarders(origin)
  if (older !== undefined) others.push(await startBefore(origin, older))
  const parts: string[] = []
  for (const row of rows) {
    const contestants = [own, again, ...others.filter(({ name }) => row.beside?.includes(name) !== false)]
    parts.push(rowTable(row, await race(row, contestants, rounds)))
  }
  return `## Requests that reach the origin\n\n${parts.join('\n')}`
}

async function race(row: Row, contestants: readonly Measurable[], rounds: number): Promise<Map<string, FixedMeasured[]>> {
  const measured = new Map<string, FixedMeasured[]>(contestants.map(({ name }) => [name, []]))
  const measure = (contestant: Measurable, part: number): Promise<FixedMeasured> =>
    fixedLoad(contestant.pid, { ...row.load, count: Math.ceil(row.load.count * part), url: contestant.base + row.path })
  for (const contestant of contestants) await measure(contestant, 1)
  for (let round = 0; round < rounds; round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      const result = await measure(contestant, 1)
      measured.get(contestant.name)?.push(result)
      console.log(`  ${row.title}, round ${round + 1} of ${rounds}, ${contestant.name}: ${result.cpuUs.toFixed(1)} µs, p99 ${result.p99Ms.toFixed(1)} ms`)
    }
  }
  return measured
}

function rowTable({ title, goals, byLatency }: Row, measured: ReadonlyMap<string, readonly FixedMeasured[]>): string {
  const value = ({ cpuUs, p99Ms }: FixedMeasured): number => (byLatency === true ? p99Ms : cpuUs)
  const [own = []] = measured.values()
  const lines = [...measured].map(([name, results]) => {
    // Paired by rounds: what slows a whole round cancels out.
    const ratio = median(results.map((result, round) => value(result) / value(own[round] as FixedMeasured)))
    const goal = goals.find(({ beside }) => beside === name)
    const met = goal === undefined ? undefined : 'atLeast' in goal ? ratio >= goal.atLeast : 1 / ratio <= goal.atMost
    const wanted = goal === undefined ? '' : 'atLeast' in goal ? `≥ ${goal.atLeast}` : `ours ≤ ${goal.atMost} ×, is ${(1 / ratio).toFixed(2)} ×`
    const values = results.map(value)
    const longest = Math.max(...results.map(({ longestMs }) => longestMs))
    return `| ${name} | ${median(values).toFixed(1)} | ${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)} | ${ratio.toFixed(2)} | ${
      longest.toFixed(0)
    } | ${wanted}${met === undefined ? '' : met ? ': reached' : ': **missed**'} |`
  })
  const absent = goals.filter(({ beside }) => !measured.has(beside)).map(({ beside }) => `| ${beside} | not run |  |  |  |  |`)
  const unit = byLatency === true ? 'p99, ms' : 'CPU a request, µs'
  return [`### ${title}`, '', `| | ${unit} | min–max | against springhouse | longest, ms | goal |`, '|---|---:|---:|---:|---:|---|', ...lines, ...absent, ''].join('\n')
}
