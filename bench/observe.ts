// The cost of observe.enabled for each hit, in CPU: fresh processes in turns, and the product against itself beside it.
import { readFileSync } from 'node:fs'
import { ask, startSpringhouse, type Contestant } from './contestants.ts'
import { load } from './load.ts'
import { microsecondsEach } from './cpu.ts'

/** The second `off` is the first one against itself: what it differs by is noise. */
const settings = [{ name: 'off', enabled: 'false' }, { name: 'on (default)', enabled: 'true' }, { name: 'off again', enabled: 'false' }] as const

interface Seen {
  readonly microseconds: number
  readonly memoryMiB: number
}

async function measure(origin: Contestant, enabled: string, connections: number): Promise<Seen> {
  const server = await startSpringhouse(origin, undefined, { SPRINGHOUSE_OBSERVE_ENABLED: enabled })
  await ask(`${server.base}/hit`)
  await load(`${server.base}/hit`, connections, 2) // compilers are done before it counts
  const microseconds = await microsecondsEach({ url: `${server.base}/hit`, pid: server.pid, connections, requests: 200_000 })
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]
  process.kill(server.pid)
  return { microseconds, memoryMiB: Number(resident) / 1024 }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}

/** Measures hits with and without the numbers of `observe`, each in a process of its own. */
export async function observed(origin: Contestant, connections: number, rounds: number): Promise<string> {
  const seen = settings.map((): Seen[] => [])
  for (let round = 0; round < rounds; round++) {
    // Every other round in the other order, so that what slows the machine for a while slows all alike.
    const order = round % 2 === 0 ? [0, 1, 2] : [2, 1, 0]
    for (const index of order) {
      const { name, enabled } = settings[index] as typeof settings[number]
      const each = await measure(origin, enabled, connections)
      seen[index]?.push(each)
      console.log(`  round ${round + 1} of ${rounds}, observe.enabled ${name}: ${each.microseconds.toFixed(1)} µs, ${each.memoryMiB.toFixed(0)} MiB`)
    }
  }
  const first = seen[0] as Seen[]
  const rows = settings.map(({ name }, index) => {
    const own = seen[index] as Seen[]
    const ratios = own.map(({ microseconds }, round) => microseconds / (first[round] as Seen).microseconds)
    const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map(ratio => ratio.toFixed(3))
    return `| ${name} | ${median(own.map(({ microseconds }) => microseconds)).toFixed(1)} | ${median(ratios).toFixed(3)} | ${least}–${most} | ${
      median(own.map(({ memoryMiB }) => memoryMiB)).toFixed(1)
    } |`
  })
  return [
    '## Numbers of requests (observe.enabled)',
    '',
    'CPU of the process for each hit of 1 KB, fresh processes in turns. `off again` is `off` against itself: a difference within its spread is noise.',
    '',
    '| observe.enabled | median, µs | ratio to off | min–max of the ratio | resident MiB |',
    '|---|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n')
}
