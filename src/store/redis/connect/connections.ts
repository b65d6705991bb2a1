// The connections to Redis that a process shares, and their state.
import { Cluster, Redis } from 'ioredis'
import type { Clock } from '../../../clock.ts'
import { createClient, type RedisServers } from './client.ts'
import { diagnosis } from './diagnosis.ts'
import { GuardedClient, type RedisClient } from './guarded-client.ts'
import { unfitMemory, watchMemoryPolicy } from './eviction-policy-check.ts'
import { Permissions } from './permissions.ts'
import { keepUsers, renewUsers } from './users.ts'
import type { Log } from './log.ts'

export interface RedisConnectionsOptions extends RedisServers {
  /** The deadline of a call for metadata or a small value; a call for a chunk of a body gets five times that. */
  readonly commandTimeoutMs: number
  /** The deadline of a connection attempt; 2000 by default. */
  readonly connectTimeoutMs?: number
  /** The prefix of every key and channel. */
  readonly keyPrefix?: string
  /** Judges the memory settings of a server: see watchMemoryPolicy. By default, for a cache. */
  readonly unfitMemory?: (info: string) => string | undefined
  readonly clock: Clock
  readonly logger: Log
}

/**
 * The connections of store, purge log, leases and sessions. Nothing here throws while Redis is out of reach, but calls do.
 */
export interface RedisConnections {
  /** For metadata and other small values. */
  readonly small: GuardedClient
  /** For bodies: a large one must not delay a lookup. */
  readonly bodies: GuardedClient
  /** True if Redis is out of reach or refuses writes, or was so when last tried. */
  readonly degraded: boolean
  /** True if the shared connections exist, and Redis was in use when last tried. */
  readonly reached: boolean
  /** True if it is degraded, or a part beside the shared connections is out of order: the state to show to an operator. */
  readonly impaired: boolean
  /** Records whether a part is out of order. */
  impair(part: string, on: boolean): void
  /** The number of the database, for all connections. */
  readonly database: number
  /** Resolves when the shared connections have been made for the first time. */
  ready(): Promise<void>
  /** Calls the listener each time that Redis is found to be out of reach. */
  whenDegraded(listener: () => void): void
  /**
   * Returns a separate client, for blocking reads. It reconnects by itself. Its calls fail at once while it is not
   * connected, and have no deadline. Closed with the others.
   */
  dedicated(): RedisClient
  /**
   * Returns a connection to one server, for subscriptions at each 'ready'; undefined if no server is known yet. In a cluster
   * it leads to a master. It ends for good when it breaks, or when that node leaves the cluster: then call this again.
   * Closed with the others.
   */
  subscriber(): Redis | undefined
  readonly commandTimeoutMs: number
  /** The commands that Redis refuses to this user. */
  readonly permissions: Permissions
  /** The servers that hold keys: one, or the masters of a cluster, in a fixed order. */
  masters(): readonly Redis[]
  /** Uses the user and password of `servers`, which are the same servers, for every new connection; existing ones stay. */
  renewUsers(servers: RedisServers): void
  readonly closed: boolean
  close(): void
}

// A server that always reports another reason is not logged for ever.
const mostReasons = 8

