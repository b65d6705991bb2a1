// Records a purge in Redis and reports the result with certainty.
import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../../clock.ts'
import { SpringhouseError } from '../../../errors.ts'
import type { Invalidation } from '../../purge/invalidation.ts'
import type { Purge } from '../../purge/log.ts'
import type { GuardedClient, RedisArgument } from '../connect/guarded-client.ts'
import { encodeInvalidation, encodePurge } from './record.ts'
import { appendScript, beginScript, saltLimit } from './scripts.ts'
import type { Script } from '../connect/script.ts'
import { invalidateScript } from './unsafe-scripts.ts'

export interface AppendOptions {
  readonly lane: GuardedClient
  readonly clock: Clock
  /** The keys of the log: its stream, the stream of unsafe requests, and the buckets of the latter. */
  readonly keys: readonly [log: string, unsafe: string, buckets: string]
  readonly maxRecords: number
  readonly maxBytes: number
  /** 0: no limit. */
  readonly maxKeepMs: number
  /** The bounds of the stream of unsafe requests. */
  readonly maxUnsafeRecords: number
  readonly maxUnsafeBytes: number
  /** Makes an identity for a new log, if there is none. */
  freshIdentity(): string
}

/** The position of a purge in the log. */
export interface Appended {
  readonly id: string
  readonly identity: string
}

// The deadline of the first command, which records nothing: until then "nothing was purged" is certain.
const beginTimeoutMs = 2000
// How long after that the record may still be made. Longer than a lookup may take: no page waits for it.
const windowMs = 1500
// How long after that the script is still repeated to find out the result.
const settleMs = 500
const retryMs = 25

/**
 * A command that timed out may still run, and a reply may be lost. So each append has a name, and a deadline by the clock of
 * Redis. It is repeated until a reply arrives, and recorded once, however often it is repeated. After the deadline the reply
 * is final: found, or never recorded.
 * @throws SpringhouseError PURGE_NOT_WRITTEN: it was not recorded, and never will be. PURGE_UNCONFIRMED: after an attempt
 * without a reply, Redis was out of reach; it was recorded before this error, or never will be.
 */
export function appendPurge(options: AppendOptions, purge: Purge, by: string): Promise<Appended> {
  const { maxRecords, maxBytes, maxKeepMs } = options
  const args = [encodePurge(purge), maxRecords, Math.ceil(maxKeepMs), maxBytes, by]
  return append(options, (fresh, name, last, deadline) => [appendScript, [fresh, ...args, name, last, deadline]])
}

/** The same for an invalidation by an unsafe request. */
export function appendInvalidation(options: AppendOptions, invalidation: Invalidation): Promise<Appended> {
  const { maxRecords, maxUnsafeRecords, maxUnsafeBytes } = options
  const args = [...encodeInvalidation(invalidation), maxRecords, maxUnsafeRecords, maxUnsafeBytes]
  return append(options, (fresh, name, last, deadline) => [invalidateScript, [fresh, ...args, name, last, deadline]])
}

/** @param call returns the script that records, and its arguments except the number of the attempt */
async function append(options: AppendOptions,
  call: (fresh: string, name: string, last: string, deadline: number) => readonly [Script, readonly RedisArgument[]]): Promise<Appended> {
  const { lane, clock, keys } = options
  const fresh = options.freshIdentity()
  const begun = await begin(lane, keys[0], fresh)
  // Redis' clock was read before this one: a script that runs before its deadline has run before ours.
  const untilMs = clock.monotonic() + windowMs + settleMs
  const [script, args] = call(fresh, randomBytes(12).toString('base64url'), begun.last, begun.nowMs + windowMs)
  for (let attempt = 1;; attempt++) {
    try {
      const reply = await script.run(lane, keys, [...args, attempt, randomInt(saltLimit)], Math.max(1, untilMs - clock.monotonic()))
      const [id, identity] = Array.isArray(reply) ? reply.map(String) : []
      if (id !== undefined && identity !== undefined) return { id, identity }
      throw new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'Redis took longer than its deadline' })
    } catch (error) {
      if (error instanceof SpringhouseError) throw error
      // An error reply: the script stopped before its last step, which appends. It says nothing about earlier attempts.
      if (attempt === 1 && error instanceof Error && error.name === 'ReplyError') throw new SpringhouseError('PURGE_NOT_WRITTEN', { cause: error })
      if (clock.monotonic() + retryMs >= untilMs) throw new SpringhouseError('PURGE_UNCONFIRMED', { cause: error })
      await delay(retryMs)
    }
  }
}

async function begin(lane: GuardedClient, log: string, fresh: string): Promise<{ nowMs: number; last: string }> {
  try {
    const reply = await beginScript.run(lane, [log], [fresh], beginTimeoutMs)
    const [now, last] = Array.isArray(reply) ? reply.map(String) : []
    if (now !== undefined && last !== undefined) return { nowMs: Number(now), last }
  } catch (error) {
    throw new SpringhouseError('PURGE_NOT_WRITTEN', { cause: error })
  }
  throw new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'Redis sent an unexpected reply' })
}
