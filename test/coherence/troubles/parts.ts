// The parts that a trouble uses, and its description.
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
  /** Does the work that must happen at one moment for a trouble to matter. */
  readonly client: Client
}

/** A trouble with one replica, or with all of them. */
export interface Occasion extends TroubleParts {
  readonly replica: WiredReplica
  /** Shorter and longer than a replica may use its knowledge, and than it counts as live. */
  readonly longMs: number
  /** Counts the trouble, and records its events. */
  begun(what: string): void
}

export interface Kind {
  /** Its relative frequency. */
  readonly weight: number
  /** Needs the library that shifts clocks, or a standby of Redis. */
  readonly needs?: readonly ('clocks' | 'standby')[]
  /** No two troubles with the same claim happen at once. */
  readonly claims?: readonly ('redis' | 'starts' | 'subscriptions')[]
  /**
   * No other trouble concerns its replica meanwhile. If another trouble started or resumed a process during a suspension,
   * that process would see the monotonic clock go back, which no clock does.
   */
  readonly ownsReplica?: boolean
  /** No other trouble happens meanwhile. */
  readonly alone?: boolean
  readonly act: (occasion: Occasion) => Promise<void> | void
}

export async function pause(begun: (what: string) => void, send: (signal: 'SIGSTOP' | 'SIGCONT') => void, ms: number): Promise<void> {
  begun(`frozen for ${ms} ms`)
  send('SIGSTOP')
  await wait(ms)
  send('SIGCONT')
}

/** Returns a replica that serves, another one than this if there is one. */
export function anotherOne({ replica, replicas, random }: Occasion): WiredReplica | undefined {
  const others = replicas.filter((one) => one !== replica && one.up && !one.frozen)
  return others.length === 0 ? undefined : random.pick(others)
}
