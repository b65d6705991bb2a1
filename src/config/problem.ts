// Problems of a configuration, each with its place.

export interface Problem {
  /** The setting, as in `routes[0].cache.ttl.max`; '' for the file as a whole. */
  readonly path: string
  readonly message: string
}

/** A refused configuration, with all its problems. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(problemLine).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Formats a problem as one line: `routes[0].origin: …`. */
export function problemLine(problem: Problem): string {
  return problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`
}

/** Returns the path of a member: `proxy.port`, `routes[0]`, `origins.api`. */
export function memberPath(path: string, member: string | number): string {
  if (typeof member === 'number') return `${path}[${member}]`
  return path === '' ? member : `${path}.${member}`
}

/** The keys from the root to a setting: `['routes', 0, 'origin']`. */
export type Keys = readonly (string | number)[]

/** Formats keys as the path that an operator reads: `routes[0].origin`. */
export function pathOf(keys: Keys): string {
  return keys.reduce<string>(memberPath, '')
}

/** Returns whether a path is `place` or lies within it. */
export function isWithin(path: string, place: string): boolean {
  return place === '' || path === place || (path.startsWith(place) && /[.[]/.test(path[place.length] as string))
}
