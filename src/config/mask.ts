// What must not be shown, and the configuration as it may be.
import type { Config } from './schema.ts'
import { mapLeaves } from './leaves.ts'
import { configNode, humanNumber, type SchemaNode } from './node.ts'

/** What stands in the place of a secret. */
export const masked = '********'

/** What a message says in the place of a value that may be secret. */
export const notShown = 'a value that is not shown here'

/** A copy of the configuration with its secrets masked: tokens, and passwords within URLs. Fit for /v1/config and for people. */
export function maskSecrets(config: Config): Config {
  return mapLeaves(configNode, config, maskLeaf) as Config
}

/** A copy as an operator would write it: durations and sizes with units. Loading it gives the same configuration again. */
export function humanise(config: Config): unknown {
  return mapLeaves(configNode, config, (node, value) => (typeof value === 'number' ? humanNumber(node, value) : value))
}

/** A value that was refused, as a message may show it. */
export function showValue(node: SchemaNode, value: unknown): string {
  if (holdsSecret(node)) return notShown
  if (typeof value === 'number' && node.unit !== undefined && value >= 0) return String(humanNumber(node, value))
  const json = JSON.stringify(typeof value === 'string' ? maskPassword(value) : value)
  return json.length > 80 ? `${json.slice(0, 77)}...` : json
}

function maskLeaf(node: SchemaNode, value: unknown): unknown {
  if (node.secret === true) return masked
  return typeof value === 'string' ? maskPassword(value) : value
}

/** Hides the password of anything like a URL, and the values in its query: also of one that is not valid, and so was refused. */
function maskPassword(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:(?:\/\/)?)(.*)@/is, (_whole, scheme: string, userInfo: string) => `${scheme}${/^[^:@/?#]*:/.exec(userInfo)?.[0] ?? ''}${masked}@`)
    .replace(/^[a-z][a-z0-9+.-]*:[^?]*\?.*/is, (url) => url.replaceAll(/([?&](?!db=)[^=&#?]*=)[^&#]*/g, `$1${masked}`))
}

function holdsSecret(node: SchemaNode): boolean {
  if (node.secret === true) return true
  const parts = [...Object.values(node.properties ?? {}), ...Object.values(node.patternProperties ?? {}), ...(node.anyOf ?? [])]
  return (node.items !== undefined && holdsSecret(node.items)) || parts.some(holdsSecret)
}
