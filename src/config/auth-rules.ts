// Rules between the settings of identity providers.
import { readFileSync } from 'node:fs'
import type { Problem } from './problem.ts'
import type { Config } from './schema.ts'
import { formatDuration } from './units.ts'

type Sound = (path: string) => boolean

/** Returns the problems between the settings of identity providers; [] if there are none. */
export function authProblems({ auth }: Config, sound: Sound): Problem[] {
  if (!sound('auth') || !sound('auth.jwt')) return []
  return auth.jwt.flatMap(({ name, jwks, refresh, cooldown }, index) => {
    const path = `auth.jwt[${index}]`
    if (!sound(path)) return []
    const problems: Problem[] = []
    if (sound(`${path}.name`)) {
      if (name === 'session') problems.push({ path: `${path}.name`, message: 'session is the name of the source that sessions are; choose another name' })
      if (auth.jwt.findIndex(each => each.name === name) < index) problems.push({ path: `${path}.name`, message: `another provider already has the name ${JSON.stringify(name)}` })
    }
    if (sound(`${path}.refresh`) && sound(`${path}.cooldown`) && cooldown > refresh)
      problems.push({ path: `${path}.cooldown`, message: `${formatDuration(cooldown)} is longer than refresh (${formatDuration(refresh)}); make it at most that` })
    const fault = sound(`${path}.jwks`) && !jwks.includes('://') ? keySetFault(jwks) : undefined
    if (fault !== undefined) problems.push({ path: `${path}.jwks`, message: fault })
    return problems
  })
}

/** Returns why a file holds no key set. */
function keySetFault(file: string): string | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return `cannot read ${file}`
  }
  try {
    if (Array.isArray((JSON.parse(text) as { keys?: unknown } | null)?.keys)) return undefined
  } catch { /* No JSON is no key set either. */ }
  return `${file} is no key set; expected JSON such as {"keys":[…]} (RFC 7517)`
}
