// The store in Redis, which all replicas share.
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../../clock.ts'
import type { Metadata } from '../../../policy/stored.ts'
import { BufferBody } from '../../memory/chunks.ts'
import type { Body, EntryPage, Listed, Refusal, Store, Stored, StoreKey, StoreStats, Wanted, Writer } from '../../store.ts'
import { BodySink, ChunkedBody, type Gathered } from './chunked-body.ts'
import type { RedisConnections } from '../connect/connections.ts'
import { readFields } from './fields.ts'
import { RedisUnavailable, withDeadline, type RedisArgument } from '../connect/guarded-client.ts'
import { isRefusal } from '../connect/permissions.ts'
import { InvalidationChannel, type InvalidationListener } from './invalidation-channel.ts'
import { ScanPlace } from './scan-cursor.ts'
import { UseReports, usesName } from './uses.ts'
import { commitScript, dropScript, refreshScript, removeScript } from './scripts.ts'
import { decodeValue, encodeHead, encodeValue, entryName, fieldName, isSpoilt, type Value } from './value.ts'
import type { Log } from '../connect/log.ts'

export interface RedisStoreOptions {
  /** Connections that the caller made, shares, and closes. */
  readonly redis: RedisConnections
  /** The prefix of every key: caches that share a Redis have different ones. */
  readonly prefix: string
  /** Longest body that is stored. */
  readonly maxEntryBytes: number
  /** The most variants of one key. */
  readonly maxVariants: number
  readonly clock: Clock
  readonly logger: Log
  /** How long a body may take to arrive before its chunks are freed. */
  readonly fillTtlMs?: number
  /** How long readers of a replaced or removed body may take to finish it. */
  readonly readerGraceMs?: number
}

/** `overtaken`: a response that was requested later is stored. `refused`: any other reason, including Redis out of reach. */
export type CommitOutcome = 'taken' | 'overtaken' | 'refused'

/** A store with the additional results that a tiered store needs. */
export interface SharedStore extends Store {
  /** As `lookup`, but undefined if Redis did not respond. */
  find(key: StoreKey): Promise<readonly Stored[] | undefined>
  refuses(key: StoreKey, meta: Metadata, bodyBytes: number): Refusal | undefined
  /** As `write`. */
  begin(key: StoreKey, meta: Metadata): SharedWriter
  /** As `refresh`. */
  renew(key: StoreKey, was: Metadata, meta: Metadata): Promise<CommitOutcome>
  /** Reports the use of a variant, at most once in a period. */
  reportUse(key: StoreKey, variant: string, nowMs: number): void
  /** Reports what other replicas replace and remove, until the connections are closed. */
  follow(follower: InvalidationListener): void
  /** True if Redis is out of reach, or was when last tried. */
  readonly outOfReach: boolean
}

export interface SharedWriter extends Pick<Writer, 'write' | 'abort'> {
  readonly gaveUp: Refusal | undefined
  readonly others: number | undefined
  commit(): Promise<CommitOutcome>
}

// The bounds of one page of a listing.
const mostScansPerPage = 20
const keysPerScan = 40
const keysPerPage = 32
const scanTimeoutMs = 2000
// Values of a listing that are decoded before the event loop gets a turn.
const valuesPerTurn = 64
// More kinds of error than there are: kinds that a faulty server makes up are not logged for ever.
const mostKinds = 100
const none: readonly Stored[] = Object.freeze([])

/**
 * Every key is a hash with a field for each variant. A lookup is one script that reads them all. Bodies over 16 KiB are
 * stored in separate chunks, which nothing points at before the commit. The commit is one script. Every key has a time to
 * live.
 *
 * A command that timed out may still run. This is safe: a late commit loses against a newer one, is dead by its stamp if it
 * was purged, and fails if its chunks are missing. A chunk that is written late has a time to live.
 */
export function createRedisStore(options: RedisStoreOptions): SharedStore {
  return new RedisStore(options)
}

