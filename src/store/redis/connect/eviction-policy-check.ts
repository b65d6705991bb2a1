// Whether Redis is set to evict what a cache can lose, and nothing else.
import { Redis } from 'ioredis'
import { withDeadline, type RedisClient } from './guarded-client.ts'
import type { Log } from './log.ts'

const askTimeoutMs = 2000

/** What is unfit in the answer to INFO memory, as one line that says what would be right; undefined when nothing is. */
export function unfitMemory(info: string): string | undefined {
  const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? ''
  // Without a limit nothing is ever refused or evicted.
  if (limit === 0) return undefined
  if (policy === 'noeviction') return 'maxmemory-policy is noeviction: once Redis is full, nothing new is stored; choose volatile-lfu'
  if (policy.startsWith('allkeys-')) return `maxmemory-policy is ${policy}: it may evict the purge log, and then every stored response becomes a miss; choose volatile-lfu, which never evicts the log`
  return undefined
}

// More than a cluster has; the addresses of those that are gone are forgotten then.
const mostServers = 200

/**
 * Asks every server that is connected to, each time that it is, and says what is unfit: one line for each server, and again
 * only when it is another. INFO is asked, not CONFIG, which many hosts of Redis do not allow.
 */
export function watchMemoryPolicy(client: RedisClient, logger: Log, refused: (error: unknown) => void): void {
  const told = new Map<string, string | undefined>()
  const look = async (server: Redis): Promise<void> => {
    const { host = '', port = 0 } = server.options
    try {
      const unfit = unfitMemory(String(await withDeadline(server.callBuffer('INFO', ['memory']), askTimeoutMs)))
      const name = `${host}:${port}`
      if (unfit !== undefined && told.get(name) !== unfit) logger.warn({ server: name }, unfit)
      if (told.size >= mostServers) told.clear()
      told.set(name, unfit)
    } catch (error) {
      // It may not be asked, or is gone again: then nothing is known of its memory.
      refused(error)
    }
  }
  if (client instanceof Redis) {
    client.on('ready', () => void look(client))
    return
  }
  // A node connects when it is first asked for something, and its role may be another each time.
  client.on('+node', (node: Redis) => {
    node.on('ready', () => {
      if (node.options.readOnly !== true) void look(node)
    })
  })
}
