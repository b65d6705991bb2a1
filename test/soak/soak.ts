// The soak: three replicas under mixed load, a fault after the other, and everything measured and judged, from a seed.
import { Oracle } from '../coherence/oracle.ts'
import { Random, wait } from '../coherence/random.ts'
import { hearsNotRecorded, postNumber, purgeWaitMs, sessionPath, token } from '../coherence/replica.ts'
import { Trail } from '../coherence/trail.ts'
import { People } from '../session/people.ts'
import { openSessionPlace, type SessionPlace } from '../session/place.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { Replica } from '../support/replica.ts'
import { faults, recovery, type Fault } from './faults.ts'
import { runClient, runPurger, type Scene } from './load.ts'
import { SoakOrigin } from './origin.ts'
import { courseOf, Samples, type Measure } from './samples.ts'
import { Troubles } from './troubles.ts'

export interface SoakOptions {
  readonly seed: number
  /** How many faults, one each `periodMs`, and how long each lasts. */
  readonly faults: number
  readonly periodMs: number
  readonly faultMs: number
  readonly sampleMs: number
  readonly clients: number
  /** True if measures that depend on the machine's speed count: recovery, the time of a stop, and memory. */
  readonly timed: boolean
  /** Called with a line for each fault as it is over. */
  readonly tell: (line: string) => void
}

export interface Report {
  readonly seed: number
  readonly seconds: number
  readonly trail: Trail
  readonly samples: Samples
  readonly violations: readonly string[]
}

const mostViolations = 20
const longestRecoveryMs = 2_000
const longestStopMs = 15_000
const maxLagMs = 1_000
// By then the last requests must have their responses.
const lastAnswersMs = 60_000

/** @throws Error when a replica does not start, or something hangs. */
export async function soak(options: SoakOptions): Promise<Report> {
  const random = new Random(options.seed)
  const trail = new Trail()
  const origin = new SoakOrigin(random.fork('origin'))
  await origin.listen()
  const redis = await startRedis()
  const place = await openSessionPlace({ commandTimeoutMs: 1000, connectTimeoutMs: 1000 })
  const violations: string[] = []
  const notRecorded = new Set<string>()
  /** By the target of the unsafe request whose promise was broken: its replica may yet say that it made none. */
  const doubtful = new Map<string, string>()
  const broken = (what: string): void => {
    trail.count('violations')
    if (violations.length < mostViolations) violations.push(what)
  }
  const replicas = [1, 1, 2].map((workers, i) =>
    new Replica({
      name: `r${i + 1}`,
      workers,
      config: configFor(redis, origin, place),
      logged: hearsNotRecorded((target) => notRecorded.add(target)),
    })
  )
  const scene: Scene = {
    trail,
    origin,
    replicas,
    oracle: new Oracle(),
    troubles: new Troubles(),
    violated: ({ rule, purge }, about, what) => {
      const which = purge === undefined ? '' : ` (purge ${purge.number} of ${JSON.stringify(purge.named)}, confirmed at #${purge.confirmed})`
      const story = `${rule}${which}\n${what}\n${trail.about(new Set([about, 'purge', 'fault']), 40)}`
      if (purge?.unsafe === undefined) broken(story)
      else doubtful.set(purge.unsafe, story)
    },
    hung: (what) => broken(`nobody answered: ${what}`),
  }
  const people = new People({ random: random.fork('people'), replicas, path: sessionPath, quiet: place.quiet, violated: (what) => broken(`sessions: ${what}`) })
  const samples = new Samples()
  let over = false
  let sampler: NodeJS.Timeout | undefined
  try {
    await Promise.all(replicas.map((replica) => replica.start()))
    const beganMs = trail.elapsedMs
    const sample = (): void => {
      for (const replica of replicas) {
        if (replica.up && replica.pid !== undefined) samples.take(replica.workers > 1 ? `${replica.name} primary` : replica.name, replica.pid, trail.elapsedMs)
        for (const pid of replica.up ? replica.workerPids : []) samples.take(`${replica.name} worker`, pid, trail.elapsedMs)
      }
    }
    sampler = setInterval(sample, options.sampleMs)
    const load = [
      ...Array.from({ length: options.clients }, (_, i) => runClient(scene, random.fork(`client ${i}`), `c${i + 1}`, () => over)),
      runPurger(scene, random.fork('purger'), () => over),
      live(people, () => over),
    ]
    const stopped = (replica: Replica, code: number | NodeJS.Signals, tookMs: number): void => {
      trail.most('slowest stop, ms', Math.round(tookMs))
      // Its primary replaces it, so there is no other sign.
      if (/worker \d+ ended/.test(replica.said)) broken(`a worker of ${replica.name} ended by itself: ${replica.said}`)
      if (code !== 0) broken(`${replica.name} was told to stop, and ended with ${code}: ${replica.said}`)
      else if (options.timed && tookMs > longestStopMs) broken(`${replica.name} took ${Math.round(tookMs)} ms to stop`)
    }
    const expected = new Set<Replica>()
    const watch = setInterval(() => {
      for (const replica of replicas) {
        if (replica.up || expected.has(replica)) continue
        expected.add(replica)
        broken(`${replica.name} ended by itself: ${replica.said}`)
      }
    }, 100)
    try {
      for (let i = 0; i < options.faults; i++) {
        await wait(Math.max(0, beganMs + i * options.periodMs + options.periodMs / 4 - trail.elapsedMs))
        const fault = faults[i % faults.length] as Fault
        // The third lives from the first moment to the last: its memory is judged.
        const replica = replicas[(i + Math.floor(i / faults.length)) % 2] as Replica
        if (fault.one === true) expected.add(replica)
        await undergo(fault, { replica, number: i + 1 })
        expected.delete(replica)
      }
      await wait(Math.max(0, beganMs + options.faults * options.periodMs - trail.elapsedMs))
    } finally {
      clearInterval(watch)
      over = true
    }
    await inTime(Promise.all(load))
    const seconds = (trail.elapsedMs - beganMs) / 1000
    sample()
    clearInterval(sampler)
    for (const replica of replicas) {
      const stopMs = trail.elapsedMs
      stopped(replica, await replica.drain(), trail.elapsedMs - stopMs)
    }
    trail.count('responses of the origin', origin.answered)
    for (const [operation, count] of Object.entries(people.acknowledged)) trail.count(`sessions: ${operation}`, count)
    trail.count('responses judged after a confirmed purge of theirs', scene.oracle.judgedByPurge)
    for (const [target, story] of doubtful) if (!notRecorded.has(target)) broken(story)
    if (options.timed) { for (const what of growing(samples, seconds)) broken(what) }
    return { seed: options.seed, seconds, trail, samples, violations }

    async function undergo(fault: Fault, { replica, number }: { replica: Replica; number: number }): Promise<void> {
      const about = fault.one === true ? `${fault.name} (${replica.name})` : fault.name
      trail.count(`fault: ${fault.name}`)
      trail.note('fault', `${about}: begins`)
      const fromMs = trail.elapsedMs
      const end = scene.troubles.begin(fault.sort, fault.one === true ? replica.name : undefined, fromMs)
      await fault.happen({ scene, redis, replica, stopped }, options.faultMs)
      const lastedMs = trail.elapsedMs - fromMs
      trail.note('fault', `${about}: is over`)
      const took = await Promise.all(replicas.map((one, i) => recovery(scene, one, `${number}${i}`)))
      end(trail.elapsedMs)
      trail.note('fault', `${about}: all is as before`)
      options.tell(
        `${clock(fromMs - beganMs)}  ${about.padEnd(24)} for ${(lastedMs / 1000).toFixed(1).padStart(4)} s; as before after ${
          took.map((ms, i) => `${replicas[i]?.name} ${ms === undefined ? 'never' : `${Math.round(ms)} ms`}`).join(', ')
        }`,
      )
      for (const [i, ms] of took.entries()) {
        trail.most('slowest recovery, ms', Math.round(ms ?? Infinity))
        if (ms === undefined || (options.timed && ms > longestRecoveryMs))
          broken(`${about}: ${replicas[i]?.name} was as before ${ms === undefined ? 'never' : `only after ${Math.round(ms)} ms`}`)
      }
    }
  } finally {
    over = true
    clearInterval(sampler)
    await Promise.all(replicas.map((replica) => replica.kill()))
    await origin.close()
    await redis.stop()
    await place.close()
  }
}