/** Starts to connect, and returns at once, whether or not a server is there. */
export function connectRedis(options: RedisConnectionsOptions): RedisConnections {
  const { clock, logger, commandTimeoutMs } = options
  const dedicated = new Set<RedisClient>()
  const impairments = new Set<string>()
  const whenDegraded: (() => void)[] = []
  let degraded = false
  let proven = false
  let closed = false

  // Reasons that were logged since Redis was last in use.
  const told = new Set<string>()

  // Logs a line for each change, whichever connection noticed it first, and a line for each reason that does not pass by
  // itself.
  const changed = (error: unknown): void => {
    const down = [small, bodies].some((lane) => lane.healthy === false)
    const reason = down && !closed ? diagnosis(error, { tls: usesTls(first), proven }) : undefined
    if (reason !== undefined && !told.has(reason) && told.size < mostReasons) {
      told.add(reason)
      logger.warn({ err: error }, `Redis is not used: ${reason}`)
      if (!degraded) begin()
      return
    }
    if (down === degraded || closed || (degraded && ![small, bodies].every((lane) => lane.healthy === true))) return
    if (down) begin()
    else {
      degraded = false
      told.clear()
    }
    const answers = error instanceof Error && error.name === 'ReplyError'
    if (down) logger.warn({ err: error }, answers ? 'Redis takes nothing new: going on with what it has' : 'Redis is out of reach: going on without it')
    else logger.info({}, 'Redis is back')
  }
  const begin = (): void => {
    degraded = true
    for (const listener of whenDegraded) listener()
  }
  let servers: RedisServers = options
  const connect = (): RedisClient => {
    const client = createClient(servers, { commandTimeoutMs, connectTimeoutMs: options.connectTimeoutMs ?? 2000, clock })
    keepUsers(client, () => servers)
    return client
  }
  const impair = (part: string, on: boolean): void => void (on ? impairments.add(part) : impairments.delete(part))
  const first = connect()
  // A cluster has only one database.
  const database = first instanceof Redis ? first.options.db ?? 0 : 0
  const prefix = options.keyPrefix ?? 'sh'
  const permissions = new Permissions({ logger, prefix, channel: channelName({ database }, prefix, 'probe'), impair: (on) => impair('permissions', on) })
  const refused = (error: unknown): void => permissions.refused(error)
  const small: GuardedClient = new GuardedClient(first, commandTimeoutMs, (error) => changed(error), refused)
  watchMemoryPolicy(small.client, logger, refused, options.unfitMemory ?? unfitMemory)
  const bodies: GuardedClient = new GuardedClient(connect(), commandTimeoutMs * 5, (error) => changed(error), refused)
  // Safe to ignore its errors: the shared connections report the trouble, and its user sees the calls fail.
  const own = <Client extends RedisClient>(client: Client): Client => {
    client.on('error', () => {})
    client.on('end', () => dedicated.delete(client))
    // A client that ended may be revived (contained.ts), also after all of them were closed.
    client.on('connecting', () => void (closed ? client.disconnect() : dedicated.add(client)))
    dedicated.add(client)
    return client
  }
  const made = Promise.all([small, bodies].map(({ client }) =>
    new Promise<void>((resolve) => {
      client.once('ready', () => resolve())
    })
  ))

  void made.then(() => {
    proven = true
  })

  const masters = (): readonly Redis[] => {
    const { client } = small
    if (client instanceof Redis) return [client]
    return client.nodes('master').sort((a, b) => nodeName(a) < nodeName(b) ? -1 : 1)
  }
  permissions.watch(small, masters)

  return {
    small,
    bodies,
    get degraded() {
      return degraded
    },
    get reached() {
      return proven && !degraded
    },
    database,
    ready: async () => {
      await made
    },
    whenDegraded: listener => void whenDegraded.push(listener),
    get impaired() {
      return degraded || impairments.size > 0
    },
    impair,
    permissions,
    commandTimeoutMs,
    dedicated: () => own(connect()),
    subscriber: () => {
      const client = small.client instanceof Cluster ? nodeOf(small.client) : connect()
      return client instanceof Redis ? patient(own(client)) : undefined
    },
    masters,
    get closed() {
      return closed
    },
    renewUsers: next => {
      for (const client of [small.client, bodies.client, ...dedicated]) renewUsers(client, next)
      servers = next
    },
    close: () => {
      closed = true
      permissions.close()
      small.close()
      bodies.close()
      for (const client of dedicated) client.disconnect()
    },
  }
}

// Returns a connection to any master: the cluster's own client would move a subscription without notice.
function nodeOf(cluster: Cluster): Redis | undefined {
  const nodes = cluster.nodes('master')
  const node = nodes[Math.floor(Math.random() * nodes.length)]
  if (node === undefined) return undefined
  const client = node.duplicate({ lazyConnect: false, enableOfflineQueue: false, retryStrategy: null })
  const left = (gone: Redis): void => {
    if (nodeName(gone) === nodeName(client)) client.disconnect()
  }
  cluster.on('-node', left)
  client.once('end', () => cluster.off('-node', left))
  return client
}

// The subscriber sends PINGs; until then silence ends the connection.
function patient(client: Redis): Redis {
  const { socketTimeout } = client.options
  client.on('ready', () => {
    delete client.options.socketTimeout
  })
  client.on('close', () => {
    if (socketTimeout !== undefined) client.options.socketTimeout = socketTimeout
  })
  return client
}

function usesTls(client: RedisClient): boolean {
  return (client instanceof Cluster ? client.options.redisOptions?.tls : client.options.tls) !== undefined
}

/** Returns the name of a channel. Redis publishes to all databases, so the name holds the database. */
export function channelName({ database }: Pick<RedisConnections, 'database'>, prefix: string, name: string): string {
  return `${prefix}:${database}:${name}`
}

// host:port, which is also how a cluster names its nodes.
function nodeName(node: Redis): string {
  return `${node.options.host ?? ''}:${node.options.port ?? ''}`
}
