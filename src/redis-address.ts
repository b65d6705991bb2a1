// Addresses of Redis, parsed in one way by the check of the configuration and by the client.
import { isIP } from 'node:net'

export interface RedisAddress {
  /** A server, or the path of a Unix socket. */
  readonly at: { readonly host: string; readonly port: number } | { readonly path: string }
  readonly database: number
  readonly username: string | undefined
  readonly password: string | undefined
  /** `undefined` for host:port, which does not state it. */
  readonly tls: boolean | undefined
}

/** The reason why an address is refused, and what would be right. Quotes nothing of the text, which may hold a password. */
export interface WrongAddress {
  readonly wrong: string
}

const schemes: ReadonlyMap<string, boolean> = new Map([['redis:', false], ['valkey:', false], ['rediss:', true], ['valkeys:', true]])
const usualPort = 6379
// Redis counts databases with an int.
const mostDatabases = 2_147_483_647

/** Parses `redis.url`: `redis://user:password@host:port/database`, or `unix:///path/to/socket?db=database`. */
export function readRedisUrl(text: string): RedisAddress | WrongAddress {
  if (text.startsWith('unix:')) return readSocket(text)
  const url = readServer(text)
  if ('wrong' in url) return url
  const database = databaseOf(url.pathname.slice(1))
  if (database === undefined) return { wrong: 'expected the number of a database after the host, as in redis://redis:6379/5, or nothing' }
  return addressOf(url, usualPort, database)
}

/** Parses a node of a cluster or a Sentinel: `host:port`, or a URL without a database. */
export function readRedisNode(text: string, port = usualPort): RedisAddress | WrongAddress {
  if (!text.includes('://')) {
    const [, host = '', given = ''] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+):(\d{1,5})$/i.exec(text) ?? []
    if (!isHost(bare(host)) || !isPort(Number(given))) return { wrong: 'expected a host and a port, such as redis-1:6379, or a redis:// or rediss:// URL' }
    return { at: { host: bare(host), port: Number(given) }, database: 0, username: undefined, password: undefined, tls: undefined }
  }
  const url = readServer(text)
  if ('wrong' in url) return { wrong: url.wrong.replace(', rediss:// or unix:// URL, such as redis://redis:6379', ' or rediss:// URL, or a host and a port, such as redis-1:6379') }
  if (databaseOf(url.pathname.slice(1)) !== 0) return { wrong: 'expected no database: a cluster has only number 0, and 0 is what is used of servers that Sentinels watch' }
  return addressOf(url, port, 0)
}

function readServer(text: string): URL | WrongAddress {
  const scheme = /^[a-z][a-z0-9+.-]*:(?=\/\/)/i.exec(text)?.[0].toLowerCase() ?? ''
  if (!schemes.has(scheme)) return { wrong: 'expected a redis://, rediss:// or unix:// URL, such as redis://redis:6379' }
  if (/[?#]/.test(text)) return { wrong: 'expected neither ? nor # in the URL: a database is written as in redis://redis:6379/5, and in a password they are %3F and %23' }
  if (!URL.canParse(text)) return { wrong: 'expected a URL such as redis://user:password@redis:6379/0, in which /, ?, #, @ and : of a password are percent-encoded' }
  const url = new URL(text)
  if (!isHost(bare(url.hostname))) return { wrong: 'expected the name or the address of a host, such as redis://redis:6379' }
  if (url.port !== '' && !isPort(Number(url.port))) return { wrong: 'expected a port from 1 to 65535' }
  if (decoded(url.username) === undefined || decoded(url.password) === undefined) return { wrong: 'expected user and password percent-encoded: a % in them is written %25' }
  return url
}

function readSocket(text: string): RedisAddress | WrongAddress {
  const [, encoded = '', query] = /^unix:\/\/(\/[^?#]+)(?:\?([^#]*))?$/.exec(text) ?? []
  const path = decoded(encoded)
  if (path === undefined || path === '' || path.endsWith('/') || path.includes('\0'))
    return { wrong: 'expected the absolute path of a socket, such as unix:///run/redis.sock, with three slashes; user and password are given beside it' }
  const database = query === undefined ? 0 : databaseOf(/^db=(.+)$/.exec(query)?.[1] ?? 'none')
  if (database === undefined) return { wrong: 'expected the number of a database after the path, as in unix:///run/redis.sock?db=5, or nothing' }
  return { at: { path }, database, username: undefined, password: undefined, tls: false }
}

function addressOf(url: URL, port: number, database: number): RedisAddress {
  return {
    at: { host: bare(url.hostname), port: url.port === '' ? port : Number(url.port) },
    database,
    username: decoded(url.username) || undefined,
    password: decoded(url.password) || undefined,
    tls: schemes.get(url.protocol),
  }
}

// Parses a database number. '' is number 0; undefined if it is not a number.
function databaseOf(text: string): number | undefined {
  if (text === '') return 0
  return /^(?:0|[1-9]\d{0,9})$/.test(text) && Number(text) <= mostDatabases ? Number(text) : undefined
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

function isHost(host: string): boolean {
  return isIP(host) !== 0 || (host.length <= 254 && /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(host))
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535
}
