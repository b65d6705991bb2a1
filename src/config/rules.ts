// What one setting asks of another: the checks that no single leaf of the schema can make.
import { accessSync, constants } from 'node:fs'
import { isIP } from 'node:net'
import type { Problem } from './problem.ts'
import { redisProblems } from './redis-rules.ts'
import type { Config } from './schema.ts'
import { formatDuration, formatSize, KiB } from './units.ts'

/** Whether what stands at a path is of the right kind: a rule that reads what is wrong anyway would only add noise. */
export type Sound = (path: string) => boolean

/** Everything that is wrong between settings; [] when nothing is. */
export function checkRules(config: Config, sound: Sound): Problem[] {
  return [notBuiltYet, ports, adminAccess, tokens, timeouts, redis, memory, origins, routes, routePaths, workers, files].flatMap((rule) => rule(config, sound))
}

type Rule = (config: Config, sound: Sound) => Problem[]

const notBuiltYet: Rule = (config, sound) => {
  const problems: Problem[] = []
  if (sound('sessions.enabled') && config.sessions.enabled) {
    problems.push({ path: 'sessions.enabled', message: 'not supported yet; leave it false' })
  }
  return problems
}

const everywhere = (host: string) => host === '0.0.0.0' || host === '::'

const ports: Rule = ({ proxy, admin }, sound) => {
  if (!['proxy.host', 'proxy.port', 'admin.host', 'admin.port'].every(sound)) return []
  const sameHost = proxy.host === admin.host || everywhere(proxy.host) || everywhere(admin.host)
  if (proxy.port === 0 || proxy.port !== admin.port || !sameHost) return []
  return [{ path: 'admin.port', message: `${admin.port} is the port of the proxy listener as well; they must differ` }]
}

const adminAccess: Rule = ({ admin }, sound) => {
  if (!sound('admin.host') || !sound('admin.tokens') || isLoopback(admin.host) || admin.tokens.length > 0) return []
  return [{ path: 'admin.tokens', message: `a token is needed where the admin listener is not on loopback (admin.host is ${admin.host}); set SPRINGHOUSE_ADMIN_TOKEN, or admin.tokens` }]
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

const tokens: Rule = ({ admin }, sound) => {
  if (!sound('admin.tokens')) return []
  return admin.tokens.flatMap((token, index) => {
    const path = `admin.tokens[${index}]`
    if (!sound(path)) return []
    const before = admin.tokens.slice(0, index).filter((_, earlier) => sound(`admin.tokens[${earlier}]`))
    const problems: Problem[] = []
    if (sound(`${path}.name`) && before.some(({ name }) => name === token.name)) problems.push({ path: `${path}.name`, message: `another token has the name ${JSON.stringify(token.name)} already` })
    if (sound(`${path}.token`) && before.some((other) => other.token === token.token)) problems.push({ path: `${path}.token`, message: 'another token has the same value already' })
    return problems
  })
}

const timeouts: Rule = ({ proxy }, sound) => {
  if (!sound('proxy.headersTimeoutMs') || !sound('proxy.requestTimeoutMs') || proxy.headersTimeoutMs <= proxy.requestTimeoutMs) return []
  return [{ path: 'proxy.headersTimeoutMs', message: `${formatDuration(proxy.headersTimeoutMs)} is more than proxy.requestTimeoutMs (${formatDuration(proxy.requestTimeoutMs)}) allows for a request` }]
}

const redis: Rule = (config, sound) => (sound('redis') && sound('redis.url') && config.redis !== undefined ? redisProblems(config.redis) : [])

const leastMemoryBytes = 64 * KiB

const memory: Rule = ({ cache, redis: shared }, sound) => {
  if (!sound('cache.memory.maxBytes') || !sound('redis')) return []
  const { maxBytes } = cache.memory
  if (maxBytes >= leastMemoryBytes || (maxBytes === 0 && shared !== undefined)) return []
  const message = maxBytes === 0
    ? `0 leaves nothing to keep responses in without Redis; give it ${formatSize(leastMemoryBytes)} or more, or set redis.url`
    : `${formatSize(maxBytes)} is too little to be of use; give it ${formatSize(leastMemoryBytes)} or more, or 0 for Redis alone`
  return [{ path: 'cache.memory.maxBytes', message }]
}

const origins: Rule = (config, sound) => {
  if (!sound('origins') || Object.keys(config.origins).length > 0) return []
  return [{ path: 'origins', message: 'none is given, so there is nothing to ask; give one with --origin http://127.0.0.1:3000, SPRINGHOUSE_ORIGINS, or origins in the file' }]
}

const routes: Rule = (config, sound) => {
  if (!sound('routes') || !sound('origins')) return []
  const names = Object.keys(config.origins)
  if (names.length === 0) return []
  if (config.routes.length === 0) return [{ path: 'routes', message: `none is given, and with more than one origin (${names.join(', ')}) springhouse cannot tell which to ask` }]
  return config.routes.flatMap((route, index) => {
    const path = `routes[${index}].origin`
    if (!sound(path) || typeof route.origin !== 'string' || names.includes(route.origin)) return []
    return [{ path, message: `there is no origin named ${JSON.stringify(route.origin)}; known are ${names.join(', ')}` }]
  })
}

const routePaths: Rule = (config, sound) => {
  if (!sound('routes')) return []
  return config.routes.flatMap((route, index) => {
    const path = `routes[${index}].match.path`
    const fault = sound(path) && typeof route.match?.path === 'string' ? pathFault(route.match.path) : undefined
    return fault === undefined ? [] : [{ path, message: fault }]
  })
}

function pathFault(path: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return `${JSON.stringify(path)} has a % that begins no encoding; write %25 for the character`
  const segments = path.replaceAll(/%2e/gi, '.').replaceAll(/%3b/gi, ';').replaceAll(/%2f|%5c|\\/gi, '/').split('/')
  const climbs = segments.some((segment) => segment === '..' || segment.startsWith('..;'))
  return climbs ? `${JSON.stringify(path)} has a .. segment, and requests with one are refused; write the path that it leads to` : undefined
}

const workers: Rule = (config, sound) => {
  if (!sound('workers') || !sound('redis') || config.redis !== undefined) return []
  if (config.workers === 'auto' || config.workers === 1) return []
  return [{ path: 'workers', message: `${config.workers} processes need a store that they can share; set redis.url, or leave workers at 1` }]
}

const files: Rule = (config, sound) => {
  const given: [path: string, file: string | undefined][] = []
  if (sound('proxy')) given.push(['proxy.tls.cert', config.proxy.tls?.cert], ['proxy.tls.key', config.proxy.tls?.key])
  if (sound('redis')) given.push(['redis.tls.ca', config.redis?.tls?.ca], ['redis.tls.cert', config.redis?.tls?.cert], ['redis.tls.key', config.redis?.tls?.key])
  if (sound('origins')) for (const [name, origin] of Object.entries(config.origins)) given.push([`origins.${name}.tls.ca`, origin.tls?.ca])
  return given.flatMap(([path, file]) => file === undefined || readable(file) ? [] : [{ path, message: `cannot read ${file}` }])
}

function readable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}
