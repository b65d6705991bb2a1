// Recording a purge in Redis, so that whoever asked for it is told what became of it.
import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../clock.ts'
import { SpringhouseError } from '../../errors.ts'
import type { Purge } from '../purge-log.ts'
import type { Lane } from './lane.ts'
import { encodePurge, newIdentity } from './log-record.ts'
import { appendScript, beginScript, saltLimit } from './log-scripts.ts'

export interface AppendOptions {
  readonly lane: Lane
  readonly clock: Clock
  /** The key of the log. */
  readonly log: string
  readonly maxRecords: number
  readonly maxBytes: number
  /** 0: no end. */
  readonly maxKeepMs: number
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
export async function appendPurge(options: AppendOptions, purge: Purge): Promise<Appended> {
  const { lane, clock, log, maxRecords, maxBytes, maxKeepMs } = options
  const fresh = newIdentity(clock.now(), randomBytes(4))
  const begun = await begin(lane, log, fresh)
  // Redis' clock was read before this one: what runs before its deadline has run before ours.
  const untilMs = clock.monotonic() + windowMs + settleMs
  const name = randomBytes(12).toString('base64url')
  const args = [fresh, encodePurge(purge), maxRecords, Math.ceil(maxKeepMs), maxBytes, name, begun.last, begun.nowMs + windowMs]
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await appendScript.run(lane, [log], [...args, attempt, randomInt(saltLimit)], Math.max(1, untilMs - clock.monotonic()))
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

async function begin(lane: Lane, log: string, fresh: string): Promise<{ nowMs: number, last: string }> {
  try {
    const reply = await beginScript.run(lane, [log], [fresh], beginTimeoutMs)
    const [now, last] = Array.isArray(reply) ? reply.map(String) : []
    if (now !== undefined && last !== undefined) return { nowMs: Number(now), last }
  } catch (error) {
    throw new SpringhouseError('PURGE_NOT_WRITTEN', { cause: error })
  }
  throw new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'an answer that is not one' })
}
