// The users of the connections to Redis, which can change while the process runs.
import { Cluster, type Redis } from 'ioredis'
import { readRedisNode, readRedisUrl } from '../../../redis-address.ts'
import { sound, userOf, type RedisServers } from './client.ts'
import type { RedisClient } from './guarded-client.ts'

/** Options of ioredis, which it reads at each connection. */
interface Users {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly sentinelUsername: string | undefined
  readonly sentinelPassword: string | undefined
}

/** Uses the users of `servers` for the next connections of a client. Existing connections stay. */
export function renewUsers(client: RedisClient, servers: RedisServers): void {
  const users = usersOf(servers)
  for (const each of client instanceof Cluster ? client.nodes('all') : [client]) Object.assign(each.options, users)
}

/** Nodes that a cluster finds later are made from copied options: they get the present users before they connect. */
export function keepUsers(client: RedisClient, servers: () => RedisServers): void {
  if (client instanceof Cluster) client.on('+node', (node: Redis) => void Object.assign(node.options, usersOf(servers())))
}

function usersOf({ url, cluster, sentinel, username, password }: RedisServers): Users {
  const addresses = url === undefined ? (cluster ?? []).map((node) => sound(readRedisNode(node))) : [sound(readRedisUrl(url))]
  const servers = userOf(addresses, username, password)
  const watchers = userOf((sentinel?.nodes ?? []).map((node) => sound(readRedisNode(node))), sentinel?.username, sentinel?.password)
  return { username: servers.username, password: servers.password, sentinelUsername: watchers.username, sentinelPassword: watchers.password }
}