/** Rounds of people with sessions. */
async function live(people: People, over: () => boolean): Promise<void> {
  for (let round = 0; !over(); round++) {
    await people.round(round)
    await wait(20)
  }
}

function configFor(redis: RedisServer, origin: SoakOrigin, place: SessionPlace): object {
  return {
    proxy: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'soak', token, scopes: ['read', 'purge'] }] },
    redis: { url: redis.url },
    origins: { api: { servers: origin.urls }, sessions: { servers: [place.origin] } },
    sessions: place.sessions,
    routes: [{ match: { path: sessionPath }, origin: 'sessions' }, { match: {}, origin: 'api', identity: { sources: [] } }],
    coherence: { maxLagMs, purgeWaitMs },
    cache: { memory: { maxBytes: '16MiB' }, keepStale: '60s' },
    log: { level: 'error', query: [postNumber] },
  }
}

const measures: readonly Measure[] = ['rss', 'handles', 'sockets']

/** Returns the measures that did not stay flat, of processes that lived for most of the run. */
function growing(samples: Samples, seconds: number): string[] {
  return samples.all.filter((series) => lived(series, seconds)).flatMap((series) =>
    measures.filter((measure) => !courseOf(series, measure).flat).map((measure) => {
      const { before, after } = courseOf(series, measure)
      return `${measure} of ${series.name} grew from ${before} to ${after}`
    })
  )
}

export function lived({ samples }: Samples['all'][number], seconds: number): boolean {
  return samples.length >= 6 && (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0) > seconds * 1000 * 0.6
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`
}

async function inTime(load: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('clients still wait for responses long after the last request: something hangs')), lastAnswersMs)
  })
  try {
    await Promise.race([load, late])
  } finally {
    clearTimeout(timer)
  }
}
