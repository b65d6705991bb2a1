// Leases in Redis: a key of Redis for each, which expires with its holder, and a message to the processes that wait for it.
import type { LogPosition } from '../../../policy/stored.ts'
import type { HeldElsewhere, Lease, Leases, Outcome, LeaseResult } from '../../lease.ts'
import type { StoreKey } from '../../store.ts'
import { channelName, type RedisConnections } from '../connect/connections.ts'
import { RedisUnavailable } from '../connect/guarded-client.ts'
import { awaitedWord, releaseScript, renewScript, takeScript } from './scripts.ts'
import { Subscription } from '../connect/subscription.ts'
import { entryName } from '../entries/value.ts'
import type { Log } from '../connect/log.ts'

export interface RedisLeasesOptions {
  /** Connections that the caller made, shares, and closes. */
  readonly redis: RedisConnections
  /** The prefix of every key: the same for all processes over one cache. */
  readonly prefix: string
  /** Names this process among those that wait: no two live processes may have the same name. */
  readonly process: string
  /**
   * How long a lease outlives its holder, and a lost message delays followers. The holder renews it three times per period.
   */
  readonly leaseMs: number
  readonly logger: Log
}

/**
 * A lease costs one round trip to take and one, without waiting, to release. It is stored beside its entry, in the same slot
 * of a cluster, and always has a time to live.
 *
 * Waiting costs nothing: a waiting process is named in the lease, and notified when it is released. The holder is notified of the
 * first waiting process, and sees at the next renewal that one waits if that message is lost. If the notification of a release does
 * not arrive (the holder died, the message was lost), the process retries when the last known time to live has passed. While
 * messages cannot reach this process, or Redis is out of reach, no request waits: each process fetches for itself.
 */
export function createRedisLeases(options: RedisLeasesOptions): Leases {
  return new RedisLeases(options)
}

type Word = Outcome | 'expired'
/** `lost`: another process holds the lease. `awaited`: another process waits for it. */
type Renewal = 'held' | 'awaited' | 'lost'

const unavailable: LeaseResult = Object.freeze({ kind: 'unavailable' })
const knownUncacheable: LeaseResult = Object.freeze({ kind: 'knownUncacheable' })
// No wait is shorter than this part of a lease. A living holder renews at a third, so more time is always left. A foreign
// lease that is kept near its end is therefore not checked all the time.
const shortestPart = 8
const outcomes: ReadonlySet<string> = new Set<Outcome>(['stored', 'uncacheable', 'uncacheable-with-credentials', 'refused', 'failed'])

class RedisLeases implements Leases {
  readonly #options: RedisLeasesOptions
  readonly #subscription: Subscription
  readonly #channels: string
  #closed = false
  #taken = 0
  // By the name of the entry, with the variant if it is known. A taker registers before it sends its command: the release
  // message may arrive before the reply.
  readonly #waits = new Map<string, Wait[]>()
  /** The leases that this process holds, by token. */
  readonly #held = new Map<string, RedisLease>()

