// A round of load on one URL: wrk where it is installed, the built-in generator where it is not.
import { fileURLToPath } from 'node:url'
import { generatorCore, hasProgram, outputOf } from './process.ts'

export interface Measured {
  readonly perSecond: number
  readonly p99Ms: number
  /** Responses other than 2xx, and broken connections. */
  readonly errors: number
}

export const generator = hasProgram('wrk') ? 'wrk' : 'built-in'

/** Requests `url`, with these fields, on so many connections at once. Each sends the next request as soon as it has its response. */
export async function load(url: string, connections: number, seconds: number, fields: Readonly<Record<string, string>> = {}): Promise<Measured> {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  if (generator === 'wrk') {
    return parseWrk(await outputOf('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...lines.flatMap((line) => ['-H', line]), url], generatorCore))
  }
  const program = fileURLToPath(new URL('generator.js', import.meta.url))
  return JSON.parse(await outputOf(process.execPath, [program, url, String(connections), String(seconds), ...lines], generatorCore)) as Measured
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

function parseWrk(report: string): Measured {
  const perSecond = /Requests\/sec:\s+([\d.]+)/.exec(report)?.[1]
  const [, p99 = '0', unit = 'ms'] = /\s99%\s+([\d.]+)(us|ms|s|m)/.exec(report) ?? []
  if (perSecond === undefined) throw new Error(`wrk said something unexpected:\n${report}`)
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(report)?.slice(1) ?? []
  const wrongStatus = /Non-2xx or 3xx responses: (\d+)/.exec(report)?.[1] ?? '0'
  return {
    perSecond: Number(perSecond),
    p99Ms: Number(p99) * (unitMs[unit] as number),
    errors: [...socketErrors, wrongStatus].reduce((sum, count) => sum + Number(count), 0),
  }
}
