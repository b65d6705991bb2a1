// Who follows the log, and how far each of them is.
import type { LogPosition } from '../../../policy/stored.ts'
import type { PurgeReceipt } from '../../purge/log.ts'
import type { RedisConnections } from '../connect/connections.ts'
import { replicasScript } from './scripts.ts'
import { Subscription } from '../connect/subscription.ts'
import type { Log } from '../connect/log.ts'

export interface ReplicasOptions {
  readonly redis: RedisConnections
  /** Where they are registered. */
  readonly key: string
  /** Where they say that they have come, or have applied something. */
  readonly channel: string
  /** The name of this one. */
  readonly replica: string
  /** The longest that a replica goes by what it knows. */
  readonly maxLagMs: number
  readonly logger: Log
  /** What this one has applied. */
  applied(): LogPosition
}

export interface Replica {
  readonly id: string
  readonly applied: LogPosition
}

// How often a purge looks again who has applied it, in case the message that says so was lost.
const lookAgainMs = 100

export class Replicas {
  readonly #options: ReplicasOptions
  readonly #subscription: Subscription
  readonly #waiting = new Set<() => void>()
  /** How many lived when that was last told, those among them whom nobody can name: what a purge goes by while Redis does not tell. */
  #live = 1
  #closed = false

  constructor(options: ReplicasOptions) {
    this.#options = options
    const woken = (): void => this.#wake()
    this.#subscription = new Subscription({
      redis: options.redis, channel: options.channel, logger: options.logger,
      name: 'acknowledgements', without: 'a purge learns a little later which replicas have applied it',
      message: woken, heard: woken, lost: woken,
    })
  }

  /** All that can be named, this one included, whether or not it is registered at the moment; undefined where Redis does not tell. */
  async look(): Promise<readonly Replica[] | undefined> {
    return (await this.#count())?.named
  }

  // Those that can be named, and how many live with those whom nobody can.
  async #count(): Promise<{ readonly named: readonly Replica[], readonly live: number } | undefined> {
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
    // A list on which this one is not: perhaps it was lost a moment ago, and nobody has said so yet.
    this.#live = named.length + (others === '1' || !listed ? 1 : 0)
    return { named, live: this.#live }
  }

  /** Waits up to `waitMs` until all that live have applied a record, woken by those who do. */
  async acknowledged(identity: string, stamp: LogPosition, waitMs: number): Promise<PurgeReceipt['replicas']> {
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

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    // Safe to ignore: the registration ends by itself a little later.
    await this.#options.redis.small.call('HDEL', [this.#options.key, this.#options.replica]).catch(() => {})
    this.#subscription.close()
  }
}
