// Creates one ioredis client: for one server, for a cluster, or for the master that Sentinels watch.
import type { ConnectionOptions } from 'node:tls'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import StandaloneConnector from 'ioredis/built/connectors/StandaloneConnector.js'
import type { Clock } from '../../../clock.ts'
import { readRedisNode, readRedisUrl, type RedisAddress, type WrongAddress } from '../../../redis-address.ts'
import { contain } from './contained.ts'
import type { RedisClient } from './guarded-client.ts'

/** The TLS settings: PEM texts, as node:tls takes them. */
export interface RedisTls {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly servername?: string | undefined
  readonly rejectUnauthorized?: boolean | undefined
}

/**
 * The location of Redis: one of the three. User, password and TLS (`rediss:`) come from the URLs, or from the other members.
 */
export interface RedisServers {
  /** redis://user:password@host:port/database, or unix:///path?db=database */
  readonly url?: string | undefined
  /** URLs, or host:port, of some nodes of a cluster, which reports the others. */
  readonly cluster?: readonly string[] | undefined
  /** URLs, or host:port, of Sentinels, and their name for the master. `rediss:` applies to the servers too. */
  readonly sentinel?: {
    readonly master: string
    readonly nodes: readonly string[]
    /** For the Sentinels themselves. */
    readonly username?: string | undefined
    readonly password?: string | undefined
  } | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** For the servers, nodes and Sentinels alike. If given, host:port means TLS. */
  readonly tls?: RedisTls | undefined
}

export interface ClientTimeouts {
  readonly commandTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly clock: Clock
}

const retryFirstMs = 50
// Short, so that a server that returns is used within a second or two.
const retryLongestMs = 500
// How often a server that refuses writes is left, in case another has become the master: it can still be read.
const leaveAgainMs = 2000
// How often a cluster's slots are read, beside after `MOVED`: replicas come and go without it.
const slotsRefreshMs = 5000
// A slot moves once, or is being moved (`ASK`). More than a few redirections mean that the cluster contradicts itself.
const mostRedirections = 5
// Some keys of a slot have moved already: retry soon, and let the caller's deadline end it.
const tryAgainMs = 20

/**
 * Starts to connect, and returns at once, whether or not a server is there.
 * @throws Error if an address is invalid.
 */
export function createClient(servers: RedisServers, timeouts: ClientTimeouts): RedisClient {
  const client = servers.cluster !== undefined ? createCluster(servers, servers.cluster, timeouts) : createRedis(servers, timeouts)
  contain(client)
  return client
}

function createRedis(servers: RedisServers, timeouts: ClientTimeouts): Redis {
  let leftMs = -Infinity
  const common = {
    ...commonOptions(timeouts),
    retryStrategy: retry,
    // A master that has become a replica refuses writes. The server behind the name, or the Sentinels, know the new master.
    // The command is not sent again: its caller receives the error.
    reconnectOnError: (error: Error) => {
      const nowMs = timeouts.clock.monotonic()
      if (!error.message.startsWith('READONLY') || nowMs - leftMs < leaveAgainMs) return false
      leftMs = nowMs
      return true
    },
  } satisfies RedisOptions
  if (servers.sentinel === undefined) {
    // Never the URL itself: ioredis takes any of its options from the query, and drops what it does not understand.
    const address = sound(readRedisUrl(servers.url ?? 'redis://127.0.0.1:6379'))
    return new Redis({ ...common, ...address.at, db: address.database, ...userOf([address], servers.username, servers.password), ...tlsOf([address], servers.tls) })
  }
  const { master, nodes, username, password } = servers.sentinel
  const sentinels = nodes.map((node) => sound(readRedisNode(node, 26_379)))
  const own = userOf(sentinels, username, password)
  const { tls } = tlsOf(sentinels, servers.tls)
  return new Redis({
    ...common,
    ...userOf([], servers.username, servers.password),
    sentinels: sentinels.map(placeOf),
    name: master,
    sentinelRetryStrategy: retry,
    sentinelCommandTimeout: timeouts.connectTimeoutMs,
    ...(own.username === undefined ? {} : { sentinelUsername: own.username }),
    ...(own.password === undefined ? {} : { sentinelPassword: own.password }),
    ...(tls === undefined ? {} : { sentinelTLS: tls, tls, enableTLSForSentinelMode: true }),
  })
}

