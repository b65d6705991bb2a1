// Rules between settings: the checks that no single leaf of the schema can make.
import { isIP } from 'node:net'
import { authProblems } from './auth-rules.ts'
import { pemProblems, pemSettings } from './certificates.ts'
import type { Problem } from './problem.ts'
import { redisProblems } from './redis-rules.ts'
import { unreachablePath } from './route-path.ts'
import type { Config } from './schema.ts'
import { sessionProblems } from './session-rules.ts'
import { tagProblems } from './tag-rules.ts'
import { formatDuration, formatSize, KiB } from './units.ts'

/** Returns whether the value at a path is valid. A rule skips invalid values: they are reported already. */
export type Sound = (path: string) => boolean

/** Returns the problems between settings; [] if there are none. */
export function checkRules(config: Config, sound: Sound): Problem[] {
  return [ports, listenerTls, h2c, adminAccess, tokens, timeouts, redis, memory, tags, origins, routes, routePaths, statuses, workers, files, sessionProblems, authProblems]
    .flatMap((rule) => rule(config, sound))
}

type Rule = (config: Config, sound: Sound) => Problem[]

/** Returns whether a listener on this host is reachable on every address of the machine. */
export const isEverywhere = (host: string): boolean => host === '0.0.0.0' || host === '::'

const ports: Rule = ({ proxy, admin }, sound) => {
  if (!['proxy.host', 'proxy.port', 'admin.host', 'admin.port'].every(sound)) return []
  const sameHost = proxy.host === admin.host || isEverywhere(proxy.host) || isEverywhere(admin.host)
  if (proxy.port === 0 || proxy.port !== admin.port || !sameHost) return []
  return [{ path: 'admin.port', message: `${admin.port} is also the port of the proxy listener; the ports must differ` }]
}

const listenerTls: Rule = ({ proxy, admin }, sound) => {
  const problems: Problem[] = []
  const { tls, redirectPort, port } = proxy
  if (sound('proxy.tls') && sound('proxy.tls.certificates') && tls !== undefined && tls.cert === undefined && tls.key === undefined && tls.certificates.length === 0)
    problems.push({ path: 'proxy.tls', message: 'no certificate is given; give cert and key, or certificates' })
  if (!sound('proxy.redirectPort') || redirectPort === undefined) return problems
  if (sound('proxy.tls') && tls === undefined) problems.push({ path: 'proxy.redirectPort', message: 'given without proxy.tls, so there is no HTTPS to redirect to' })
  if (redirectPort !== 0 && sound('proxy.port') && redirectPort === port)
    problems.push({ path: 'proxy.redirectPort', message: `${port} is also the port of the proxy listener; the ports must differ` })
  if (redirectPort !== 0 && sound('admin.port') && redirectPort === admin.port)
    problems.push({ path: 'proxy.redirectPort', message: `${redirectPort} is also the port of the admin listener; the ports must differ` })
  return problems
}

const h2c: Rule = ({ proxy }, sound) => {
  if (!sound('proxy.h2c') || !sound('proxy.tls') || !proxy.h2c || proxy.tls === undefined) return []
  return [{ path: 'proxy.h2c', message: 'the listener has TLS (proxy.tls), where HTTP/2 is negotiated (proxy.tls.http2); leave h2c false, or remove proxy.tls' }]
}

const adminAccess: Rule = ({ admin }, sound) => {
  if (!sound('admin.host') || !sound('admin.tokens') || isLoopback(admin.host) || admin.tokens.length > 0) return []
  return [{ path: 'admin.tokens',
    message: `a token is needed because the admin listener is not on loopback (admin.host is ${admin.host}); set SPRINGHOUSE_ADMIN_TOKEN, or admin.tokens` }]
}

/** Returns whether only this machine can reach a listener on this host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** A shorter token can be guessed. */
const leastTokenChars = 16

const isShort = (token: string) => token.length < leastTokenChars

/** Returns a sentence for each token that is too short for a listener off loopback. */
export function shortTokenNotices({ admin }: Pick<Config, 'admin'>): string[] {
  return admin.tokens.flatMap(({ name, token }, index) =>
    isShort(token) ? [`admin.tokens[${index}].token (${JSON.stringify(name)}) is shorter than ${leastTokenChars} characters; off loopback it would be refused`] : []
  )
}

const tokens: Rule = ({ admin }, sound) => {
  if (!sound('admin.tokens')) return []
  return admin.tokens.flatMap((token, index) => {
    const path = `admin.tokens[${index}]`
    if (!sound(path)) return []
    const before = admin.tokens.slice(0, index).filter((_, earlier) => sound(`admin.tokens[${earlier}]`))
    const problems: Problem[] = []
    if (sound(`${path}.name`) && before.some(({ name }) => name === token.name))
      problems.push({ path: `${path}.name`, message: `another token already has the name ${JSON.stringify(token.name)}` })
    if (sound(`${path}.token`) && sound('admin.host') && isShort(token.token) && !isLoopback(admin.host))
      problems.push({ path: `${path}.token`,
        message: `shorter than ${leastTokenChars} characters, and the admin listener is not on loopback (admin.host is ${admin.host}); openssl rand -hex 24 makes one` })
    if (sound(`${path}.token`) && before.some((other) => other.token === token.token)) problems.push({ path: `${path}.token`, message: 'another token already has the same value' })
    return problems
  })
}

