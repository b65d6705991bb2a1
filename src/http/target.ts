// The request target in origin-form (RFC 9112 §3.2.1): its parts, and the query parameters that a key leaves out.
import type { NameTest } from './name-globs.ts'

export interface TargetParts {
  readonly path: string
  /** The text after the first `?`. Undefined without a `?`, which differs from empty. */
  readonly query: string | undefined
}

/** Splits an origin-form target into path and query, byte for byte. */
export function splitTarget(target: string): TargetParts {
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: undefined } : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/**
 * Removes the query parameters that `ignored` names, and sorts the others by name if `sort` is true. The rest keeps its
 * bytes, and parameters of equal names keep their order. Returns the same string if nothing changes. If no parameter is
 * left, the `?` is removed too.
 *
 * Names are compared as they are written, including case and percent-encoding: `utm%5Fid` is not `utm_id`. This errs to the
 * safe side: a parameter that stays costs at most a miss.
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
