// The purge log that replicas share: a Redis Stream, which each of them follows.
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { SpringhouseError } from '../../errors.ts'
import type { Metadata, Stamp } from '../../policy/stored.ts'
import type { Purge, PurgeLog, PurgeReceipt, PurgeRecord, Verdict } from '../purge-log.ts'
import { PurgeTable } from '../purge-table.ts'
import type { Log, RedisConnections } from './connection.ts'
import { Lane, type RedisClient } from './lane.ts'
import { decodeRecords, encodePurge, newIdentity, stampOf, timeOf, type StreamRecord } from './log-record.ts'
import { appendScript, followScript, replicasScript } from './log-scripts.ts'

export interface StreamPurgeLogOptions {
  /** Connections that the caller made, shares, and closes. */
  readonly redis: RedisConnections
  /** What every key begins with: the same for all replicas of a cache. */
  readonly prefix: string
  /** Names this process among the replicas: no two live ones may have the same. */
  readonly replica: string
  /** How long after its last confirmed read of the log this replica may still go by what it knows. */
  readonly maxLagMs: number
  readonly clock: Clock
  readonly logger: Log
  /** The log was lost and begun anew: every entry in this process's own memory is dead, and may be dropped at once. */
  readonly onReset: () => void
  /** The longest that any store keeps an entry; records are let go when they are older. */
  readonly maxKeepMs?: number
  /** Records that are kept at the most. */
  readonly maxRecords?: number
}

const pageRecords = 1000
const retryMs = 100
// Longer than a look-up may take: nobody's page waits for it, and "not written" should be said as seldom as can be.
const appendTimeoutMs = 2000
// How often a purge looks again who has applied it, in case the message that says so was lost.
const lookAgainMs = 100

/**
 * What a stamp is here: the identity of the log, then the place in it. The identity answers what happens when the log is
 * lost, which entries in Redis may survive (someone deleted the key, a failover lost its end): whoever finds that out begins
 * a log with another identity, and every stamp of another identity is dead, whatever ids the new log gives. A log that lost
 * its end is told by this: the last record that a replica applied is not in it any more, though older ones are.
 *
 * Until it has read the log to its end, and again when its last confirmed read is older than maxLagMs, a replica knows
 * nothing: every entry is dead for it, those in Redis too. A replica is counted as live for longer than it goes by what it
 * read, since reading and being counted are one step in Redis; so a purge that no longer waits for a replica cannot be
 * missed by it.
 *
 * Redis may lose the registrations too (a flush, a restart without persistence). Whoever finds that it is not registered
 * any more, and cannot have been forgotten, says so in Redis: from then on, for as long as anyone may go by what it read
 * before, a purge counts one more replica than it can name, which does not acknowledge.
 *
 * A purge whose append timed out may still be recorded later, and is then applied, though its caller was told that it was
 * not: purging more than was confirmed is the harmless side.
 */
export function createStreamPurgeLog(options: StreamPurgeLogOptions): PurgeLog {
  return new StreamPurgeLog(options)
}

// No stamp begins with it: under it everything is dead.
const noIdentity = '!'

class StreamPurgeLog implements PurgeLog {
  readonly #options: StreamPurgeLogOptions
  readonly #clock: Clock
  readonly #keys: readonly [log: string, replicas: string]
  readonly #channel: string
  readonly #lane: Lane
  readonly #subscriber: RedisClient
  readonly #blockMs: number
  readonly #ttlMs: number
  #table: PurgeTable
  /** Revisions of the tables before this one. */
  #revisions = 0
  #identity = ''
  #appliedId = ''
  #confirmedMs = -Infinity
  #closed = false
  #wake: (() => void) | undefined
  readonly #waiting = new Set<() => void>()
  readonly #following: Promise<void>

