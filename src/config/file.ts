// A configuration file, YAML or JSON, as plain values.
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { isPlainObject, type PlainObject } from './node.ts'
import { ConfigError, type Problem } from './problem.ts'
import { markReferences, unmarkReferences } from './substitute.ts'

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
}

/** @throws ConfigError when the file cannot be read, or is not YAML. References to the environment are marked, not yet replaced. */
export function readConfigFile(file: string): PlainObject {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    throw new ConfigError([{ path: '', message: `cannot read ${file}: ${reasons[code] ?? code}` }])
  }
  return parseConfigText(text, file)
}

/** The same for text at hand; `file` names it in messages. */
export function parseConfigText(text: string, file: string): PlainObject {
  const document = parseDocument(markReferences(text), { prettyErrors: false, merge: true })
  if (document.errors.length > 0) throw new ConfigError(syntaxProblems(document.errors, text, file))
  let value: unknown
  try {
    value = document.toJS() as unknown
  } catch (error) {
    // Aliases to nowhere, or so many of them that they look like an attack on memory.
    throw new ConfigError([{ path: '', message: `${file}: ${(error as Error).message}` }])
  }
  if (value === null || value === undefined) return {} // nothing but comments
  if (!isPlainObject(value)) throw new ConfigError([{ path: '', message: `${file}: expected a map of settings at the top` }])
  delete value.$schema // what a JSON file tells its editor
  return value
}

interface YamlError {
  readonly code: string
  readonly message: string
  readonly pos: readonly [number, number]
}

function syntaxProblems(errors: readonly YamlError[], text: string, file: string): Problem[] {
  // After the first syntax error the rest is mostly its echo; duplicate keys are each their own mistake.
  const duplicates = errors.filter(({ code }) => code === 'DUPLICATE_KEY')
  const told = duplicates.length === errors.length ? duplicates : errors.filter(({ code }) => code !== 'DUPLICATE_KEY').slice(0, 1)
  return told.map(({ code, message, pos: [offset] }) => {
    const before = text.slice(0, offset).split('\n')
    const place = `${file}, line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`
    if (code === 'DUPLICATE_KEY') return { path: '', message: `${place}: the key ${/^["']?([\w.*-]+)/.exec(text.slice(offset))?.[1] ?? ''} is given twice` }
    return { path: '', message: `${place}: ${unmarkReferences(message.split('\n', 1)[0] ?? '')}` }
  })
}
