// The purge log that replicas share: a Redis Stream, which each of them follows.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../../clock.ts'
import type { Metadata, LogPosition } from '../../../policy/stored.ts'
import type { Purge, PurgeLog, PurgeReceipt, PurgeRecord, Verdict } from '../../purge/log.ts'
import { foldedPurge, type Invalidation } from '../../purge/invalidation.ts'
import { PurgeTable } from '../../purge/table.ts'
import { appendInvalidation, appendPurge, type AppendOptions } from './append.ts'
import { channelName, type RedisConnections } from '../connect/connections.ts'
import { ReplicationCheck } from './replication.ts'
import { GuardedClient } from '../connect/guarded-client.ts'
import { decodeRecords, decodeUnsafeRecords, newIdentity, noIdentity, stampOf, timeOf, type StreamRecord } from './record.ts'
import { followScript } from './scripts.ts'
import { isRefusal } from '../connect/permissions.ts'
import { Replicas, type Replica } from './replicas.ts'
import { Unrecorded } from './unrecorded.ts'
import { applyUnsafe, inOrder, loadUnsafe, noPlace } from './unsafe-stream.ts'
import type { Log } from '../connect/log.ts'

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
  /** Records of unsafe requests that are kept as such at the most, in Redis; and names of them here. */
  readonly maxUnsafeRecords?: number
}

export interface SharedPurgeLog extends PurgeLog {
  /** Resolves when the log has been read to its end for the first time: until then nothing can be stored, nor used. */
  caughtUp(): Promise<void>
}

const pageRecords = 1000
const maxUnsafeBytes = 8 * 1_048_576
const retryMs = 100
// Two clocks of one machine that have moved further apart since the last read: one was set, or the machine was suspended.
// A replica is counted for longer than this beyond its lag, so what passes unnoticed does no harm.
const mostApartMs = 500
const lastChanceMs = 1000

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
  return new RedisPurgeLog(options)
}

