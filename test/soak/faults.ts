// The faults of the soak, each in its turn: how each ends, and how long after that everything is as before.
import { connect } from 'node:net'
import { host, token } from '../coherence/replica.ts'
import { wait } from '../coherence/random.ts'
import { ask } from '../support/client.ts'
import type { RedisServer } from '../support/redis.ts'
import type { Replica } from '../support/replica.ts'
import type { Scene } from './load.ts'
import type { Sort } from './troubles.ts'

export interface Fault {
  readonly name: string
  readonly sort: Sort
  /** Which replica of those that may be ended, if it is about one. */
  readonly one?: boolean
  /** From its beginning to its end, which is `ms` later where that can be chosen. */
  happen(parts: FaultParts, ms: number): Promise<void>
}

export interface FaultParts {
  readonly scene: Scene
  readonly redis: RedisServer
  readonly replica: Replica
  /** Called with the result of a stop. */
  readonly stopped: (replica: Replica, code: number | NodeJS.Signals, tookMs: number) => void
}

export const faults: readonly Fault[] = [
  { name: 'Redis paused', sort: 'redis', happen: async ({ redis }, ms) => {
    redis.kill('SIGSTOP')
    await wait(ms)
    redis.kill('SIGCONT')
  } },
  { name: 'origin resetting', sort: 'origin', happen: async ({ scene: { origin } }, ms) => {
    origin.mode = 'resetting'
    origin.resetAll()
    await wait(ms)
    origin.mode = 'well'
  } },
  { name: 'replica killed', sort: 'killed', one: true, happen: async ({ replica }, ms) => {
    await replica.kill()
    await wait(ms)
    await replica.start()
  } },
  { name: 'Redis killed', sort: 'redis', happen: async ({ redis }, ms) => {
    await redis.stop()
    await wait(ms)
    await redis.restart()
  } },
  { name: 'origin failing', sort: 'origin', happen: async ({ scene: { origin } }, ms) => {
    origin.mode = 'failing'
    await wait(ms)
    origin.mode = 'well'
  } },
  { name: 'replica stopped', sort: 'stopped', one: true, happen: async ({ scene, replica, stopped }, ms) => {
    const beganMs = scene.trail.elapsedMs
    stopped(replica, await replica.drain(), scene.trail.elapsedMs - beganMs)
    await wait(ms)
    await replica.start()
  } },
  { name: 'Redis stopped', sort: 'redis', happen: async ({ redis }, ms) => {
    redis.kill('SIGTERM')
    await wait(ms)
    await redis.restart()
  } },
  { name: 'Redis full', sort: 'redis', happen: async ({ redis }, ms) => {
    await redisSays(redis.port, 'CONFIG SET maxmemory-policy noeviction maxmemory 1mb')
    await wait(ms)
    await redisSays(redis.port, 'CONFIG SET maxmemory 0')
  } },
  { name: 'reloaded', sort: 'none', happen: async ({ scene: { replicas } }) => {
    for (const replica of replicas) replica.reload()
  } },
]

function redisSays(port: number, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`))
    socket.once('data', (data) => {
      socket.destroy()
      if (data.toString().startsWith('+OK')) resolve()
      else reject(new Error(`${command}: ${data.toString()}`))
    })
    socket.once('error', reject)
  })
}

// Longer than anything should take by far: then it does not come back by itself.
const longestRecoveryMs = 60_000
const probeEveryMs = 20

/**
 * Returns how long it takes from now until a replica is as before. A new URL is fetched from the origin, and at once a hit; a
 * response that may not be stored arrives. As often in a row as it has workers, and again. Returns undefined if it does not
 * come back.
 */
export async function recovery({ trail }: Scene, replica: Replica, name: string): Promise<number | undefined> {
  const beganMs = trail.elapsedMs
  let firstMs = 0
  for (let well = 0, round = 0; well < 2 * replica.workers; round++) {
    if (trail.elapsedMs - beganMs > longestRecoveryMs) return undefined
    if (well === 0) firstMs = trail.elapsedMs - beganMs
    if (await isWell(replica, `/probe/${name}${String(round).padStart(4, '0')}`)) well++
    else {
      well = 0
      await wait(probeEveryMs)
    }
  }
  return firstMs
}

async function isWell(replica: Replica, path: string): Promise<boolean> {
  const get = (target: string) => ask(replica.proxyPort, { path: target, headers: ['Host', host] })
  try {
    const [passed, first] = await Promise.all([get('/none/0'), get(path)])
    const second = await get(path)
    const ready = await ask(replica.adminPort, { path: '/readyz', headers: ['Authorization', `Bearer ${token}`] })
    return passed.status === 200 && first.status === 200 && second.status === 200 && / hit/.test(second.header('cache-status') ?? '')
      && ready.status === 200 && !ready.body.toString().includes('redis')
  } catch {
    return false
  }
}
