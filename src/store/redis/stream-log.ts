// The purge log that replicas share: a Redis Stream, which each of them follows.
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Metadata, Stamp } from '../../policy/stored.ts'
import type { Purge, PurgeLog, PurgeReceipt, PurgeRecord, Verdict } from '../purge-log.ts'
import { PurgeTable } from '../purge-table.ts'
import { appendPurge, type AppendOptions } from './append.ts'
import { channelName, type Log, type RedisConnections } from './connection.ts'
import { Copies } from './copies.ts'
import { Lane } from './lane.ts'
import { decodeRecords, newIdentity, stampOf, timeOf, type StreamRecord } from './log-record.ts'
import { followScript } from './log-scripts.ts'
import { isRefusal } from './permissions.ts'
import { Replicas, type Replica } from './replicas.ts'

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
  /** Records that are kept at the most, here and in Redis. */
  readonly maxRecords?: number
  /** Bytes that they may take in Redis, and about what they may take here. */
  readonly maxBytes?: number
}

export interface SharedPurgeLog extends PurgeLog {
  /** Resolves when the log has been read to its end for the first time: until then nothing can be stored, nor used. */
  caughtUp(): Promise<void>
}

const pageRecords = 1000
const retryMs = 100

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
 * any more, and cannot have been forgotten, or that the log is another one, says so in Redis: from then on, for as long as anyone may go by what it read
 * before, a purge counts one more replica than it can name, which does not acknowledge.
 */
export function createStreamPurgeLog(options: StreamPurgeLogOptions): SharedPurgeLog {
  return new StreamPurgeLog(options)
}

// No stamp begins with it: under it everything is dead.
const noIdentity = '!'

class StreamPurgeLog implements SharedPurgeLog {
  readonly #options: StreamPurgeLogOptions
  readonly #clock: Clock
  readonly #keys: readonly [log: string, replicas: string]
  readonly #channel: string
  readonly #lane: Lane
  readonly #replicas: Replicas
  readonly #copies: Copies
  readonly #blockMs: number
  readonly #ttlMs: number
  readonly #append: AppendOptions
  #table: PurgeTable
  /** Revisions of the tables before this one. */
  #revisions = 0
  #identity = ''
  #appliedId = ''
  #confirmedMs = -Infinity
  #closed = false
  /** Whether the trouble there is with the log has been told of. */
  #warned = false
  #wake: (() => void) | undefined
  #tellCaughtUp: () => void = () => {}
  readonly #caughtUp: Promise<void>
  readonly #following: Promise<void>

  constructor(options: StreamPurgeLogOptions) {
    const { redis, prefix, maxLagMs, clock } = options
    this.#options = options
    this.#clock = clock
    // The braces keep both in one slot of a cluster.
    this.#keys = [`${prefix}:{log}`, `${prefix}:{log}:replicas`]
    this.#channel = channelName(redis, prefix, '{log}:applied')
    // Often enough that a log in which nothing happens is confirmed well within the lag, and shorter than a silence that
    // would make the connection look dead.
    this.#blockMs = Math.max(10, Math.min(1000, Math.floor(maxLagMs / 3)))
    this.#ttlMs = maxLagMs * 2 + 2000
    this.#table = this.#newTable()
    this.#lane = new Lane(redis.dedicated(), Math.max(500, Math.min(2000, maxLagMs)), () => {}, (error) => redis.permissions.refused(error))
    const [log, key] = this.#keys
    this.#append = {
      lane: redis.small, clock, log, maxRecords: options.maxRecords ?? 100_000, maxBytes: options.maxBytes ?? 32 * 1_048_576, maxKeepMs: options.maxKeepMs ?? 0,
    }
    this.#replicas = new Replicas({ redis, key, channel: this.#channel, replica: options.replica, logger: options.logger, applied: () => this.applied })
    this.#copies = new Copies({ client: redis.dedicated(), clock, key, keepMs: this.#ttlMs * 10, refused: (error) => redis.permissions.refused(error) })
    this.#caughtUp = new Promise((resolve) => { this.#tellCaughtUp = resolve })
    this.#following = this.#follow()
  }

  caughtUp(): Promise<void> {
    return this.#caughtUp
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

  touchedBefore(entry: Pick<Metadata, 'stamp' | 'authority' | 'target' | 'tags'>, until: Stamp): boolean {
    return !this.current() || this.#table.touchedBefore(entry, until)
  }

  // The monotonic clock is read here, at the hit: a process that was stopped notices before its first answer.
  current(): boolean {
    return this.#clock.monotonic() - this.#confirmedMs <= this.#options.maxLagMs
  }

  recent(limit: number): readonly PurgeRecord[] {
    return limit <= 0 ? [] : this.#table.records.slice(-limit).toReversed()
  }

  async append(purge: Purge, waitMs: number): Promise<PurgeReceipt> {
    const { id, identity } = await appendPurge(this.#append, purge)
    const stamp = stampOf(identity, id)
    const [replicas, copied] = await Promise.all([this.#replicas.acknowledged(identity, stamp, waitMs), this.#copies.made(waitMs)])
    return { id: stamp, soft: purge.soft, replicas, copied }
  }

  async replicas(): Promise<readonly Replica[]> {
    return await this.#replicas.look() ?? [{ id: this.#options.replica, applied: this.applied }]
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wake?.()
    this.#confirmedMs = -Infinity
    await this.#replicas.close()
    this.#lane.close()
    await this.#following
  }

  // Reads, applies, and waits for more, until closed. Whatever fails is tried again from the last record applied.
  async #follow(): Promise<void> {
    while (!this.#closed) {
      try {
        const more = await this.#read()
        // A wake-up, no more: what there is to read is read by the script, which tells whether it continues.
        if (!more) await this.#lane.call('XREAD', ['COUNT', 1, 'BLOCK', this.#blockMs, 'STREAMS', this.#keys[0], this.#appliedId], this.#blockMs + 1000)
        this.#warned = false
      } catch (error) {
        if (this.#closed) return
        if (error instanceof Error && error.name === 'ReplyError' && !isRefusal(error) && !this.#warned) {
          this.#warned = true
          this.#options.logger.warn({ err: error }, 'the purge log cannot be followed')
        }
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
    if (records.length < pageRecords) {
      this.#confirmedMs = readMs
      this.#tellCaughtUp()
    }
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
    const { maxKeepMs, maxRecords, maxBytes } = this.#options
    const table = new PurgeTable({
      ...(maxKeepMs === undefined ? {} : { maxKeepMs }),
      ...(maxRecords === undefined ? {} : { maxRecords }),
      ...(maxBytes === undefined ? {} : { maxChars: maxBytes }),
    })
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
