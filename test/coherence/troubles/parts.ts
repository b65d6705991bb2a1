// What a trouble has at hand, and what it says of itself.
import type { Calm } from '../calm.ts'
import type { Random } from '../random.ts'
import { wait } from '../random.ts'
import type { WiredReplica } from '../replica.ts'
import type { RedisServers } from '../servers.ts'
import type { Trail } from '../trail.ts'

export interface TroubleParts {
  readonly trail: Trail
  readonly replicas: readonly WiredReplica[]
  readonly redis: RedisServers
  readonly maxLagMs: number
  readonly random: Random
  readonly calm: Calm
  /** An unsafe request of the check's own to a replica. */
  post(replica: WiredReplica): Promise<void>
}

/** One trouble with one replica, or with all of them. */
export interface Occasion extends TroubleParts {
  readonly replica: WiredReplica
  /** Shorter and longer than what a replica may go by what it knows, and than what it is counted as live for. */
  readonly longMs: number
  /** Counts the trouble, and writes down what happens. */
  begun(what: string): void
}

export interface Kind {
  /** How often in comparison; 0: only where it is asked for by name. */
  readonly weight: number
  /** Needs the library that shifts clocks, or a standby of Redis. */
  readonly needs?: 'clocks' | 'standby'
  /** No two troubles that claim the same happen at once. */
  readonly claims?: readonly ('redis' | 'starts' | 'subscriptions')[]
  readonly act: (occasion: Occasion) => Promise<void> | void
}

export async function pause(begun: (what: string) => void, send: (signal: 'SIGSTOP' | 'SIGCONT') => void, ms: number): Promise<void> {
  begun(`frozen for ${ms} ms`)
  send('SIGSTOP')
  await wait(ms)
  send('SIGCONT')
}
