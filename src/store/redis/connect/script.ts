// A Lua script: sent by its hash, and in full if the server does not know it.
import { createHash } from 'node:crypto'
import type { GuardedClient, RedisArgument } from './guarded-client.ts'

/**
 * Functions for scripts that also publish. If PUBLISH is refused, the rest happens nevertheless, and the reply carries the
 * refusal.
 */
export const publishing = `
local untold
local function publish(channel, message)
  local reply = redis.pcall('PUBLISH', channel, message)
  if type(reply) == 'table' and reply.err then untold = reply.err end
end
local function answer(value)
  if untold then return { 'untold', untold, value } end
  return value
end
`

/** A script that runs in Redis as one step. Its keys must be in one slot. */
export class Script {
  readonly #source: string
  readonly #hash: string

  constructor(source: string) {
    this.#source = source
    this.#hash = createHash('sha1').update(source).digest('hex')
  }

  /** @throws as GuardedClient.call. */
  async run(lane: Pick<GuardedClient, 'call' | 'answered'>, keys: readonly string[], args: readonly RedisArgument[], timeoutMs?: number): Promise<unknown> {
    return opened(lane, await this.#call(lane, keys, args, timeoutMs))
  }

  async #call(lane: Pick<GuardedClient, 'call'>, keys: readonly string[], args: readonly RedisArgument[], timeoutMs?: number): Promise<unknown> {
    const rest: RedisArgument[] = [keys.length, ...keys, ...args]
    try {
      return await lane.call('EVALSHA', [this.#hash, ...rest], timeoutMs)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await lane.call('EVAL', [this.#source, ...rest], timeoutMs)
    }
  }
}

// Unpacks a reply that was made by `answer` of `publishing`.
function opened(lane: Pick<GuardedClient, 'answered'>, reply: unknown): unknown {
  if (!Array.isArray(reply) || String(reply[0]) !== 'untold') return reply
  lane.answered(new Error(String(reply[1])))
  return reply[2]
}
