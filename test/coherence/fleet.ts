// The processes of a run: Redis, the origin, and replicas, each with a separate wire and clocks.
import { ShiftedClock } from './clocks/clock.ts'
import { openSessionPlace, type SessionPlace } from '../session/place.ts'
import { CountingOrigin } from './origin.ts'
import type { Random } from './random.ts'
import { WiredReplica } from './replica.ts'
import { RedisServers } from './servers.ts'
import { Wire } from './wire.ts'

export interface FleetOptions {
  readonly replicas: number
  /** The number of replicas that have two workers. */
  readonly withWorkers: number
  readonly maxLagMs: number
  /** The last replica follows another log than the others. */
  readonly deaf: boolean
  /** Another program than the one beside the tests. */
  readonly program: string | undefined
  /** The program of another build, for every second replica: a rolling upgrade. */
  readonly other?: { readonly program: string; readonly first: boolean } | undefined
  /** Shifts clocks; undefined: all clocks are the true ones. */
  readonly library: string | undefined
  readonly withStandby: boolean
  notRecorded(target: string, replica: WiredReplica): void
}

export interface Fleet {
  readonly origin: CountingOrigin
  readonly redis: RedisServers
  readonly replicas: readonly WiredReplica[]
  /** undefined: the replicas have no sessions. */
  readonly sessions: SessionPlace | undefined
  /** @throws Error if a replica does not start */
  start(): Promise<void>
  close(): Promise<void>
}

/** Starts Redis and the origin, not the replicas. */
export async function openFleet(options: FleetOptions, random: Random): Promise<Fleet> {
  const { library, program, other, maxLagMs, notRecorded } = options
  const origin = new CountingOrigin(random.fork('origin'), 120)
  const redis = await RedisServers.start(library, options.withStandby, random)
  await origin.listen()
  // An older build may refuse their settings.
  const sessions = other === undefined ? await openSessionPlace({ commandTimeoutMs: 400, connectTimeoutMs: 1000 }) : undefined
  const replicas: WiredReplica[] = []
  for (let i = 0; i < options.replicas; i++) {
    const name = `r${i + 1}`
    const wire = new Wire(redis, random.fork(`wire ${name}`), 60)
    await wire.listen()
    replicas.push(new WiredReplica({
      name,
      wire,
      program: other !== undefined && (i % 2 === 0) === other.first ? other.program : program,
      maxLagMs,
      notRecorded,
      origin: origin.url,
      sessions,
      workers: i < options.withWorkers ? 2 : 1,
      keyPrefix: options.deaf && i === options.replicas - 1 ? 'deaf' : 'sh',
      clock: library === undefined ? undefined : new ShiftedClock(library),
    }))
  }
  return {
    origin,
    redis,
    replicas,
    sessions,
    start: async () => {
      await Promise.all(replicas.map((replica) => replica.start()))
    },
    close: async () => {
      await Promise.all(replicas.map((replica) => replica.kill()))
      await Promise.all(replicas.map(({ wire }) => wire.close()))
      for (const { clock } of replicas) clock?.close()
      await origin.close()
      await redis.stop()
      await sessions?.close()
    },
  }
}
