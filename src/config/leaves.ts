// The leaves of settings, each with its node of the schema.
import { isPlainObject, memberSchema, type SchemaNode } from './node.ts'
import type { Keys } from './problem.ts'

/** What becomes of a leaf: of a value that is no map or list, whatever the schema would have at its place. */
export type LeafMap = (node: SchemaNode, value: unknown, keys: Keys) => unknown

/** A copy of settings with each leaf mapped. What the schema does not know has the empty node. */
export function mapLeaves(node: SchemaNode, value: unknown, leaf: LeafMap, keys: Keys = []): unknown {
  if (Array.isArray(value)) {
    const items = node.items ?? node.anyOf?.find((each) => each.type === 'array')?.items
    return value.map((item: unknown, index) => mapLeaves(items ?? node, item, leaf, [...keys, index]))
  }
  if (isPlainObject(value)) {
    const section = node.anyOf?.find((each) => each.type === 'object') ?? node
    const members = memberSchema(section)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => {
      const known = section.properties !== undefined && Object.hasOwn(section.properties, name) ? section.properties[name] : undefined
      return [name, mapLeaves(known ?? members ?? {}, member, leaf, [...keys, name])]
    }))
  }
  return leaf(node, value, keys)
}
