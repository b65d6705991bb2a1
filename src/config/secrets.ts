// Reads secrets from files: the file that `xFile` names gives `x`.
import { isPlainObject, memberSchema, type PlainObject, type SchemaNode } from './node.ts'
import { memberPath, type Problem } from './problem.ts'
import { readSecretFile } from './secret-file.ts'

/** The result of reading secret files. */
export interface Reading {
  readonly problems: Problem[]
  /** Paths of the settings that are missing because their file could not be used. That problem is reported once. */
  readonly unread: Set<string>
  /** Paths of the settings that were read, with the path of each file. */
  readonly read: Map<string, string>
}

/** Returns a copy of settings with every secret read from its file. */
export function readSecrets(node: SchemaNode, value: unknown, reading: Reading, path = ''): unknown {
  if (Array.isArray(value)) {
    const items = node.items ?? node.anyOf?.find((each) => each.type === 'array')?.items
    return value.map((item: unknown, index) => readSecrets(items ?? {}, item, reading, memberPath(path, index)))
  }
  if (!isPlainObject(value)) return value
  const section = node.anyOf?.find((each) => each.type === 'object') ?? node
  const { properties = {} } = section
  const members = memberSchema(section)
  const given: PlainObject = Object.fromEntries(Object.entries(value).map(([name, member]) => {
    const known = Object.hasOwn(properties, name) ? properties[name] : members
    return [name, readSecrets(known ?? {}, member, reading, memberPath(path, name))]
  }))
  for (const [name, { fileOf }] of Object.entries(properties)) {
    if (fileOf !== undefined) readInto(given, name, fileOf, path, reading)
  }
  return given
}

function readInto(section: PlainObject, name: string, secretName: string, path: string, { problems, unread, read }: Reading): void {
  const file = section[name] ?? undefined
  if (file === undefined) return
  const [from, to] = [memberPath(path, name), memberPath(path, secretName)]
  if ((section[secretName] ?? undefined) !== undefined) {
    problems.push({ path: from, message: `given twice: as ${secretName} and as ${name}; leave one of them out` })
    return
  }
  unread.add(to)
  if (typeof file !== 'string' || file === '') return // the schema check reports it
  const found = readSecretFile(file)
  if (!found.usable) {
    problems.push({ path: from, message: found.why })
    return
  }
  unread.delete(to)
  read.set(to, file)
  section[secretName] = found.secret
}
