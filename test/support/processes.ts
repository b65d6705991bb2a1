// Replicas as real processes of the program, over one Redis and before one origin.
import type { Test } from 'tap'
import { Running, urls } from '../cli/command.ts'
import { ask, type Answer, type Ask } from './client.ts'
import { startHeldOrigin, type HeldOrigin } from './held-origin.ts'
import { eventually } from './log.ts'
import { startRedis, type RedisServer } from './redis.ts'

const token = 'a-token-for-the-tests-of-processes'

/** The part of /v1/stats that tests of several processes read. */
export interface ProcessStats {
  readonly hits: number
  readonly coalesced: number
  readonly waits: number
  readonly leases: number
  readonly leasesTakenOver: number
  readonly purgeLog: { readonly current: boolean }
}

export interface ReplicaProcess {
  readonly pid: number
  /** Sends a GET as a client of all replicas does: with the same Host at each. */
  get(path: string, headers?: Readonly<Record<string, string>>, more?: Ask): Promise<Answer>
  stats(): Promise<ProcessStats>
  purge(body: unknown): Promise<Answer>
  kill(signal: NodeJS.Signals): void
}

export interface ProcessesOptions {
  readonly count: number
  readonly redis: string
  readonly origin: string
  /** SPRINGHOUSE_… settings. */
  readonly env?: Readonly<Record<string, string>>
}

// Deadlines that a machine with much else to do does not run into.
const patient = { SPRINGHOUSE_REDIS_COMMAND_TIMEOUT_MS: '20000', SPRINGHOUSE_COHERENCE_MAX_LAG_MS: '30000', SPRINGHOUSE_COHERENCE_PURGE_WAIT_MS: '20000' }

/** Starts them, and waits until each follows the purge log. They end with the test. */
export async function startProcesses(t: Test, options: ProcessesOptions): Promise<ReplicaProcess[]> {
  return Promise.all(Array.from({ length: options.count }, () => startProcess(t, options)))
}

async function startProcess(t: Test, { redis, origin, env = {} }: ProcessesOptions): Promise<ReplicaProcess> {
  const flags = ['--origin', origin, '--redis', redis, '--host', '127.0.0.1', '--port', '0', '--admin-port', '0']
  const running = new Running(t, ['serve', ...flags], { SPRINGHOUSE_ADMIN_TOKEN: token, SPRINGHOUSE_LOG_LEVEL: 'warn', ...patient, ...env })
  const { proxy, admin } = await urls(running)
  const port = Number(new URL(proxy).port)
  const adminPort = Number(new URL(admin).port)
  const authorization = ['Authorization', `Bearer ${token}`]
  const replica: ReplicaProcess = {
    pid: running.child.pid as number,
    get: (path, headers = {}, more = {}) => ask(port, { path, headers: Object.entries({ Host: 'api.example', ...headers }).flat(), ...more }),
    stats: async () => JSON.parse((await ask(adminPort, { path: '/v1/stats', headers: authorization })).body.toString()) as ProcessStats,
    purge: body => ask(adminPort, { path: '/v1/purge', method: 'POST', headers: [...authorization, 'Content-Type', 'application/json'], body: JSON.stringify(body) }),
    kill: signal => {
      running.child.kill(signal)
    },
  }
  await eventually(async () => (await replica.stats()).purgeLog.current)
  return replica
}

/** Several processes over one Redis, before an origin that responds on demand. */
export interface ProcessSite extends HeldOrigin {
  readonly redis: RedisServer
  readonly replicas: readonly ReplicaProcess[]
}

export async function startReplicas(t: Test, { count, env }: Pick<ProcessesOptions, 'count' | 'env'>): Promise<ProcessSite> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const held = await startHeldOrigin(t)
  const replicas = await startProcesses(t, { count, redis: redis.url, origin: held.origin.url, ...(env !== undefined && { env }) })
  return { redis, replicas, ...held }
}

/** `count` requests at once, in turn at each of the replicas. */
export function askAll(replicas: readonly ReplicaProcess[], count: number, path: string, headers: (i: number) => Record<string, string> = () => ({})): Promise<Answer>[] {
  return Array.from({ length: count }, (_, i) => (replicas[i % replicas.length] as ReplicaProcess).get(path, headers(i)))
}

type Counted = { [Name in keyof ProcessStats]: ProcessStats[Name] extends number ? Name : never }[keyof ProcessStats]

/** Returns a function that sums a statistic of the replicas, from now on. */
export async function countFrom(replicas: readonly ReplicaProcess[]): Promise<(what: Counted) => Promise<number>> {
  const sums = async (): Promise<(what: Counted) => number> => {
    const all = await Promise.all(replicas.map(replica => replica.stats()))
    return what => all.reduce((sum, stats) => sum + stats[what], 0)
  }
  const before = await sums()
  return async what => (await sums())(what) - before(what)
}

/** How often each value is there. */
export function tally(values: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const value of values) found[value] = (found[value] ?? 0) + 1
  return found
}
