// The users that connections to Redis are made as: they can change while the process runs.
import { Cluster, type Redis } from 'ioredis'
import { readRedisNode, readRedisUrl } from '../../../redis-address.ts'
import { sound, userOf, type RedisServers } from './client.ts'
import type { RedisClient } from './guarded-client.ts'

/** Options of ioredis, which it reads each time that it connects. */
interface Users {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly sentinelUsername: string | undefined
  readonly sentinelPassword: string | undefined
}

/** Makes the next connections of a client as the users of `servers`. What is connected stays. */
export function renewUsers(client: RedisClient, servers: RedisServers): void {
  const users = usersOf(servers)
  for (const each of client instanceof Cluster ? client.nodes('all') : [client]) Object.assign(each.options, users)
}

/** The nodes that a cluster finds later are made from options that it has copied: they are given the users of then, before they connect. */
export function keepUsers(client: RedisClient, servers: () => RedisServers): void {
  if (client instanceof Cluster) client.on('+node', (node: Redis) => void Object.assign(node.options, usersOf(servers())))
}

function usersOf({ url, cluster, sentinel, username, password }: RedisServers): Users {
  const addresses = url === undefined ? (cluster ?? []).map((node) => sound(readRedisNode(node))) : [sound(readRedisUrl(url))]
  const servers = userOf(addresses, username, password)
  const watchers = userOf((sentinel?.nodes ?? []).map((node) => sound(readRedisNode(node))), sentinel?.username, sentinel?.password)
  return { username: servers.username, password: servers.password, sentinelUsername: watchers.username, sentinelPassword: watchers.password }
}
