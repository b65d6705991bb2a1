// CPU of a process for each request, as Linux counts it.
import { readFileSync } from 'node:fs'
import { load } from './load.ts'

const ticksPerSecond = 100

/** CPU seconds of a process so far. */
export function cpuSeconds(pid: number): number {
  // The name of the program, in brackets, may hold spaces.
  const [, rest = ''] = /\) ([^\n]*)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
  const fields = rest.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export interface Measuring {
  readonly url: string
  readonly pid: number
  readonly connections: number
  /** At least so many requests. */
  readonly requests: number
  /** Name and value of each field that requests have. */
  readonly fields?: Readonly<Record<string, string>>
}

/** Returns the CPU microseconds of a process for each request of a load. @throws Error if a response was not 200 */
export async function microsecondsEach({ url, pid, connections, requests: least, fields }: Measuring): Promise<number> {
  const before = cpuSeconds(pid)
  let requests = 0
  while (requests < least) {
    const { perSecond, errors } = await load(url, connections, 4, fields)
    if (errors > 0) throw new Error(`${errors} responses of ${url} were not 200`)
    requests += perSecond * 4
  }
  return ((cpuSeconds(pid) - before) / requests) * 1e6
}

/** The median of measurements, with their least and greatest. */
export function spread(values: readonly number[]): { readonly median: number; readonly text: string } {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: sorted[sorted.length >> 1] as number, text: `${(sorted[0] as number).toFixed(1)}–${(sorted.at(-1) as number).toFixed(1)}` }
}
