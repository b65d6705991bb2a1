// Rules between the Redis settings: one way to connect, one user, TLS everywhere or nowhere.
import { readRedisNode, readRedisUrl, type RedisAddress } from '../redis-address.ts'
import { memberPath, type Problem } from './problem.ts'
import type { RedisConfig } from './schema.ts'

interface Node {
  /** The setting that names the node. */
  readonly path: string
  readonly address: RedisAddress
}

/** Returns the problems between the settings of `redis`, each of which is valid by itself. */
export function redisProblems(redis: RedisConfig): Problem[] {
  const ways = (['url', 'cluster', 'sentinel'] as const).filter((way) => redis[way] !== undefined)
  if (ways.length !== 1)
    return [{ path: 'redis', message: `exactly one of url, cluster and sentinel is needed; ${ways.length === 0 ? 'none is given' : `${ways.join(' and ')} are given`}` }]
  const nodes = nodesOf(redis)
  return [...oneDeployment(nodes, redis.tls !== undefined), ...users(redis, nodes), ...tls(redis, nodes)]
}

function nodesOf({ url, cluster = [], sentinel }: RedisConfig): Node[] {
  return [
    ...(url === undefined ? [] : [{ path: 'redis.url', address: readRedisUrl(url) }]),
    ...cluster.map((node) => ({ path: 'redis.cluster', address: readRedisNode(node) })),
    ...(sentinel?.nodes ?? []).map((node) => ({ path: 'redis.sentinel.nodes', address: readRedisNode(node) })),
  ].flatMap(({ path, address }) => ('wrong' in address ? [] : [{ path, address }]))
}

// All nodes belong to one deployment, and the client treats them alike. With redis.tls, host:port means TLS.
function oneDeployment(nodes: readonly Node[], tlsGiven: boolean): Problem[] {
  const [first] = nodes
  if (first === undefined) return []
  const { path } = first
  const problems: Problem[] = []
  if (new Set(nodes.map(({ address }) => address.tls ?? tlsGiven)).size > 1)
    problems.push({ path, message: 'some nodes have rediss:// and others do not; write it for all nodes or for none' })
  const named = nodes.map(({ address: { username = '', password = '' } }) => `${username}:${password}`).filter((each) => each !== ':')
  if (new Set(named).size > 1) problems.push({ path, message: 'the URLs name different users; name one user that all nodes know' })
  return problems
}

function users({ username, password, sentinel }: RedisConfig, nodes: readonly Node[]): Problem[] {
  const problems: Problem[] = []
  if (sentinel !== undefined) {
    problems.push(...user('redis.sentinel', sentinel, nodes))
    if (username !== undefined && password === undefined) problems.push({ path: 'redis.password', message: missing('redis.username is given') })
    return problems
  }
  return user('redis', { username, password }, nodes)
}

/** Checks a user and password against those in the URLs. */
function user(path: string, beside: { readonly username?: string | undefined; readonly password?: string | undefined }, nodes: readonly Node[]): Problem[] {
  const problems: Problem[] = []
  const inUrls = { username: nodes.some(({ address }) => address.username !== undefined), password: nodes.some(({ address }) => address.password !== undefined) }
  const twice = 'given twice: here, and in a URL; leave one of them out'
  const hasPassword = beside.password !== undefined || inUrls.password
  if (!hasPassword && (beside.username !== undefined || inUrls.username)) {
    problems.push({ path: memberPath(path, 'password'), message: missing(beside.username === undefined ? 'a URL names a user' : `${path}.username is given`) })
  }
  if ((beside.username ?? beside.password) !== undefined && inUrls.password) problems.push({ path: memberPath(path, 'password'), message: twice })
  else if (beside.username !== undefined && inUrls.username) problems.push({ path: memberPath(path, 'username'), message: twice })
  return problems
}

function missing(why: string): string {
  return `missing; ${why}, and a user has a password`
}

function tls({ tls: given }: RedisConfig, nodes: readonly Node[]): Problem[] {
  if (given === undefined) return []
  const problems: Problem[] = []
  const plain = nodes.find(({ address }) => address.tls === false)
  if (plain !== undefined) problems.push({ path: 'redis.tls', message: `given, but ${plain.path} is without TLS (redis:// or unix://); write rediss://, or leave redis.tls out` })
  return problems
}
