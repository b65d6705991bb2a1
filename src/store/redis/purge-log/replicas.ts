// The replicas that follow the log, and how far each has read.
import type { LogPosition } from '../../../policy/stored.ts'
import type { Acknowledgements, PurgeReceipt } from '../../purge/log.ts'
import type { RedisConnections } from '../connect/connections.ts'
import { replicasScript } from './scripts.ts'
import { Subscription } from '../connect/subscription.ts'
import type { Log } from '../connect/log.ts'

export interface ReplicasOptions {
  readonly redis: RedisConnections
  /** The key of their registrations. */
  readonly key: string
  /** The channel on which they announce that they have joined or have applied a record. */
  readonly channel: string
  /** The name of this replica. */
  readonly replica: string
  /** The longest time that this replica uses its knowledge. */
  readonly maxLagMs: number
  readonly logger: Log
  /** Returns the last stamp that this replica has applied. */
  applied(): LogPosition
}

/** Messages between replicas. They may be lost. */
export interface ReplicaMessages {
  listen(listener: (text: string) => void): void
  send(text: string): Promise<void>
}

export interface Replica {
  readonly id: string
  readonly applied: LogPosition
}

// Begins a message that is no acknowledgement. A build without `listen` takes it for one, and finds nothing new.
const messageMark = 'message '
/** Watches a purge. */
interface Watcher {
  seen(now: Acknowledgements): void
  readonly signal: AbortSignal
}

// How often a purge checks again which replicas have applied it, in case a message was lost.
const lookAgainMs = 100

export class Replicas implements ReplicaMessages {
  readonly #options: ReplicasOptions
  readonly #subscription: Subscription
  readonly #waiting = new Set<() => void>()
  /**
   * The last known number of live replicas, including any that cannot be named. A purge uses it while Redis is out of reach.
   */
  #live = 1
  #listener: ((text: string) => void) | undefined
  #closed = false

  constructor(options: ReplicasOptions) {
    this.#options = options
    const woken = (): void => this.#wake()
    const message = (text: string): void => {
      if (text.startsWith(messageMark)) this.#listener?.(text.slice(messageMark.length))
      else this.#wake()
    }
    this.#subscription = new Subscription({
      redis: options.redis,
      channel: options.channel,
      logger: options.logger,
      name: 'acknowledgements',
      without: 'a purge learns a little later which replicas have applied it',
      message,
      heard: woken,
      lost: woken,
    })
  }

  /** Calls the listener with each message that a replica sends to all with `send`. Replaces an earlier listener. */
  listen(listener: (text: string) => void): void {
    this.#listener = listener
  }

  /** Sends a message to every replica, this one included. Messages may be lost. @throws as GuardedClient.call */
  async send(text: string): Promise<void> {
    await this.#options.redis.small.call('PUBLISH', [this.#options.channel, messageMark + text])
  }

  /** Returns the replicas that can be named, including this one, registered or not; undefined if Redis does not respond. */
  async look(): Promise<readonly Replica[] | undefined> {
    return (await this.#count())?.named
  }

  // Returns the replicas that can be named, and how many live with those that cannot.
  async #count(): Promise<{ readonly named: readonly Replica[]; readonly live: number } | undefined> {
    const { redis, key, replica, maxLagMs } = this.#options
    let reply: unknown
    try {
      reply = await replicasScript.run(redis.small, [key], [replica, maxLagMs])
    } catch {
      return undefined
    }
    const [others = '', ...words] = Array.isArray(reply) ? reply.map(String) : []
    const named: Replica[] = []
    for (let i = 0; i + 1 < words.length; i += 2) named.push({ id: words[i] as string, applied: words[i + 1] as string })
    const listed = named.some(({ id }) => id === replica)
    if (!listed) named.push({ id: replica, applied: this.#options.applied() })
    // This replica is missing from the list: it may have been lost a moment ago, before any replica has recorded that.
    this.#live = named.length + (others === '1' || !listed ? 1 : 0)
    return { named, live: this.#live }
  }

  /** Waits up to `waitMs` until all live replicas have applied a record, woken by their messages. @param watcher is called with each count */
  async acknowledged(identity: string, stamp: LogPosition, waitMs: number, watcher?: Watcher): Promise<PurgeReceipt['replicas']> {
    let over = waitMs <= 0
    const timer = setTimeout(() => {
      over = true
      this.#wake()
    }, Math.max(0, waitMs))
    let counted = { live: this.#live, acknowledged: 0 }
    try {
      for (;;) {
        const last = over
        const woken = this.#next()
        const known = await this.#count()
        if (known !== undefined) {
          const applied = known.named.filter(each => each.applied.startsWith(identity) && each.applied >= stamp)
          counted = { live: known.live, acknowledged: applied.length }
          watcher?.seen({ ...counted, replicas: known.named.map(each => ({ id: each.id, acknowledged: applied.includes(each) })) })
        }
        if (counted.acknowledged === counted.live || last || this.#closed || watcher?.signal.aborted === true) return counted
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

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    // Safe to ignore: the registration expires a little later.
    await this.#options.redis.small.call('HDEL', [this.#options.key, this.#options.replica]).catch(() => {})
    this.#subscription.close()
  }
}
