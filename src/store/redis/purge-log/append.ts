// Recording a purge in Redis, so that whoever asked for it is told what became of it.
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
  /** The keys of the log: its stream, that of unsafe requests, and the buckets of the latter. */
  readonly keys: readonly [log: string, unsafe: string, buckets: string]
  readonly maxRecords: number
  readonly maxBytes: number
  /** 0: no end. */
  readonly maxKeepMs: number
  /** The bounds of the stream of unsafe requests. */
  readonly maxUnsafeRecords: number
  readonly maxUnsafeBytes: number
  /** A name for the log, should there be none. */
  freshIdentity(): string
}

/** Where a purge lies in the log. */
export interface Appended {
  readonly id: string
  readonly identity: string
}

// How long Redis may take to say where it is: until then nothing was asked of it, so "nothing was purged" is certain.
const beginTimeoutMs = 2000
// How long after that the record may still be made. Longer than a look-up may take: nobody's page waits for it.
const windowMs = 1500
// How long after that it is still asked whether it was made.
const settleMs = 500
const retryMs = 25

/**
 * A command that timed out may still run, and one that ran may lose its answer. So each append has a name, and a deadline by
 * the clock of Redis: it is tried until it answers, is made once however often it is tried, and once the deadline has
 * passed the answer is final: found, or never made.
 *
 * @throws SpringhouseError PURGE_NOT_WRITTEN: it was not made, and never will be. PURGE_UNCONFIRMED: Redis could not be
 *   asked again after an attempt whose answer did not come; it was made before this was said, or never will be.
 */
export function appendPurge(options: AppendOptions, purge: Purge): Promise<Appended> {
  const { maxRecords, maxBytes, maxKeepMs } = options
  const args = [encodePurge(purge), maxRecords, Math.ceil(maxKeepMs), maxBytes]
  return append(options, (fresh, name, last, deadline) => [appendScript, [fresh, ...args, name, last, deadline]])
}

/** The same for what an unsafe request invalidated. */
export function appendInvalidation(options: AppendOptions, invalidation: Invalidation): Promise<Appended> {
  const { maxRecords, maxUnsafeRecords, maxUnsafeBytes } = options
  const args = [...encodeInvalidation(invalidation), maxRecords, maxUnsafeRecords, maxUnsafeBytes]
  return append(options, (fresh, name, last, deadline) => [invalidateScript, [fresh, ...args, name, last, deadline]])
}

/** @param call the script that makes the record, and its arguments but for the number of the attempt */
async function append(options: AppendOptions, call: (fresh: string, name: string, last: string, deadline: number) => readonly [Script, readonly RedisArgument[]]): Promise<Appended> {
  const { lane, clock, keys } = options
  const fresh = options.freshIdentity()
  const begun = await begin(lane, keys[0], fresh)
  // Redis' clock was read before this one: what runs before its deadline has run before ours.
  const untilMs = clock.monotonic() + windowMs + settleMs
  const [script, args] = call(fresh, randomBytes(12).toString('base64url'), begun.last, begun.nowMs + windowMs)
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await script.run(lane, keys, [...args, attempt, randomInt(saltLimit)], Math.max(1, untilMs - clock.monotonic()))
      const [id, identity] = Array.isArray(reply) ? reply.map(String) : []
      if (id !== undefined && identity !== undefined) return { id, identity }
      throw new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'Redis took longer than its deadline' })
    } catch (error) {
      if (error instanceof SpringhouseError) throw error
      // An error that Redis itself answers: the script did not come to its end, where it appends. Of attempts before this one
      // it says nothing.
      if (attempt === 1 && error instanceof Error && error.name === 'ReplyError') throw new SpringhouseError('PURGE_NOT_WRITTEN', { cause: error })
      if (clock.monotonic() + retryMs >= untilMs) throw new SpringhouseError('PURGE_UNCONFIRMED', { cause: error })
      await delay(retryMs)
    }
  }
}

async function begin(lane: GuardedClient, log: string, fresh: string): Promise<{ nowMs: number, last: string }> {
  try {
    const reply = await beginScript.run(lane, [log], [fresh], beginTimeoutMs)
    const [now, last] = Array.isArray(reply) ? reply.map(String) : []
    if (now !== undefined && last !== undefined) return { nowMs: Number(now), last }
  } catch (error) {
    throw new SpringhouseError('PURGE_NOT_WRITTEN', { cause: error })
  }
  throw new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'an answer that is not one' })
}
