// Validates a configuration against the schema and describes each problem in one sentence.
import { faultsOf, type Fault } from './faults.ts'
import { textFormat } from './formats.ts'
import { notShown, showValue } from './mask.ts'
import { configNode, expectation, memberSchema, type SchemaNode } from './node.ts'
import { memberPath, type Problem } from './problem.ts'
import { renamed } from './renamed.ts'
import { nearestName } from '../nearest-name.ts'

/**
 * Returns every problem of a normalised configuration; [] if it is a Config. The values at the paths `unshown` came from
 * secret files and are never shown, because the operator may have named a wrong file.
 */
export function checkSchema(value: unknown, unshown: ReadonlyMap<string, unknown>): Problem[] {
  const problems = faultsOf(configNode, value).map((fault) => describe(fault, unshown))
  // A value can fail its type and its format at once. A single line per place is enough.
  return problems.filter((problem, index) => problems.findIndex((each) => each.path === problem.path) === index)
}

function describe({ node, place, value, kind, member = '' }: Fault, unshown: ReadonlyMap<string, unknown>): Problem {
  const path = place.reduce<string>(memberPath, '')
  const name = String(member)
  if (kind === 'unknown') {
    const unknown = memberPath(path, name)
    const now = renamed(unknown)
    return { path: unknown, message: now === undefined ? unknownKey(node, name) : `renamed; write ${now}` }
  }
  if (kind === 'missing') {
    const inFile = node.properties?.[`${name}File`]?.fileOf === name ? `, or ${name}File, the path of a file that holds it` : ''
    return { path: memberPath(path, name), message: `missing; expected ${expectation(node.properties?.[name] ?? {})}${inFile}` }
  }
  if (kind === 'twice') return { path: memberPath(path, member), message: `${showValue(node, (value as unknown[])[member as number])} is in the list twice` }
  const shown = unshown.has(path) ? notShown : showValue(node, value)
  if (kind === 'format' && node.format !== undefined) {
    const wrong = textFormat(node.format).wrong?.(value as string)
    if (wrong !== undefined) return { path, message: `${wrong}, got ${shown}` }
  }
  return { path, message: `expected ${expectation(node)}, got ${shown}` }
}

function unknownKey(node: SchemaNode, name: string): string {
  if (memberSchema(node) !== undefined) return `unusable name; expected ${expectation(node)}`
  const near = nearestName(name, Object.keys(node.properties ?? {}))
  return near === undefined ? `unknown key; known are ${Object.keys(node.properties ?? {}).join(', ')}` : `unknown key; did you mean ${near}?`
}
