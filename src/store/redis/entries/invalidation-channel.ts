// What replicas tell each other when one replaces something that another may have a copy of.
import { randomBytes } from 'node:crypto'
import type { StoreKey } from '../../store.ts'
import { channelName, type RedisConnections } from '../connect/connections.ts'
import { Subscription } from '../connect/subscription.ts'
import type { Log } from '../connect/log.ts'

/** Whoever keeps copies of what lies in Redis. */
export interface InvalidationListener {
  /** Another replica has replaced or removed these variants of a key; [] stands for all of them. */
  onReplaced(key: StoreKey, variants: readonly string[]): void
  /** From now on `replaced` is told of everything. No copy that was made before is known to be the latest. */
  onResumed(): void
  /** From now on `replaced` may be told of nothing. `silent`: perhaps for a while already. */
  onGap(silent: boolean): void
}

/**
 * One channel for all replicas. The scripts that replace something publish in the same step, so nothing is replaced without
 * it; but a message to a replica whose connection breaks is lost. What that costs is an answer that is older than the
 * latest and yet fresh, until the break is noticed. Purges do not depend on it: an entry's stamp tells of them.
 */
export class InvalidationChannel {
  readonly channel: string
  /** What is sent under this name comes back to us too, who know better. */
  readonly #sender = randomBytes(12).toString('base64url')

  readonly #redis: RedisConnections

  constructor(redis: RedisConnections, prefix: string) {
    this.#redis = redis
    this.channel = channelName(redis, prefix, 'replaced')
  }

  /** What to publish. JSON writes half of a surrogate pair as an escape, so that any key comes back as it was. */
  message(key: StoreKey, ...variants: readonly string[]): string {
    return JSON.stringify([this.#sender, key, ...variants])
  }

  /** Subscribes, on a connection of its own. */
  follow(logger: Log, follower: InvalidationListener): void {
    void new Subscription({
      redis: this.#redis, channel: this.channel, logger,
      name: 'replacements', without: 'what is in memory is not used while Redis answers',
      message: (text) => {
        const message = parse(text)
        if (message !== undefined && message.sender !== this.#sender) follower.onReplaced(message.key, message.variants)
      },
      heard: () => follower.onResumed(),
      lost: (silent) => follower.onGap(silent),
    })
  }
}

// undefined for what no replica of this version sends.
function parse(text: string): { sender: string, key: StoreKey, variants: string[] } | undefined {
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
