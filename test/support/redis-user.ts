// The Redis user of docs/redis.md, exactly as the page has it.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Redis } from 'ioredis'

export interface RedisUser {
  readonly username: string
  readonly password: string
  /** Makes it, on one server. */
  make(raw: Redis): Promise<void>
}

const lines = readFileSync(fileURLToPath(new URL('../../../docs/redis.md', import.meta.url)), 'utf8').split('\n').filter(line => line.startsWith('ACL SETUSER '))

function userOf(line: string): RedisUser {
  const [, , username = '', ...rules] = line.split(' ')
  const password = rules.find(rule => rule.startsWith('>'))?.slice(1) ?? ''
  return {
    username,
    password,
    make: async (raw) => {
      await raw.call('ACL', 'SETUSER', username, ...rules)
    },
  }
}

/** The users of the servers, and of Sentinels. */
export const [serverUser, sentinelUser] = lines.map(userOf) as [RedisUser, RedisUser]

/** Returns the refusals to users since the server started, each in a line. */
export async function refusals(raw: Redis): Promise<string[]> {
  const entries = await raw.call('ACL', 'LOG') as unknown[][]
  return entries.map(entry => {
    const pairs = new Map(entry.flatMap((value, i) => (i % 2 === 0 ? [[String(value), String(entry[i + 1])]] : [])) as [string, string][])
    return `${pairs.get('username')} ${pairs.get('reason')} ${pairs.get('object')} (${pairs.get('context')})`
  })
}
