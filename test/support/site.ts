// Several replicas over one real Redis, under load that knows the right responses.
import type { Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from './client.ts'
import { detail, startProxy, type TestProxy } from './proxy.ts'
import { Pace } from './pace.ts'
import { startOrigin, type ScriptedOrigin } from './scripted-origin.ts'

export type Replica = TestProxy<Clock>

export interface Site {
  readonly origin: ScriptedOrigin
  readonly replicas: readonly [Replica, Replica]
  /** Publishes a new version of everything. The origin serves it from now on. */
  publish(): number
  /** Purges all versions before the current one, and returns the status. After a 200, no request may be served an older version. */
  purge(replica: Replica): Promise<number>
  /** Clients that send requests until they are stopped, without a pause while `more` waits for them. */
  load(paths: readonly string[]): Load
}

/** In milliseconds. */
export interface Times {
  readonly count: number
  readonly median: number
  readonly p99: number
  readonly most: number
}

export interface Load {
  /** Resolves when so many more responses have come. */
  more(count: number): Promise<void>
  /** Has the next responses come without a pause. */
  hurry(count: number): void
  /** Times of the responses since the last call. */
  times(): { readonly small: Times; readonly large: Times }
  /**
   * `wrong`: each response that was not as it must be. `cut`: large ones that broke off when the origin had a newer version,
   * and were right as far as they went.
   */
  stop(): Promise<{ readonly wrong: readonly string[]; readonly cut: number }>
}

// While the test waits for something else than responses, a few keep the replicas busy enough.
const pace = { busyMs: 0, idleMs: 10, longestMs: 80 }
// So many responses come fast after a purge: only then can they be older than it allows.
const hurriedByPurge = 12
const made = new Map<string, string>()

/** In chunks of 256 KiB these are two and three. */
function largeBytes(path: string): number {
  return path === '/large/1' ? 600_000 : 300_000
}

/** Returns the origin's body for a path at a version: long if the path says so, and nowhere the same. */
export function bodyOf(path: string, version: number): string {
  const line = `${path} at version ${version}\n`
  if (!path.startsWith('/large')) return line
  // The last of each path: it is compared many times, and made by the origin as often.
  const before = made.get(path)
  if (before?.startsWith(line) === true) return before
  const body = line.repeat(Math.ceil(largeBytes(path) / line.length))
  made.set(path, body)
  return body
}

export async function startReplicas(t: Test, redis: string, config: Readonly<Record<string, unknown>> = {}): Promise<Site> {
  let version = 1
  let least = 0
  const loads: Load[] = []
  const origin = await startOrigin((request, response) => {
    const path = request.url ?? ''
    response.writeHead(200, { 'Cache-Control': 'max-age=600', 'Cache-Tag': 'all' }).end(bodyOf(path, version))
  })
  t.teardown(() => origin.close())
  const start = (): Promise<Replica> => startProxy(t, { origin, host: 'api.example', redis, clock: systemClock, config })
  const replicas = [await start(), await start()] as const
  return {
    origin,
    replicas,
    publish: () => ++version,
    purge: async (replica) => {
      const purged = version
      const { status } = await replica.purge({ tags: ['all'] })
      if (status === 200) least = Math.max(least, purged)
      for (const load of loads) load.hurry(hurriedByPurge)
      return status
    },
    load: (paths) => {
      const load = startLoad(replicas, paths, () => least, () => version)
      loads.push(load)
      return load
    },
  }
}

function startLoad(replicas: readonly Replica[], paths: readonly string[], least: () => number, most: () => number): Load {
  const run = new Pace(pace)
  const wrong: string[] = []
  const times = { small: [] as number[], large: [] as number[] }
  let cut = 0
  const clients = Array.from({ length: 4 }, async (_, client) => {
    for (let i = client; !run.stopped; i++) {
      // Some paths are new, so that there is always something to store.
      const path = i % 7 === 0 ? `/new/${client}/${i}` : paths[i % paths.length] as string
      const atLeast = least()
      const began = systemClock.monotonic()
      const answer = await (replicas[i % replicas.length] as Replica).get(path)
      times[path.startsWith('/large') ? 'large' : 'small'].push(systemClock.monotonic() - began)
      const fault = faultOf(answer, path, atLeast, most())
      if (fault === 'cut') cut++
      else if (fault !== undefined) wrong.push(fault)
      await run.next()
    }
  })
  return {
    more: count => run.more(count),
    hurry: count => run.hurry(count),
    times: () => ({ small: summary(times.small.splice(0)), large: summary(times.large.splice(0)) }),
    stop: async () => {
      run.stop()
      await Promise.all(clients)
      return { wrong, cut }
    },
  }
}

function summary(times: number[]): Times {
  times.sort((a, b) => a - b)
  const at = (part: number): number => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0)
  return { count: times.length, median: at(0.5), p99: at(0.99), most: at(1) }
}

// A body names its path and version. All of it must be of one version, of this path, no older than the last purge that was
// acknowledged before the request.
function faultOf(answer: Answer, path: string, least: number, most: number): 'cut' | string | undefined {
  const text = answer.body.toString('latin1')
  const version = Number(/ at version (\d+)\n/.exec(text)?.[1])
  const said = `${path}: ${answer.status}, ${answer.body.length} bytes of version ${version} (${least} to ${most}), ${detail(answer)}`
  if (answer.status !== 200 || !(version >= least && version <= most)) return said
  const whole = bodyOf(path, version)
  if (answer.complete) return text === whole ? undefined : said
  return path.startsWith('/large') && whole.startsWith(text) && version < most ? 'cut' : said
}

export async function json<T>(answer: Promise<Answer>): Promise<T> {
  return JSON.parse((await answer).body.toString()) as T
}

/** Returns the degraded parts that both /readyz and the statistics report. Throws if they differ, or the replica is not ready. */
export async function degraded(replica: Replica): Promise<readonly string[]> {
  return (await json<{ status: 'ready'; degraded: string[] }>(replica.admin('/readyz'))).degraded
}

export async function allSay({ replicas }: Site, parts: readonly string[]): Promise<boolean> {
  for (const replica of replicas) if (JSON.stringify(await degraded(replica)) !== JSON.stringify(parts)) return false
  return true
}

/** True if a replica is well: nothing is degraded, it follows the log, and a repeated request is a hit. */
export async function well(replica: Replica, path: string): Promise<boolean> {
  if ((await degraded(replica)).length > 0) return false
  await replica.get(path)
  return detail(await replica.get(path)) === 'fresh'
}
