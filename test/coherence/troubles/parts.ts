// What a trouble has at hand, and what it says of itself.
import type { Client } from '../clients.ts'
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
  /** Does what must happen at one moment for a trouble to matter. */
  readonly client: Client
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
  /** How often in comparison. */
  readonly weight: number
  /** Needs the library that shifts clocks, or a standby of Redis. */
  readonly needs?: readonly ('clocks' | 'standby')[]
  /** No two troubles that claim the same happen at once. */
  readonly claims?: readonly ('redis' | 'starts' | 'subscriptions')[]
  /**
   * Nothing else goes wrong with its replica meanwhile. A process that another trouble starts, or lets go on, during a suspension
   * would see the monotonic clock go back, which no clock does.
   */
  readonly ownsReplica?: boolean
  /** Nothing else goes wrong meanwhile. */
  readonly alone?: boolean
  readonly act: (occasion: Occasion) => Promise<void> | void
}

export async function pause(begun: (what: string) => void, send: (signal: 'SIGSTOP' | 'SIGCONT') => void, ms: number): Promise<void> {
  begun(`frozen for ${ms} ms`)
  send('SIGSTOP')
  await wait(ms)
  send('SIGCONT')
}

/** A replica that serves, another one than this where there is one. */
export function anotherOne({ replica, replicas, random }: Occasion): WiredReplica | undefined {
  const others = replicas.filter((one) => one !== replica && one.up && !one.frozen)
  return others.length === 0 ? undefined : random.pick(others)
}
