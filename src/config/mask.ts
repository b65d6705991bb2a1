// Masks secrets in configurations and messages.
import type { Config } from './schema.ts'
import { mapLeaves } from './leaves.ts'
import { configNode, humanNumber, type SchemaNode } from './node.ts'

/** The text shown in place of a secret. */
export const masked = '********'

/** The text in a message in place of a value that may be secret. */
export const notShown = 'a value that is not shown here'

/** Returns a copy of the configuration with tokens, passwords and passwords in URLs masked, for /v1/config and `check --print`. */
export function maskSecrets(config: Config): Config {
  return mapLeaves(configNode, config, maskLeaf) as Config
}

/** Returns a copy as an operator would write it: durations and sizes with units. Loading it gives the same configuration. */
export function humanise(config: Config): unknown {
  return mapLeaves(configNode, config, (node, value) => (typeof value === 'number' ? humanNumber(node, value) : value))
}

/** Formats a refused value for a message. */
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

/** Hides the password of anything like a URL, and the values in its query. A refused, invalid URL is masked too. */
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
