// Counts the wordings that docs and comments should not have, and fails above the ceiling of a folder: `npm run lint:words`.
// `--list [path]` prints each finding, of all files or of those whose path begins so.
import { parseArgs } from 'node:util'
import { allowed, ceilings } from './ceilings.ts'
import { report, survey } from './survey.ts'

const { values: { list }, positionals: [under = ''] } = parseArgs({ options: { list: { type: 'boolean', default: false } }, allowPositionals: true })
const surveyed = survey(process.cwd(), allowed)
if (list) {
  for (const { file, line, found, excerpt } of surveyed.findings) if (file.startsWith(under)) console.log(`${file}:${line} [${found}] ${excerpt}`)
}
const { lines, faults } = report(surveyed, ceilings)
for (const line of lines) console.log(line)
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
