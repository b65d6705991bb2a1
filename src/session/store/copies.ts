// The check that the end of a session has reached a Redis replica, so that a failover does not bring the session back.
import { Cluster, type Redis } from 'ioredis'
import type { RedisConnections } from '../../store/redis/connect/connections.ts'
import { withDeadline, type RedisClient } from '../../store/redis/connect/guarded-client.ts'
import { isRefusal } from '../../store/redis/connect/permissions.ts'

const waitMs = 500
const keyMs = 60_000

/** Confirms that earlier writes were copied. WAIT blocks its connection, so it has its own, which is made at the first use. */
export class SessionCopies {
  readonly #connections: RedisConnections
  readonly #key: string
  #client: RedisClient | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(connections: RedisConnections, prefix: string) {
    this.#connections = connections
    this.#key = `${prefix}:{session-copies}`
  }

  /**
   * True if every write before this call is on a Redis replica, or there is none. False if that is not known, and in a cluster, which
   * has several masters.
   */
  async confirmed(): Promise<boolean> {
    const client = this.#client ??= this.#connections.dedicated()
    if (client instanceof Cluster) return false
    const confirmed = this.#last.then(() => isCopied(client, this.#key)).catch((error: unknown) => isRefusal(error))
    this.#last = confirmed
    return confirmed
  }
}

async function isCopied(client: Redis, key: string): Promise<boolean> {
  if (client.status !== 'ready') await withDeadline(new Promise(resolve => client.once('ready', resolve)), waitMs)
  // WAIT covers the writes of its own connection, and with them all that came before.
  await withDeadline(client.set(key, '', 'PX', keyMs), waitMs)
  const [role, , replicas] = await withDeadline(client.role(), waitMs) as [string, unknown, unknown]
  if (role !== 'master' || !Array.isArray(replicas)) return false
  return replicas.length === 0 || await withDeadline(client.wait(1, waitMs), waitMs * 2) > 0
}
