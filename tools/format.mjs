// `npm run format`: formats the sources; with `--check` names the files that are not formatted, and fails. Part of `npm run lint`.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createFromBuffer } from '@dprint/formatter'
import { getPath } from '@dprint/typescript'
import { root } from './build.mjs'

/** The folders that are formatted or checked if no file is named. */
const folders = ['bin', 'tools', 'src', 'test', 'bench', 'examples']

// The formatter that changes least of this code: it keeps the line breaks that an author chose, except in lists that span lines.
const formatter = createFromBuffer(readFileSync(getPath()))
formatter.setConfig({ indentWidth: 2, lineWidth: 180, newLineKind: 'lf', useTabs: false }, {
  semiColons: 'asi',
  quoteStyle: 'preferSingle',
  quoteProps: 'preserve',
  trailingCommas: 'onlyMultiLine',
  useBraces: 'maintain',
  singleBodyPosition: 'maintain',
  operatorPosition: 'maintain',
  bracePosition: 'sameLine',
  nextControlFlowPosition: 'sameLine',
  preferHanging: true,
  'arguments.preferHanging': 'always',
  'parameters.preferHanging': 'always',
  'arrayExpression.preferHanging': 'always',
  'arrowFunction.useParentheses': 'maintain',
  'module.sortImportDeclarations': 'maintain',
  'module.sortExportDeclarations': 'maintain',
  'importDeclaration.sortNamedImports': 'maintain',
  'exportDeclaration.sortNamedExports': 'maintain',
})

function filesOf(path) {
  if (!statSync(join(root, path)).isDirectory()) return [path]
  // The conformance tests install packages in a folder of their own.
  return readdirSync(join(root, path), { recursive: true })
    .filter(name => /\.(?:ts|mjs)$/.test(name) && !name.split('/').includes('node_modules')).map(name => join(path, name)).sort()
}

const check = process.argv.includes('--check')
const named = process.argv.slice(2).filter(each => !each.startsWith('--'))
let changed = 0
for (const file of (named.length > 0 ? named : folders).flatMap(filesOf)) {
  const text = readFileSync(join(root, file), 'utf8')
  let formatted
  try {
    formatted = formatter.formatText({ filePath: file, fileText: text })
  } catch (error) {
    // A syntax error, with its line and column.
    process.stderr.write(`${error.message.trim()}\n`)
    process.exitCode = 1
    continue
  }
  if (formatted === text) continue
  changed++
  if (check) process.stderr.write(`${file} is not formatted; run \`npm run format -- ${file}\`\n`)
  else writeFileSync(join(root, file), formatted)
}
if (check && changed > 0) process.exit(1)
if (!check) process.stdout.write(`${changed} files changed\n`)
