// The check of coherence: a fleet, its clients and its troubles, from a seed to a verdict.
import { startRedis } from '../support/redis.ts'
import { Client, type Steps } from './clients.ts'
import { CountingOrigin } from './origin.ts'
import { Oracle, type Violation } from './oracle.ts'
import { Random } from './random.ts'
import type { Scene } from './reading.ts'
import { WiredReplica } from './replica.ts'
import { Trail } from './trail.ts'
import { makeTrouble, type TroubleKind } from './trouble.ts'
import { Wire } from './wire.ts'

export interface CheckOptions {
  readonly seed: number
  /** Things that clients do, all together. */
  readonly steps: number
  readonly replicas: number
  /** How many of the replicas have two workers. */
  readonly withWorkers: number
  readonly clients: number
  readonly maxLagMs: number
  /** What goes wrong, beside the delays that there are always: everything, nothing, or one kind alone. */
  readonly trouble: 'all' | 'none' | TroubleKind
  /** deaf: the last replica follows another log, so purges do not reach it. The check must then find violations. */
  readonly sabotage: 'deaf' | undefined
  /** No step begins later than this after all replicas serve; undefined: all are taken. */
  readonly longestMs?: number | undefined
  /** The run ends at so many violations. */
  readonly mostViolations: number
}

export interface Found {
  readonly violation: Violation
  /** The answer, and what led to it. */
  readonly story: string
}

export interface Report {
  readonly seed: number
  readonly steps: number
  readonly seconds: number
  readonly found: readonly Found[]
  /** Requests that nobody ever answered, each with the troubles before it. No promise of a purge is broken by one. */
  readonly hung: readonly string[]
  readonly trail: Trail
}

// What is still under way when the last step is taken may take this long: longer than any setting allows.
const lastAnswersMs = 120_000

/** @throws Error when a replica does not start, or something hangs. */
export async function check(options: CheckOptions): Promise<Report> {
  const random = new Random(options.seed)
  const trail = new Trail()
  const origin = new CountingOrigin(random.fork('origin'), 120)
  const redis = await startRedis()
  await origin.listen()
  const oracle = new Oracle()
  const found: Found[] = []
  /** By the target of the unsafe request whose promise was broken: its replica may yet say that it made none. */
  const doubtful = new Map<string, Found>()
  const notRecorded = new Set<string>()
  const hung: string[] = []

  const replicas: WiredReplica[] = []
  for (let i = 0; i < options.replicas; i++) {
    const name = `r${i + 1}`
    const wire = new Wire(redis, random.fork(`wire ${name}`), 60)
    await wire.listen()
    replicas.push(new WiredReplica({
      name, wire,
      origin: origin.url,
      workers: i < options.withWorkers ? 2 : 1,
      maxLagMs: options.maxLagMs,
      keyPrefix: options.sabotage === 'deaf' && i === options.replicas - 1 ? 'deaf' : 'sh',
      notRecorded: (target) => notRecorded.add(target),
    }))
  }

  let over = false
  const scene: Scene = {
    trail, origin, oracle, replicas,
    violated: (violation, about, what) => {
      const unsafe = violation.purge?.unsafe
      if (unsafe !== undefined && doubtful.has(unsafe)) return
      const one = { violation, story: `${what}\n${trail.about(new Set([about, 'purge', 'trouble']), 60)}` }
      if (unsafe !== undefined) doubtful.set(unsafe, one)
      else if (found.push(one) >= options.mostViolations) over = true
    },
    hung: (what) => {
      trail.count('not answered at all')
      hung.push(`${what}\n${trail.about(new Set(['trouble']), 20)}`)
    },
  }
  let taken = 0
  let beganMs = 0
  const steps: Steps = {
    get taken() {
      return taken
    },
    get left() {
      return !over && taken < options.steps && trail.elapsedMs - beganMs <= (options.longestMs ?? Infinity)
    },
    take: () => {
      if (!steps.left) return false
      taken++
      return true
    },
  }

  try {
    await Promise.all(replicas.map((replica) => replica.start()))
    beganMs = trail.elapsedMs
    const clients = Array.from({ length: options.clients }, (_, i) => new Client(scene, steps, random.fork(`client ${i}`), `c${i + 1}`).run())
    const only = options.trouble === 'all' || options.trouble === 'none' ? undefined : options.trouble
    const parts = { trail, replicas, redis, only, maxLagMs: options.maxLagMs, random: random.fork('trouble') }
    const troubles = options.trouble === 'none' ? undefined : makeTrouble(parts, steps)
    await inTime(Promise.all(clients), steps)
    await troubles
    trail.count('304s of the origin', origin.notModified)
    trail.count('failures of the origin', origin.failed)
    trail.count('answers judged after a confirmed purge of theirs', oracle.judgedByPurge)
    trail.count('unsafe answers whose invalidation was not recorded, and said so', notRecorded.size)
    const seconds = (trail.elapsedMs - beganMs) / 1000
    for (const [target, one] of doubtful) if (!notRecorded.has(target)) found.push(one)
    return { seed: options.seed, steps: taken, seconds, found, hung, trail }
  } finally {
    await Promise.all(replicas.map((replica) => replica.kill()))
    await Promise.all(replicas.map(({ wire }) => wire.close()))
    await origin.close()
    await redis.stop()
  }
}

// Rejects when clients still wait long after the last step was taken.
async function inTime(clients: Promise<unknown>, steps: Steps): Promise<void> {
  let watch: NodeJS.Timeout | undefined
  const hang = new Promise<never>((_resolve, reject) => {
    let lateMs = 0
    watch = setInterval(() => {
      if (!steps.left && (lateMs += 200) > lastAnswersMs) reject(new Error('clients still wait for answers long after the last step: something hangs'))
    }, 200)
  })
  try {
    await Promise.race([clients, hang])
  } finally {
    clearInterval(watch)
  }
}