  constructor(options: StreamPurgeLogOptions) {
    const { redis, prefix, maxLagMs, clock } = options
    this.#options = options
    this.#clock = clock
    // The braces keep both in one slot of a cluster.
    this.#keys = [`${prefix}:{log}`, `${prefix}:{log}:replicas`]
    this.#channel = `${prefix}:{log}:applied`
    // Often enough that a log in which nothing happens is confirmed well within the lag, and shorter than a silence that
    // would make the connection look dead.
    this.#blockMs = Math.max(10, Math.min(1000, Math.floor(maxLagMs / 3)))
    this.#ttlMs = maxLagMs * 2 + 2000
    this.#table = this.#newTable()
    this.#lane = new Lane(redis.dedicated(), clock, Math.max(500, Math.min(2000, maxLagMs)), () => {})
    this.#subscriber = redis.dedicated()
    this.#subscriber.on('message', () => this.#wakeWaiting())
    this.#subscriber.on('ready', () => {
      // Safe to ignore: without it a purge learns a little later who has applied it.
      this.#subscriber.subscribe(this.#channel).catch(() => {})
    })
    this.#following = this.#follow()
  }

  get applied(): Stamp {
    return this.#table.latest
  }

  get revision(): number {
    return this.#revisions + this.#table.revision
  }

  judge(meta: Pick<Metadata, 'stamp' | 'authority' | 'target' | 'tags'>): Verdict {
    return this.current() ? this.#table.judge(meta) : 'dead'
  }

  mayTouch(stamp: Stamp, authority: string, target: string): boolean {
    return !this.current() || this.#table.mayTouch(stamp, authority, target)
  }

  // The monotonic clock is read here, at the hit: a process that was stopped notices before its first answer.
  current(): boolean {
    return this.#clock.monotonic() - this.#confirmedMs <= this.#options.maxLagMs
  }

  recent(limit: number): readonly PurgeRecord[] {
    return limit <= 0 ? [] : this.#table.records.slice(-limit).toReversed()
  }

  async append(purge: Purge, waitMs: number): Promise<PurgeReceipt> {
    const { redis, maxRecords = 100_000, maxKeepMs = 0 } = this.#options
    let reply: unknown
    try {
      reply = await appendScript.run(redis.small, [this.#keys[0]], [this.#freshIdentity(), encodePurge(purge), maxRecords, Math.ceil(maxKeepMs)], appendTimeoutMs)
    } catch (error) {
      throw new SpringhouseError('PURGE_NOT_WRITTEN', { cause: error })
    }
    const [id, identity] = Array.isArray(reply) ? reply.map(String) : []
    if (id === undefined || identity === undefined) throw new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'an answer that is not one' })
    const stamp = stampOf(identity, id)
    return { id: stamp, soft: purge.soft, replicas: await this.#acknowledged(identity, stamp, waitMs) }
  }

  // Waits until all that live have applied it, woken by those who do.
  async #acknowledged(identity: string, stamp: Stamp, waitMs: number): Promise<PurgeReceipt['replicas']> {
    let over = waitMs <= 0
    const timer = setTimeout(() => {
      over = true
      this.#wakeWaiting()
    }, Math.max(0, waitMs))
    let counted = { live: 1, acknowledged: 0 }
    try {
      for (;;) {
        const last = over
        const woken = this.#next()
        const known = await this.#replicas()
        if (known !== undefined) {
          const applied = known.named.filter((replica) => replica.applied.startsWith(identity) && replica.applied >= stamp)
          counted = { live: known.named.length + (known.others ? 1 : 0), acknowledged: applied.length }
        }
        if (counted.acknowledged === counted.live || last || this.#closed) return counted
        await woken
      }
    } finally {
      clearTimeout(timer)
    }
  }

  // Resolves at the next message, or a little later without one.
  #next(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, lookAgainMs)
      this.#waiting.add(done)
    })
  }

  #wakeWaiting(): void {
    for (const wake of this.#waiting) wake()
  }

  async replicas(): Promise<readonly { readonly id: string, readonly applied: Stamp }[]> {
    return (await this.#replicas())?.named ?? [{ id: this.#options.replica, applied: this.applied }]
  }

  // This one included, whether or not it is registered at the moment, and whether there may be others whom Redis has
  // forgotten; undefined where it does not tell.
  async #replicas(): Promise<{ named: { id: string, applied: Stamp }[], others: boolean } | undefined> {
    try {
      const reply = await replicasScript.run(this.#options.redis.small, [this.#keys[1]], [])
      const [others = '', ...names] = Array.isArray(reply) ? reply.map(String) : []
      const named: { id: string, applied: Stamp }[] = []
      for (let i = 0; i + 1 < names.length; i += 2) named.push({ id: names[i] as string, applied: names[i + 1] as string })
      if (!named.some(({ id }) => id === this.#options.replica)) named.push({ id: this.#options.replica, applied: this.applied })
      return { named, others: others === '1' }
    } catch {
      return undefined
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wakeWaiting()
    this.#wake?.()
    this.#confirmedMs = -Infinity
    // Safe to ignore: the registration ends by itself a little later.
    await this.#options.redis.small.call('HDEL', [this.#keys[1], this.#options.replica]).catch(() => {})
    this.#lane.close()
    this.#subscriber.disconnect()
    await this.#following
  }

  // Reads, applies, and waits for more, until closed. Whatever fails is tried again from the last record applied.
  async #follow(): Promise<void> {
    while (!this.#closed) {
      try {
        const more = await this.#read()
        // A wake-up, no more: what there is to read is read by the script, which tells whether it continues.
        if (!more) await this.#lane.call('XREAD', ['COUNT', 1, 'BLOCK', this.#blockMs, 'STREAMS', this.#keys[0], this.#appliedId], this.#blockMs + 1000)
      } catch (error) {
        if (this.#closed) return
        if (error instanceof Error && error.name === 'ReplyError') this.#options.logger.warn({ err: error }, 'the purge log cannot be followed')
        await this.#pause()
      }
    }
  }

  // Reads what is new; true when it should be called again at once: there is more, or there is something to acknowledge.
  async #read(): Promise<boolean> {
    const { replica, maxLagMs } = this.#options
    const readMs = this.#clock.monotonic()
    const reply = await followScript.run(this.#lane, this.#keys, [
      replica, this.#identity, this.#appliedId, this.applied, this.#freshIdentity(), this.#ttlMs, pageRecords, this.#channel,
      // Registered later than that read was sent, for ttlMs; a little less, as no two clocks run alike.
      readMs - this.#confirmedMs < this.#ttlMs * 0.9 ? '1' : '', maxLagMs,
    ])
    if (!Array.isArray(reply)) throw new Error('the log answered what is not an answer')
    let records = decodeRecords(reply[1])
    if (reply[0] === 1) this.#apply(this.#table, records)
    else records = await this.#load(records)
    if (records.length < pageRecords) this.#confirmedMs = readMs
    return records.length > 0
  }

  #apply(table: PurgeTable, records: readonly StreamRecord[]): void {
    for (const { id, identity, before, purge } of records) {
      const stamp = stampOf(identity, id)
      // Another log than the one so far, or the first that is left of this one: nothing is known of what was before it.
      if (identity !== this.#identity || this.#appliedId === '') table.begin(identity, before === undefined ? stamp : stampOf(identity, before))
      this.#identity = identity
      this.#appliedId = id
      if (purge !== undefined) table.apply({ id: stamp, atMs: timeOf(id), purge })
    }
  }

  // Reads the whole log into a new table. The old one stays in its place until the end is reached: half a log would let
  // live what the other half kills.
  async #load(first: readonly StreamRecord[]): Promise<StreamRecord[]> {
    const before = this.#identity
    const appliedBefore = this.#appliedId
    const table = this.#newTable()
    let records = [...first]
    this.#identity = this.#appliedId = ''
    try {
      for (;;) {
        this.#apply(table, records)
        if (records.length < pageRecords) break
        records = decodeRecords(await this.#lane.call('XRANGE', [this.#keys[0], this.#appliedId, '+', 'COUNT', pageRecords + 1])).slice(1)
      }
    } catch (error) {
      this.#identity = before
      this.#appliedId = appliedBefore
      throw error
    }
    this.#revisions += this.#table.revision + 1
    this.#table = table
    if (before !== '' && before !== this.#identity) {
      this.#options.logger.warn({}, 'the purge log was lost: nothing that was stored before is used any more')
      this.#options.onReset()
    }
    return first.slice(0, 1)
  }

  #newTable(): PurgeTable {
    const { maxKeepMs, maxRecords } = this.#options
    const table = new PurgeTable({ ...(maxKeepMs === undefined ? {} : { maxKeepMs }), ...(maxRecords === undefined ? {} : { maxRecords }) })
    table.begin(noIdentity, '')
    return table
  }

  #freshIdentity(): string {
    return newIdentity(this.#clock.now(), randomBytes(4))
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, retryMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
