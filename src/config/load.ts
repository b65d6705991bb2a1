// Loads one Config from file, environment and flags, or reports every problem.
import { checkSchema } from './check.ts'
import { doubleVariables, environmentSettings, linkedSettings, otherWays, unknownVariables, variables } from './environment.ts'
import { readConfigFile } from './file.ts'
import { configNode, isPlainObject, type PlainObject } from './node.ts'
import { fromText, normalise } from './normalise.ts'
import { ConfigError, isWithin, type Problem } from './problem.ts'
import { checkRules } from './rules.ts'
import type { Config } from './schema.ts'
import { readSecretFile } from './secret-file.ts'
import { readSecrets, type Reading } from './secrets.ts'
import type { Environment } from './substitute.ts'

/** Settings from the command line, as they were typed. */
export interface Flags {
  /** `--origin`, once or more: one origin `default` and one route for everything, in place of any others. */
  readonly origin?: readonly string[] | undefined
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly adminHost?: string | undefined
  readonly adminPort?: string | undefined
  readonly redis?: string | undefined
  readonly workers?: string | undefined
  /** `--default-ttl`: `cache.ttl.default` of every route. */
  readonly defaultTtl?: string | undefined
  /** `--sessions`: `sessions.enabled`. */
  readonly sessions?: boolean | undefined
}

const flagPaths = {
  host: 'proxy.host',
  port: 'proxy.port',
  adminHost: 'admin.host',
  adminPort: 'admin.port',
  redis: 'redis.url',
  workers: 'workers',
} as const satisfies Partial<Record<keyof Flags, string>>

/** A loaded configuration, its file and the notices for the log. */
export interface Loaded {
  readonly config: Config
  readonly file: string | undefined
  readonly notices: readonly string[]
  /** Every file that was read: a change of one may change the configuration. */
  readonly files: readonly string[]
}

/**
 * Loads the configuration: flags beat environment beats file beats defaults. `file` is `--config`; without it
 * SPRINGHOUSE_CONFIG names the file, and without that no file is read. `notices` are log lines about valid settings that the
 * operator may not have meant.
 * @throws ConfigError with every problem at once.
 */
export function loadConfig({ file, env, flags = {} }: { file?: string | undefined; env: Environment; flags?: Flags }): Loaded {
  const path = file ?? (env.SPRINGHOUSE_CONFIG || undefined)
  const { values: input, problems: inFile } = path === undefined ? { values: {}, problems: [] } : readConfigFile(path, env)
  const sources = new Map<string, string>()
  for (const { name, path: setting, node, text } of environmentSettings(env)) {
    place(input, setting, fromText(node, text))
    sources.set(setting, name)
  }
  applyFlags(input, flags, sources)
  // A wrong setting in the file does no harm if the environment or a flag replaces it.
  const replaced = [...sources.keys()].flatMap((setting) => [setting, otherWays.get(setting) ?? setting])
  const reading = begin(inFile.filter((problem) => !replaced.some((setting) => isWithin(problem.path, setting))))
  // Safe: readSecrets returns a map for a map.
  const settings = readSecrets(configNode, input, reading) as PlainObject
  for (const [setting, secretFile] of reading.read) sources.set(setting, secretFile)
  addToken(settings, env, sources, reading)
  const result = resolve(settings, reading)
  const problems = [...unknownVariables(env), ...doubleVariables(env), ...result.problems.map((problem) => withSource(problem, sources))]
  if (problems.length > 0 || result.config === undefined) throw new ConfigError(problems)
  const files = [path, ...reading.read.values(), env.SPRINGHOUSE_ADMIN_TOKEN_FILE || undefined].filter((each) => each !== undefined)
  return { config: result.config, file: path, notices: linkedSettings(env), files: [...new Set(files)] }
}

/**
 * Makes a Config from settings as a file would hold them: `{ origins: { api: { servers: ['http://127.0.0.1:3000'] } } }`.
 * @throws ConfigError with every problem at once.
 */
export function resolveConfig(input: unknown): Config {
  const reading = begin([])
  const { config, problems } = resolve(readSecrets(configNode, input, reading), reading)
  if (config === undefined) throw new ConfigError(problems)
  return config
}

function begin(problems: readonly Problem[]): Reading {
  return { problems: [...problems], unread: new Set(), read: new Map() }
}

/** `problems` are the known problems of the input. No further problem is reported at their places or at unread settings. */
function resolve(input: unknown, { problems, unread, read }: Reading): { config?: Config; problems: Problem[] } {
  const value = normalise(configNode, withOnlyRoute(input), '', { problems })
  const early = new Set([...problems.map(({ path }) => path), ...unread])
  problems.push(...checkSchema(value, read).filter(({ path }) => !early.has(path)))
  if (isPlainObject(value)) {
    const wrong = [...problems.map(({ path }) => path), ...unread]
    // A place is sound if neither it nor a section around it has a problem.
    const sound = (path: string) => !wrong.some((each) => isWithin(path, each))
    problems.push(...checkRules(value as Config, sound).filter(({ path }) => !unread.has(path)))
  }
  return problems.length > 0 ? { problems } : { config: value as Config, problems }
}

