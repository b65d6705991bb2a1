// The completion scripts: bash runs its own, and each names every command and option.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { test } from 'tap'
import { run } from './command.ts'

test('bash completes commands, options and their choices', async (t) => {
  const { code, stdout } = await run(t, ['completion', 'bash'])
  t.equal(code, 0)
  const file = `${t.testdir({})}/completion`
  writeFileSync(file, stdout)
  const completed = (line: string): string[] => {
    const words = line.split(' ')
    const script = `source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _springhouse; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout: told, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
    t.equal(stderr, '', line)
    return told.split('\n').filter((word) => word !== '')
  }
  t.strictSame(completed('springhouse pu'), ['purge'])
  t.strictSame(completed('springhouse sessions re'), ['revoke'])
  t.strictSame(completed('springhouse purge --tag'), ['--tag', '--tags-match'])
  t.strictSame(completed('springhouse purge --tag red --so'), ['--soft'])
  t.strictSame(completed('springhouse purge --tags-match '), ['any', 'all'])
  t.strictSame(completed('springhouse top --by m'), ['misses'])
  t.ok(completed('springhouse ').includes('completion'))
})

test('zsh and fish get every command and option', async (t) => {
  for (const shell of ['zsh', 'fish']) {
    const { code, stdout } = await run(t, ['completion', shell])
    t.equal(code, 0)
    for (const word of ['serve', 'purge', 'explain', 'top', 'tail', 'entries', 'sessions', 'revoke', 'tags-match', 'outcome', 'timeout', 'originMs'])
      t.match(stdout, word, `${shell}: ${word}`)
  }
  t.match(await run(t, ['completion', 'tcsh']), { code: 2, stderr: /Allowed choices are bash, zsh, fish/ })
})
