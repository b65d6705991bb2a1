// The values of one key in Redis: all of them, or none where there are more than this cache ever writes.
import type { GuardedClient } from '../connect/guarded-client.ts'
import { Script } from '../connect/script.ts'

/** Fields that scripts read of one key at the most: twice what a key may have by any configuration. */
export const mostFieldsEver = 2048

// Variants that a commit has not yet let go, or that a replica with another configuration wrote.
const spareFields = 32

/** KEYS: entry. ARGV: most fields. Answers its values, or nothing where there are more, which are removed. */
const readScript = new Script(`
if redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[1]) then return redis.call('HVALS', KEYS[1]) end
redis.call('UNLINK', KEYS[1])
return {}
`)

/**
 * Returns the values of a key. A key with more than twice `maxVariants` fields was filled by another hand: it is removed,
 * and reads as empty, so that no look-up fetches or decodes more than that.
 * @throws as Lane.call.
 */
export async function readFields(lane: GuardedClient, name: string, maxVariants: number): Promise<readonly Buffer[]> {
  const reply = await readScript.run(lane, [name], [maxVariants * 2 + spareFields])
  return Array.isArray(reply) ? (reply as unknown[]).filter((value) => Buffer.isBuffer(value)) : []
}