const timeouts: Rule = ({ proxy }, sound) => {
  if (!sound('proxy.headersTimeoutMs') || !sound('proxy.requestTimeoutMs') || proxy.requestTimeoutMs === 0 || proxy.headersTimeoutMs <= proxy.requestTimeoutMs) return []
  return [{ path: 'proxy.headersTimeoutMs',
    message: `${formatDuration(proxy.headersTimeoutMs)} is longer than proxy.requestTimeoutMs (${formatDuration(proxy.requestTimeoutMs)}); make it at most that` }]
}

const redis: Rule = (config, sound) => (sound('redis') && sound('redis.url') && config.redis !== undefined ? redisProblems(config.redis) : [])

const leastMemoryBytes = 64 * KiB

const memory: Rule = ({ cache, redis: shared }, sound) => {
  if (!sound('cache.memory.maxBytes') || !sound('redis')) return []
  const { maxBytes } = cache.memory
  if (maxBytes >= leastMemoryBytes || (maxBytes === 0 && shared !== undefined)) return []
  const message = maxBytes === 0
    ? `0 without Redis leaves no store; set ${formatSize(leastMemoryBytes)} or more, or set redis.url`
    : `${formatSize(maxBytes)} is too small; set ${formatSize(leastMemoryBytes)} or more, or 0 to use Redis alone`
  return [{ path: 'cache.memory.maxBytes', message }]
}

const tags: Rule = ({ cache }, sound) => (sound('cache') && sound('cache.tags') && sound('cache.tags.fields') ? tagProblems(cache.tags, sound) : [])

const origins: Rule = (config, sound) => {
  if (!sound('origins') || Object.keys(config.origins).length > 0) return []
  return [{ path: 'origins', message: 'none is given; give one with --origin http://127.0.0.1:3000, SPRINGHOUSE_ORIGINS, or origins in the file' }]
}

const routes: Rule = (config, sound) => {
  if (!sound('routes') || !sound('origins')) return []
  const names = Object.keys(config.origins)
  if (names.length === 0) return []
  if (config.routes.length === 0) return [{ path: 'routes', message: `none is given, and there is more than one origin (${names.join(', ')}); give a route to each` }]
  return config.routes.flatMap((route, index) => {
    const path = `routes[${index}].origin`
    if (!sound(path) || typeof route.origin !== 'string' || names.includes(route.origin)) return []
    return [{ path, message: `there is no origin named ${JSON.stringify(route.origin)}; known are ${names.join(', ')}` }]
  })
}

const routePaths: Rule = (config, sound) => {
  if (!sound('routes')) return []
  return config.routes.flatMap((route, index) => {
    const { path, exact } = route.match ?? {}
    const at = `routes[${index}].match`
    if (path !== undefined && exact !== undefined && sound(`${at}.path`) && sound(`${at}.exact`))
      return [{ path: `${at}.exact`, message: 'given beside path; a route has one of the two' }]
    return Object.entries({ path, exact }).flatMap(([name, value]) => {
      const fault = sound(`${at}.${name}`) && typeof value === 'string' ? unreachablePath(value) : undefined
      return fault === undefined ? [] : [{ path: `${at}.${name}`, message: fault }]
    })
  })
}

// RFC 6585 §3 to §6: a cache must not store these. The same list stands in policy/storable.ts; a test compares them.
const neverStored: Readonly<Record<string, string>> = { 428: 'RFC 6585 §3', 429: 'RFC 6585 §4', 431: 'RFC 6585 §5', 511: 'RFC 6585 §6' }

const statuses: Rule = (config, sound) => {
  if (!sound('routes')) return []
  return config.routes.flatMap((route, index) => {
    const path = `routes[${index}].cache.ttl.status`
    return Object.keys(sound(path) ? route.cache.ttl.status : {})
      .filter((status) => neverStored[status] !== undefined && sound(`${path}.${status}`))
      .map((status) => ({ path: `${path}.${status}`, message: `a ${status} is never stored (${neverStored[status]}); leave it out` }))
  })
}

const workers: Rule = (config, sound) => {
  if (!sound('workers') || !sound('redis') || config.redis !== undefined) return []
  if (config.workers === 'auto' || config.workers === 1) return []
  return [{ path: 'workers', message: `${config.workers} processes need a shared store; set redis.url, or leave workers at 1` }]
}

const files: Rule = (config, sound) => {
  if (!sound('proxy') || !sound('redis') || !sound('origins')) return []
  return pemSettings(config).filter(({ path }) => sound(path)).flatMap(pemProblems)
}
