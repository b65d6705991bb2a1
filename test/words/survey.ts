// Reads the files of the project, and compares what is found in each folder with its ceiling.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { findingsIn, type Allowed, type Finding, type FindingKind } from './findings.ts'
import { proseOf } from './prose.ts'

export interface Survey {
  readonly findings: readonly Finding[]
  /** Every folder that was read, also those without a finding. */
  readonly folders: readonly string[]
  readonly unusedEntries: readonly Allowed[]
}

const folders = ['src', 'docs', 'test', 'bench', 'tools', 'examples']
const singleFiles = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'config/springhouse.yaml']

/** Reads src, docs, test, bench, tools, examples, README.md, CONTRIBUTING.md, SECURITY.md and the example configuration under `root`. config/reference.md is made from src/config. */
export function survey(root: string, allowed: readonly Allowed[]): Survey {
  const files = folders.flatMap(folder =>
    readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
      .filter(entry => entry.isFile() && /\.(?:ts|md|mjs)$/.test(entry.name))
      .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
  )
    // The conformance suite is installed below test/. Its packages are not this project's text.
    .filter(file => !file.split('/').includes('node_modules'))
  const used = new Set<Allowed>()
  const read = [...files.toSorted(), ...singleFiles]
  const findings = read.flatMap(file => proseOf(file, readFileSync(join(root, file), 'utf8')).flatMap(prose => findingsIn(prose, allowed, used)))
  return { findings, folders: [...new Set(read.map(folderOf))], unusedEntries: allowed.filter(entry => !used.has(entry)) }
}

/** Returns the first two names of a path: a room of src or test; `src` itself for a file that stands in it. */
export function folderOf(file: string): string {
  const parts = file.split('/')
  return parts.length === 1 ? file : parts.slice(0, Math.min(2, parts.length - 1)).join('/')
}

/** Returns a line for each folder with findings, the total, and what is wrong: a folder above its ceiling, or an entry without use. */
export function report({ findings, folders: read, unusedEntries }: Survey, ceilings: Readonly<Record<string, number>>): { lines: string[]; faults: string[] } {
  const row = (name: string, found: readonly Finding[], ceiling: string): string => {
    const count = (kind: FindingKind): string => String(found.filter(finding => finding.kind === kind).length).padStart(9)
    return `${name.padEnd(18)}${count('opening')}${count('word')}${count('who')}${String(found.length).padStart(9)}${ceiling.padStart(9)}`
  }
  const lines = [`${'folder'.padEnd(18)}${['openings', 'words', 'who', 'all', 'ceiling'].map(name => name.padStart(9)).join('')}`]
  const faults: string[] = []
  for (const folder of read) {
    const found = findings.filter(({ file }) => folderOf(file) === folder)
    const ceiling = ceilings[folder] ?? 0
    if (found.length > 0 || ceiling > 0) lines.push(row(folder, found, String(ceiling)))
    if (found.length <= ceiling) continue
    faults.push(`${folder}: ${found.length} wordings to mend, at most ${ceiling} are allowed (npm run lint:words -- --list ${folder} shows all)`)
    if (ceiling === 0) { for (const { file, line, found: text, excerpt } of found) faults.push(`  ${file}:${line} [${text}] ${excerpt}`) }
  }
  lines.push(row('all', findings, ''))
  for (const folder of Object.keys(ceilings)) if (!read.includes(folder)) faults.push(`${folder} has a ceiling, but no file`)
  for (const { text, file } of unusedEntries) faults.push(`the entry "${text}"${file === undefined ? '' : ` for ${file}`} accepts nothing: remove it`)
  return { lines, faults }
}
