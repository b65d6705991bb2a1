// People with sessions: random requests at several replicas, judged by test/session/history.ts. The owner makes the trouble.
import { wait, type Random } from '../coherence/random.ts'
import { ask, type Answer } from '../support/client.ts'
import { Data, Life } from './history.ts'
import { claimsOf, codeOf, cookieOf, instructionOf, membersOf, operations, valuesOf, type Operation } from './history-requests.ts'
import type { Claims } from './support.ts'

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

/** A replica, as clients reach it. */
export interface Gate {
  readonly proxyPort: number
  readonly up: boolean
}

export interface PeopleOptions {
  readonly random: Random
  readonly replicas: readonly Gate[]
  /** The path of the requests: of a route with sessions, whose origin is `obedient`. */
  readonly path: string
  /** Resolves when nothing is in flight any more, and Redis has done whatever it was sent. */
  quiet(): Promise<void>
  violated(what: string): void
}

export class People {
  /** How many of each operation were acknowledged, and how many were not. */
  readonly acknowledged: Record<string, number> = {}
  readonly refused: Record<string, number> = {}
  readonly #options: PeopleOptions
  readonly #random: Random
  readonly #people: Person[] = []
  /** Sessions that have ended: their cookies stay worthless. */
  readonly #ended: Pick<Person, 'cookie' | 'life'>[] = []
  /** The causes that may end sessions of a user, or of everybody, in this round. */
  #dangers: Danger[] = []
  #tick = 0
  #value = 0

  constructor(options: PeopleOptions) {
    this.#options = options
    this.#random = options.random
  }

  /** Operations at once, beside a trouble; then each session is read everywhere. */
  async round(number: number, trouble: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    while (this.#people.length < 4) {
      const person = await this.#newPerson()
      if (person === undefined) return
      this.#people.push(person)
    }
    const flows = this.#people.flatMap(person => Array.from({ length: this.#random.between(1, 3) }, () => this.#flow(person, this.#random.fork(`${number} ${this.#value++}`))))
    await Promise.all([...flows, trouble()])
    await this.#options.quiet()
    await this.#settle()
  }

  /** Runs something that loses all sessions: those that have begun before have ended afterwards. */
  async lose(lose: () => Promise<void>): Promise<void> {
    const start = ++this.#tick
    const lives = this.#people.map(({ life }) => life)
    for (const life of lives) life.mayEnd(start)
    const danger: Danger = { user: undefined, start, end: Infinity }
    this.#dangers.push(danger)
    await lose()
    danger.end = ++this.#tick
    for (const life of lives) life.ended(danger.end, 'the loss of Redis')
  }

  /** A replica that may be there. */
  #pick(random: Random): Gate | undefined {
    const up = this.#options.replicas.filter(each => each.up)
    return up.length === 0 ? undefined : random.pick(up)
  }

  /** undefined: the replicas are in trouble. */
  async #newPerson(): Promise<Person | undefined> {
    const before = this.#tick
    const answer = await this.#ask(this.#pick(this.#random), undefined, '{"data":{"begun":1}}')
    const cookie = cookieOf(answer)
    if (cookie === undefined) return undefined
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
    const replica = this.#pick(random)
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
    if (operation === 'logout') life.ended(end, operation)
    if (operation === 'logout everywhere') { for (const each of doomed) if (each.begun < start) each.ended(end, operation) }
    if (operation === 'rotate') this.#moves(person, cookie, cookieOf(answer))
    if (operation === 'login') {
      life.ended(end, operation)
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
        // A log-in that a revocation has overtaken ends itself, and leaves the session before it as it was.
        return operation === 'login' ? 'unknown' : 'gone'
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

  /** Nothing is in flight: reads each session at every replica, and takes what it finds as what is. */
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
    for (const replica of this.#options.replicas) {
      const start = ++this.#tick
      const answer = await this.#ask(replica, cookie, undefined)
      const end = ++this.#tick
      if (answer?.status !== 200) continue
      const fault = see(claimsOf(answer), start, end)
      if (fault !== undefined) this.#violation(`${fault}: ${cookie}`)
    }
  }

  async #ask(replica: Gate | undefined, cookie: string | undefined, instruction: string | undefined): Promise<Answer | undefined> {
    const fields = [...(cookie === undefined ? [] : ['Cookie', cookie]), ...(instruction === undefined ? ['X-Cc', 'no-store'] : ['X-Do', instruction])]
    const how = instruction === undefined ? {} : { method: 'POST', body: 'x' }
    try {
      return replica?.up === true ? await ask(replica.proxyPort, { path: this.#options.path, headers: fields, ...how }) : undefined
    } catch {
      return undefined
    }
  }

  #count(of: 'acknowledged' | 'refused', operation: Operation): void {
    this[of][operation] = (this[of][operation] ?? 0) + 1
  }

  #violation(text: string): void {
    this.#options.violated(text)
  }
}
