// The connections to Redis that a process shares, and whether they work.
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Clock } from '../../clock.ts'
import { Lane, type RedisClient } from './lane.ts'

/** Where Redis is: one of the three. Credentials, database and TLS (`rediss:`) are those of the URL, of the first for a cluster. */
export interface RedisServers {
  /** redis://user:password@host:port/database */
  readonly url?: string | undefined
  /** URLs, or host:port, of some nodes of a cluster. */
  readonly cluster?: readonly string[] | undefined
  /** URLs, or host:port, of Sentinels, and the name under which they watch the master. */
  readonly sentinel?: { readonly master: string, readonly nodes: readonly string[] } | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** The part of a pino logger that is used here. */
export interface Log {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

export interface RedisConnectionsOptions extends RedisServers {
  /** How long a call for metadata or a small value may take; one for a chunk of a body gets five times that. */
  readonly commandTimeoutMs: number
  /** How long a connection may take to be made; 2000 unless told. */
  readonly connectTimeoutMs?: number
  readonly clock: Clock
  readonly logger: Log
}

/** What the store, the purge log, leases and sessions share. None of it throws while Redis is out of reach, but calls do. */
export interface RedisConnections {
  /** For metadata and other small values. */
  readonly small: Lane
  /** For bodies: a large one must not keep a look-up waiting. */
  readonly bodies: Lane
  /** Whether Redis is out of reach or takes nothing new, or was so when last tried. */
  readonly degraded: boolean
  /** Calls each time that Redis is found to be out of reach. */
  whenDegraded(listener: () => void): void
  /**
   * A client of one's own, for blocking reads and subscriptions. It reconnects by itself (and says 'ready': that is when
   * to subscribe, each time); its calls fail at once while it is not connected, and have no deadline. Closed with the others.
   */
  dedicated(): RedisClient
  /** The servers that hold keys: one, or the masters of a cluster, in a fixed order. */
  masters(): readonly Redis[]
  close(): void
}

/** Starts to connect, and returns at once, whether or not anyone is there. */
export function connectRedis(options: RedisConnectionsOptions): RedisConnections {
  const { logger, commandTimeoutMs } = options
  const dedicated: RedisClient[] = []
  const whenDegraded: (() => void)[] = []
  let degraded = false
  let closed = false

  // One line for each change, whichever of the connections saw it first.
  const changed = (error: unknown): void => {
    const down = [small, bodies].some((lane) => lane.healthy === false)
    if (down === degraded || closed || (degraded && ![small, bodies].every((lane) => lane.healthy === true))) return
    degraded = down
    const answers = error instanceof Error && error.name === 'ReplyError'
    if (down) logger.warn({ err: error }, answers ? 'Redis takes nothing new: going on with what it has' : 'Redis is out of reach: going on without it')
    else logger.info({}, 'Redis is back')
    if (down) for (const listener of whenDegraded) listener()
  }
  const small: Lane = new Lane(connect(options), commandTimeoutMs, (error) => changed(error))
  const bodies: Lane = new Lane(connect(options), commandTimeoutMs * 5, (error) => changed(error))

  return {
    small,
    bodies,
    get degraded() {
      return degraded
    },
    whenDegraded: listener => void whenDegraded.push(listener),
    dedicated: () => {
      const client = connect(options)
      // Safe to ignore: the shared connections tell of the trouble, and whoever uses this one sees its calls fail.
      client.on('error', () => {})
      dedicated.push(client)
      return client
    },
    masters: () => {
      const { client } = small
      if (client instanceof Redis) return [client]
      return client.nodes('master').sort((a, b) => nodeName(a) < nodeName(b) ? -1 : 1)
    },
    close: () => {
      closed = true
      small.close()
      bodies.close()
      for (const client of dedicated) client.disconnect()
    },
  }
}

// How long to wait before another attempt to connect.
function retry(attempts: number): number {
  return Math.min(1000, 50 * 2 ** Math.min(attempts, 5))
}

function connect(options: RedisConnectionsOptions): RedisClient {
  const common = {
    // No call waits for a connection, and none is sent again behind its caller's back: who waited has long gone on.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    // A connection that has been silent this long while calls waited is dead, or its server is: make another.
    socketTimeout: Math.max(2000, options.commandTimeoutMs * 10),
    connectTimeout: options.connectTimeoutMs ?? 2000,
    keepAlive: 5000,
    disableClientInfo: true,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
  } satisfies RedisOptions
  if (options.cluster !== undefined) {
    const nodes = options.cluster.map(parseNode)
    const { username, password, tls } = nodes[0] ?? {}
    return new Cluster(nodes.map(({ host, port }) => ({ host, port })), {
      enableOfflineQueue: false,
      clusterRetryStrategy: retry,
      redisOptions: {
        ...common,
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
        ...(tls === true ? { tls: {} } : {}),
      },
    })
  }
  if (options.sentinel !== undefined) {
    const sentinels = options.sentinel.nodes.map((node) => {
      const { host, port } = parseNode(node)
      return { host, port }
    })
    return new Redis({ ...common, sentinels, name: options.sentinel.master, retryStrategy: retry, sentinelRetryStrategy: retry })
  }
  return new Redis(options.url ?? 'redis://127.0.0.1:6379', { ...common, retryStrategy: retry })
}

interface Node {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
  readonly tls?: boolean
}

function parseNode(node: string): Node {
  const url = new URL(node.includes('://') ? node : `redis://${node}`)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    tls: url.protocol === 'rediss:',
  }
}

function nodeName(node: Redis): string {
  return `${node.options.host ?? ''}:${node.options.port ?? ''}`
}
