// Checks that writes to the log have reached a Redis replica, so that they outlive the server that took them.
import { Cluster, Command, type Redis } from 'ioredis'
import type { Clock } from '../../../clock.ts'
import { withDeadline, type RedisClient } from '../connect/guarded-client.ts'
import { isRefusal } from '../connect/permissions.ts'

export interface CopiesOptions {
  /** A separate client: WAIT blocks the later commands of its connection. */
  readonly client: RedisClient
  readonly clock: Clock
  /** Called if Redis refuses a command. */
  refused(error: unknown): void
  /** A key in the slot of the log that exists while the log is followed, and how long it is kept from now on. */
  readonly key: string
  readonly keepMs: number
}

// The longest time of one WAIT: callers that arrive meanwhile use the next one.
const waitTimeoutMs = 250
const retryMs = 20

/**
 * Runs one WAIT at a time, for all callers that arrive meanwhile. It writes first, because WAIT covers the writes of its own
 * connection: earlier writes of other connections are then copied as well.
 */
export class ReplicationCheck {
  readonly #options: CopiesOptions
  #asking: Promise<boolean> | undefined
  #next: Promise<boolean> | undefined

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /**
   * True if every write before this call reached at least one Redis replica within `waitMs`. True if there is no replica or
   * WAIT is not permitted: then there is nothing to wait for.
   */
  async confirmed(waitMs: number): Promise<boolean> {
    const { clock } = this.#options
    const untilMs = clock.monotonic() + waitMs
    for (let leftMs = waitMs; leftMs > 0; leftMs = untilMs - clock.monotonic()) {
      try {
        if (await withDeadline(this.#round(), leftMs)) return true
      } catch {
        // Out of reach, or another server by now: retried while there is time.
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
    return false
  }

  // The WAIT in flight may have begun before this caller's write: the caller needs the next one.
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
      // Some hosts of Redis do not permit these commands.
      if (!isRefusal(error)) throw error
      refused(error)
      return true
    }
  }

  // Writes a command that is not refused when memory is full, as most are. Returns the server that took it.
  async #write(): Promise<Redis> {
    const { client, key, keepMs } = this.#options
    const touch = async (server: RedisClient): Promise<void> => {
      if (await withDeadline(server.pexpire(key, keepMs), waitTimeoutMs) !== 1) throw new Error('no replica follows the log')
    }
    if (!(client instanceof Cluster)) {
      await touch(client)
      return client
    }
    // Through the cluster first: it follows the slot, and then knows its owner.
    await touch(client)
    const slot = new Command('PEXPIRE', [key]).getSlot()
    const owner = client.nodes('master').find((node) => nameOf(node) === client.slots[slot ?? 0]?.[0])
    if (owner === undefined) throw new Error('no node owns the slot of the log')
    try {
      await touch(owner)
      return owner
    } catch (error) {
      // The slot is being moved, and the key has arrived at the target.
      const [word, , address] = error instanceof Error ? error.message.split(' ') : []
      const target = client.nodes().find((node) => nameOf(node) === address)
      if (word !== 'ASK' || target === undefined) throw error
      // Safe to ignore: then the next write fails, and reports why.
      target.asking().catch(() => {})
      await touch(target)
      return target
    }
  }
}

function nameOf({ options: { host = '', port = 0 } }: Redis): string {
  return `${host}:${port}`
}
