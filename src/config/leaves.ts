// Maps the leaves of settings, each with its schema node.
import { isPlainObject, memberSchema, type SchemaNode } from './node.ts'
import type { Keys } from './problem.ts'

/** Maps a leaf: a value that is neither a map nor a list, even if the schema expects one there. */
export type LeafMap = (node: SchemaNode, value: unknown, keys: Keys) => unknown

/** Returns a copy of settings with each leaf mapped. A leaf that the schema does not know gets an empty node. */
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
