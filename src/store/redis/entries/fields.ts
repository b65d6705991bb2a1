// Reads the values of one key in Redis: all of them, or none if there are more than this cache ever writes.
import type { GuardedClient } from '../connect/guarded-client.ts'
import { Script } from '../connect/script.ts'

/** The most fields of one key that scripts read: twice the most that any configuration allows. */
export const mostFieldsEver = 2048

// Variants that a commit has not dropped yet, or that a replica with another configuration wrote.
const spareFields = 32

/** KEYS: entry. ARGV: most fields. Returns the values of the key. If there are more, removes them and returns none. */
const readScript = new Script(`
if redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[1]) then return redis.call('HVALS', KEYS[1]) end
redis.call('UNLINK', KEYS[1])
return {}
`)

/**
 * Returns the values of a key. This program never writes more than twice `maxVariants` fields. A key with more is removed
 * and reads as empty, so that no lookup fetches or decodes more than that.
 * @throws as GuardedClient.call.
 */
export async function readFields(lane: GuardedClient, name: string, maxVariants: number): Promise<readonly Buffer[]> {
  const reply = await readScript.run(lane, [name], [maxVariants * 2 + spareFields])
  return Array.isArray(reply) ? (reply as unknown[]).filter((value) => Buffer.isBuffer(value)) : []
}
