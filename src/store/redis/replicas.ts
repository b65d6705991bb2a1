// Who follows the log, and how far each of them is.
import type { Clock } from '../../clock.ts'
import type { Stamp } from '../../policy/stored.ts'
import type { PurgeReceipt } from '../purge-log.ts'
import type { RedisConnections } from './connection.ts'
import type { RedisClient } from './lane.ts'
import { replicasScript } from './log-scripts.ts'
import { Roster } from './roster.ts'

export interface ReplicasOptions {
  readonly redis: RedisConnections
  readonly clock: Clock
  /** Where they are registered. */
  readonly key: string
  /** Where they say that they have come, or have applied something. */
  readonly channel: string
  /** The name of this one. */
  readonly replica: string
  readonly maxLagMs: number
  /** What this one has applied. */
  applied(): Stamp
}

export interface Replica {
  readonly id: string
  readonly applied: Stamp
}

// How often a purge looks again who has applied it, in case the message that says so was lost.
const lookAgainMs = 100

export class Replicas {
  readonly #options: ReplicasOptions
  readonly #subscriber: RedisClient
  readonly #roster: Roster
  readonly #waiting = new Set<() => void>()
  #lookedMs = -Infinity
  #closed = false

  constructor(options: ReplicasOptions) {
    this.#options = options
    this.#roster = new Roster(options.maxLagMs)
    this.#subscriber = options.redis.dedicated()
    this.#subscriber.on('message', (_channel: string, name: string) => {
      this.#roster.heard(name)
      this.#wake()
    })
    this.#subscriber.on('ready', () => {
      // Safe to ignore: without it a purge learns a little later who has applied it.
      this.#subscriber.subscribe(options.channel).catch(() => {})
    })
  }

  /** All that live, this one included; undefined where Redis does not tell. One that is known to be lost has applied nothing. */
  async look(): Promise<readonly Replica[] | undefined> {
    const { redis, clock, key, replica } = this.#options
    let reply: unknown
    try {
      reply = await replicasScript.run(redis.small, [key], [])
    } catch {
      return undefined
    }
    const [list = '', ...words] = Array.isArray(reply) ? reply.map(String) : []
    const replicas: Replica[] = []
    for (let i = 0; i + 1 < words.length; i += 2) replicas.push({ id: words[i] as string, applied: words[i + 1] as string })
    const nowMs = this.#lookedMs = clock.monotonic()
    this.#roster.look(list, replicas.map(({ id }) => id), nowMs)
    for (const id of this.#roster.lost(nowMs)) if (id !== replica) replicas.push({ id, applied: '' })
    if (!replicas.some(({ id }) => id === replica)) replicas.push({ id: replica, applied: this.#options.applied() })
    return replicas
  }

  /** Looks if nobody has for so long that the list might no longer be known when it is lost. */
  async lookNow(afterMs: number): Promise<void> {
    if (this.#options.clock.monotonic() - this.#lookedMs > afterMs) await this.look()
  }

  /** Waits up to `waitMs` until all that live have applied a record, woken by those who do. */
  async acknowledged(identity: string, stamp: Stamp, waitMs: number): Promise<PurgeReceipt['replicas']> {
    let over = waitMs <= 0
    const timer = setTimeout(() => {
      over = true
      this.#wake()
    }, Math.max(0, waitMs))
    let counted = { live: 1, acknowledged: 0 }
    try {
      for (;;) {
        const last = over
        const woken = this.#next()
        const replicas = await this.look()
        if (replicas !== undefined) {
          const applied = replicas.filter(each => each.applied.startsWith(identity) && each.applied >= stamp)
          counted = { live: replicas.length, acknowledged: applied.length }
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
    this.#subscriber.disconnect()
  }
}
