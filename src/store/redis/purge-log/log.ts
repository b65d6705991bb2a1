// The purge log that replicas share: a Redis Stream, which each of them follows.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../../clock.ts'
import type { Addressed, LogPosition, Named } from '../../../policy/stored.ts'
import type { Acknowledgements, Purge, PurgeLog, PurgeReceipt, PurgeRecord, PurgeTimings, Verdict } from '../../purge/log.ts'
import { foldedPurge, type Invalidation } from '../../purge/invalidation.ts'
import { PurgeTable } from '../../purge/table.ts'
import { appendInvalidation, appendPurge, type AppendOptions } from './append.ts'
import { channelName, type RedisConnections } from '../connect/connections.ts'
import { ReplicationCheck } from './replication.ts'
import { GuardedClient } from '../connect/guarded-client.ts'
import { decodeRecords, decodeUnsafeRecords, identityOf, newIdentity, noIdentity, stampOf, timeOf, type StreamRecord } from './record.ts'
import { followScript } from './scripts.ts'
import { isRefusal } from '../connect/permissions.ts'
import { Replicas, type Replica, type ReplicaMessages } from './replicas.ts'
import { Unrecorded } from './unrecorded.ts'
import { applyUnsafe, inOrder, loadUnsafe, noPlace } from './unsafe-stream.ts'
import type { Log } from '../connect/log.ts'

export interface StreamPurgeLogOptions {
  /** Connections that the caller made, shares, and closes. */
  readonly redis: RedisConnections
  /** The prefix of every key: the same for all replicas of a cache. */
  readonly prefix: string
  /** Names this process among the replicas: no two live ones may have the same name. */
  readonly replica: string
  /** How long this replica may use its knowledge after its last confirmed read of the log. */
  readonly maxLagMs: number
  readonly clock: Clock
  readonly logger: Log
  readonly timings?: PurgeTimings | undefined
  /**
   * Called when the log was lost and a new one began: every entry in this process's memory is dead, and may be dropped at
   * once.
   */
  readonly onReset: () => void
  /** The longest time that any store keeps an entry; older records are dropped. */
  readonly maxKeepMs?: number
  /** The most records that are kept, here and in Redis. */
  readonly maxRecords?: number
  /** The most bytes of the records in Redis, and about their bytes here. */
  readonly maxBytes?: number
  /** The most records of unsafe requests in Redis, and names of them here. */
  readonly maxUnsafeRecords?: number
}

export interface SharedPurgeLog extends PurgeLog {
  /** Resolves when the log has been read to its end for the first time: until then nothing can be stored or used. */
  caughtUp(): Promise<void>
  /** Messages between all replicas, over the connection on which they acknowledge purges. */
  readonly messages: ReplicaMessages
}

const pageRecords = 1000
const maxUnsafeBytes = 8 * 1_048_576
const retryMs = 100
// If two clocks of one machine have moved further apart since the last read, a clock was set, or the machine was suspended.
// A replica counts for longer than this beyond its lag, so a smaller difference does no harm.
const mostApartMs = 500
const lastChanceMs = 1000

