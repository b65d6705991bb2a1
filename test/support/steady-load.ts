// Clients that send requests and purges without end while something else goes on, and a judgement of every response.
import { Agent } from 'node:http'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from './client.ts'
import { detail, type TestProxy } from './proxy.ts'
import { eventually } from './log.ts'
import { Pace } from './pace.ts'
import type { OriginHandler } from './scripted-origin.ts'

/** An origin that stamps every body with the path of the request and with the current version. */
export interface StampedOrigin {
  readonly handler: OriginHandler
  readonly version: number
  /** From now on bodies carry this one. */
  advance(): number
}

const largeBytes = 300_000
// Slower while the test waits for something else than responses, but never so slow that a change of masters meets none.
const pace = { busyMs: 1, idleMs: 10, longestMs: 40 }

export function stampedOrigin(): StampedOrigin {
  let version = 1
  return {
    get version() {
      return version
    },
    advance: () => ++version,
    handler: async (request, response) => {
      const path = request.url ?? ''
      const body = bodyOf(path, version)
      // Some responses are slow, so that there is always one in flight.
      for (let turn = Math.random() * 20; turn > 0; turn--) await new Promise(setImmediate)
      response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Cache-Tag': `x, ${tagOf(path)}` }).end(body)
    },
  }
}

/** Returns a body. If the path begins with /large, the body has several chunks, and each shows the version. */
export function bodyOf(path: string, version: number): Buffer {
  const stamp = Buffer.from(`${path} ${version}\n`)
  return path.startsWith('/large') ? Buffer.alloc(largeBytes, stamp) : stamp
}

export function versionOf(body: Buffer): number {
  return Number(/^\S+ (\d+)\n/.exec(body.subarray(0, 100).toString())?.[1])
}

function tagOf(path: string): string {
  return path.slice(1).replaceAll('/', '-')
}

export interface LoadReport {
  /** Faults of responses. */
  readonly wrong: readonly string[]
  /** Large bodies that broke off on their way out of Redis when the origin had a newer one; all that had come of them was right. */
  readonly cut: number
  readonly answered: number
  readonly hits: number
  /** Counts the purges by status. */
  readonly purges: Readonly<Record<string, number>>
  readonly p99Ms: number
  readonly slowestMs: number
}

export interface SteadyLoad {
  /** Resolves when `count` more responses have come. */
  more(count: number): Promise<void>
  stop(): Promise<LoadReport>
}

export interface SteadyLoadOptions {
  readonly replicas: readonly TestProxy<Clock>[]
  readonly origin: StampedOrigin
  readonly paths: readonly string[]
  /** The host of the requests. */
  readonly host: string
  readonly clients?: number
  /** Responses between one purge and the next. */
  readonly answersPerPurge?: number
}

export function startLoad({ replicas, origin, paths, host, clients = 6, answersPerPurge = 40 }: SteadyLoadOptions): SteadyLoad {
  const run = new Pace(pace)
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const wrong: string[] = []
  const tookMs: number[] = []
  const purges: Record<string, number> = {}
  // For each path, the oldest version that may be seen, because of the last purge with a 200.
  const floor = new Map<string, number>(paths.map((path) => [path, 0]))
  let [hits, cut] = [0, 0]

  const judge = (path: string, least: number, answer: Answer): void => {
    if (answer.status !== 200) return void wrong.push(`${path}: ${answer.status} ${answer.body.toString().slice(0, 200)}`)
    const version = versionOf(answer.body)
    const body = bodyOf(path, version)
    if (!answer.complete && path.startsWith('/large') && version < origin.version && answer.body.equals(body.subarray(0, answer.body.length))) cut++
    else if (!answer.complete || !answer.body.equals(body)) wrong.push(`${path}: ${answer.body.length} bytes that begin with ${answer.body.subarray(0, 40).toString()}`)
    else if (version < least) wrong.push(`${path}: version ${version} after the purge of all before ${least}, ${detail(answer)}`)
    if (detail(answer) === 'fresh') hits++
  }
  const asking = Array.from({ length: clients }, async (_, client) => {
    const replica = replicas[client % replicas.length] as TestProxy<Clock>
    while (!run.stopped) {
      const path = paths[Math.floor(Math.random() * paths.length)] as string
      const least = floor.get(path) ?? 0
      const beganMs = systemClock.monotonic()
      try {
        judge(path, least, await replica.get(path, {}, { agent }))
      } catch (error) {
        wrong.push(`${path}: ${String(error)}`)
      }
      tookMs.push(systemClock.monotonic() - beganMs)
      await run.next()
    }
  })
  const purging = (async () => {
    for (let round = 0; !run.stopped; round++) {
      const enough = run.answered + answersPerPurge
      await eventually(() => run.answered >= enough || run.stopped)
      const path = paths[round % paths.length] as string
      const now = origin.advance()
      const [body, touched] = round % 3 === 0 ?
        [{ urls: [`http://${host}${path}`] }, [path]] as const
        : round % 3 === 1 ?
        [{ tags: [tagOf(path)] }, [path]] as const
        : [{ tags: ['x'] }, paths] as const
      const { status } = await (replicas[round % replicas.length] as TestProxy<Clock>).purge(body)
      purges[status] = (purges[status] ?? 0) + 1
      if (status === 200) { for (const each of touched) floor.set(each, now) }
      else if (status !== 202 && status !== 503) wrong.push(`purge: ${status}`)
    }
  })()
  return {
    more: count => run.more(count),
    stop: async () => {
      run.stop()
      await Promise.all([...asking, purging])
      agent.destroy()
      const sorted = tookMs.toSorted((a, b) => a - b)
      const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
      return { wrong, cut, answered: run.answered, hits, purges, p99Ms: at(0.99), slowestMs: at(1) }
    },
  }
}
