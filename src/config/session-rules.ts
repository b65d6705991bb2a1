// Rules between the settings of sessions, and those of the routes that use them.
import { accessSync, constants } from 'node:fs'
import { memberPath, type Problem } from './problem.ts'
import { redisProblems } from './redis-rules.ts'
import type { Config, SessionsConfig } from './schema.ts'
import { formatDuration } from './units.ts'

type Sound = (path: string) => boolean

/** The source that sessions are. */
const sessionSource = 'session'

/** Returns the problems between the settings of sessions; [] if there are none. */
export function sessionProblems(config: Config, sound: Sound): Problem[] {
  const { sessions } = config
  if (!['sessions', 'sessions.enabled', 'sessions.cookie', 'sessions.remember', 'sessions.keys', 'sessions.headers', 'sessions.redis'].every(sound)) return []
  return [...cookie(sessions), ...lifetimes(sessions, sound), ...keys(sessions, sound), ...headers(sessions), ...ownRedis(sessions), ...routeProblems(config, sound)]
}

function cookie({ cookie: { name, secure, domain, sameSite, partitioned } }: SessionsConfig): Problem[] {
  const problems: Problem[] = []
  const needsSecure = /^__(?:host|secure)-/i.exec(name)?.[0] ?? (sameSite === 'none' ? 'sameSite: none' : partitioned ? 'partitioned: true' : undefined)
  if (!secure && needsSecure !== undefined) problems.push({ path: 'sessions.cookie.secure', message: `browsers refuse the cookie: ${needsSecure} needs secure: true` })
  if (domain !== undefined && /^__host-/i.test(name))
    problems.push({ path: 'sessions.cookie.domain', message: 'browsers refuse a __Host- cookie with a domain; leave the domain out, or choose another name' })
  return problems
}

function lifetimes({ idle, absolute, remember }: SessionsConfig, sound: Sound): Problem[] {
  return [...idleProblem('sessions', idle, absolute, sound), ...idleProblem('sessions.remember', remember.idle, remember.absolute, sound)]
}

function idleProblem(path: string, idle: number, absolute: number, sound: Sound): Problem[] {
  if (!sound(`${path}.idle`) || !sound(`${path}.absolute`) || idle <= absolute) return []
  return [{ path: `${path}.idle`, message: `${formatDuration(idle)} is longer than ${path}.absolute (${formatDuration(absolute)}); make it at most that` }]
}

function keys({ keys: given }: SessionsConfig, sound: Sound): Problem[] {
  return given.flatMap(({ id, alg, keyFile, secret }, index) => {
    const path = `sessions.keys[${index}]`
    if (!sound(path) || !sound(`${path}.alg`)) return []
    const problems: Problem[] = []
    if (given.findIndex(key => key.id === id) < index) problems.push({ path: `${path}.id`, message: `another key already has the id ${JSON.stringify(id)}` })
    if (alg === 'HS256') {
      if (secret === undefined && sound(`${path}.secret`)) problems.push({ path: `${path}.secret`, message: 'missing; HS256 needs secret, or secretFile' })
      if (keyFile !== undefined) problems.push({ path: `${path}.keyFile`, message: 'HS256 takes a secret, not a key file; leave it out' })
      return problems
    }
    if (secret !== undefined) problems.push({ path: `${path}.secret`, message: `${alg} takes a key file, not a secret; leave it out` })
    if (keyFile === undefined) problems.push({ path: `${path}.keyFile`, message: `missing; ${alg} needs the PEM file of a private key` })
    else if (!readable(keyFile)) problems.push({ path: `${path}.keyFile`, message: `cannot read ${keyFile}` })
    return problems
  })
}

function readable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}

// Fields with which the proxy or HTTP means something else.
const taken =
  /^(?:host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|cookie|authorization|via|forwarded|x-forwarded-.*|x-request-id|x-real-ip|cdn-loop|origin|range|if-.*|cache-control|springhouse-.*)$/

function headers({ headers: given }: SessionsConfig): Problem[] {
  return Object.keys(given).filter(name => taken.test(name.replaceAll(/[^a-z0-9]/g, '-'))).map(name => ({ path: memberPath('sessions.headers', name),
    message: 'this field has another meaning; choose a name such as x-user' })
  )
}

function ownRedis({ redis }: SessionsConfig): Problem[] {
  return redis === undefined
    ? []
    : redisProblems(redis).map(({ path, message }) => ({ path: `sessions.${path}`, message: message.replaceAll(/(?<![\w.])redis\./g, 'sessions.redis.') }))
}

function routeProblems(config: Config, sound: Sound): Problem[] {
  if (!sound('routes')) return []
  const { sessions: { enabled }, auth } = config
  const known = [sessionSource, ...(sound('auth.jwt') ? auth.jwt.map(({ name }) => name) : [])]
  const problems: Problem[] = []
  const withSession: { readonly index: number; readonly host: string | undefined; readonly realm: string | undefined }[] = []
  for (const [index, { identity, key: { facets }, match }] of config.routes.entries()) {
    const path = `routes[${index}].identity`
    if (![path, `${path}.sources`, `${path}.required`, `routes[${index}].key`, `routes[${index}].key.facets`, `routes[${index}].match`].every(sound)) continue
    const given = identity.sources ?? (enabled ? [sessionSource] : [])
    for (const source of given) {
      if (source === sessionSource && !enabled) problems.push({ path: `${path}.sources`, message: 'sessions are not enabled; set sessions.enabled, or leave session out' })
      else if (!known.includes(source) && sound('auth.jwt'))
        problems.push({ path: `${path}.sources`, message: `there is no source named ${JSON.stringify(source)}; known are ${known.join(', ')} (auth.jwt)` })
    }
    if (given.length === 0) {
      const without = identity.sources !== undefined || enabled
        ? 'the route identifies nobody (sources: [])'
        : `sessions are not enabled (sessions.enabled)${auth.jwt.length > 0 ? ', and the route names no other source (identity.sources)' : ''}`
      if (facets.length > 0) problems.push({ path: `routes[${index}].key.facets`, message: `${without}, so there are no facets` })
      if (identity.required) problems.push({ path: `${path}.required`, message: `${without}, so every request would be refused` })
    } else if (given.includes(sessionSource)) withSession.push({ index, host: match.host, realm: identity.realm })
    if (identity.forward === 'all' && facets.length === 0)
      problems.push({ path: `${path}.forward`, message: 'all is for routes with key.facets; without facets nothing is shared, and everything is forwarded' })
  }
  if (new Set(withSession.map(({ host }) => host)).size > 1) {
    for (const { index, realm } of withSession) {
      if (realm === undefined)
        problems.push({ path: `routes[${index}].identity.realm`,
          message:
            'missing; routes of several hosts use sessions, and user 1 of one application is not user 1 of another. Name the realm, the same one where they are one application' })
    }
  }
  return problems
}
