// One ioredis client: for one server, for a cluster, or for what Sentinels watch.
import type { ConnectionOptions } from 'node:tls'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import StandaloneConnector from 'ioredis/built/connectors/StandaloneConnector.js'
import type { Clock } from '../../../clock.ts'
import { readRedisNode, readRedisUrl, type RedisAddress, type WrongAddress } from '../../../redis-address.ts'
import { contain } from './contained.ts'
import type { RedisClient } from './guarded-client.ts'

/** How TLS is spoken: PEM texts, as node:tls takes them. */
export interface RedisTls {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly servername?: string | undefined
  readonly rejectUnauthorized?: boolean | undefined
}

/** Where Redis is: one of the three. User, password and TLS (`rediss:`) are those of the URLs, or given beside them. */
export interface RedisServers {
  /** redis://user:password@host:port/database, or unix:///path?db=database */
  readonly url?: string | undefined
  /** URLs, or host:port, of some nodes of a cluster; it tells where the others are. */
  readonly cluster?: readonly string[] | undefined
  /** URLs, or host:port, of Sentinels, and the name under which they watch the master. `rediss:` holds for the servers too. */
  readonly sentinel?: {
    readonly master: string
    readonly nodes: readonly string[]
    /** For the Sentinels themselves. */
    readonly username?: string | undefined
    readonly password?: string | undefined
  } | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** For the servers, nodes and Sentinels alike; given, host:port means TLS. */
  readonly tls?: RedisTls | undefined
}

export interface ClientTimeouts {
  readonly commandTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly clock: Clock
}

const retryFirstMs = 50
// Short: what comes back should be taken up within a second or two.
const retryLongestMs = 500
// How often a server that refuses writes is left, in the hope that another has become the master: it can still be read.
const leaveAgainMs = 2000
// How often a cluster is asked who owns what, beside when it says MOVED: replicas come and go without that.
const slotsRefreshMs = 5000
// A slot moves once, or is on its way (ASK): more than a few redirections are a cluster that does not know itself.
const mostRedirections = 5
// One key of several has moved already: try again soon, and let the caller's deadline end it.
const tryAgainMs = 20

/** Starts to connect, and returns at once, whether or not anyone is there. @throws Error when an address is none. */
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
    // A master that has become a replica refuses writes: whoever is behind the name, or the Sentinels, knows the new one.
    // The command is not sent again: who waited for it is told.
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
    // ioredis tells nobody else why it could not even begin, which is when no name leads anywhere.
    clusterRetryStrategy: (attempts, reason) => {
      if (reason !== undefined && cluster.listenerCount('error') > 0) cluster.emit('error', reason)
      return retry(attempts)
    },
    maxRedirections: mostRedirections,
    // What a node that is gone or a cluster that is down does not answer is not sent again behind the caller's back.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: tryAgainMs,
    // Nodes are asked in turn: one that hangs must not take the time of the others.
    slotsRefreshTimeout: timeouts.connectTimeoutMs,
    slotsRefreshInterval: slotsRefreshMs,
    // ioredis would connect to an address in place of the name, and the certificate is for the name.
    ...(tls === undefined ? {} : { dnsLookup: (name: string, found: (error: null, address: string) => void) => found(null, name) }),
    redisOptions: {
      ...commonOptions(timeouts),
      ...userOf(nodes, servers.username, servers.password),
      ...(tls === undefined ? {} : { tls }),
      Connector: connectorThat((error) => { refused = error }),
    },
  })
  // ioredis says of nodes that it cannot connect to that their connection is closed, and keeps the reason to itself.
  cluster.on('error', (error: Error & { lastNodeError?: Error }) => {
    if (error.lastNodeError?.message === 'Connection is closed.' && refused instanceof Error) error.lastNodeError = refused
    refused = undefined
  })
  return cluster
}

/** A connector of ioredis' own that also tells why a connection broke. */
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
    // No call waits for a connection, and none is sent again behind its caller's back: who waited has long gone on.
    // (The nodes of a cluster keep a queue while they connect, whatever is said here: the deadlines of Lane hold there.)
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    // A connection that has been silent this long while calls waited is dead, or its server is: make another.
    socketTimeout: Math.max(2000, commandTimeoutMs * 10),
    connectTimeout: connectTimeoutMs,
    keepAlive: 5000,
    disableClientInfo: true,
  } satisfies RedisOptions
}

// How long to wait before another attempt to connect.
function retry(attempts: number): number {
  return Math.min(retryLongestMs, retryFirstMs * 2 ** Math.min(attempts - 1, 10))
}

/** An address of a configuration that has been checked. @throws Error when it is none */
export function sound(address: RedisAddress | WrongAddress): RedisAddress {
  if ('wrong' in address) throw new Error(`the address of a Redis: ${address.wrong}`)
  return address
}

function placeOf({ at }: RedisAddress): { host: string, port: number } {
  return 'path' in at ? { host: at.path, port: 0 } : { ...at }
}

/** The user given beside the nodes, or in the URL of one of them. */
export function userOf(nodes: readonly RedisAddress[], username: string | undefined, password: string | undefined): { username?: string, password?: string } {
  const named = nodes.find((node) => node.password !== undefined || node.username !== undefined)
  const user = username ?? named?.username
  const word = password ?? named?.password
  return { ...(user === undefined ? {} : { username: user }), ...(word === undefined ? {} : { password: word }) }
}

// TLS is spoken if a node says so, or if there are settings for it and no node says otherwise.
function tlsOf(nodes: readonly RedisAddress[], tls: RedisTls | undefined): { tls?: ConnectionOptions } {
  const speaks = nodes.some((node) => node.tls === true) || (tls !== undefined && nodes.every((node) => node.tls !== false))
  if (!speaks) return {}
  return { tls: Object.fromEntries(Object.entries(tls ?? {}).filter(([, value]) => value !== undefined)) as ConnectionOptions }
}
