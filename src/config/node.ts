// Schema nodes: JSON Schema with the project's annotations, as its readers walk it.
import { textFormat, type FormatName } from './formats.ts'
import { configSchema } from './schema.ts'
import type { Annotations } from './schema/leaf.ts'
import { formatDuration, formatSize } from './units.ts'

/** A node of the schema: a section, a map, a list, a union or a leaf. */
export interface SchemaNode extends Annotations {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly minItems?: number
  readonly uniqueItems?: boolean
  readonly anyOf?: readonly SchemaNode[]
  readonly enum?: readonly string[]
  readonly const?: string
  readonly format?: FormatName
  readonly minimum?: number
  readonly maximum?: number
  readonly default?: unknown
  readonly description?: string
}

/** The root of the schema. TypeBox's types are more precise than a walker can use. */
export const configNode = configSchema as unknown as SchemaNode

export type PlainObject = Record<string, unknown>

export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns the schema of a map's members (`origins`, `ttl.status`); undefined if the node is not a map. */
export function memberSchema(node: SchemaNode): SchemaNode | undefined {
  return node.patternProperties === undefined ? undefined : Object.values(node.patternProperties)[0]
}

/** Formats a number with the unit of its node. */
export function humanNumber(node: SchemaNode, value: number): string | number {
  if (node.unit === 'duration' || node.unit === 'ms') return formatDuration(value)
  return node.unit === 'bytes' ? formatSize(value) : value
}

/** Describes valid values, as it follows "expected". */
export function expectation(node: SchemaNode): string {
  if (node.expects !== undefined) return node.expects
  if (node.format !== undefined) return textFormat(node.format).expects
  if (node.enum !== undefined) return node.enum.length === 1 ? String(node.enum[0]) : `one of ${node.enum.join(', ')}`
  switch (node.type) {
    case 'integer':
      return `${integerKind(node)} from ${humanNumber(node, node.minimum ?? 0)} to ${humanNumber(node, node.maximum ?? 0)}`
    case 'boolean':
      return 'true or false'
    case 'array':
      return `a list${(node.minItems ?? 0) > 0 ? ' of at least one' : ''}${listed(node.items)}`
    case 'object':
      return 'a map of settings'
    default:
      return 'text'
  }
}

/** Describes valid values briefly, for a table. */
export function briefly(node: SchemaNode): string {
  if (node.type !== 'integer') return expectation(node).replace(/^an? /, '')
  const kind = { duration: 'duration', ms: 'milliseconds, or duration', bytes: 'size', none: 'whole number' }[node.unit ?? 'none']
  return `${kind}; ${humanNumber(node, node.minimum ?? 0)} to ${humanNumber(node, node.maximum ?? 0)}`
}

function integerKind(node: SchemaNode): string {
  switch (node.unit) {
    case 'duration':
      return 'a duration with its unit, such as 500ms, 30s or 5m,'
    case 'ms':
      return 'a number of milliseconds, or a duration such as 500ms, 30s or 5m,'
    case 'bytes':
      return 'a size such as 64KiB or 256MiB, or a number of bytes,'
    default:
      return 'a whole number'
  }
}

function listed(items: SchemaNode | undefined): string {
  if (items?.type === 'object') return `, each a map of ${Object.keys(items.properties ?? {}).join(', ')}`
  return items === undefined ? '' : `, each ${expectation(items)}`
}
