// Whether what was written to the log lies on a Redis replica too, so that it outlives the server that took it.
import { Cluster, Command, type Redis } from 'ioredis'
import type { Clock } from '../../../clock.ts'
import { withDeadline, type RedisClient } from '../connect/guarded-client.ts'
import { isRefusal } from '../connect/permissions.ts'

export interface CopiesOptions {
  /** Of its own: WAIT holds up whatever comes after it on its connection. */
  readonly client: RedisClient
  readonly clock: Clock
  /** Told that it may not ask. */
  refused(error: unknown): void
  /** A key beside the log, in its slot, which is there while the log is followed; and for how long it is kept from now on. */
  readonly key: string
  readonly keepMs: number
}

// How long one WAIT may take: who came while it did is served by the next.
const waitTimeoutMs = 250
const retryMs = 20

/**
 * One question at a time, for all who ask meanwhile. It writes, since WAIT waits for what its own connection has written:
 * what others wrote before is then copied as well.
 */
export class ReplicationCheck {
  readonly #options: CopiesOptions
  #asking: Promise<boolean> | undefined
  #next: Promise<boolean> | undefined

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /**
   * Whether all that was written before the call lies on one Redis replica at least, within `waitMs`. True as well where
   * the server has no replica, or may not be asked: then there is nothing to wait for.
   */
  async confirmed(waitMs: number): Promise<boolean> {
    const { clock } = this.#options
    const untilMs = clock.monotonic() + waitMs
    for (let leftMs = waitMs; leftMs > 0; leftMs = untilMs - clock.monotonic()) {
      try {
        if (await withDeadline(this.#round(), leftMs)) return true
      } catch {
        // Out of reach, or another server by now: asked again for as long as there is time.
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
    return false
  }

  // The question that is under way may have begun before what this caller wrote: it needs the one after it.
  #round(): Promise<boolean> {
    if (this.#asking === undefined) return this.#begin()
    this.#next ??= this.#asking.catch(() => {}).then(() => {
      this.#next = undefined
      return this.#begin()
    })
    return this.#next
  }

  #begin(): Promise<boolean> {
    const asking = this.#ask().finally(() => {
      if (this.#asking === asking) this.#asking = undefined
    })
    this.#asking = asking
    return asking
  }

  async #ask(): Promise<boolean> {
    const { refused } = this.#options
    const server = await this.#write()
    try {
      const [role, , replicas] = await withDeadline(server.role(), waitTimeoutMs) as [string, unknown, unknown]
      if (role !== 'master' || !Array.isArray(replicas)) return false
      return replicas.length === 0 || await withDeadline(server.wait(1, waitTimeoutMs), waitTimeoutMs * 2) > 0
    } catch (error) {
      // Some hosts of Redis do not let it be asked.
      if (!isRefusal(error)) throw error
      refused(error)
      return true
    }
  }

  // Not refused when memory is full, as most writes are. Gives the server that took it.
  async #write(): Promise<Redis> {
    const { client, key, keepMs } = this.#options
    const touch = async (server: RedisClient): Promise<void> => {
      if (await withDeadline(server.pexpire(key, keepMs), waitTimeoutMs) !== 1) throw new Error('nobody follows the log')
    }
    if (!(client instanceof Cluster)) {
      await touch(client)
      return client
    }
    // Through the cluster first: it follows the slot, and knows its owner then.
    await touch(client)
    const slot = new Command('PEXPIRE', [key]).getSlot()
    const owner = client.nodes('master').find((node) => nameOf(node) === client.slots[slot ?? 0]?.[0])
    if (owner === undefined) throw new Error('nobody owns the slot of the log')
    try {
      await touch(owner)
      return owner
    } catch (error) {
      // The slot is on its way, and what is asked for has arrived.
      const [word, , address] = error instanceof Error ? error.message.split(' ') : []
      const target = client.nodes().find((node) => nameOf(node) === address)
      if (word !== 'ASK' || target === undefined) throw error
      // Safe to ignore: the write after it fails then, and says why.
      target.asking().catch(() => {})
      await touch(target)
      return target
    }
  }
}

function nameOf({ options: { host = '', port = 0 } }: Redis): string {
  return `${host}:${port}`
}
