// One ioredis client: for one server, for a cluster, or for what Sentinels watch.
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Clock } from '../../clock.ts'
import type { RedisClient } from './lane.ts'

/** Where Redis is: one of the three. User, password and TLS (`rediss:`) are those of the URLs, or given beside them. */
export interface RedisServers {
  /** redis://user:password@host:port/database */
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

/** Starts to connect, and returns at once, whether or not anyone is there. */
export function createClient(servers: RedisServers, timeouts: ClientTimeouts): RedisClient {
  if (servers.cluster !== undefined) return createCluster(servers, servers.cluster, timeouts)
  let leftMs = -Infinity
  const common = {
    ...commonOptions(servers, timeouts),
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
  if (servers.sentinel === undefined) return new Redis(servers.url ?? 'redis://127.0.0.1:6379', common)
  const { master, nodes, username, password } = servers.sentinel
  const sentinels = nodes.map((node) => parseNode(node, 26_379))
  const own = userOf(sentinels, username, password)
  return new Redis({
    ...common,
    sentinels: sentinels.map(({ host, port }) => ({ host, port })),
    name: master,
    sentinelRetryStrategy: retry,
    sentinelCommandTimeout: timeouts.connectTimeoutMs,
    ...(own.username === undefined ? {} : { sentinelUsername: own.username }),
    ...(own.password === undefined ? {} : { sentinelPassword: own.password }),
    ...(sentinels.some(({ tls }) => tls) ? { sentinelTLS: {}, tls: {}, enableTLSForSentinelMode: true } : {}),
  })
}

function createCluster(servers: RedisServers, urls: readonly string[], timeouts: ClientTimeouts): Cluster {
  const nodes = urls.map((url) => parseNode(url, 6379))
  return new Cluster(nodes.map(({ host, port }) => ({ host, port })), {
    clusterRetryStrategy: retry,
    maxRedirections: mostRedirections,
    // What a node that is gone or a cluster that is down does not answer is not sent again behind the caller's back.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: tryAgainMs,
    // Nodes are asked in turn: one that hangs must not take the time of the others.
    slotsRefreshTimeout: timeouts.connectTimeoutMs,
    slotsRefreshInterval: slotsRefreshMs,
    redisOptions: {
      ...commonOptions(servers, timeouts),
      ...userOf(nodes, servers.username, servers.password),
      ...(nodes.some(({ tls }) => tls) ? { tls: {} } : {}),
    },
  })
}

function commonOptions({ username, password }: RedisServers, { commandTimeoutMs, connectTimeoutMs }: ClientTimeouts) {
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
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  } satisfies RedisOptions
}

// How long to wait before another attempt to connect.
function retry(attempts: number): number {
  return Math.min(retryLongestMs, retryFirstMs * 2 ** Math.min(attempts - 1, 10))
}

interface Node {
  readonly host: string
  readonly port: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly tls: boolean
}

/** The parts of a URL, or of host:port. */
export function parseNode(node: string, usualPort: number): Node {
  const url = new URL(node.includes('://') ? node : `redis://${node}`)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? usualPort : Number(url.port),
    username: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    tls: url.protocol === 'rediss:',
  }
}

/** The user given beside the nodes, or in the URL of one of them. */
export function userOf(nodes: readonly Node[], username: string | undefined, password: string | undefined): { username?: string, password?: string } {
  const named = nodes.find((node) => node.password !== undefined)
  const user = username ?? named?.username
  const word = password ?? named?.password
  return { ...(user === undefined ? {} : { username: user }), ...(word === undefined ? {} : { password: word }) }
}