class RedisStore implements SharedStore {
  readonly #options: RedisStoreOptions
  readonly #redis: RedisConnections
  readonly #clock: Clock
  readonly #fillTtlMs: number
  readonly #graceMs: number
  readonly #replacements: InvalidationChannel
  /** Kinds of error that were logged: each only once, because one cause has thousands of errors. */
  readonly #told = new Set<string>()
  readonly #uses = new UseReports()
  #closed = false

  constructor(options: RedisStoreOptions) {
    this.#options = options
    this.#redis = options.redis
    this.#clock = options.clock
    this.#fillTtlMs = options.fillTtlMs ?? 600_000
    this.#graceMs = options.readerGraceMs ?? 60_000
    this.#replacements = new InvalidationChannel(options.redis, options.prefix)
  }

  follow(follower: InvalidationListener): void {
    this.#replacements.follow(this.#options.logger, follower)
  }

  get outOfReach(): boolean {
    return this.#redis.small.outOfReach
  }

  async lookup(key: StoreKey): Promise<readonly Stored[]> {
    return await this.find(key) ?? none
  }

  async find(key: StoreKey): Promise<readonly Stored[] | undefined> {
    if (this.#closed) return none
    const name = entryName(this.#options.prefix, key)
    let values: readonly Buffer[]
    try {
      values = await readFields(this.#redis.small, name, this.#options.maxVariants)
    } catch (error) {
      this.#tell('lookup', error)
      return undefined
    }
    const now = this.#clock.now()
    const found: Stored[] = []
    const spoilt: string[] = []
    for (const value of decodeAll(values, (bytes) => spoilt.push(sha1(bytes)))) {
      if (value.key !== key || now > value.meta.keepUntilMs) continue
      found.push(new Found(value.meta, this.#bodyOf(name, value), nowMs => {
        // A response that nothing selects competes only if there are others.
        if (value.meta.variant !== '' || found.length > 1) this.#reportUse(name, value.meta.variant, nowMs)
      }))
    }
    // Before anything is fetched: damaged values might otherwise block the commit of the response.
    if (spoilt.length > 0) await this.#drop(name, spoilt)
    if (found.length > 1) found.sort((a, b) => b.meta.responseTimeMs - a.meta.responseTimeMs)
    return found
  }

  reportUse(key: StoreKey, variant: string, nowMs: number): void {
    this.#reportUse(entryName(this.#options.prefix, key), variant, nowMs)
  }

  #reportUse(name: string, variant: string, nowMs: number): void {
    if (!this.#closed) void this.#uses.report(this.#redis.small, name, fieldName(variant), nowMs)
  }

  #bodyOf(name: string, { key, body, meta }: Value): BufferBody | ChunkedBody {
    if (Buffer.isBuffer(body)) return new BufferBody(body)
    // An incomplete entry must not be served: remove it before the next lookup.
    return new ChunkedBody(this.#redis.bodies, name, body, meta.bodyBytes, () => this.#removeChunked(key, meta.variant, body.id))
  }

  async #drop(name: string, spoilt: readonly string[]): Promise<void> {
    try {
      await dropScript.run(this.#redis.small, [name], spoilt)
    } catch (error) {
      this.#tell('drop', error)
    }
  }

  write(key: StoreKey, meta: Metadata): Writer {
    const writer = this.begin(key, meta)
    return {
      write: (chunk) => writer.write(chunk),
      get gaveUp() {
        return writer.gaveUp
      },
      get others() {
        return writer.others
      },
      commit: async () => await writer.commit() === 'taken',
      abort: () => writer.abort(),
    }
  }

  refuses(_key: StoreKey, _meta: Metadata, bodyBytes: number): Refusal | undefined {
    return bodyBytes > this.#options.maxEntryBytes ? 'too-large' : undefined
  }

  begin(key: StoreKey, meta: Metadata): SharedWriter {
    const name = entryName(this.#options.prefix, key)
    const sink = new BodySink(this.#redis.bodies, name, this.#fillTtlMs)
    let open = true
    let gaveUp: Refusal | undefined
    let others: number | undefined
    return {
      write: (chunk) => {
        if (!open) return
        if (sink.failed) gaveUp = 'store-refused'
        else if (sink.length + chunk.length <= this.#options.maxEntryBytes) return sink.add(chunk)
        else gaveUp = 'too-large'
        open = false
        sink.discard()
      },
      get gaveUp() {
        return gaveUp
      },
      get others() {
        return others
      },
      commit: async () => {
        if (!open) return 'refused'
        open = false
        const gathered = this.#closed || this.#clock.now() > meta.keepUntilMs ? undefined : await sink.finish()
        const outcome = gathered === undefined ? 'refused' : await this.#commit(name, key, meta, gathered, variants => {
          others = variants - 1
        })
        // Not after a commit that may still run: then the time to live frees them.
        if (outcome === 'overtaken' || outcome === 'refused') sink.discard()
        return outcome === 'unknown' ? 'refused' : outcome
      },
      abort: () => {
        if (!open) return
        open = false
        sink.discard()
      },
    }
  }

  async #commit(name: string, key: StoreKey, meta: Metadata, { length, body }: NonNullable<Gathered>, counted: (variants: number) => void): Promise<CommitOutcome | 'unknown'> {
    const value = encodeValue(key, meta, length, body)
    const { channel } = this.#replacements
    const args = [fieldName(meta.variant), value, this.#options.maxVariants, this.#clock.now(), this.#graceMs, channel, this.#replacements.message(key, meta.variant)]
    try {
      this.#uses.onCommit(name)
      const reply = await commitScript.run(this.#redis.small, [name, usesName(name)], args)
      if (typeof reply !== 'number' || reply < 1) return outcomeOf(reply)
      counted(reply)
      return 'taken'
    } catch (error) {
      this.#tell('commit', error)
      return error instanceof RedisUnavailable ? 'unknown' : 'refused'
    }
  }

  async refresh(key: StoreKey, was: Metadata, meta: Metadata): Promise<boolean> {
    return await this.renew(key, was, meta) === 'taken'
  }

  async renew(key: StoreKey, was: Metadata, meta: Metadata): Promise<CommitOutcome> {
    if (this.#closed) return 'refused'
    const { channel } = this.#replacements
    const message = this.#replacements.message(key, was.variant, meta.variant)
    const head = encodeHead(meta, was.bodyBytes)
    const args = [fieldName(was.variant), encodeHead(was, was.bodyBytes), fieldName(meta.variant), head, this.#clock.now(), this.#graceMs, channel, message]
    try {
      return outcomeOf(await refreshScript.run(this.#redis.small, [entryName(this.#options.prefix, key)], args))
    } catch (error) {
      this.#tell('refresh', error)
      return 'refused'
    }
  }

  async remove(key: StoreKey, variant?: string): Promise<void> {
    if (this.#closed) return
    const { channel } = this.#replacements
    await this.#remove(key, variant === undefined
      ? [this.#graceMs, channel, this.#replacements.message(key)]
      : [this.#graceMs, channel, this.#replacements.message(key, variant), fieldName(variant)])
  }

  async #removeChunked(key: StoreKey, variant: string, id: string): Promise<void> {
    if (this.#closed) return
    const { channel } = this.#replacements
    await this.#remove(key, [this.#graceMs, channel, this.#replacements.message(key, variant), fieldName(variant), id])
  }

  async #remove(key: StoreKey, args: RedisArgument[]): Promise<void> {
    try {
      await removeScript.run(this.#redis.small, [entryName(this.#options.prefix, key)], args)
    } catch (error) {
      this.#tell('remove', error)
    }
  }

  async list(cursor: string | undefined, limit: number, wanted: Wanted = everything): Promise<EntryPage> {
    const place = new ScanPlace(cursor)
    const most = Math.max(1, Math.min(1000, limit))
    const now = this.#clock.now()
    const entries: Listed[] = []
    let looked = 0
    for (let steps = 0; place.server < (this.#closed ? 0 : this.#redis.masters().length); steps++) {
      // A page may be short or empty if entries are rare among other keys.
      if (steps === mostScansPerPage || looked === keysPerPage) return { entries, cursor: place.toString() }
      const step = await this.#scan(place.server, place.scan)
      if (step === undefined) return { entries, cursor: undefined }
      const left = step.digests.filter((digest) => !place.hasTold(digest))
      const batch = left.slice(0, keysPerPage - looked)
      for (const [i, variants] of (await this.#decoded(batch)).entries()) {
        const digest = batch[i] as string
        for (let told = place.toldOf(digest); told < variants.length; told++) {
          if (entries.length === most) return { entries, cursor: place.within(digest, told) }
          const { key, meta } = variants[told] as Value
          if (now <= meta.keepUntilMs && wanted(meta)) entries.push({ key, meta })
        }
        place.tell(digest)
      }
      looked += batch.length
      if (batch.length === left.length) place.next(step.next)
    }
    return { entries, cursor: undefined }
  }

  // Runs one step of SCAN and returns the digests that name entries.
  async #scan(server: number, cursor: string): Promise<{ next: string; digests: string[] } | undefined> {
    const { prefix } = this.#options
    const pattern = `${prefix.replaceAll(/[\\*?[\]]/g, '\\$&')}:{${'?'.repeat(43)}}`
    try {
      const master = this.#redis.masters()[server]
      if (master === undefined) return undefined
      const reply = await withDeadline(master.callBuffer('SCAN', [cursor, 'MATCH', pattern, 'COUNT', keysPerScan]), scanTimeoutMs)
      if (!Array.isArray(reply) || !Array.isArray(reply[1])) return undefined
      const digests = (reply[1] as Buffer[]).map((name) => name.toString('latin1').slice(prefix.length + 2, -1)).filter((digest) => /^[\w-]{43}$/.test(digest))
      return { next: String(reply[0]), digests: [...new Set(digests)] }
    } catch (error) {
      this.#redis.permissions.refused(error)
      this.#tell('list', error)
      return undefined
    }
  }

  // Returns the variants under each name. Sent together, because each is a round trip.
  async #decoded(digests: readonly string[]): Promise<Value[][]> {
    const all = await Promise.allSettled(digests.map((digest) => readFields(this.#redis.small, `${this.#options.prefix}:{${digest}}`, this.#options.maxVariants)))
    const decoded: Value[][] = []
    let sinceTurn = 0
    for (const values of all) {
      const variants = values.status === 'fulfilled' ? decodeAll(values.value) : []
      decoded.push(variants)
      sinceTurn += variants.length
      if (sinceTurn < valuesPerTurn) continue
      sinceTurn = 0
      await nextTurn()
    }
    return decoded
  }

  stats(): StoreStats {
    return {
      kind: 'redis',
      entries: undefined,
      bytes: undefined,
      maxBytes: undefined,
      evictions: 0,
      degraded: this.#redis.impaired ? ['redis'] : [],
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  // The connections report that Redis is out of reach or refuses a command. Other error replies are logged here, once per
  // kind.
  #tell(operation: string, error: unknown): void {
    if (!(error instanceof Error) || error.name !== 'ReplyError' || isRefusal(error)) return
    const kind = `${operation} ${error.message.split(' ', 1)[0] ?? ''}`
    if (this.#told.has(kind) || this.#told.size >= mostKinds) return
    this.#told.add(kind)
    this.#options.logger.warn({ err: error, operation }, 'Redis refused an operation of the store')
  }
}

/** A variant as a lookup returns it. */
class Found implements Stored {
  readonly meta: Metadata
  readonly body: Body
  readonly used: (nowMs: number) => void

  constructor(meta: Metadata, body: Body, used: (nowMs: number) => void) {
    this.meta = meta
    this.body = body
    this.used = used
  }
}

// The outcome for a script's reply.
function outcomeOf(reply: unknown): CommitOutcome {
  return reply === 1 ? 'taken' : reply === 0 ? 'overtaken' : 'refused'
}

/** @param spoilt called with each value of this version that does not decode */
function decodeAll(values: readonly Buffer[], spoilt?: (bytes: Buffer) => void): Value[] {
  const decoded: Value[] = []
  for (const bytes of values) {
    const value = decodeValue(bytes)
    if (value !== undefined) decoded.push(value)
    else if (isSpoilt(bytes)) spoilt?.(bytes)
  }
  return decoded
}

const everything: Wanted = () => true

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}
