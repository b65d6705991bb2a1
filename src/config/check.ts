// Validates a configuration against the schema and describes each problem in one sentence.
import { Ajv, type ErrorObject } from 'ajv'
import { closest, distance } from 'fastest-levenshtein'
import { formats, textFormat, type FormatName } from './formats.ts'
import { notShown, showValue } from './mask.ts'
import { expectation, memberSchema, type PlainObject, type SchemaNode } from './node.ts'
import { memberPath, type Problem } from './problem.ts'
import { renamed } from './renamed.ts'
import { configSchema } from './schema.ts'

const ajv = new Ajv({
  allErrors: true,
  verbose: true, // each error carries its schema and value
  strict: false, // the schema has the project's own annotations
  formats: Object.fromEntries((Object.keys(formats) as FormatName[]).map((name) => [name, formats[name].test])),
})
const validate = ajv.compile(configSchema)

/**
 * Returns every problem of a normalised configuration; [] if it is a Config. The values at the paths `unshown` came from
 * secret files and are never shown, because the operator may have named a wrong file.
 */
export function checkSchema(value: unknown, unshown: ReadonlyMap<string, unknown>): Problem[] {
  if (validate(value)) return []
  const problems = (validate.errors ?? [])
    // An error of one union member says little. The error of the union lists all members.
    .filter((error) => !error.schemaPath.includes('/anyOf/'))
    .map((error) => describe(error, value, unshown))
  // A value can fail its type and its format at once. A single line per place is enough.
  return problems.filter((problem, index) => problems.findIndex((each) => each.path === problem.path) === index)
}

function describe(error: ErrorObject, root: unknown, unshown: ReadonlyMap<string, unknown>): Problem {
  const node = error.parentSchema as SchemaNode
  const path = settingPath(error.instancePath, root)
  if (error.keyword === 'additionalProperties') {
    const name = (error.params as { additionalProperty: string }).additionalProperty
    const place = memberPath(path, name)
    const now = renamed(place)
    return { path: place, message: now === undefined ? unknownKey(node, name) : `renamed; write ${now}` }
  }
  if (error.keyword === 'required') {
    const name = (error.params as { missingProperty: string }).missingProperty
    const inFile = node.properties?.[`${name}File`]?.fileOf === name ? `, or ${name}File, the path of a file that holds it` : ''
    return { path: memberPath(path, name), message: `missing; expected ${expectation(node.properties?.[name] ?? {})}${inFile}` }
  }
  if (error.keyword === 'uniqueItems') {
    const { i } = error.params as { i: number }
    return { path: memberPath(path, i), message: `${showValue(node, (error.data as unknown[])[i])} is in the list twice` }
  }
  const shown = unshown.has(path) ? notShown : showValue(node, error.data)
  if (error.keyword === 'format' && node.format !== undefined && typeof error.data === 'string') {
    const wrong = textFormat(node.format).wrong?.(error.data)
    if (wrong !== undefined) return { path, message: `${wrong}, got ${shown}` }
  }
  return { path, message: `expected ${expectation(node)}, got ${shown}` }
}

function unknownKey(node: SchemaNode, name: string): string {
  if (memberSchema(node) !== undefined) return `unusable name; expected ${expectation(node)}`
  const near = nearest(name, Object.keys(node.properties ?? {}))
  return near === undefined ? `unknown key; known are ${Object.keys(node.properties ?? {}).join(', ')}` : `unknown key; did you mean ${near}?`
}

/** Returns the known name that a mistyped name probably stands for; undefined if none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const lower = name.toLowerCase()
  const near = closest(lower, known.map((each) => each.toLowerCase()))
  return distance(lower, near) <= Math.max(2, name.length / 3) ? known.find((each) => each.toLowerCase() === near) : undefined
}

/** Converts a JSON Pointer (`/routes/0/cache`) to the path that an operator reads (`routes[0].cache`). */
function settingPath(pointer: string, root: unknown): string {
  let path = ''
  let value = root
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    path = memberPath(path, Array.isArray(value) ? Number(name) : name)
    value = (value as PlainObject)[name]
  }
  return path
}

