// The request target in origin-form (RFC 9112 §3.2.1): its parts, and the query parameters that a key leaves out.
import type { NameTest } from './name-globs.ts'

export interface TargetParts {
  readonly path: string
  /** What follows the first `?`; undefined without one, which is not the same as empty. */
  readonly query: string | undefined
}

/** Path and query of an origin-form target, byte for byte. */
export function splitTarget(target: string): TargetParts {
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: undefined } : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/**
 * A target without the query parameters that `ignored` names, and with the others sorted by name if `sort` says so.
 * What stays keeps its bytes, and doubles of a name keep their order. The very string comes back when nothing changes;
 * when no parameter is left, neither is the `?`.
 *
 * Names are taken as they are written, case and percent-encoding included: `utm%5Fid` is not taken for `utm_id`.
 * That errs to the safe side, for a parameter that stays costs a miss at most.
 */
export function removeQueryParameters(target: string, ignored: NameTest | undefined, sort: boolean): string {
  const mark = target.indexOf('?')
  if (mark < 0 || (ignored === undefined && !sort)) return target
  const parameters = target.slice(mark + 1).split('&')
  const kept: string[] = []
  for (const parameter of parameters) {
    if (ignored?.(nameOf(parameter)) !== true) kept.push(parameter)
  }
  const sorted = !sort || isSorted(kept)
  if (kept.length === parameters.length && sorted) return target
  if (!sorted) kept.sort((a, b) => byName(nameOf(a), nameOf(b)))
  const path = target.slice(0, mark)
  return kept.length === 0 ? path : `${path}?${kept.join('&')}`
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf('=')
  return equals < 0 ? parameter : parameter.slice(0, equals)
}

function isSorted(parameters: readonly string[]): boolean {
  for (let i = 1; i < parameters.length; i++) {
    if (nameOf(parameters[i - 1] as string) > nameOf(parameters[i] as string)) return false
  }
  return true
}

function byName(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
