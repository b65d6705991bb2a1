// Random requests of several people over two replicas and one Redis, with faults between them, judged by test/session/history.ts.
import { Buffer } from 'node:buffer'
import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import type { AddressInfo } from 'node:net'
import { Random, wait } from '../coherence/random.ts'
import { ask, type Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { Replica } from '../support/replica.ts'
import { Data, Life } from './history.ts'
import { claimsOf, codeOf, cookieOf, instructionOf, membersOf, operations, valuesOf, type Operation } from './history-requests.ts'
import { obedient, type Claims } from './support.ts'

/** The faults of a round. `none` is the most frequent. */
const faults = { 'none': 8, 'redis hangs': 2, 'redis is emptied': 1, 'redis is lost': 1, 'a replica is killed': 1 } as const
type Fault = keyof typeof faults
const faultNames = Object.keys(faults) as Fault[]

const members = ['a', 'b', 'cart.x', 'cart.y', 'cart.z'] as const

/** A person with a client: one session at a time, and its data. */
interface Person {
  cookie: string
  /** undefined before the first log-in. */
  user: string | undefined
  life: Life
  data: Data
  /** The number that `count` goes up to: what is certain, and what may have been added. */
  counted: number
  maybeCounted: number
}

interface Danger {
  /** undefined: everybody's. */
  readonly user: string | undefined
  readonly start: number
  end: number
}

export interface HistoryResult {
  readonly violations: readonly string[]
  /** How many of each operation were acknowledged, and how many were not. */
  readonly acknowledged: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
}

export interface HistoryOptions {
  readonly seed: number
  readonly rounds: number
}

/** Runs one history. The seed decides the operations and faults; their order on the wire is the machine's. */
export async function runHistory({ seed, rounds }: HistoryOptions): Promise<HistoryResult> {
  const scene = await Scene.start(seed)
  try {
    for (let round = 0; round < rounds && scene.result.violations.length === 0; round++) await scene.round(round)
    return scene.result
  } finally {
    await scene.close()
  }
}

class Scene {
  readonly result = { violations: [] as string[], acknowledged: {} as Record<string, number>, refused: {} as Record<string, number>, faults: {} as Record<string, number> }
  readonly #random: Random
  readonly #redis: RedisServer
  readonly #replicas: readonly Replica[]
  readonly #closeOrigin: () => void
  readonly #people: Person[] = []
  /** Sessions that have ended: their cookies stay worthless. */
  readonly #ended: Pick<Person, 'cookie' | 'life'>[] = []
  /** The causes that may end sessions of a user, or of everybody, in this round. */
  #dangers: Danger[] = []
  #tick = 0
  #value = 0

  private constructor(seed: number, redis: RedisServer, replicas: readonly Replica[], closeOrigin: () => void) {
    this.#random = new Random(seed)
    this.#redis = redis
    this.#replicas = replicas
    this.#closeOrigin = closeOrigin
  }

  static async start(seed: number): Promise<Scene> {
    const redis = await startRedis()
    const answer = obedient()
    const origin = createServer((request, response) => {
      const body = (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        return Buffer.concat(chunks)
      })()
      body.catch(() => undefined)
      void answer(request, response, { body } as Parameters<typeof answer>[2])
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => origin.once('listening', resolve))
    const config = {
      proxy: { host: '127.0.0.1', port: 0 },
      admin: { host: '127.0.0.1', port: 0 },
      origins: { api: { servers: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
      sessions: {
        enabled: true,
        redis: { url: redis.url, commandTimeoutMs: 150, connectTimeoutMs: 300 },
        keys: [{ id: 'k', alg: 'HS256', secret: 'a secret of at least thirty-two bytes' }],
        // Longer than a run: a token that another client holds is another test's.
        rotationGrace: '10m',
      },
      log: { level: 'error' },
    }
    const replicas = ['one', 'two'].map(name => new Replica({ name: `history-${name}-${seed}`, workers: 1, config }))
    await Promise.all(replicas.map(replica => replica.start()))
    return new Scene(seed, redis, replicas, () => {
      origin.closeAllConnections()
      origin.close()
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#replicas.map(replica => replica.kill()))
    await this.#redis.stop()
    this.#closeOrigin()
  }

  /** Operations at once, with at most one fault among them; then everything is in order again, and each session is read everywhere. */
  async round(number: number): Promise<void> {
    while (this.#people.length < 4) this.#people.push(await this.#newPerson())
    const flows = this.#people.flatMap(person => Array.from({ length: this.#random.between(1, 3) }, () => this.#flow(person, this.#random.fork(`${number} ${this.#value++}`))))
    // Each kind once, and then by chance.
    const fault = faultNames[number] ?? this.#random.weighted(faults)
    this.result.faults[fault] = (this.result.faults[fault] ?? 0) + 1
    await Promise.all([...flows, this.#disturb(fault)])
    await this.#recovered()
    await this.#settle()
  }

  async #newPerson(): Promise<Person> {
    const before = this.#tick
    const answer = await this.#ask(this.#random.pick(this.#replicas), undefined, '{"data":{"begun":1}}')
    const cookie = cookieOf(answer)
    if (cookie === undefined) throw new Error(`no session began: ${answer?.status} ${answer?.body.toString()}`)
    const data = new Data()
    data.of('begun').settle('1', before)
    return { cookie, user: undefined, life: new Life(this.#tick), data, counted: 0, maybeCounted: 0 }
  }

  /** Requests of one person, one after the other, at any replica. Several flows of a person run at once. */
  async #flow(person: Person, random: Random): Promise<void> {
    const { cookie, life } = person
    for (let left = random.between(1, 4); left > 0 && !life.hasEnded; left--) {
      // A log-in makes another session: this flow goes on with the one that it began with.
      await this.#operate(person, cookie, life, random.weighted(operations), random)
      if (random.chance(0.3)) await wait(random.between(1, 5))
    }
  }

  async #operate(person: Person, cookie: string, life: Life, operation: Operation, random: Random): Promise<void> {
    const replica = random.pick(this.#replicas)
    const start = ++this.#tick
    const { data } = person
    const name = operation === 'set nested' ? random.pick(members.slice(2)) : random.pick(members.slice(0, 2))
    const value = operation === 'remove' ? undefined : `${++this.#value}`
    const write = operation === 'set' || operation === 'remove' || operation === 'set nested' ? data.of(name).begin(value, start) : undefined
    const user = operation === 'login' ? person.user ?? `user ${random.between(1, 2)}` : undefined
    if (operation === 'login' || operation === 'logout') life.mayEnd(start)
    const danger: Danger = { user: person.user, start, end: Infinity }
    const doomed = operation === 'logout everywhere' ? this.#endanger(person, life, danger) : []
    if (operation === 'count') person.maybeCounted++
    const answer = await this.#ask(replica, cookie, instructionOf(operation, name, value, user))
    const end = danger.end = ++this.#tick
    const said = this.#judge(answer, operation)
    this.#count(said === 'done' ? 'acknowledged' : 'refused', operation)
    if (said === 'done' || said === 'gone') this.#observe(person, life, answer, start, end, said === 'done' ? claimsOf(answer) : null)
    // An operation of a session that was not found has changed nothing of it.
    const found = said === 'done' && claimsOf(answer) !== null
    if (write !== undefined) {
      if (found) write.end = end
      else if (said !== 'unknown') data.of(name).drop(write)
    }
    if (operation === 'count' && said !== 'unknown') {
      person.maybeCounted--
      if (found) person.counted++
    }
    if (!found) return
    if (operation === 'logout') life.ended(end)
    if (operation === 'logout everywhere') { for (const each of doomed) if (each.begun < start) each.ended(end) }
    if (operation === 'rotate') this.#moves(person, cookie, cookieOf(answer))
    if (operation === 'login') {
      life.ended(end)
      person.user = user
      const next = cookieOf(answer)
      if (next === undefined) this.#violation(`a log-in gave no cookie: ${answer?.status}`)
      else if (person.cookie === cookie || person.life === life) {
        this.#ended.push({ cookie, life })
        person.cookie = next
        person.life = this.#lifeOf(user, start, end)
      }
    }
  }

  /** The client takes another token for the same session. */
  #moves(person: Person, from: string, to: string | undefined): void {
    if (to !== undefined && person.cookie === from) person.cookie = to
  }

  /** A log-out everywhere is sent. Returns the sessions that it ends: those of the user, or the only one of an anonymous person. */
  #endanger(person: Person, life: Life, danger: Danger): Life[] {
    const doomed = person.user === undefined ? [life] : [...new Set([...this.#people.filter(({ user }) => user === person.user).map(each => each.life), life])]
    for (const each of doomed) each.mayEnd(danger.start)
    if (person.user !== undefined) this.#dangers.push(danger)
    return doomed
  }

  /** A session that began by a log-in: a danger of the same time may have ended it already. */
  #lifeOf(user: string | undefined, start: number, end: number): Life {
    const life = new Life(end)
    for (const danger of this.#dangers) if ((danger.user === undefined || danger.user === user) && danger.end > start) life.mayEnd(danger.start)
    return life
  }

  /** `done`: as it was requested. `gone`: the session has ended. `refused`: nothing was written, for certain. */
  #judge(answer: Answer | undefined, operation: Operation): 'done' | 'gone' | 'refused' | 'unknown' {
    if (answer === undefined || !answer.complete) return 'unknown'
    if (answer.status === 200) return 'done'
    const code = `${answer.status} ${codeOf(answer)}`
    switch (code) {
      case '409 SESSION_GONE':
        return 'gone'
      case '409 SESSION_CONFLICT':
      case '503 SESSION_NOT_WRITTEN':
      case '503 SESSION_UNAVAILABLE':
        // A log-out has several steps, of which some may be done.
        return operation === 'logout everywhere' || operation === 'login' || operation === 'logout' ? 'unknown' : 'refused'
      case '503 SESSION_UNCONFIRMED':
        return 'unknown'
      default:
        this.#violation(`${operation}: ${code}`)
        return 'unknown'
    }
  }

  #observe(person: Person, life: Life, answer: Answer | undefined, start: number, end: number, claims: Claims | null): void {
    const fault = life.fault(claims !== null, start, end)
    if (fault !== undefined) this.#violation(`${fault}: ${person.cookie} at ${start} to ${end}, ${answer?.status}`)
    if (claims !== null) { for (const each of person.data.faults(membersOf(claims), start, end)) this.#violation(`${each}: read at ${start} to ${end}`) }
  }

  async #disturb(fault: Fault): Promise<void> {
    await wait(this.#random.between(0, 15))
    switch (fault) {
      case 'none':
        return
      case 'redis hangs':
        this.#redis.kill('SIGSTOP')
        await wait(this.#random.between(50, 300))
        this.#redis.kill('SIGCONT')
        return
      case 'redis is emptied':
        return this.#lose(async () => {
          const raw = new Redis(this.#redis.url)
          await raw.flushall()
          raw.disconnect()
        })
      case 'redis is lost':
        return this.#lose(async () => {
          this.#redis.kill('SIGKILL')
          await this.#redis.restart()
        })
      default: {
        const replica = this.#random.pick(this.#replicas)
        await replica.kill()
        await replica.start()
      }
    }
  }

  /** Every session of now may end, and those that have begun before have ended afterwards. */
  async #lose(lose: () => Promise<void>): Promise<void> {
    const start = ++this.#tick
    const lives = this.#people.map(({ life }) => life)
    for (const life of lives) life.mayEnd(start)
    const danger: Danger = { user: undefined, start, end: Infinity }
    this.#dangers.push(danger)
    await lose()
    danger.end = ++this.#tick
    for (const life of lives) life.ended(danger.end)
  }

  /** Waits until Redis has done whatever it was sent, and both replicas use it. */
  async #recovered(): Promise<void> {
    const raw = new Redis(this.#redis.url, { retryStrategy: () => 10 })
    raw.on('error', () => undefined)
    await eventually(async () => await raw.ping().catch(() => '') === 'PONG' && await raw.ping() === 'PONG')
    raw.disconnect()
    const unknown = `__Host-session=shs1${'a'.repeat(65)}`
    for (const replica of this.#replicas) await eventually(async () => (await this.#ask(replica, unknown, undefined))?.status === 200)
  }

  /** Nothing is in flight: reads each session at both replicas, and takes what it finds as what is. */
  async #settle(): Promise<void> {
    for (const { cookie, life } of this.#ended) await this.#readEverywhere(cookie, (found, start, end) => life.fault(found !== null, start, end))
    for (const person of this.#people) {
      let last: Claims | null = null
      let clear = true
      await this.#readEverywhere(person.cookie, (claims, start, end) => {
        if (clear) this.#observe(person, person.life, undefined, start, end, claims)
        clear = claims !== null
        last = claims
        return undefined
      })
      if (person.life.hasEnded || last === null) continue
      const now = ++this.#tick
      const n = Number(valuesOf(last).get('n') ?? 0)
      if (n < person.counted || n > person.counted + person.maybeCounted)
        this.#violation(`counted ${n}, and it must be ${person.counted} to ${person.counted + person.maybeCounted}`)
      person.counted = n
      person.maybeCounted = 0
      person.life.settle()
      person.data.settle(membersOf(last), now)
    }
    for (const person of this.#people.filter(({ life }) => life.hasEnded)) {
      this.#ended.push(person)
      this.#people.splice(this.#people.indexOf(person), 1)
    }
    this.#dangers = []
    // The oldest ones have been read often enough.
    this.#ended.splice(0, this.#ended.length - 12)
  }

  async #readEverywhere(cookie: string, see: (claims: Claims | null, start: number, end: number) => string | undefined): Promise<void> {
    for (const replica of this.#replicas) {
      const start = ++this.#tick
      const answer = await this.#ask(replica, cookie, undefined)
      const end = ++this.#tick
      if (answer?.status !== 200) continue
      const fault = see(claimsOf(answer), start, end)
      if (fault !== undefined) this.#violation(`${fault}: ${cookie}`)
    }
  }

  async #ask(replica: Replica, cookie: string | undefined, instruction: string | undefined): Promise<Answer | undefined> {
    const fields = [...(cookie === undefined ? [] : ['Cookie', cookie]), ...(instruction === undefined ? ['X-Cc', 'no-store'] : ['X-Do', instruction])]
    const how = instruction === undefined ? {} : { method: 'POST', body: 'x' }
    try {
      return await ask(replica.proxyPort, { path: '/do', headers: fields, ...how })
    } catch {
      return undefined
    }
  }

  #count(of: 'acknowledged' | 'refused', operation: Operation): void {
    this.result[of][operation] = (this.result[of][operation] ?? 0) + 1
  }

  #violation(text: string): void {
    this.result.violations.push(text)
  }
}
