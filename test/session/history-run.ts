// A random history: people over two replicas and one Redis, with faults between their requests.
import { Redis } from 'ioredis'
import { Random, wait } from '../coherence/random.ts'
import { ask } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { Replica } from '../support/replica.ts'
import { People } from './people.ts'
import { openSessionPlace, type SessionPlace } from './place.ts'

/** The faults of a round, with their weights. */
const faults = { 'none': 8, 'redis hangs': 2, 'redis is emptied': 1, 'redis is lost': 1, 'a replica is killed': 1 } as const
type Fault = keyof typeof faults
const faultNames = Object.keys(faults) as Fault[]

export interface HistoryResult {
  readonly violations: readonly string[]
  readonly acknowledged: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
}

export interface HistoryOptions {
  readonly seed: number
  readonly rounds: number
}

const path = '/do'

/** Runs one history. The seed decides the operations and faults; their order on the wire is the machine's. */
export async function runHistory({ seed, rounds }: HistoryOptions): Promise<HistoryResult> {
  const random = new Random(seed)
  const place = await openSessionPlace({ commandTimeoutMs: 150, connectTimeoutMs: 300 })
  const config = {
    proxy: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    origins: { api: { servers: [place.origin] } },
    sessions: place.sessions,
    log: { level: 'error' },
  }
  const replicas = ['one', 'two'].map(name => new Replica({ name: `history-${name}-${seed}`, workers: 1, config }))
  const violations: string[] = []
  const met: Record<string, number> = {}
  const people = new People({
    random,
    replicas,
    path,
    quiet: async () => {
      await place.quiet()
      for (const replica of replicas) await eventually(() => usesRedis(replica))
    },
    violated: what => void violations.push(what),
  })
  try {
    await Promise.all(replicas.map(replica => replica.start()))
    for (let round = 0; round < rounds && violations.length === 0; round++) {
      // Each kind once, and then by chance.
      const fault = faultNames[round] ?? random.weighted(faults)
      met[fault] = (met[fault] ?? 0) + 1
      await people.round(round, () => happen(fault, { random, place, replicas, people }))
    }
    return { violations, acknowledged: people.acknowledged, refused: people.refused, faults: met }
  } finally {
    await Promise.all(replicas.map(replica => replica.kill()))
    await place.close()
  }
}

interface Scene {
  readonly random: Random
  readonly place: SessionPlace
  readonly replicas: readonly Replica[]
  readonly people: People
}

async function happen(fault: Fault, { random, place: { redis }, replicas, people }: Scene): Promise<void> {
  await wait(random.between(0, 15))
  switch (fault) {
    case 'none':
      return
    case 'redis hangs':
      redis.kill('SIGSTOP')
      await wait(random.between(50, 300))
      redis.kill('SIGCONT')
      return
    case 'redis is emptied':
      return people.lose(async () => {
        const raw = new Redis(redis.url)
        await raw.flushall()
        raw.disconnect()
      })
    case 'redis is lost':
      return people.lose(async () => {
        redis.kill('SIGKILL')
        await redis.restart()
      })
    default: {
      const replica = random.pick(replicas)
      await replica.kill()
      await replica.start()
    }
  }
}

/** True if a request that presents a session is not refused. */
async function usesRedis({ proxyPort }: Replica): Promise<boolean> {
  const unknown = `__Host-session=shs1${'a'.repeat(65)}`
  return (await ask(proxyPort, { path, headers: ['Cookie', unknown, 'X-Cc', 'no-store'] }).catch(() => undefined))?.status === 200
}
