// Messages between replicas about replaced entries, of which others may have copies.
import { randomBytes } from 'node:crypto'
import type { StoreKey } from '../../store.ts'
import { channelName, type RedisConnections } from '../connect/connections.ts'
import { Subscription } from '../connect/subscription.ts'
import type { Log } from '../connect/log.ts'

/** A tier that keeps copies of entries in Redis. */
export interface InvalidationListener {
  /** Another replica has replaced or removed these variants of a key; [] stands for all of them. */
  onReplaced(key: StoreKey, variants: readonly string[]): void
  /** From now on `onReplaced` is called for every replacement. No earlier copy is known to be the latest. */
  onResumed(): void
  /** From now on `onReplaced` may miss replacements. `silent`: perhaps it has missed some already. */
  onGap(silent: boolean): void
}

/**
 * A channel for all replicas. The scripts that replace an entry publish in the same step, so no replacement is silent. But a
 * message to a replica whose connection breaks is lost. Until the break is noticed, that replica may serve a fresh response
 * that is not the latest. Purges do not depend on the channel: they are judged by an entry's stamp.
 */
export class InvalidationChannel {
  readonly channel: string
  /** Identifies our own messages, which Redis sends back to us too. */
  readonly #sender = randomBytes(12).toString('base64url')

  readonly #redis: RedisConnections

  constructor(redis: RedisConnections, prefix: string) {
    this.#redis = redis
    this.channel = channelName(redis, prefix, 'replaced')
  }

  /** Returns the message to publish. JSON escapes a lone surrogate, so any key survives the encoding. */
  message(key: StoreKey, ...variants: readonly string[]): string {
    return JSON.stringify([this.#sender, key, ...variants])
  }

  /** Subscribes, on a separate connection. */
  follow(logger: Log, follower: InvalidationListener): void {
    void new Subscription({
      redis: this.#redis,
      channel: this.channel,
      logger,
      name: 'replacements',
      without: 'memory is not used while Redis is in reach',
      message: (text) => {
        const message = parse(text)
        if (message !== undefined && message.sender !== this.#sender) follower.onReplaced(message.key, message.variants)
      },
      heard: () => follower.onResumed(),
      lost: (silent) => follower.onGap(silent),
    })
  }
}

// undefined for a message that no replica of this version sends.
function parse(text: string): { sender: string; key: StoreKey; variants: string[] } | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) return undefined
  const [sender, key, ...variants] = parts
  return sender === undefined || key === undefined ? undefined : { sender, key, variants }
}
