// A Lua script: sent by its hash, and whole where the server does not know it.
import { createHash } from 'node:crypto'
import type { Lane, RedisArgument } from './lane.ts'

/** Runs in Redis as one step. Its keys must lie in one slot. */
export class Script {
  readonly #source: string
  readonly #hash: string

  constructor(source: string) {
    this.#source = source
    this.#hash = createHash('sha1').update(source).digest('hex')
  }

  /** @throws as Lane.call. */
  async run(lane: Pick<Lane, 'call'>, keys: readonly string[], args: readonly RedisArgument[], timeoutMs?: number): Promise<unknown> {
    const rest: RedisArgument[] = [keys.length, ...keys, ...args]
    try {
      return await lane.call('EVALSHA', [this.#hash, ...rest], timeoutMs)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await lane.call('EVAL', [this.#source, ...rest], timeoutMs)
    }
  }
}
