// The users that connections to Redis are made as: they can change while the process runs.
import { Cluster, type Redis } from 'ioredis'
import { parseNode, userOf, type RedisServers } from './client.ts'
import type { RedisClient } from './lane.ts'

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
  const one = url === undefined ? undefined : parseNode(url, 0)
  // The URL may name the user alone, and the password stand beside it.
  const servers = one === undefined ? userOf((cluster ?? []).map((node) => parseNode(node, 0)), username, password) : { username: username ?? one.username, password: password ?? one.password }
  const watchers = userOf((sentinel?.nodes ?? []).map((node) => parseNode(node, 0)), sentinel?.username, sentinel?.password)
  return { username: servers.username, password: servers.password, sentinelUsername: watchers.username, sentinelPassword: watchers.password }
}
