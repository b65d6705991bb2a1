// The pages that a reader follows command by command are run, and print what they show.
import t from 'tap'
import { missingLine, runPage } from './run-page.ts'

t.setTimeout(180_000)

for (const path of ['docs/getting-started.md', 'docs/caching-your-api.md', 'docs/tags-and-purging.md', 'docs/session-keys.md', 'docs/tokens.md'])
  t.test(path, test => runPage(test, path))

// Guards: the comparison of what is printed.
t.test('a line that is not printed, or too early, is found', async t => {
  t.equal(missingLine('a\nc: …!\n', 'a\nb\nc: 1!\n'), undefined)
  t.match(missingLine('a\nd\n', 'a\nb\n'), /^d\n/)
  t.match(missingLine('b\na\n', 'a\nb\n'), /^a\n/)
  t.match(missingLine('c: …!', 'c: 1?'), /^c/)
})
