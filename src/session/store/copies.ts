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
  readonly #prefix: string
  #client: RedisClient | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(connections: RedisConnections, prefix: string) {
    this.#connections = connections
    this.#prefix = prefix
  }

  /**
   * True if the ends of these sessions are on a Redis replica each, or there is none. False if that is not known. Without a cluster, one
   * reply covers every write before this call.
   */
  async confirmed(sids: readonly string[]): Promise<boolean> {
    const client = this.#client ??= this.#connections.dedicated()
    const look = client instanceof Cluster ? () => areCopied(client, this.#prefix, sids) : () => isCopied(client, `${this.#prefix}:{session-copies}`)
    const confirmed = this.#last.then(look).catch((error: unknown) => isRefusal(error))
    this.#last = confirmed
    return confirmed
  }
}

/** Checks one session after the other, because each may have another master, and stops at the first that is not copied. */
async function areCopied(client: Cluster, prefix: string, sids: readonly string[]): Promise<boolean> {
  if (client.status !== 'ready') await withDeadline(new Promise(resolve => client.once('ready', resolve)), waitMs)
  for (const sid of sids) {
    // The same slot as the session. WAIT goes to the server of that slot, over the same connection as the write.
    const key = `${prefix}:{s:${sid}}:copied`
    const replies = await withDeadline(client.pipeline().set(key, '', 'PX', keyMs).role().wait(1, waitMs).unlink(key).exec() as Promise<[Error | null, unknown][]>, waitMs * 2)
    const [failed] = replies.flatMap(([error]) => error ?? [])
    if (failed !== undefined) throw failed
    const [, described, waited] = replies.map(([, reply]) => reply)
    const [role, , replicas] = described as [string, unknown, unknown]
    if (role !== 'master' || !Array.isArray(replicas) || (replicas.length > 0 && Number(waited) === 0)) return false
  }
  return true
}

async function isCopied(client: Redis, key: string): Promise<boolean> {
  if (client.status !== 'ready') await withDeadline(new Promise(resolve => client.once('ready', resolve)), waitMs)
  // WAIT covers the writes of its own connection, and with them all that came before.
  await withDeadline(client.set(key, '', 'PX', keyMs), waitMs)
  const [role, , replicas] = await withDeadline(client.role(), waitMs) as [string, unknown, unknown]
  if (role !== 'master' || !Array.isArray(replicas)) return false
  return replicas.length === 0 || await withDeadline(client.wait(1, waitMs), waitMs * 2) > 0
}
