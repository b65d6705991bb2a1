// Credentials in the Redis settings. They may change while the program runs; the servers may not.
import type { RedisConfig } from './schema.ts'

// Settings that may hold a user or a password, or name a file that does.
const holders: readonly string[] = ['url', 'urlFile', 'cluster', 'sentinel', 'username', 'password', 'passwordFile'] satisfies (keyof RedisConfig)[]

/** The Redis settings without users and passwords. */
export function withoutCredentials(redis: RedisConfig): Partial<RedisConfig> {
  const { url, urlFile: _url, username: _user, password: _password, passwordFile: _file, cluster, sentinel, ...others } = redis
  return {
    ...others,
    ...(url !== undefined && { url: bare(url) }),
    ...(cluster !== undefined && { cluster: cluster.map(bare) }),
    ...(sentinel !== undefined && { sentinel: { master: sentinel.master, nodes: sentinel.nodes.map(bare) } }),
  }
}

/** Returns the running settings with the credentials of `next`; undefined if they are equal or belong to other servers. */
export function withCredentials(running: RedisConfig | undefined, next: RedisConfig | undefined): RedisConfig | undefined {
  if (running === undefined || next === undefined || servers(running) !== servers(next)) return undefined
  const credentials = part(next, true)
  if (JSON.stringify(credentials) === JSON.stringify(part(running, true))) return undefined
  // Safe: every member comes from one of the two configurations.
  return { ...part(running, false), ...credentials } as RedisConfig
}

function part(redis: RedisConfig, holding: boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(redis).filter(([name]) => holders.includes(name) === holding))
}

function servers(redis: RedisConfig): string {
  const { url, cluster, sentinel } = withoutCredentials(redis)
  return JSON.stringify([url, cluster, sentinel])
}

function bare(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^@/?#]*@/i, '$1')
}
