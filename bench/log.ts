// The access log's cost in CPU for each hit, by A/B/A: off, errors, all, and back, each in a process of its own.
import { readFileSync } from 'node:fs'
import { ask, startSpringhouse, type Contestant } from './contestants.ts'
import { load } from './load.ts'

/** Requests of each measurement, at least. */
const requestsEach = 200_000
const ticksPerSecond = 100

/** CPU seconds of a process so far, as Linux counts them. */
function cpuSeconds(pid: number): number {
  // The name of the program, in brackets, may hold spaces.
  const [, rest = ''] = /\) ([^\n]*)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
  const fields = rest.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** CPU time of a process for each hit. */
export async function microsecondsEach(server: Contestant & { readonly pid: number }, connections: number): Promise<number> {
  const before = cpuSeconds(server.pid)
  let requests = 0
  while (requests < requestsEach) {
    const { perSecond, errors } = await load(`${server.base}/hit`, connections, 4)
    if (errors > 0) throw new Error(`${errors} responses were not 200`)
    requests += perSecond * 4
  }
  return ((cpuSeconds(server.pid) - before) / requests) * 1e6
}

/** Measures the settings of log.access beside each other. Lines go into a pipe that is read. */
export async function accessLogs(origin: Contestant, connections: number, rounds: number): Promise<string> {
  const settings = ['off', 'errors', 'all', 'errors', 'off'] as const
  const servers = await Promise.all(settings.map((access) => startSpringhouse(origin, undefined, { SPRINGHOUSE_LOG_ACCESS: access })))
  const measured = settings.map((): number[] => [])
  for (const server of servers) {
    await ask(`${server.base}/hit`)
    await load(`${server.base}/hit`, connections, 2) // compilers are done before it counts
  }
  for (let round = 0; round < rounds; round++) {
    for (const [index, server] of servers.entries()) {
      const each = await microsecondsEach(server, connections)
      measured[index]?.push(each)
      console.log(`  round ${round + 1} of ${rounds}, log.access ${settings[index]}: ${each.toFixed(1)} µs`)
    }
  }
  const row = (access: string, values: readonly number[]): string => {
    const sorted = values.toSorted((a, b) => a - b)
    return `| ${access} | ${(sorted[sorted.length >> 1] as number).toFixed(1)} | ${(sorted[0] as number).toFixed(1)}–${(sorted.at(-1) as number).toFixed(1)} |`
  }
  return [
    '## The access log',
    '',
    `CPU of the process for each hit of 1 KB, over ${
      requestsEach.toLocaleString('en-US')
    } requests a round. The second \`off\` and \`errors\` are the first ones against themselves.`,
    '',
    '| log.access | median, µs | min–max |',
    '|---|---:|---:|',
    ...settings.map((access, index) => row(access, measured[index] as number[])),
    '',
  ].join('\n')
}