/** Adds a route for every request if there is one origin and no route. */
function withOnlyRoute<T>(input: T): T | PlainObject {
  if (!isPlainObject(input) || !isPlainObject(input.origins)) return input
  const [name, ...others] = Object.keys(input.origins)
  const none = (input.routes ?? undefined) === undefined || (Array.isArray(input.routes) && input.routes.length === 0)
  return name !== undefined && others.length === 0 && none ? { ...input, routes: [{ match: {}, origin: name }] } : input
}

/**
 * Adds a token with every scope from SPRINGHOUSE_ADMIN_TOKEN or from the file that SPRINGHOUSE_ADMIN_TOKEN_FILE names. If the
 * configuration file has the same token, its entry there is kept unchanged.
 */
function addToken(input: PlainObject, env: Environment, sources: Map<string, string>, { problems, unread }: Reading): void {
  const tokenFile = env.SPRINGHOUSE_ADMIN_TOKEN_FILE || undefined
  const found = tokenFile === undefined ? undefined : readSecretFile(tokenFile)
  if (found?.usable === false) {
    problems.push({ path: 'SPRINGHOUSE_ADMIN_TOKEN_FILE', message: found.why })
    unread.add('admin.tokens')
  }
  const token = found === undefined ? env.SPRINGHOUSE_ADMIN_TOKEN || undefined : found.usable ? found.secret : undefined
  if (token === undefined) return
  const admin = isPlainObject(input.admin) ? input.admin : undefined
  const given = admin?.tokens ?? []
  if (!Array.isArray(given)) return
  if (given.some((each) => isPlainObject(each) && each.token === token)) return
  place(input, 'admin.tokens', [...given, { name: 'env', token, ...(tokenFile !== undefined && { tokenFile }), scopes: ['read', 'purge', 'sessions'] }])
  sources.set(`admin.tokens[${given.length}]`, tokenFile === undefined ? 'SPRINGHOUSE_ADMIN_TOKEN' : 'SPRINGHOUSE_ADMIN_TOKEN_FILE')
}

function applyFlags(input: PlainObject, flags: Flags, sources: Map<string, string>): void {
  if (flags.origin !== undefined && flags.origin.length > 0) {
    place(input, 'origins', { default: { servers: [...flags.origin] } })
    place(input, 'routes', [])
    sources.set('origins', '--origin')
    sources.set('routes', '--origin')
  }
  for (const [flag, path] of Object.entries(flagPaths)) {
    const text = flags[flag as keyof typeof flagPaths]
    if (text === undefined) continue
    const node = variables.find((variable) => variable.path === path)?.node ?? {}
    place(input, path, fromText(node, text))
    sources.set(path, `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
  }
  if (flags.sessions === true) {
    place(input, 'sessions.enabled', true)
    sources.set('sessions.enabled', '--sessions')
  }
  if (flags.defaultTtl !== undefined) applyDefaultTtl(input, flags.defaultTtl, sources)
}

function applyDefaultTtl(input: PlainObject, text: string, sources: Map<string, string>): void {
  Object.assign(input, withOnlyRoute(input))
  if (!Array.isArray(input.routes)) return
  for (const [index, route] of (input.routes as unknown[]).entries()) {
    if (!isPlainObject(route)) continue
    place(route, 'cache.ttl.default', text)
    sources.set(`routes[${index}].cache.ttl.default`, '--default-ttl')
  }
}

/**
 * Puts a value at a path, in place of the setting and of its alternative, and creates the sections on the way. If a section is
 * not a map, nothing is changed and the check refuses it.
 */
function place(input: PlainObject, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() as string
  let section = input
  for (const name of names) {
    const next = section[name] ?? {}
    if (!isPlainObject(next)) return
    section[name] = next
    section = next
  }
  section[last] = value
  const other = otherWays.get(path)
  if (other !== undefined) delete section[other.slice(other.lastIndexOf('.') + 1)]
}

/** Names the variable or flag that a wrong value came from. Otherwise the operator would search the file. */
function withSource(problem: Problem, sources: ReadonlyMap<string, string>): Problem {
  // The longest path is the nearest source: within a list from the environment, a secret may come from a file.
  const [, source] = [...sources].filter(([path]) => isWithin(problem.path, path)).sort(([a], [b]) => b.length - a.length)[0] ?? []
  return source === undefined ? problem : { ...problem, message: `${problem.message} (from ${source})` }
}
