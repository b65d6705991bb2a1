// The fenced blocks of the pages.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Compiled, this is .build/test/docs/blocks.js.
export const root = fileURLToPath(new URL('../../../', import.meta.url))

export interface Block {
  /** `sh`, `yaml` …; '' for a block without a language. */
  readonly language: string
  /** The rest of the first line: the name of a file, or `background`. */
  readonly info: string
  readonly text: string
  readonly line: number
}

export function page(path: string): string {
  return readFileSync(root + path, 'utf8')
}

/** Every page that people read. */
export function pages(): string[] {
  const docs = readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'examples/README.md', 'src/policy/README.md', ...docs.toSorted()]
}

export function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^( *)```([\w-]*) *([^\n]*)\n([^]*?)^ *```$/gm)].map(({ index, 1: indent = '', 2: language = '', 3: info = '', 4: body = '' }) => ({
    language,
    info,
    text: indent === '' ? body : body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    line: text.slice(0, index).split('\n').length,
  }))
}

/** The commands of a block: without comments, and with the lines of one command joined. */
export function commandsOf(text: string): string[] {
  return text.replaceAll(/\\\n\s*/g, '').split('\n').map(line => line.replace(/(?:^|\s+)# .*$/, '').trim()).filter(line => line !== '')
}