class RedisPurgeLog implements SharedPurgeLog {
  readonly #options: StreamPurgeLogOptions
  readonly #clock: Clock
  readonly #keys: readonly [log: string, replicas: string, unsafe: string, buckets: string]
  readonly #channel: string
  readonly #lane: GuardedClient
  readonly #replicas: Replicas
  readonly #copies: ReplicationCheck
  readonly #blockMs: number
  readonly #ttlMs: number
  readonly #append: AppendOptions
  #table: PurgeTable
  /** Revisions of the tables before this one. */
  #revisions = 0
  #identity = ''
  #appliedId = ''
  /** The name of that record: after a failover its id may be another record's. */
  #appliedName = ''
  /** The last record of an unsafe request that was applied. */
  #invalidated = noPlace
  readonly #unrecorded = new Unrecorded()
  /** When the last confirmed read was sent, by both clocks. */
  #confirmedMs = -Infinity
  #confirmedWallMs = 0
  /** The longest that any replica goes by what it knows, as far as this one knows. */
  #longestLagMs: number
  /** Whether both streams have been read to one moment since they were loaded. */
  #joined = true
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
    this.#longestLagMs = maxLagMs
    // The braces keep all of them in one slot of a cluster.
    this.#keys = [`${prefix}:{log}`, `${prefix}:{log}:replicas`, `${prefix}:{log}:unsafe`, `${prefix}:{log}:unsafe:buckets`]
    this.#channel = channelName(redis, prefix, '{log}:applied')
    // Often enough that a log in which nothing happens is confirmed well within the lag, and shorter than a silence that
    // would make the connection look dead.
    this.#blockMs = Math.max(10, Math.min(1000, Math.floor(maxLagMs / 3)))
    this.#ttlMs = maxLagMs * 2 + 2000
    this.#table = this.#newTable()
    this.#lane = new GuardedClient(redis.dedicated(), Math.max(500, Math.min(2000, maxLagMs)), () => {}, (error) => redis.permissions.refused(error))
    const [log, key, unsafe, buckets] = this.#keys
    this.#append = {
      lane: redis.small, clock, keys: [log, unsafe, buckets],
      maxRecords: options.maxRecords ?? 100_000, maxBytes: options.maxBytes ?? 32 * 1_048_576, maxKeepMs: options.maxKeepMs ?? 0,
      maxUnsafeRecords: options.maxUnsafeRecords ?? 32_768, maxUnsafeBytes,
      freshIdentity: () => this.#freshIdentity(),
    }
    this.#replicas = new Replicas({ redis, key, channel: this.#channel, replica: options.replica, maxLagMs, logger: options.logger, applied: () => this.applied })
    this.#copies = new ReplicationCheck({ client: redis.dedicated(), clock, key, keepMs: this.#ttlMs * 10, refused: (error) => redis.permissions.refused(error) })
    this.#caughtUp = new Promise((resolve) => { this.#tellCaughtUp = resolve })
    this.#following = this.#follow()
  }

  caughtUp(): Promise<void> {
    return this.#caughtUp
  }

  get applied(): LogPosition {
    return this.#table.latest
  }

  get revision(): number {
    return this.#revisions + this.#table.revision + this.#unrecorded.revision
  }

  get unrecorded(): number {
    return this.#unrecorded.size
  }

  judge(meta: Pick<Metadata, 'stamp' | 'authority' | 'target' | 'tags'>): Verdict {
    if (!this.isCaughtUp() || (this.#unrecorded.any && this.#unrecorded.touches(meta))) return 'dead'
    return this.#table.judge(meta)
  }

  mayMatch(stamp: LogPosition, authority: string, target: string): boolean {
    if (!this.isCaughtUp() || (this.#unrecorded.any && this.#unrecorded.mayTouch(authority, target))) return true
    return this.#table.mayTouch(stamp, authority, target)
  }

  matchedBetween(entry: Pick<Metadata, 'stamp' | 'authority' | 'target' | 'tags'>, until: LogPosition): boolean {
    if (!this.isCaughtUp() || (this.#unrecorded.any && this.#unrecorded.touches(entry))) return true
    return this.#table.touchedBefore(entry, until)
  }

  // The clocks are read here, at the hit. A process that was stopped notices before its first response, by the monotonic
  // clock. That clock stands still while a machine is suspended; then the two clocks have moved apart.
  isCaughtUp(): boolean {
    const passedMs = this.#clock.monotonic() - this.#confirmedMs
    return this.#joined && passedMs <= this.#options.maxLagMs && Math.abs(this.#clocksApartMs(passedMs)) <= mostApartMs
  }

  /** How much further than the monotonic clock the wall clock has moved since the last confirmed read. */
  #clocksApartMs(passedMs: number): number {
    return this.#clock.now() - this.#confirmedWallMs - passedMs
  }

  recent(limit: number, before?: LogPosition): readonly PurgeRecord[] {
    return this.#table.recent(limit, before)
  }

  async append(purge: Purge, waitMs: number): Promise<PurgeReceipt> {
    const invalidation = purge.implicit === true ? foldedPurge(purge) : undefined
    const { id, identity } = await (invalidation === undefined ? appendPurge(this.#append, purge) : this.#invalidate(invalidation))
    const stamp = stampOf(identity, id)
    const [replicas, copied] = await Promise.all([this.#replicas.acknowledged(identity, stamp, waitMs), this.#copies.confirmed(waitMs)])
    // The wait is over before this replica has read as far. Its own clients need not be shown what was before.
    if (invalidation !== undefined && !(this.applied.startsWith(identity) && this.applied >= stamp)) this.#unrecorded.addRecorded(invalidation, stamp)
    return { id: stamp, soft: purge.soft, replicas, copied }
  }

  // RFC 9111 §4.4: the request has been carried out, so what it invalidates must go, whether or not Redis can be told of it now.
  async #invalidate(invalidation: Invalidation): ReturnType<typeof appendInvalidation> {
    try {
      return await appendInvalidation(this.#append, invalidation)
    } catch (error) {
      this.#unrecorded.add(invalidation)
      throw error
    }
  }

  // Tries to record what could not be recorded. Never rejects: what fails is tried again after the next read.
  async #record(): Promise<void> {
    try {
      const count = await this.#unrecorded.record(async (invalidation) => {
        const { id, identity } = await appendInvalidation(this.#append, invalidation)
        return stampOf(identity, id)
      })
      if (count > 0) this.#options.logger.info({ count }, 'what unsafe requests invalidated while Redis was in trouble is recorded')
    } catch { /* see above */ }
  }

  // The last chance of what could not be recorded: it is lost with this process.
  async #recordAtLast(): Promise<void> {
    const late = AbortSignal.timeout(lastChanceMs)
    while (this.#unrecorded.size > 0 && !late.aborted) {
      await Promise.race([this.#record(), delay(lastChanceMs, undefined, { ref: false })])
      await delay(retryMs)
    }
  }

  async replicas(): Promise<readonly Replica[]> {
    return await this.#replicas.look() ?? [{ id: this.#options.replica, applied: this.applied }]
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#recordAtLast()
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
        if (!more) await this.#lane.call('XREAD', ['COUNT', 1, 'BLOCK', this.#blockMs, 'STREAMS', this.#keys[0], this.#keys[2], this.#appliedId, this.#invalidated.id || this.#appliedId], this.#blockMs + 1000)
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
    const readWallMs = this.#clock.now()
    const reply = await followScript.run(this.#lane, this.#keys, [
      replica, this.#identity, this.#appliedId, this.#appliedName, this.applied, this.#freshIdentity(), this.#ttlMs, pageRecords, this.#channel,
      // Registered later than that read was sent, for ttlMs; a little less, as no two clocks run alike.
      readMs - this.#confirmedMs < this.#ttlMs * 0.9 ? '1' : '', maxLagMs, this.#longestLagMs, this.#invalidated.id, this.#invalidated.name,
    ])
    if (!Array.isArray(reply)) throw new Error('the log answered what is not an answer')
    const longestLagMs = Number(reply[3])
    if (longestLagMs > this.#longestLagMs) this.#longestLagMs = longestLagMs
    const records = decodeRecords(reply[1])
    if (reply[0] !== 1) {
      // It is told of the end only after the next read: until then the two streams may have been read to different moments.
      await this.#load(records)
      return true
    }
    const invalidations = decodeUnsafeRecords(reply[2], this.#invalidated.id)
    for (const each of inOrder(records, invalidations, pageRecords)) {
      if ('invalidation' in each) this.#invalidated = applyUnsafe(this.#table, each)
      else this.#apply(this.#table, [each])
    }
    this.#unrecorded.applied(this.#identity, this.applied)
    if (records.length >= pageRecords || invalidations.length >= pageRecords) return true
    this.#joined = true
    // What could not be recorded comes first: others may still serve what this replica has promised to be gone.
    if (this.#unrecorded.size > 0) void this.#record()
    else {
      this.#warnOfClocks()
      this.#confirmedMs = readMs
      this.#confirmedWallMs = readWallMs
      this.#tellCaughtUp()
    }
    return records.length + invalidations.length > 0
  }

  #warnOfClocks(): void {
    const apartMs = this.#confirmedMs === -Infinity ? 0 : Math.round(this.#clocksApartMs(this.#clock.monotonic() - this.#confirmedMs))
    if (Math.abs(apartMs) <= mostApartMs) return
    this.#options.logger.warn({ apartMs }, 'the clock of this machine was set, or the machine was suspended: nothing was served from cache until the purge log had been read again')
  }

  #apply(table: PurgeTable, records: readonly StreamRecord[]): void {
    for (const { id, identity, before, name, purge } of records) {
      const stamp = stampOf(identity, id)
      // Another log than the one so far, or the first that is left of this one: nothing is known of what was before it.
      if (identity !== this.#identity || this.#appliedId === '') {
        table.begin(identity, before === undefined ? stamp : stampOf(identity, before))
        this.#invalidated = noPlace
      }
      this.#identity = identity
      this.#appliedId = id
      this.#appliedName = name
      if (purge !== undefined) table.apply({ id: stamp, atMs: timeOf(id), purge })
    }
  }

  // Reads the whole log into a new table. The old one stays in its place until the end is reached: half a log would let
  // live what the other half kills.
  async #load(first: readonly StreamRecord[]): Promise<void> {
    const before = this.#identity
    const [idBefore, nameBefore] = [this.#appliedId, this.#appliedName]
    const invalidatedBefore = this.#invalidated
    const table = this.#newTable()
    let records = [...first]
    this.#identity = this.#appliedId = this.#appliedName = ''
    try {
      for (;;) {
        this.#apply(table, records)
        if (records.length < pageRecords) break
        records = decodeRecords(await this.#lane.call('XRANGE', [this.#keys[0], this.#appliedId, '+', 'COUNT', pageRecords + 1]))
        if (records.shift()?.id !== this.#appliedId) throw new Error('the log was shortened while it was read')
      }
      this.#invalidated = await loadUnsafe(this.#lane, this.#keys[2], this.#keys[3], this.#identity, table, pageRecords)
    } catch (error) {
      this.#identity = before
      this.#appliedId = idBefore
      this.#appliedName = nameBefore
      this.#invalidated = invalidatedBefore
      throw error
    }
    this.#revisions += this.#table.revision + 1
    this.#table = table
    if (before !== '' && before !== this.#identity) {
      this.#options.logger.warn({}, 'the purge log was lost: nothing that was stored before is used any more')
      this.#options.onReset()
    }
    // What lies between the ends of the two streams is not in it yet.
    this.#joined = this.#invalidated.id === ''
  }

  #newTable(): PurgeTable {
    const { maxKeepMs, maxRecords, maxBytes, maxUnsafeRecords } = this.#options
    const table = new PurgeTable({
      ...(maxKeepMs === undefined ? {} : { maxKeepMs }),
      ...(maxRecords === undefined ? {} : { maxRecords }),
      ...(maxBytes === undefined ? {} : { maxChars: maxBytes }),
      ...(maxUnsafeRecords === undefined ? {} : { maxNames: maxUnsafeRecords }),
    })
    table.begin(noIdentity, '')
    return table
  }

  #freshIdentity(): string {
    return newIdentity(this.#clock.now(), randomBytes(4), this.#identity)
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
