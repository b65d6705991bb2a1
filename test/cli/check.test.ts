// `springhouse check`.
import { test } from 'tap'
import { parse } from 'yaml'
import { run } from './command.ts'

test('check says ok when there is nothing to say', async (t) => {
  const file = `${t.testdir({ 'a.yaml': 'origins: { api: { servers: [http://127.0.0.1:3000] } }' })}/a.yaml`
  t.strictSame(await run(t, ['check', '--config', file]), { code: 0, stdout: 'config ok\n', stderr: '' })
  t.strictSame(await run(t, ['check'], { SPRINGHOUSE_CONFIG: file }), { code: 0, stdout: 'config ok\n', stderr: '' })
})

test('check prints every problem, a line each, and ends with 1', async (t) => {
  const file = `${t.testdir({ 'a.yaml': 'proxy: { prot: 1 }\nroutes: [{ origin: x, cache: { staleIfErrors: 5s } }]\nworkers: none\n' })}/a.yaml`
  t.strictSame(await run(t, ['check', '--config', file, '--print']), {
    code: 1,
    stdout: '',
    stderr: [
      'springhouse: config: proxy.prot: unknown key; did you mean port?',
      'springhouse: config: routes[0].cache.staleIfErrors: unknown key; did you mean staleIfError?',
      'springhouse: config: workers: expected a whole number from 1 to 256, or auto, got "none"',
      'springhouse: config: origins: none is given; give one with --origin http://127.0.0.1:3000, SPRINGHOUSE_ORIGINS, or origins in the file',
      '',
    ].join('\n'),
  })
})

test('check names a file that is not there', async (t) => {
  const file = `${t.testdir({})}/none.yaml`
  t.strictSame(await run(t, ['check', '--config', file]), { code: 1, stdout: '', stderr: `springhouse: config: cannot read ${file}: there is no such file\n` })
})

test('check --print shows the effective configuration as YAML, secrets masked', async (t) => {
  const file = `${t.testdir({ 'a.yaml': 'origins: { api: { servers: [http://127.0.0.1:3000] } }\nredis: { url: "redis://u:hush@r:1" }\n' })}/a.yaml`
  const { code, stdout, stderr } = await run(t, ['check', '--config', file, '--print'], { SPRINGHOUSE_ADMIN_TOKEN: 'hush-hush-hush-hush',
    SPRINGHOUSE_CACHE_MAX_ENTRY_BYTES: '1MiB' })
  t.equal(code, 0)
  t.equal(stderr, '')
  t.notMatch(stdout, /hush/)
  t.match(parse(stdout), {
    admin: { tokens: [{ name: 'env', token: '********' }] },
    redis: { url: 'redis://u:********@r:1' },
    cache: { maxEntryBytes: '1MiB', keepStale: '1h' },
  })
})
