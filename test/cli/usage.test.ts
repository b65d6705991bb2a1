// The usage of the command, and its errors for other usage.
import { test } from 'tap'
import { run } from './command.ts'

const verbs = ['serve', 'demo', 'check', 'purge', 'explain', 'reload', 'stats', 'top', 'tail', 'entries', 'sessions', 'completion']

test('every verb has help', async (t) => {
  const whole = await run(t, ['--help'])
  t.equal(whole.code, 0)
  for (const verb of verbs) {
    t.match(whole.stdout, new RegExp(`^  ${verb}\\b`, 'm'))
    const { code, stdout, stderr } = await run(t, [verb, '--help'])
    t.match({ code, stdout, stderr }, { code: 0, stdout: new RegExp(`^Usage: springhouse ${verb}`), stderr: '' })
  }
  const asked = await run(t, ['help', 'purge'])
  t.match(asked, { code: 0, stdout: /^Usage: springhouse purge/ })
})

test('--version prints the version of the package', async (t) => {
  const { code, stdout } = await run(t, ['--version'])
  t.match({ code, stdout }, { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})

test('wrong usage ends with 2, and a line', async (t) => {
  const cases: readonly [string[], string][] = [
    [['serve', '--prot', '1'], "unknown option '--prot' (Did you mean --port?)"],
    [['serve', 'more'], "too many arguments for 'serve'. Expected 0 arguments but got 1."],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['explain'], "missing required argument 'url'"],
    [['explain', 'http://a/', '-H', 'no colon'], "explain: -H takes 'name: value', not no colon"],
    [['purge'], 'purge: give --url, --tag, --prefix or --all'],
    [['purge', '--all', '--tag', 'a'], 'purge: --all includes everything; leave out --url, --tag and --prefix'],
    [['purge', '--tag'], "option '--tag <tag>' argument missing"],
    [['purge', '--all', '--wait', 'long'], 'purge: --wait takes a duration such as 2s or 500ms, not long'],
    [['purge', '--tag', 'a', '--tags-match', 'some'], "option '--tags-match <which>' argument 'some' is invalid. Allowed choices are any, all."],
    [['stats', '--admin', 'localhost'], '--admin takes an http or https URL, not localhost'],
  ]
  for (const [args, line] of cases) t.strictSame(await run(t, args), { code: 2, stdout: '', stderr: `springhouse: ${line}\n` })
})

test('no verb at all is shown the help, and ends with 2', async (t) => {
  t.match(await run(t, []), { code: 2, stdout: '', stderr: /^Usage: springhouse/ })
})
