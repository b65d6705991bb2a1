// `npm run test:watch`: after each edit, the fast tests that the edited files can change. With names, always those files.
import { build } from './build.mjs'
import { onEdits } from './edits.mjs'
import { compiled, laneOf, prepare, reaches, sourceOf, testFiles } from './lanes.mjs'
import { runFiles } from './run.mjs'

const named = process.argv.slice(2).map(name => sourceOf(name) ?? name)

async function run(files) {
  if (files.length === 0) return void process.stdout.write('no fast test imports what was edited\n')
  if (build('dist') && build('test') && prepare(files)) await runFiles(files.map(compiled))
  process.stdout.write('waiting for an edit\n')
}

if (named.length > 0) await run(named)
else process.stdout.write('waiting for an edit\n')
await onEdits('test', async edited => {
  process.stdout.write(`edited: ${edited.join(', ')}\n`)
  await run(named.length > 0 ? named : testFiles().filter(file => laneOf(file) === 'fast' && edited.some(each => reaches(file, '').has(each))))
})
