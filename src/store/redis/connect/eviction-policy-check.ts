// Checks that Redis is set to evict only data that a cache can lose.
import { Redis } from 'ioredis'
import { withDeadline, type RedisClient } from './guarded-client.ts'
import type { Log } from './log.ts'

const askTimeoutMs = 2000

/** Returns what is unfit in the reply to INFO memory, as one line that says what would be right; undefined if nothing is. */
export function unfitMemory(info: string): string | undefined {
  const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? ''
  // Without a limit nothing is ever refused or evicted.
  if (limit === 0) return undefined
  if (policy === 'noeviction') return 'maxmemory-policy is noeviction: once Redis is full, nothing new is stored; choose volatile-lfu'
  if (policy.startsWith('allkeys-'))
    return `maxmemory-policy is ${policy}: it may evict the purge log, and then every stored response becomes a miss; choose volatile-lfu, which never evicts the log`
  // docs/redis.md has the trial of each policy.
  if (policy === 'volatile-ttl' || policy === 'volatile-random')
    return `maxmemory-policy is ${policy}: it evicts the list of replicas early, and then a purge cannot be confirmed; choose volatile-lfu`
  return undefined
}

// More than a cluster has. Beyond it all addresses are dropped.
const mostServers = 200

/**
 * Checks every server at each connection, and logs what is unfit: one line for each server, and another only if it changes.
 * Uses INFO, not CONFIG, which many hosts of Redis do not allow.
 * @param unfitIn returns the line for the reply to INFO memory; undefined if the settings are right
 */
export function watchMemoryPolicy(client: RedisClient, logger: Log, refused: (error: unknown) => void, unfitIn: (info: string) => string | undefined): void {
  const told = new Map<string, string | undefined>()
  const look = async (server: Redis): Promise<void> => {
    const { host = '', port = 0 } = server.options
    try {
      const unfit = unfitIn(String(await withDeadline(server.callBuffer('INFO', ['memory']), askTimeoutMs)))
      const name = `${host}:${port}`
      if (unfit !== undefined && told.get(name) !== unfit) logger.warn({ server: name }, unfit)
      if (told.size >= mostServers) told.clear()
      told.set(name, unfit)
    } catch (error) {
      // INFO is refused, or the server is lost again: then nothing is known about its memory.
      refused(error)
    }
  }
  if (client instanceof Redis) {
    if (client.status === 'ready') void look(client)
    client.on('ready', () => void look(client))
    return
  }
  // A node connects at its first command, and its role may differ each time.
  client.on('+node', (node: Redis) => {
    node.on('ready', () => {
      if (node.options.readOnly !== true) void look(node)
    })
  })
}
