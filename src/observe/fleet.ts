// The numbers of all replicas, through Redis: reports, shared steps, and questions that every replica replies to.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import type { RedisConnections } from '../store/redis/connect/connections.ts'
import type { ReplicaMessages } from '../store/redis/purge-log/replicas.ts'
import type { Observation } from './observation.ts'
import { measures, shortened, subjects, type Measure, type Subject } from './top.ts'
import { readReport, writeReport, type FleetReport } from './fleet-report.ts'
import { addRowData, rowLength, type Rows } from './history.ts'
import { SharedSteps } from './shared-steps.ts'

export interface FleetOptions {
  readonly redis: Pick<RedisConnections, 'small' | 'ready'>
  readonly messages: ReplicaMessages
  /** The prefix of every key. */
  readonly prefix: string
  /** The name of this replica. */
  readonly replica: string
  readonly clock: Clock
  readonly reportMs: number
  /** How long shared steps are kept. */
  readonly historyMs: number
  readonly random?: () => number
}

/** The parts of this process that the others see. */
export interface FleetSource {
  report(): FleetReport
  /** Replies to a question of another replica as JSON; undefined if there is no reply. */
  reply(question: unknown): string | undefined
}

/** A replica that has reported, or had. */
export interface FleetMember {
  readonly id: string
  /** When it last reported, by the clock of the replica; 0 if that is not known. */
  readonly seenMs: number
  /** undefined if it is silent: its report has expired, or cannot be read. */
  readonly report: FleetReport | undefined
}

/** A report outlives so many intervals. */
const intervalsKept = 3
// A silent replica is shown for so long.
const rememberMs = 600_000
const membersEveryMs = 10_000
const watchedReportMs = 1_000
/** Replicas report each second for so long after a message that somebody watches. */
const watchMs = 15_000
const lookAgainMs = 900
const replyWaitMs = 1_000
const replyPollMs = 40
const replyTtlMs = 10_000
const maxReplyChars = 65_536
/** The replies to one question are used for so long. */
const repliesForMs = 2_000
const mostQuestions = 32
const mostMembers = 1_000

interface Kept<Value> {
  readonly atMs: number
  readonly value: Promise<Value>
}

/**
 * Each process writes its report each `reportMs`, each second while somebody watches, and adds its steps to those that all
 * share. Nothing here delays a request, and nothing fails while Redis is out of reach, but `members`, `steps` and `query`.
 */
export class Fleet {
  readonly #options: FleetOptions
  readonly #prefix: string
  readonly #random: () => number
  readonly #steps: SharedSteps
  #source: FleetSource | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #watchedUntilMs = -Infinity
  #watchSentMs = -Infinity
  #listedMs = -Infinity
  #members: Kept<readonly FleetMember[]> | undefined
  /** The ids of queries of this replica. It replies to them without Redis. */
  readonly #ownQueries = new Set<string>()
  readonly #replies = new Map<string, Kept<readonly string[]>>()

