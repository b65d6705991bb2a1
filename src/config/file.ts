// Reads a configuration file, YAML or JSON, as plain values with its references replaced.
import { readFileSync } from 'node:fs'
import { isScalar, parseDocument, visit } from 'yaml'
import { hideReferences } from './hidden.ts'
import { mapLeaves } from './leaves.ts'
import { configNode, isPlainObject, type PlainObject, type SchemaNode } from './node.ts'
import { fromText } from './normalise.ts'
import { placeAt, Places } from './place.ts'
import { ConfigError, pathOf, type Keys, type Problem } from './problem.ts'
import { substitute, type Environment } from './substitute.ts'

/** The reason why a file cannot be read, by error code. */
export const readFailures: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user has no permission to read it',
  EISDIR: 'it is a directory',
}

/** The values of a file, and the problems of its references to the environment. */
export interface FileSettings {
  readonly values: PlainObject
  readonly problems: readonly Problem[]
}

/** @throws ConfigError when the file cannot be read, or is not YAML. */
export function readConfigFile(file: string, env: Environment): FileSettings {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    throw new ConfigError([{ path: '', message: `cannot read ${file}: ${readFailures[code] ?? code}` }])
  }
  const { values, places } = parse(text, file)
  return expand(values, { env, places })
}

/** Parses a text without replacing references; `file` names the text in messages. @throws ConfigError if it is not YAML. */
export function parseConfigText(text: string, file: string): PlainObject {
  return parse(text, file).values
}

function parse(text: string, file: string): { values: PlainObject; places: Places } {
  const { text: hidden, reveal } = hideReferences(text)
  const document = parseDocument(hidden, { prettyErrors: false, merge: true })
  if (document.errors.length > 0) throw new ConfigError(syntaxProblems(document.errors, text, file, reveal))
  visit(document, {
    Scalar(_, node) {
      if (isScalar(node) && typeof node.value === 'string') node.value = reveal(node.value)
    },
  })
  let value: unknown
  try {
    value = document.toJS() as unknown
  } catch (error) {
    // An alias has no anchor, or there are so many aliases that they look like an attack on memory.
    throw new ConfigError([{ path: '', message: `${file}: ${reveal((error as Error).message)}` }])
  }
  const values = value ?? {} // nothing but comments
  if (!isPlainObject(values)) throw new ConfigError([{ path: '', message: `${file}: expected a map of settings at the top` }])
  delete values.$schema // for editors
  // As in compose files: a place for anchors, which other keys refer to.
  for (const name of Object.keys(values)) if (name.startsWith('x-')) delete values[name]
  return { values, places: new Places(file, text, document) }
}

interface Surroundings {
  readonly env: Environment
  readonly places: Places
}

function expand(values: PlainObject, { env, places }: Surroundings): FileSettings {
  const problems: Problem[] = []
  const leaf = (node: SchemaNode, given: unknown, keys: Keys): unknown => {
    if (typeof given !== 'string') return given
    const { text, replaced, faults } = substitute(given, env)
    for (const { at, message } of faults) problems.push({ path: pathOf(keys), message: `${message} (${places.ofDollar(keys, given, at)})` })
    // After the file was parsed, so that the content of a variable is never parsed as part of the file.
    return replaced ? fromText(node, text) : text
  }
  for (const keys of namesWithReferences(values, [])) {
    problems.push({ path: pathOf(keys), message: `a reference is replaced in a value only, not in a name (${places.ofName(keys)})` })
  }
  // Safe: mapLeaves returns a map for a map.
  return { values: mapLeaves(configNode, values, leaf) as PlainObject, problems }
}

function namesWithReferences(value: unknown, keys: Keys): Keys[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => namesWithReferences(item, [...keys, index]))
  if (!isPlainObject(value)) return []
  return Object.entries(value).flatMap(([name, member]) => {
    const own = [...keys, name]
    return /\$[{A-Za-z_]/.test(name) ? [own] : namesWithReferences(member, own)
  })
}

interface YamlError {
  readonly code: string
  readonly message: string
  readonly pos: readonly [number, number]
}

function syntaxProblems(errors: readonly YamlError[], text: string, file: string, reveal: (part: string) => string): Problem[] {
  // Errors after the first syntax error mostly follow from it. Each duplicate key is a mistake of its own.
  const duplicates = errors.filter(({ code }) => code === 'DUPLICATE_KEY')
  const told = duplicates.length === errors.length ? duplicates : errors.filter(({ code }) => code !== 'DUPLICATE_KEY').slice(0, 1)
  return told.map(({ code, message, pos: [offset] }) => {
    const place = placeAt(file, text, offset)
    if (code === 'DUPLICATE_KEY') return { path: '', message: `${place}: the key ${/^["']?([\w.*-]+)/.exec(text.slice(offset))?.[1] ?? ''} is given twice` }
    const hint = /\$\{/.test(lineAt(text, offset)) ? '; a value with a reference that holds quotes or backslashes needs quotes around it' : ''
    return { path: '', message: `${place}: ${reveal(message.split('\n', 1)[0] ?? '')}${hint}` }
  })
}

function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset)
  return text.slice(text.lastIndexOf('\n', Math.max(0, offset - 1)) + 1, end === -1 ? text.length : end)
}