  constructor(options: RedisLeasesOptions) {
    this.#options = options
    this.#channels = channelName(options.redis, options.prefix, 'lease:')
    this.#subscription = new Subscription({
      redis: options.redis,
      channel: this.#channels + options.process,
      logger: options.logger,
      name: 'leases',
      without: 'each process fetches for itself',
      message: message => this.#hear(message),
      heard: () => {},
      lost: () => this.#wakeAll(),
    })
    // Otherwise followers would notice one by one, each at the end of a lease.
    options.redis.whenDegraded(() => this.#wakeAll())
  }

  async take(key: StoreKey, stamp: LogPosition, acceptsOutcome: Outcome, stealFrom = '', variant = ''): Promise<LeaseResult> {
    if (this.#closed) return unavailable
    const { redis, prefix, process, leaseMs } = this.#options
    const entry = entryName(prefix, key)
    // A variant's name is a digest: no client chooses its characters.
    const name = variant === '' ? entry : `${entry}:${variant}`
    const token = `${process}.${++this.#taken}`
    const wait = this.#listen(name)
    let reply: unknown
    try {
      reply = await takeScript.run(redis.small, [leaseName(name), entry], [token, stamp, leaseMs, process, acceptsOutcome, stealFrom, this.#channels])
    } catch (error) {
      wait.leave()
      // The command may still run, and this one after it: otherwise nothing would release that lease.
      if (error instanceof RedisUnavailable) this.#release(name, token, 'failed')
      return unavailable
    }
    const [kind, first, second, third] = Array.isArray(reply) ? (reply as unknown[]) : []
    switch (String(kind)) {
      case 'acquired':
        wait.leave()
        return { kind: 'acquired', lease: this.#hold(name, token, first === 1, Number(second) > 0) }
      case 'heldElsewhere':
        if (this.#subscription.hears) return elsewhere(wait, String(first), String(second), waitOf(Number(third), leaseMs))
    }
    wait.leave()
    return String(kind) === 'knownUncacheable' ? knownUncacheable : unavailable
  }

  #hold(name: string, token: string, hasEntry: boolean, isAwaited: boolean): Lease {
    const lease = new RedisLease(hasEntry, token, this.#options.leaseMs, () => this.#renew(name, token), outcome => {
      this.#held.delete(token)
      this.#release(name, token, outcome)
    })
    this.#held.set(token, lease)
    if (isAwaited) lease.awaited()
    return lease
  }

  #listen(name: string): Wait {
    const wait = new Wait(left => {
      const others = this.#waits.get(name)?.filter(one => one !== left) ?? []
      if (others.length > 0) this.#waits.set(name, others)
      else this.#waits.delete(name)
    })
    const others = this.#waits.get(name)
    if (others === undefined) this.#waits.set(name, [wait])
    else others.push(wait)
    return wait
  }

  #hear(message: string): void {
    const space = message.indexOf(' ')
    const outcome = message.slice(0, space)
    if (outcome === awaitedWord) this.#held.get(message.slice(space + 1))?.awaited()
    if (!outcomes.has(outcome)) return
    for (const wait of this.#waits.get(message.slice(space + 1)) ?? []) wait.hear(outcome as Outcome)
  }

  #wakeAll(): void {
    for (const waits of this.#waits.values()) for (const wait of waits) wait.hear('expired')
  }

  // Without a reply from Redis, the next third tries again.
  async #renew(name: string, token: string): Promise<Renewal> {
    try {
      const reply = await renewScript.run(this.#options.redis.small, [leaseName(name)], [token, this.#options.leaseMs])
      return reply === 2 ? 'awaited' : reply === 1 ? 'held' : 'lost'
    } catch {
      return 'held'
    }
  }

  #release(name: string, token: string, outcome: Outcome): void {
    const lasting = outcome.startsWith('uncacheable') ? outcome : ''
    // Safe to ignore: a lease that is not released expires.
    void releaseScript.run(this.#options.redis.small, [leaseName(name)], [token, `${outcome} ${name}`, this.#channels, lasting, this.#options.leaseMs]).catch(() => {})
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#subscription.close()
    this.#wakeAll()
  }
}

function leaseName(name: string): string {
  return `${name}:lease`
}

function elsewhere(wait: Wait, token: string, stamp: LogPosition, waitMs: number): HeldElsewhere {
  return { kind: 'heldElsewhere', token, stamp, waitMs, ended: () => wait.over(waitMs), leave: () => wait.leave() }
}

/** Returns how long to wait for a lease that has `leftMs` to live, whatever value Redis returns. */
function waitOf(leftMs: number, leaseMs: number): number {
  // A millisecond more than Redis counts, so that the lease has expired by then.
  return Number.isFinite(leftMs) ? Math.min(leaseMs, Math.max(leaseMs / shortestPart, leftMs)) + 1 : leaseMs
}

/** A wait for the end of a lease. */
class Wait {
  readonly #left: (wait: Wait) => void
  #word: Word | undefined
  #wake: ((word: Word) => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(left: (wait: Wait) => void) {
    this.#left = left
  }

  hear(word: Word): void {
    this.#word ??= word
    clearTimeout(this.#timer)
    this.#wake?.(this.#word)
  }

  async over(waitMs: number): Promise<Word> {
    try {
      return this.#word ?? await new Promise<Word>(resolve => {
        this.#wake = resolve
        this.#timer = setTimeout(() => this.hear('expired'), waitMs)
      })
    } finally {
      this.#left(this)
    }
  }

  leave(): void {
    this.#left(this)
    this.hear('expired')
  }
}

class RedisLease implements Lease {
  readonly hasEntry: boolean
  readonly token: string
  readonly #everyMs: number
  readonly #renew: () => Promise<Renewal>
  #release: ((outcome: Outcome) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #isAwaited = false
  #listener: (() => void) | undefined

  constructor(occupied: boolean, token: string, leaseMs: number, renew: () => Promise<Renewal>, release: (outcome: Outcome) => void) {
    this.hasEntry = occupied
    this.token = token
    this.#everyMs = leaseMs / 3
    this.#renew = renew
    this.#release = release
    this.#arm()
  }

  #arm(): void {
    this.#timer = setTimeout(() => {
      void this.#renew().then(renewal => {
        if (renewal === 'lost' || this.#release === undefined) return
        if (renewal === 'awaited') this.awaited()
        this.#arm()
      })
    }, this.#everyMs)
    this.#timer.unref()
  }

  whenAwaited(listener: () => void): void {
    if (this.#isAwaited) listener()
    else this.#listener = listener
  }

  /** Notes that another process waits for this lease. */
  awaited(): void {
    this.#isAwaited = true
    this.#listener?.()
    this.#listener = undefined
  }

  release(outcome: Outcome): void {
    clearTimeout(this.#timer)
    this.#listener = undefined
    this.#release?.(outcome)
    this.#release = undefined
  }
}