  constructor(options: FleetOptions) {
    const { redis, prefix, historyMs, random = Math.random } = options
    this.#options = options
    // The braces keep all of them in one slot of a cluster.
    this.#prefix = `${prefix}:{fleet}`
    this.#random = random
    this.#steps = new SharedSteps({ lane: redis.small, prefix: this.#prefix, keepMs: historyMs, random })
    options.messages.listen(text => this.#take(text))
  }

  /** Begins to report, once Redis has been reached. */
  start(source: FleetSource): void {
    this.#source = source
    void this.#options.redis.ready().then(() => this.#report())
  }

  /** Takes a step of this process that is over, for the shared steps. */
  closed(step: number, row: Float64Array): void {
    this.#steps.add(step, row)
  }

  async #report(): Promise<void> {
    if (this.#closed) return
    const { reportMs } = this.#options
    const isWatched = this.#nowMs < this.#watchedUntilMs
    clearTimeout(this.#timer)
    // Spread over time, because replicas are often started together.
    const waitMs = (isWatched ? Math.min(watchedReportMs, reportMs) : reportMs) * (0.9 + 0.2 * this.#random())
    this.#timer = setTimeout(() => void this.#report(), waitMs).unref()
    await this.reportNow()
  }

  /** Writes the report, and adds what waits for the shared steps. While Redis is in trouble nothing is written. Never rejects. */
  async reportNow(): Promise<void> {
    const { redis: { small }, replica, reportMs } = this.#options
    const report = this.#source?.report()
    if (report === undefined) return
    try {
      await small.call('SET', [this.#reportKey(replica), writeReport(report), 'PX', reportMs * intervalsKept])
      await this.#steps.flush()
      await this.#enlist(report)
    } catch { /* see above */ }
  }

  /** Notes among the members that this replica lives, for readers that find no report of it later. */
  async #enlist({ atMs }: FleetReport): Promise<void> {
    if (this.#nowMs - this.#listedMs < membersEveryMs) return
    const isFirst = this.#listedMs === -Infinity
    this.#listedMs = this.#nowMs
    const { redis: { small }, replica } = this.#options
    await small.call('HSET', [this.#membersKey, replica, Math.round(atMs)])
    if (isFirst || this.#random() < 1 / 16) await small.call('PEXPIRE', [this.#membersKey, 6 * rememberMs])
  }

  /** Makes all replicas report each second for a while. Call it as long as somebody watches. */
  watch(): void {
    if (this.#nowMs - this.#watchSentMs < watchMs / 3) return
    this.#watchSentMs = this.#nowMs
    // Safe to ignore: the numbers then come at their usual interval.
    void this.#options.messages.send('watch').catch(() => {})
  }

  /** Returns the replicas that report, and those that did a moment ago. @throws as GuardedClient.call */
  members(): Promise<readonly FleetMember[]> {
    const kept = this.#members
    if (kept !== undefined && this.#nowMs - kept.atMs < lookAgainMs) return kept.value
    return (this.#members = this.#keep(this.#look(), () => (this.#members = undefined))).value
  }

  async #look(): Promise<readonly FleetMember[]> {
    const { redis: { small }, replica } = this.#options
    const pairs = await small.call('HGETALL', [this.#membersKey])
    const seen = new Map<string, number>([[replica, 0]])
    const gone: string[] = []
    const nowMs = this.#options.clock.now()
    for (let i = 0; Array.isArray(pairs) && i + 1 < pairs.length; i += 2) {
      const [id, atMs] = [String(pairs[i]), Number(pairs[i + 1])]
      if (Math.abs(nowMs - atMs) <= rememberMs && seen.size < mostMembers && /^[ -~]{1,300}$/.test(id)) seen.set(id, atMs)
      else gone.push(id)
    }
    if (gone.length > 0) await small.call('HDEL', [this.#membersKey, ...gone.slice(0, 100)])
    const ids = [...seen.keys()]
    const texts = await small.call('MGET', ids.map(id => this.#reportKey(id)))
    // Fresher than the one in Redis.
    const own = this.#source?.report()
    return ids.map((id, i) => {
      if (id === replica && own !== undefined) return { id, seenMs: own.atMs, report: own }
      const text: unknown = Array.isArray(texts) ? texts[i] : undefined
      const report = text === null || text === undefined ? undefined : readReport(String(text))
      return { id, seenMs: report?.atMs ?? seen.get(id) ?? 0, report }
    })
  }

  /** Returns the shared steps, with those that replicas have not added yet. @throws as GuardedClient.call */
  async steps(windowMs: number): Promise<Rows> {
    const [shared, members] = await Promise.all([this.#steps.read(windowMs, this.#options.clock.now()), this.members()])
    const rows = new Map(shared)
    const rowOf = (step: number): Float64Array => rows.get(step)?.slice() ?? new Float64Array(rowLength)
    for (const { step, row } of this.#steps.waiting) rows.set(step, rowOf(step).map((value, i) => value + (row[i] as number)))
    for (const { report } of members) {
      if (report?.traffic === undefined) continue
      const [step, values, counts] = report.traffic.step
      const row = rowOf(step)
      if (addRowData(values, counts, row)) rows.set(step, row)
    }
    return rows
  }

  /**
   * Returns the replies of all replicas to a question, this one included; those that arrive within a second.
   * @param expected how many replicas are expected to reply
   * @throws as GuardedClient.call
   */
  query(question: Question, expected: number): Promise<readonly string[]> {
    const text = JSON.stringify(question)
    const kept = this.#replies.get(text)
    if (kept !== undefined && this.#nowMs - kept.atMs < repliesForMs) return kept.value
    if (this.#replies.size >= mostQuestions) this.#replies.clear()
    const queried = this.#keep(this.#query(text, expected), () => this.#replies.delete(text))
    this.#replies.set(text, queried)
    return queried.value
  }

  async #query(text: string, expected: number): Promise<readonly string[]> {
    const { redis: { small }, messages, replica } = this.#options
    const id = randomBytes(9).toString('base64url')
    this.#ownQueries.add(id)
    await messages.send(`query ${id} ${text}`)
    const own = this.#source?.reply(JSON.parse(text))
    const untilMs = this.#nowMs + replyWaitMs
    let replies = new Map<string, string>()
    while (replies.size < expected - 1 && this.#nowMs < untilMs) {
      await delay(replyPollMs, undefined, { ref: false })
      const pairs = await small.call('HGETALL', [this.#replyKey(id)])
      replies = new Map()
      for (let i = 0; Array.isArray(pairs) && i + 1 < pairs.length; i += 2) replies.set(String(pairs[i]), String(pairs[i + 1]))
      replies.delete(replica)
    }
    this.#ownQueries.delete(id)
    return [...(own === undefined ? [] : [own]), ...replies.values()]
  }

  #take(text: string): void {
    if (text === 'watch') {
      const wasWatched = this.#nowMs < this.#watchedUntilMs
      this.#watchedUntilMs = this.#nowMs + watchMs
      if (!wasWatched && this.#source !== undefined) void this.#report()
      return
    }
    const [, id, question] = /^query ([\w-]{12}) (.{1,1000})$/.exec(text) ?? []
    if (id !== undefined && question !== undefined && !this.#ownQueries.delete(id)) void this.#reply(id, question)
  }

  // Never rejects: a reply that cannot be written is missing.
  async #reply(id: string, question: string): Promise<void> {
    const { redis: { small }, replica } = this.#options
    try {
      const reply = this.#source?.reply(JSON.parse(question))
      if (reply === undefined || reply.length > maxReplyChars) return
      await small.call('HSET', [this.#replyKey(id), replica, reply])
      await small.call('PEXPIRE', [this.#replyKey(id), replyTtlMs])
    } catch { /* see above */ }
  }

  /** Keeps a value that is being made, unless that fails. */
  #keep<Value>(value: Promise<Value>, forget: () => unknown): Kept<Value> {
    value.catch(forget)
    return { atMs: this.#nowMs, value }
  }

  get #nowMs(): number {
    return this.#options.clock.monotonic()
  }

  get #membersKey(): string {
    return `${this.#prefix}:members`
  }

  #reportKey(id: string): string {
    return `${this.#prefix}:report:${id}`
  }

  #replyKey(id: string): string {
    return `${this.#prefix}:reply:${id}`
  }

  /** Adds what waits for the shared steps, and leaves the members. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const { redis: { small }, replica } = this.#options
    await this.#steps.flush().catch(() => {})
    // Safe to ignore: both expire.
    await Promise.allSettled([small.call('HDEL', [this.#membersKey, replica]), small.call('UNLINK', [this.#reportKey(replica)])])
  }
}

/** A question to every replica. */
export type Question = { readonly what: 'routes' } | { readonly what: 'top'; readonly of: Subject; readonly by: Measure }

const mostReplied = 64

/** Replies to a question of another replica as JSON; undefined if this process does not know it, or does not count. */
export function replyTo(observation: Observation | undefined, question: unknown): string | undefined {
  if (observation === undefined || typeof question !== 'object' || question === null || !('what' in question)) return undefined
  const { what, of, by } = question as { readonly what: unknown; readonly of?: unknown; readonly by?: unknown }
  if (what === 'routes') return JSON.stringify(observation.report().routes)
  if (what !== 'top' || !subjects.includes(of as Subject) || !measures.includes(by as Measure)) return undefined
  return JSON.stringify(shortened(observation.top(of as Subject, by as Measure), mostReplied))
}
