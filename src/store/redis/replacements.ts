// What replicas tell each other when one replaces something that another may have a copy of.
import { randomBytes } from 'node:crypto'
import type { StoreKey } from '../store.ts'
import { channelName, type Log, type RedisConnections } from './connection.ts'

/** Whoever keeps copies of what lies in Redis. */
export interface Follower {
  /** Another replica has replaced or removed these variants of a key; [] stands for all of them. */
  replaced(key: StoreKey, variants: readonly string[]): void
  /** Some of this may have gone unheard: no copy that was made before is known to be the latest. */
  unheard(): void
}

/**
 * One channel for all replicas. The scripts that replace something publish in the same step, so nothing is replaced without
 * it; but a message to a replica whose connection breaks is lost. What that costs is an answer that is older than the
 * latest and yet fresh, until the connection is made again. Purges do not depend on it: an entry's stamp tells of them.
 */
export class Replacements {
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

  /** Subscribes, on a connection of its own, each time that it is made. */
  follow(logger: Log, follower: Follower): void {
    const client = this.#redis.dedicated()
    client.on('message', (_channel: string, text: string) => {
      const message = parse(text)
      if (message !== undefined && message.sender !== this.#sender) follower.replaced(message.key, message.variants)
    })
    client.on('ready', () => {
      client.subscribe(this.channel).then(() => follower.unheard(), (error: unknown) => {
        // A connection that broke once more says 'ready' once more; but a refusal stays.
        if (error instanceof Error && error.name === 'ReplyError') logger.warn({ err: error }, 'Redis does not let us hear what other replicas replace: the memory tier may answer with what is fresh, but not the latest')
      })
    })
    // A cluster's client subscribes again by itself, at another node, when it loses the one that it had.
    client.on('-node', () => follower.unheard())
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
