// CPU per request: of the server's process, from /proc/PID/task/*/schedstat, over a fixed number of requests.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { generatorCore, outputOf } from './process.ts'

export interface FixedLoad {
  readonly url: string
  readonly connections: number
  readonly count: number
  readonly method: string
  readonly bodyBytes: number
  /** True if each request has a URL of its own. */
  readonly unique: boolean
}

export interface FixedResult {
  readonly errors: number
  readonly p99Ms: number
  readonly longestMs: number
}

export interface FixedMeasured extends FixedResult {
  /** CPU of the server for a request, in microseconds. */
  readonly cpuUs: number
}

/** Returns the CPU time of all threads of a process, in microseconds. */
export function cpuOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]), 0) / 1_000
}

/** Sends the requests and measures what they cost the process. @throws Error if a response is not a 200, or does not come */
export async function fixedLoad(pid: number, load: FixedLoad): Promise<FixedMeasured> {
  const before = cpuOf(pid)
  const program = fileURLToPath(new URL('fixed-load.js', import.meta.url))
  const result = JSON.parse(await outputOf(process.execPath, [program, JSON.stringify(load)], generatorCore)) as FixedResult
  if (result.errors > 0) throw new Error(`${load.url}: ${result.errors} of ${load.count} responses were not 200, or did not come`)
  return { ...result, cpuUs: (cpuOf(pid) - before) / load.count }
}
