// Environment variables: the name for every setting, and the settings that an environment gives.
import { nearestName } from '../nearest-name.ts'
import { configNode, type SchemaNode } from './node.ts'
import { memberPath, type Problem } from './problem.ts'
import type { Environment } from './substitute.ts'

const prefix = 'SPRINGHOUSE_'

/** Variables that are not settings: the configuration file, and the variables that the admin commands use. */
export const otherVariables: readonly string[] = ['SPRINGHOUSE_CONFIG', 'SPRINGHOUSE_ADMIN', 'SPRINGHOUSE_ADMIN_TOKEN', 'SPRINGHOUSE_ADMIN_TOKEN_FILE']

/** A setting that has an environment variable. */
export interface Variable {
  readonly name: string
  readonly path: string
  readonly node: SchemaNode
}

/** Every setting that the environment can set: a leaf, a list or a map. A list or a map is set as a whole. */
export const variables: readonly Variable[] = collect(configNode, '')

function collect(node: SchemaNode, path: string): Variable[] {
  if (node.properties === undefined) return [{ name: variableName(path), path, node }]
  return Object.entries(node.properties).flatMap(([name, member]) => collect(member, memberPath(path, name)))
}

/** The alternative to a setting, by its path: `redis.passwordFile` for `redis.password`, and vice versa. */
export const otherWays: ReadonlyMap<string, string> = new Map(variables.flatMap(({ path, node: { fileOf } }) => {
  if (fileOf === undefined) return []
  const secret = path.slice(0, path.lastIndexOf('.') + 1) + fileOf
  return [[path, secret], [secret, path]]
}))

/** `SPRINGHOUSE_CACHE_MAX_ENTRY_BYTES` for `cache.maxEntryBytes`. */
function variableName(path: string): string {
  return prefix + path.replaceAll('.', '_').replace(/[A-Z]/g, '_$&').toUpperCase()
}

/** Returns the settings that an environment gives. An empty variable counts as unset. */
export function environmentSettings(env: Environment): (Variable & { readonly text: string })[] {
  return variables.flatMap((variable) => {
    const text = env[variable.name]
    return text === undefined || text === '' || isServiceLink(variable.name, text) ? [] : [{ ...variable, text }]
  })
}

/** Problems of secrets that are given both directly and by file. */
export function doubleVariables(env: Environment): Problem[] {
  const pairs = variables.flatMap(({ name, path, node }) => node.fileOf === undefined ? [] : [[variableName(otherWays.get(path) ?? ''), name] as const])
  return [...pairs, ['SPRINGHOUSE_ADMIN_TOKEN', 'SPRINGHOUSE_ADMIN_TOKEN_FILE'] as const]
    .filter((pair) => pair.every((name) => (env[name] ?? '') !== ''))
    .map(([secret, file]) => ({ path: file, message: `given twice: as ${secret} and as ${file}; leave one of them out` }))
}

/** Problems of variables with our prefix that are unknown. Otherwise a mistyped variable would silently do nothing. */
export function unknownVariables(env: Environment): Problem[] {
  const known = [...variables.map(({ name }) => name), ...otherVariables]
  return Object.entries(env)
    .filter(([name, text = '']) => name.startsWith(prefix) && !known.includes(name) && !isServiceLink(name, text) && !isAboutDeployment(name))
    .map(([name]) => {
      // SPRINGHOUSE_PORT lacks a section. By edit distance SPRINGHOUSE_ROUTES would be nearer than SPRINGHOUSE_PROXY_PORT.
      const near = known.find((each) => each.endsWith(name.slice(prefix.length - 1))) ?? nearestName(name, known)
      return { path: name, message: near === undefined ? 'unknown variable; config/reference.md lists those that are known' : `unknown variable; did you mean ${near}?` }
    })
}

/** Returns a line for each setting whose variable is a Kubernetes service link, because the setting is then not set. */
export function linkedSettings(env: Environment): string[] {
  return variables.flatMap(({ name, path }) => {
    const text = env[name] ?? ''
    if (!isServiceLink(name, text)) return []
    const service = name.slice(0, -'_PORT'.length).toLowerCase().replaceAll('_', '-')
    return [
      `${name}=${text} is a Kubernetes service link for a service named ${service}, and does not set ${path}; enableServiceLinks: false in the pod's spec turns such variables off`,
    ]
  })
}

// Kubernetes sets variables in every pod for every service, named after the service: a service named `springhouse-proxy`
// gives SPRINGHOUSE_PROXY_PORT=tcp://10.0.0.1:80. No setting takes such a value, and none has another such name.
function isServiceLink(name: string, text: string): boolean {
  return /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name) || /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)
    || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text))
}

// Images, charts and pipelines set names such as SPRINGHOUSE_VERSION and SPRINGHOUSE_IMAGE_TAG. A name that begins with a
// section is still a misspelt setting.
function isAboutDeployment(name: string): boolean {
  const words = name.slice(prefix.length).split('_')
  return deploymentWords.has(words.at(-1) ?? '') && !sections.has(words[0] ?? '')
}

const deploymentWords: ReadonlySet<string> = new Set([
  'VERSION',
  'RELEASE',
  'REVISION',
  'BUILD',
  'DATE',
  'COMMIT',
  'SHA',
  'IMAGE',
  'TAG',
  'DIGEST',
  'CHART',
  'NAMESPACE',
  'HOME',
  'ENV',
  'ENVIRONMENT',
])
const sections: ReadonlySet<string> = new Set(Object.keys(configNode.properties ?? {}).map((name) => name.toUpperCase()))
