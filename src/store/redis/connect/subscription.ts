// A subscription to one channel that knows at each moment whether messages arrive, even if its connection dies silently.
import type { Redis } from 'ioredis'
import type { RedisConnections } from './connections.ts'
import { RedisUnavailable, withDeadline } from './guarded-client.ts'
import type { Log } from './log.ts'

export interface SubscriptionOptions {
  readonly redis: RedisConnections
  readonly channel: string
  /** Names the subscription in the log. */
  readonly name: string
  /** The consequence of missing messages, as the end of a sentence. */
  readonly without: string
  readonly logger: Log
  message(text: string): void
  /** From now on every message arrives; messages that were sent before may be lost. */
  heard(): void
  /** Messages may be lost from now on. `silent`: the connection had died some time before that was noticed. */
  lost(silent: boolean): void
}

// How often the connection is probed with PING.
const beatMs = 1000
// The deadline of the reply, unless commands have a longer one.
const answerMs = 1000
const againMs = 250

/**
 * Holds its own connection, subscribes at each 'ready', and sends PING every second. A NAT or a firewall that drops a
 * connection sends no reset, and nothing is written to a connection that only receives. Without PING it would count as alive
 * until TCP's own keep-alive closes it. If there is no reply, the connection is replaced.
 *
 * PUBLISH reaches every node of a cluster, so any master will do, and another one after each failure.
 */
export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #answerMs: number
  #client: Redis | undefined
  #timer: NodeJS.Timeout | undefined
  #hears = false
  #silent = false
  #closed = false

  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.#answerMs = Math.max(answerMs, options.redis.commandTimeoutMs)
    this.#connect()
  }

  /** True while messages arrive. */
  get hears(): boolean {
    return this.#hears
  }

  get #over(): boolean {
    return this.#closed || this.#options.redis.closed
  }

  #connect(): void {
    if (this.#over) return
    const client = this.#client = this.#options.redis.subscriber()
    if (client === undefined) return this.#later(againMs, () => this.#connect())
    client.on('message', (_channel: string, text: string) => {
      if (client === this.#client) this.#options.message(text)
    })
    client.on('ready', () => void this.#subscribe(client))
    client.on('close', () => this.#lose(client, false))
    // If it does not reconnect by itself.
    client.on('end', () => {
      if (client === this.#client) this.#later(againMs, () => this.#connect())
    })
  }

  async #subscribe(client: Redis): Promise<void> {
    const { redis, channel, name, logger, heard } = this.#options
    const error = await this.#ask(client.subscribe(channel), client)
    if (client !== this.#client || this.#over) return
    if (error !== undefined) {
      redis.permissions.refused(error)
      // If it is closed, 'ready' comes again; else SUBSCRIBE is refused for now.
      redis.impair(name, true)
      if (client.status === 'ready') this.#later(againMs, () => void this.#subscribe(client))
      return
    }
    this.#hears = true
    redis.permissions.worked('SUBSCRIBE')
    redis.impair(name, false)
    if (this.#silent) logger.info({ subscription: name }, 'messages of other replicas arrive again')
    this.#silent = false
    heard()
    this.#later(beatMs, () => void this.#beat(client))
  }

  async #beat(client: Redis): Promise<void> {
    const error = await this.#ask(client.ping(), client)
    // A reply that refuses PING is a reply.
    this.#options.redis.permissions.refused(error)
    if (client === this.#client && client.status === 'ready') this.#later(beatMs, () => void this.#beat(client))
  }

  // Returns the error, or undefined after a normal reply.
  async #ask(asked: Promise<unknown>, client: Redis): Promise<unknown> {
    try {
      await withDeadline(asked, this.#answerMs)
      return undefined
    } catch (error) {
      // If Redis responds to no connection, this one is not at fault: messages arrive on it when Redis goes on.
      const dead = error instanceof RedisUnavailable && !this.#options.redis.small.outOfReach
      if (dead && client === this.#client) this.#replace(client)
      return error
    }
  }

  // Messages still in flight on the old connection are useless: it is unknown what is missing before them.
  #replace(client: Redis): void {
    const { name, without, logger } = this.#options
    if (!this.#silent) logger.warn({ subscription: name }, `a connection that waits for messages of other replicas is silent, and is made anew: until then ${without}`)
    this.#silent = true
    this.#lose(client, true)
    this.#client = undefined
    client.disconnect()
    this.#connect()
  }

  #lose(client: Redis, silent: boolean): void {
    if (client !== this.#client || this.#over) return
    clearTimeout(this.#timer)
    if (!this.#hears) return
    this.#hears = false
    this.#options.redis.impair(this.#options.name, true)
    this.#options.lost(silent)
  }

  #later(ms: number, act: () => void): void {
    clearTimeout(this.#timer)
    if (!this.#over) this.#timer = setTimeout(act, ms).unref()
  }

  close(): void {
    this.#closed = true
    this.#hears = false
    clearTimeout(this.#timer)
    this.#options.redis.impair(this.#options.name, false)
    this.#client?.disconnect()
  }
}
