// The access log's cost in CPU for each hit, by A/B/A: off, errors, all, and back, each in a process of its own.
import { ask, startSpringhouse, type Contestant } from './contestants.ts'
import { microsecondsEach, spread } from './cpu.ts'
import { load } from './load.ts'

/** Requests of each measurement, at least. */
const requestsEach = 200_000

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
      const each = await microsecondsEach({ url: `${server.base}/hit`, pid: server.pid, connections, requests: requestsEach })
      measured[index]?.push(each)
      console.log(`  round ${round + 1} of ${rounds}, log.access ${settings[index]}: ${each.toFixed(1)} µs`)
    }
  }
  const row = (access: string, values: readonly number[]): string => {
    const { median, text } = spread(values)
    return `| ${access} | ${median.toFixed(1)} | ${text} |`
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
