// The check of coherence: replicas, clients and troubles, from a seed to a verdict.
import { People } from '../session/people.ts'
import { Client } from './clients.ts'
import { clockLibrary } from './clocks/library.ts'
import { Deferred } from './deferred.ts'
import { openFleet } from './fleet.ts'
import { Oracle, type Violation } from './oracle.ts'
import { Random, wait } from './random.ts'
import type { Scene } from './reading.ts'
import { sessionPath } from './replica.ts'
import { deaf, sabotaged, type SabotageName } from './sabotage.ts'
import { settle } from './settle.ts'
import { StepCount } from './steps.ts'
import { Trail } from './trail.ts'
import { makeTrouble, needs, within, type TroubleKind } from './trouble.ts'

export interface CheckOptions {
  readonly seed: number
  /** The number of steps, for all clients together. */
  readonly steps: number
  readonly replicas: number
  /** The number of replicas that have two workers. */
  readonly withWorkers: number
  readonly clients: number
  readonly maxLagMs: number
  /** The troubles beside the constant delays: all, none, or one kind. */
  readonly trouble: 'all' | 'none' | TroubleKind
  /** The mend that is taken out of the program, or the trick: the check must then find violations. */
  readonly sabotage: SabotageName | undefined
  /** The program of another build, for every second replica. */
  readonly other?: { readonly program: string; readonly first: boolean } | undefined
  /** No step begins later than this after all replicas serve; undefined: all steps are taken. */
  readonly longestMs?: number | undefined
  /** The run ends after this many violations. */
  readonly mostViolations: number
}

export interface Found {
  readonly violation: Violation
  /** The violation, and the events that led to it. */
  readonly story: string
}

export interface Report {
  readonly seed: number
  readonly steps: number
  readonly seconds: number
  readonly found: readonly Found[]
  /** Requests without any response, each with the troubles before it. None of them breaks a promise of a purge. */
  readonly hung: readonly string[]
  /** Kinds of trouble that were left out, because this machine cannot shift clocks. */
  readonly leftOut: readonly TroubleKind[]
  readonly trail: Trail
}

// How long requests in flight may take after the last step: longer than any setting allows.
const lastAnswersMs = 120_000
// After this many steps all troubles end, and everything must recover.
const roundSteps = 2000

/** Rounds of people with sessions, for as long as clients take steps. */
async function live(people: People, steps: StepCount): Promise<void> {
  for (let round = 0; steps.left; round++) {
    await people.round(round)
    await wait(5)
  }
}

/** @throws Error if a replica does not start, or something hangs. */
export async function check(options: CheckOptions): Promise<Report> {
  const { sabotage, maxLagMs } = options
  const random = new Random(options.seed)
  const trail = new Trail()
  const library = clockLibrary()
  const { run: names, leftOut } = within(options.trouble, 'path' in library)
  const patched = sabotage === undefined || sabotage === deaf ? undefined : sabotaged(sabotage)
  const oracle = new Oracle()
  const deferred = new Deferred({ trail, oracle, maxLagMs })
  const found: Found[] = []
  /** By the target of the unsafe request whose promise was broken: its replica may still report that it made none. */
  const doubtful = new Map<string, Found>()
  const notRecorded = new Set<string>()
  const hung: string[] = []
  const fleet = await openFleet({
    ...options,
    deaf: sabotage === deaf,
    program: patched?.program,
    library: 'path' in library && names.some((name) => needs(name, 'clocks') || needs(name, 'standby')) ? library.path : undefined,
    withStandby: names.some((name) => needs(name, 'standby')),
    notRecorded: (target, replica) => {
      notRecorded.add(target)
      deferred.notRecorded(target, replica)
    },
  }, random)
  const { origin, replicas, redis } = fleet
  const scene: Scene = {
    trail,
    origin,
    oracle,
    replicas,
    posted: (target, named, generation) => deferred.posted(target, named, generation),
    violated: (violation, about, what) => {
      const unsafe = violation.purge?.unsafe
      if (unsafe !== undefined && doubtful.has(unsafe)) return
      const one = { violation, story: `${what}\n${trail.about(new Set([about, 'purge', 'trouble']), 60)}` }
      if (unsafe !== undefined) doubtful.set(unsafe, one)
      else if (found.push(one) >= options.mostViolations) steps.over = true
    },
    hung: (what) => {
      trail.count('no response at all')
      hung.push(`${what}\n${trail.about(new Set(['trouble']), 20)}`)
    },
  }
  const steps = new StepCount(options.steps, trail)
  const people = fleet.sessions && new People({
    random: random.fork('people'),
    replicas,
    path: sessionPath,
    quiet: fleet.sessions.quiet,
    violated: (what) => scene.violated({ rule: `sessions: ${what}`, purge: undefined }, 'session', 'seen by people with sessions'),
  })
  const troubles = {
    trail,
    replicas,
    redis,
    maxLagMs,
    random: random.fork('trouble'),
    client: new Client(scene, steps, random.fork('client of troubles'), 'trouble'),
  }

  try {
    await fleet.start()
    const beganMs = trail.elapsedMs
    steps.end(options.longestMs ?? Infinity)
    const watch = deferred.watch()
    for (let round = 1; steps.begin(roundSteps); round++) {
      const clients = Array.from({ length: options.clients }, (_, i) => new Client(scene, steps, random.fork(`client ${i} of round ${round}`), `c${i + 1}`).run())
      const trouble = names.length === 0 ? undefined : makeTrouble(troubles, names, steps)
      await inTime(Promise.all([...clients, people === undefined ? undefined : live(people, steps)]), steps)
      await trouble
      if (!steps.over && sabotage !== deaf) await settle(scene)
    }
    deferred.stop()
    await watch
    for (const [operation, count] of Object.entries(people?.acknowledged ?? {})) trail.count(`sessions: ${operation}`, count)
    trail.count('304s of the origin', origin.notModified)
    trail.count('failures of the origin', origin.failed)
    trail.count('responses judged after a confirmed purge of theirs', oracle.judgedByPurge)
    trail.count('unsafe responses whose invalidation was not recorded, and said so', notRecorded.size)
    const seconds = (trail.elapsedMs - beganMs) / 1000
    for (const [target, one] of doubtful) if (!notRecorded.has(target)) found.push(one)
    return { seed: options.seed, steps: steps.taken, seconds, found, hung, leftOut, trail }
  } finally {
    deferred.stop()
    await fleet.close()
    patched?.remove()
  }
}

// Rejects if clients still wait long after the last step was taken.
async function inTime(clients: Promise<unknown>, steps: { readonly left: boolean }): Promise<void> {
  let watch: NodeJS.Timeout | undefined
  const hang = new Promise<never>((_resolve, reject) => {
    let lateMs = 0
    watch = setInterval(() => {
      if (!steps.left && (lateMs += 200) > lastAnswersMs) reject(new Error('clients still wait for responses long after the last step: something hangs'))
    }, 200)
  })
  try {
    await Promise.race([clients, hang])
  } finally {
    clearInterval(watch)
  }
}