/**
 * A stamp here is the identity of the log, then the position in it. The identity decides which entries in Redis survive when
 * the log is lost (its key was deleted, a failover lost its end). The replica that notices begins a log with another
 * identity. Every stamp of another identity is dead, whatever ids the new log gives. A log has lost its end if it lacks the
 * last record that a replica applied, but has older ones.
 *
 * A replica knows nothing until it has read the log to its end, and again if its last confirmed read is older than maxLagMs.
 * Then every entry is dead for it, also those in Redis. A replica counts as live for longer than it uses what it has read,
 * because reading and registering are one step in Redis. So a purge that no longer waits for a replica cannot be missed by
 * it.
 *
 * Redis may lose the registrations too (a flush, a restart without persistence). A replica notices that its registration is
 * missing although it cannot have expired, or that the log is another one, and records that in Redis. From then on a purge
 * counts one more replica than it can name, which does not acknowledge. This lasts for as long as any replica may use what
 * it read before.
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
  /** The sum of the revisions of earlier tables. */
  #revisions = 0
  #identity = ''
  #appliedId = ''
  /** The name of that record: after a failover its id may belong to another record. */
  #appliedName = ''
  /** The last applied record of an unsafe request. */
  #invalidated = noPlace
  readonly #unrecorded = new Unrecorded()
  /** When the last confirmed read was sent, by both clocks. */
  #confirmedMs = -Infinity
  #confirmedWallMs = 0
  /** The longest time that any replica uses its knowledge, as far as this one knows. */
  #longestLagMs: number
  /** True if both streams have been read up to one moment since they were loaded. */
  #joined = true
  #closed = false
  /** True if the present trouble with the log was logged. */
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
    // Short enough that an idle log is confirmed well within the lag, and that the connection does not count as dead for its
    // silence.
    this.#blockMs = Math.max(10, Math.min(1000, Math.floor(maxLagMs / 3)))
    this.#ttlMs = maxLagMs * 2 + 2000
    this.#table = this.#newTable()
    this.#lane = new GuardedClient(redis.dedicated(), Math.max(500, Math.min(2000, maxLagMs)), () => {}, (error) => redis.permissions.refused(error))
    const [log, key, unsafe, buckets] = this.#keys
    this.#append = {
      lane: redis.small,
      clock,
      keys: [log, unsafe, buckets],
      maxRecords: options.maxRecords ?? 100_000,
      maxBytes: options.maxBytes ?? 32 * 1_048_576,
      maxKeepMs: options.maxKeepMs ?? 0,
      maxUnsafeRecords: options.maxUnsafeRecords ?? 32_768,
      maxUnsafeBytes,
      freshIdentity: () => this.#freshIdentity(),
    }
    this.#replicas = new Replicas({ redis, key, channel: this.#channel, replica: options.replica, maxLagMs, logger: options.logger, applied: () => this.applied })
    this.#copies = new ReplicationCheck({ client: redis.dedicated(), clock, key, keepMs: this.#ttlMs * 10, refused: (error) => redis.permissions.refused(error) })
    this.#caughtUp = new Promise((resolve) => {
      this.#tellCaughtUp = resolve
    })
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

  judge(meta: Named & { readonly stamp: LogPosition }): Verdict {
    if (!this.isCaughtUp() || (this.#unrecorded.any && this.#unrecorded.touches(meta))) return 'dead'
    return this.#table.judge(meta)
  }

  mayMatch(stamp: LogPosition, url: Addressed): boolean {
    if (!this.isCaughtUp() || (this.#unrecorded.any && this.#unrecorded.mayTouch(url))) return true
    return this.#table.mayTouch(stamp, url)
  }

  matchedBetween(entry: Named & { readonly stamp: LogPosition }, until: LogPosition): boolean {
    if (!this.isCaughtUp() || (this.#unrecorded.any && this.#unrecorded.touches(entry))) return true
    return this.#table.touchedBefore(entry, until)
  }

  // Reads the clocks at each hit. A process that was stopped notices before its first response, by the monotonic clock. That
  // clock stands still while a machine is suspended; then the two clocks have moved apart.
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

  find(id: LogPosition): PurgeRecord | undefined {
    return this.#table.find(id)
  }

  async follow(id: LogPosition, waitMs: number, seen: (now: Acknowledgements) => void, signal: AbortSignal): Promise<Pick<PurgeReceipt, 'copied'>> {
    const identity = identityOf(id)
    const [, copied] = await Promise.all([this.#replicas.acknowledged(identity, id, waitMs, { seen, signal }), this.#copies.confirmed(waitMs)])
    return { copied }
  }

  async append(purge: Purge, waitMs: number, by = ''): Promise<PurgeReceipt> {
    const invalidation = purge.implicit === true ? foldedPurge(purge) : undefined
    const { timings } = this.#options
    const startedMs = this.#clock.monotonic()
    const { id, identity } = await (invalidation === undefined ? appendPurge(this.#append, purge, by) : this.#invalidate(invalidation))
    timings?.appended(this.#clock.monotonic() - startedMs)
    const stamp = stampOf(identity, id)
    const acknowledged = this.#replicas.acknowledged(identity, stamp, waitMs).then((counted) => {
      if (purge.implicit !== true && counted.acknowledged === counted.live) timings?.acknowledged(this.#clock.monotonic() - startedMs)
      return counted
    })
    const [replicas, copied] = await Promise.all([acknowledged, this.#copies.confirmed(waitMs)])
    // The wait ended before this replica has read that far. Its own clients must not receive the older responses.
    if (invalidation !== undefined && !(this.applied.startsWith(identity) && this.applied >= stamp)) this.#unrecorded.addRecorded(invalidation, stamp)
    return { id: stamp, soft: purge.soft, replicas, copied }
  }

  // RFC 9111 §4.4: the request has been carried out, so its invalidation must take effect, whether or not Redis can record
  // it now.
  async #invalidate(invalidation: Invalidation): ReturnType<typeof appendInvalidation> {
    try {
      return await appendInvalidation(this.#append, invalidation)
    } catch (error) {
      this.#unrecorded.add(invalidation)
      throw error
    }
  }

  // Tries to record what could not be recorded. Never rejects: a failure is retried after the next read.
  async #record(): Promise<void> {
    try {
      const count = await this.#unrecorded.record(async (invalidation) => {
        const { id, identity } = await appendInvalidation(this.#append, invalidation)
        return stampOf(identity, id)
      })
      if (count > 0) this.#options.logger.info({ count }, 'invalidations by unsafe requests are recorded that could not be while Redis was in trouble')
    } catch { /* see above */ }
  }

  // The last attempt to record what could not be recorded: it is lost with this process.
  async #recordAtLast(): Promise<void> {
    const late = AbortSignal.timeout(lastChanceMs)
    while (this.#unrecorded.size > 0 && !late.aborted) {
      await Promise.race([this.#record(), delay(lastChanceMs, undefined, { ref: false })])
      await delay(retryMs)
    }
  }

  get messages(): ReplicaMessages {
    return this.#replicas
  }

  get lagMs(): number {
    return Math.max(0, this.#clock.monotonic() - this.#confirmedMs)
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

  // Reads, applies, and waits for more, until closed. After a failure it continues from the last applied record.
  async #follow(): Promise<void> {
    while (!this.#closed) {
      try {
        const more = await this.#read()
        // Only a wake-up: the script reads the records, and checks that they continue the log.
        if (!more)
          await this.#lane.call('XREAD', ['COUNT', 1, 'BLOCK', this.#blockMs, 'STREAMS', this.#keys[0], this.#keys[2], this.#appliedId, this.#invalidated.id || this.#appliedId],
            this.#blockMs + 1000)
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

  // Reads new records. True if it should be called again at once: there is more, or there is something to acknowledge.
  async #read(): Promise<boolean> {
    const { replica, maxLagMs } = this.#options
    const readMs = this.#clock.monotonic()
    const readWallMs = this.#clock.now()
    const reply = await followScript.run(this.#lane, this.#keys, [
      replica,
      this.#identity,
      this.#appliedId,
      this.#appliedName,
      this.applied,
      this.#freshIdentity(),
      this.#ttlMs,
      pageRecords,
      this.#channel,
      // The last registration is later than the sending of that read, and lasts ttlMs; a margin covers clocks of different
      // speed.
      readMs - this.#confirmedMs < this.#ttlMs * 0.9 ? '1' : '',
      maxLagMs,
      this.#longestLagMs,
      this.#invalidated.id,
      this.#invalidated.name,
    ])
    if (!Array.isArray(reply)) throw new Error('the script of the log sent an unexpected reply')
    const longestLagMs = Number(reply[3])
    if (longestLagMs > this.#longestLagMs) this.#longestLagMs = longestLagMs
    const records = decodeRecords(reply[1])
    if (reply[0] !== 1) {
      // The end counts as reached only after the next read: until then the two streams may have been read up to different
      // moments.
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
    // Unrecorded invalidations come first: other replicas may still serve responses that this one has promised to be
    // invalid.
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
    for (const { id, identity, before, name, by, purge } of records) {
      const stamp = stampOf(identity, id)
      // Another log, or the oldest record that is left of this one: everything before it is unknown.
      if (identity !== this.#identity || this.#appliedId === '') {
        table.begin(identity, before === undefined ? stamp : stampOf(identity, before))
        this.#invalidated = noPlace
      }
      this.#identity = identity
      this.#appliedId = id
      this.#appliedName = name
      if (purge !== undefined) table.apply({ id: stamp, atMs: timeOf(id), purge, by })
    }
  }

  // Reads the whole log into a new table. The old table stays in use until the end is reached: a partial log would revive
  // entries that the rest of it kills.
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
    // Records between the ends of the two streams are not in it yet.
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
