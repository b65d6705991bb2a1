// Normalises settings: units become numbers, defaults are filled in, text gets its normal spelling.
import { parseDocument } from 'yaml'
import { textFormat } from './formats.ts'
import { isPlainObject, memberSchema, type PlainObject, type SchemaNode } from './node.ts'
import { memberPath, type Problem } from './problem.ts'
import { parseDuration, parseSize } from './units.ts'

interface Reading {
  /** Problems that the check cannot see afterwards. Other wrong values are left in place for the check. */
  readonly problems: Problem[]
}

/** Returns the normalised value of a setting. Never throws; a value that cannot be read is left as it is. */
export function normalise(node: SchemaNode, given: unknown, path: string, reading: Reading): unknown {
  let value: unknown = given ?? undefined // YAML: a key with nothing after it
  // `keepStale: 60` could be meant as seconds or as milliseconds: the operator has to say.
  if (node.unit === 'duration' && typeof value === 'number' && value !== 0) {
    reading.problems.push({ path, message: `expected a duration with its unit, such as 30s, 5m or 1h, got ${value}` })
    return undefined
  }
  if (value === undefined) value = structuredClone(node.default)
  if (node.anyOf !== undefined) return normaliseUnion(node, node.anyOf, value, path, reading)
  if (node.properties !== undefined) return normaliseSection(node, value ?? {}, path, reading)
  if (Array.isArray(value) && node.items !== undefined) {
    const { items } = node
    return value.map((item: unknown, index) => normalise(items, item, memberPath(path, index), reading))
  }
  const members = memberSchema(node)
  if (members !== undefined && isPlainObject(value)) {
    // fromEntries makes an own property of every name, including __proto__.
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, normalise(members, member, memberPath(path, name), reading)]))
  }
  return normaliseLeaf(node, value)
}

function normaliseSection(node: SchemaNode, value: unknown, path: string, reading: Reading): unknown {
  if (!isPlainObject(value)) return value
  const { properties = {}, required = [] } = node
  const entries: [string, unknown][] = Object.entries(value)
    .filter(([name]) => !Object.hasOwn(properties, name)) // unknown keys: the check refuses them by name
  for (const [name, member] of Object.entries(properties)) {
    const given = Object.hasOwn(value, name) ? value[name] : undefined
    // An optional section that is left out stays out, because its presence has a meaning.
    if ((given ?? undefined) === undefined && !required.includes(name)) continue
    const result = normalise(member, given, memberPath(path, name), reading)
    if (result !== undefined) entries.push([name, result])
  }
  const section: PlainObject = Object.fromEntries(entries)
  for (const [name, { derived }] of Object.entries(properties)) {
    if (derived === undefined || Object.hasOwn(section, name)) continue
    const result = derived.from(section)
    if (result !== undefined) section[name] = result
  }
  return section
}

function normaliseUnion(node: SchemaNode, members: readonly SchemaNode[], value: unknown, path: string, reading: Reading): unknown {
  const kind = Array.isArray(value) ? 'array' : isPlainObject(value) ? 'object' : undefined
  const member = members.find((each) => each.type === kind)
  return member === undefined ? normaliseLeaf(node, value) : normalise(member, value, path, reading)
}

function takesOff(node: SchemaNode): boolean {
  return node.enum?.includes('off') === true || node.anyOf?.some((member) => member.const === 'off') === true
}

function normaliseLeaf(node: SchemaNode, value: unknown): unknown {
  // YAML 1.1, which many tools still write and read, takes `off` for false.
  if ((value === false || value === 'false') && takesOff(node)) return 'off'
  if (typeof value === 'string') {
    if (node.unit === 'bytes') return parseSize(value) ?? value
    if (node.unit !== undefined) return (node.unit === 'ms' && /^\d{1,15}$/.test(value) ? Number(value) : parseDuration(value)) ?? value
    if (node.format !== undefined) {
      const { test, tidy } = textFormat(node.format)
      if (tidy !== undefined && test(value)) return tidy(value)
    }
  }
  return value
}

/** Parses text from the environment or a flag: numbers, true and false, comma lists, and YAML for maps. */
export function fromText(node: SchemaNode, text: string): unknown {
  if (node.anyOf !== undefined) {
    const readings = node.anyOf.filter((member) => member.const === undefined).map((member) => [member, fromText(member, text)] as const)
    // Takes the first member that gives more than text. A list accepts any text, so it is tried last.
    return (readings.find(([, value]) => typeof value !== 'string' && !Array.isArray(value)) ?? readings.find(([member]) => member.type === 'array'))?.[1] ?? text
  }
  if (node.type === 'integer' && node.unit === undefined) return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  if (node.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (node.type === 'array' && node.items?.type !== 'object' && !text.trimStart().startsWith('[')) {
    return text.split(',').map((item) => item.trim()).filter((item) => item !== '')
  }
  if (node.type === 'array' || node.type === 'object') {
    const document = parseDocument(text)
    return document.errors.length > 0 ? text : (document.toJS() as unknown)
  }
  return text
}
