// Finds where a configuration departs from its schema. A walk, because compiling the schema would cost more than the check.
import { textFormat } from './formats.ts'
import { isPlainObject, type SchemaNode } from './node.ts'
import { memberNames } from './schema/leaf.ts'

/** A place where a value is not what its schema says. */
export interface Fault {
  readonly node: SchemaNode
  /** Names and indexes from the root to the value. */
  readonly place: readonly (string | number)[]
  readonly value: unknown
  /** `unknown` and `missing` are of a member, `twice` of an item: `member` names it. */
  readonly kind: 'type' | 'bounds' | 'format' | 'choice' | 'unknown' | 'missing' | 'twice' | 'union'
  readonly member?: string | number
}

/** Returns every fault of a value. A setting that is undefined counts as absent. */
export function faultsOf(root: SchemaNode, value: unknown): Fault[] {
  const faults: Fault[] = []
  walk(root, value, [], faults)
  return faults
}

function walk(node: SchemaNode, value: unknown, place: readonly (string | number)[], faults: Fault[]): void {
  const fault = (kind: Fault['kind'], member?: string | number): void => {
    faults.push({ node, place, value, kind, ...(member !== undefined && { member }) })
  }
  // A member's faults say little about a union: the union's own fault names all of its members.
  if (node.anyOf !== undefined && !node.anyOf.some((each) => faultsOf(each, value).length === 0)) fault('union')
  if (node.enum !== undefined && !node.enum.includes(value as string)) fault('choice')
  if (node.const !== undefined && value !== node.const) fault('choice')
  switch (node.type) {
    case 'boolean':
      if (typeof value !== 'boolean') fault('type')
      break
    case 'integer':
      if (!Number.isInteger(value)) fault('type')
      else if ((value as number) < (node.minimum ?? -Infinity) || (value as number) > (node.maximum ?? Infinity)) fault('bounds')
      break
    case 'string':
      if (typeof value !== 'string') fault('type')
      else if (node.format !== undefined && !textFormat(node.format).test(value)) fault('format')
      break
    case 'array':
      if (Array.isArray(value)) walkList(node, value, place, faults, fault)
      else fault('type')
      break
    case 'object':
      if (isPlainObject(value)) walkMap(node, value, place, faults, fault)
      else fault('type')
      break
    case undefined:
      break
  }
}

type Report = (kind: Fault['kind'], member?: string | number) => void

function walkList(node: SchemaNode, list: readonly unknown[], place: readonly (string | number)[], faults: Fault[], fault: Report): void {
  if (list.length < (node.minItems ?? 0)) fault('bounds')
  const { items } = node
  if (node.uniqueItems === true) {
    // An item of the wrong type is a fault of its own.
    const compared = (item: unknown): boolean => items?.type === undefined || typeof item === (items.type === 'integer' ? 'number' : items.type)
    const twice = list.findIndex((item, index) => compared(item) && list.includes(item, index + 1))
    if (twice >= 0) fault('twice', twice)
  }
  if (items !== undefined) { for (const [index, item] of list.entries()) walk(items, item, [...place, index], faults) }
}

function walkMap(node: SchemaNode, map: Readonly<Record<string, unknown>>, place: readonly (string | number)[], faults: Fault[], fault: Report): void {
  const { properties = {}, patternProperties } = node
  const [[pattern, member] = []] = Object.entries(patternProperties ?? {})
  for (const name of node.required ?? []) if (!Object.hasOwn(map, name) || map[name] === undefined) fault('missing', name)
  for (const [name, each] of Object.entries(map)) {
    if (pattern !== undefined && member !== undefined) {
      if (isMemberName(pattern, name)) walk(member, each, [...place, name], faults)
      else fault('unknown', name)
    } else if (!Object.hasOwn(properties, name)) fault('unknown', name)
    else if (each !== undefined) walk(properties[name] as SchemaNode, each, [...place, name], faults)
  }
}

/** A schema holds the sources of expressions. The expressions of this schema are known, so none is made at run time. */
function isMemberName(pattern: string, name: string): boolean {
  const known = Object.values(memberNames).find(({ source }) => source === pattern)
  if (known === undefined) throw new Error(`no expression has the source ${pattern}`)
  return known.test(name)
}