function createCluster(servers: RedisServers, urls: readonly string[], timeouts: ClientTimeouts): Cluster {
  const nodes = urls.map((url) => sound(readRedisNode(url)))
  const { tls } = tlsOf(nodes, servers.tls)
  let refused: unknown
  const cluster = new Cluster(nodes.map(placeOf), {
    // ioredis reports only here why it could not start, which happens if no name resolves.
    clusterRetryStrategy: (attempts, reason) => {
      if (reason !== undefined && cluster.listenerCount('error') > 0) cluster.emit('error', reason)
      return retry(attempts)
    },
    maxRedirections: mostRedirections,
    // Commands that a lost node or a failed cluster does not reply to are not sent again without the caller's knowledge.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: tryAgainMs,
    // Nodes are queried in turn: one that hangs must not take the time of the others.
    slotsRefreshTimeout: timeouts.connectTimeoutMs,
    slotsRefreshInterval: slotsRefreshMs,
    // ioredis would connect to an address instead of the name, and the certificate is for the name.
    ...(tls === undefined ? {} : { dnsLookup: (name: string, found: (error: null, address: string) => void) => found(null, name) }),
    redisOptions: {
      ...commonOptions(timeouts),
      ...userOf(nodes, servers.username, servers.password),
      ...(tls === undefined ? {} : { tls }),
      Connector: connectorThat((error) => {
        refused = error
      }),
    },
  })
  // For nodes that it cannot connect to, ioredis reports a closed connection, without the reason.
  cluster.on('error', (error: Error & { lastNodeError?: Error }) => {
    if (error.lastNodeError?.message === 'Connection is closed.' && refused instanceof Error) error.lastNodeError = refused
    refused = undefined
  })
  return cluster
}

/** A connector of ioredis that also reports why a connection broke. */
function connectorThat(tells: (error: unknown) => void): NonNullable<RedisOptions['Connector']> {
  const Connector = StandaloneConnector.default
  return class extends Connector {
    constructor(options: unknown) {
      super(options as RedisOptions)
    }

    override async connect(emit: Parameters<InstanceType<typeof Connector>['connect']>[0]): ReturnType<InstanceType<typeof Connector>['connect']> {
      const stream = await super.connect(emit)
      stream.once('error', tells)
      return stream
    }
  }
}

function commonOptions({ commandTimeoutMs, connectTimeoutMs }: ClientTimeouts) {
  return {
    // No call waits for a connection, and none is sent again without its caller's knowledge: the caller no longer waits.
    // (Nodes of a cluster queue calls while they connect, despite these options: there the deadlines of GuardedClient hold.)
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    // A connection that was silent this long while calls waited is dead, or its server is: replace it.
    socketTimeout: Math.max(2000, commandTimeoutMs * 10),
    connectTimeout: connectTimeoutMs,
    keepAlive: 5000,
    disableClientInfo: true,
  } satisfies RedisOptions
}

// Returns how long to wait before the next attempt to connect.
function retry(attempts: number): number {
  return Math.min(retryLongestMs, retryFirstMs * 2 ** Math.min(attempts - 1, 10))
}

/**
 * Returns an address of a checked configuration.
 * @throws Error if it is invalid.
 */
export function sound(address: RedisAddress | WrongAddress): RedisAddress {
  if ('wrong' in address) throw new Error(`the address of a Redis: ${address.wrong}`)
  return address
}

function placeOf({ at }: RedisAddress): { host: string; port: number } {
  return 'path' in at ? { host: at.path, port: 0 } : { ...at }
}

/** Returns the user given beside the nodes, or in the URL of a node. */
export function userOf(nodes: readonly RedisAddress[], username: string | undefined, password: string | undefined): { username?: string; password?: string } {
  const named = nodes.find((node) => node.password !== undefined || node.username !== undefined)
  const user = username ?? named?.username
  const word = password ?? named?.password
  return { ...(user === undefined ? {} : { username: user }), ...(word === undefined ? {} : { password: word }) }
}

// Uses TLS if a node requires it, or if there are settings for it and no node excludes it.
function tlsOf(nodes: readonly RedisAddress[], tls: RedisTls | undefined): { tls?: ConnectionOptions } {
  const speaks = nodes.some((node) => node.tls === true) || (tls !== undefined && nodes.every((node) => node.tls !== false))
  if (!speaks) return {}
  return { tls: Object.fromEntries(Object.entries(tls ?? {}).filter(([, value]) => value !== undefined)) as ConnectionOptions }
}
