// The commands that use the admin API: purge, explain and stats.
import { test } from 'tap'
import type { Explanation } from '../../src/exchange/explain/explanation.ts'
import { adminServer, freePort, run, Running } from './command.ts'

const receipt = (acknowledged: number, live = 3, soft = false) => ({ id: '1700000000000-0', soft, replicas: { live, acknowledged } })

test('purge sends its targets, and prints the acknowledgements', async (t) => {
  const admin = await adminServer(t, () => ({ status: 200, body: receipt(3) }))
  const args = ['purge', '--url', 'http://a/x', '--url', '/y', '--tag', 'red', '--tag', 'blue', '--prefix', '/v1/', '--tags-match', 'all', '--wait', '5s', '--admin', admin.url,
    '--token', 'abc']
  t.strictSame(await run(t, args), { code: 0, stdout: 'purged (id 1700000000000-0), acknowledged by 3 of 3 replicas\n', stderr: '' })
  t.strictSame(admin.asked, [{
    method: 'POST',
    url: '/v1/purge',
    authorization: 'Bearer abc',
    body: { urls: ['http://a/x', '/y'], tags: ['red', 'blue'], prefixes: ['/v1/'], tagsMatch: 'all', waitMs: 5000 },
  }])
})

test('purge --all --soft marks everything stale', async (t) => {
  const admin = await adminServer(t, () => ({ status: 200, body: receipt(1, 1, true) }))
  const { code, stdout } = await run(t, ['purge', '--all', '--soft'], { SPRINGHOUSE_ADMIN: `${admin.url}/`, SPRINGHOUSE_ADMIN_TOKEN: 'from-env' })
  t.match({ code, stdout }, { code: 0, stdout: 'marked stale (id 1700000000000-0), acknowledged by 1 of 1 replica\n' })
  t.strictSame(admin.asked, [{ method: 'POST', url: '/v1/purge', authorization: 'Bearer from-env', body: { all: true, soft: true } }])
})

test('purge prints how many stored responses matched, if the listener says', async (t) => {
  const texts = { 0: '; matched 0 stored responses', 1: '; matched 1 stored response', 7: '; matched 7 stored responses', unknown: '; matched responses: unknown' }
  for (const [matched, text] of Object.entries(texts)) {
    const admin = await adminServer(t, () => ({ status: 200, body: { ...receipt(3), matched: matched === 'unknown' ? matched : Number(matched) } }))
    t.equal((await run(t, ['purge', '--all', '--admin', admin.url])).stdout, `purged (id 1700000000000-0), acknowledged by 3 of 3 replicas${text}\n`)
  }
})

// The guard: errorLine() in cli/admin-client.ts.
test('a purge that the listener refuses names the place of each problem', async (t) => {
  const errors = [{ path: 'tags[1]', message: 'begins or ends with a space or tab, which is no part of a tag: remove it' }, { path: '', message: 'and \u001b 3 more' }]
  const admin = await adminServer(t, () => ({ status: 400, body: { title: 'The request is malformed.', status: 400, errors } }))
  t.strictSame(await run(t, ['purge', '--tag', 'a', '--tag', ' b', '--admin', admin.url]), {
    code: 1,
    stdout: '',
    stderr: 'springhouse: The request is malformed. tags[1] begins or ends with a space or tab, which is no part of a tag: remove it; and \\x1b 3 more\n',
  })
})

test('a purge that not every replica acknowledged in time ends with 1', async (t) => {
  const admin = await adminServer(t, () => ({ status: 202, body: receipt(2) }))
  t.strictSame(await run(t, ['purge', '--all', '--wait', '2s', '--admin', admin.url]), {
    code: 1,
    stdout: '',
    stderr: 'springhouse: recorded (id 1700000000000-0), but only 2 of 3 replicas acknowledged within 2s\n',
  })
  const json = await run(t, ['purge', '--all', '--json', '--admin', admin.url])
  t.equal(json.code, 1)
  t.strictSame(JSON.parse(json.stdout), receipt(2))
})

test('--json prints the response of the admin API, errors too', async (t) => {
  const problem = { type: 'about:blank', title: 'The purge could not be recorded, and nothing was purged.', status: 503 }
  let failing = false
  const admin = await adminServer(t, () => (failing ? { status: 503, body: problem } : { status: 200, body: receipt(3) }))
  const done = await run(t, ['purge', '--tag', 'a', '--json', '--admin', admin.url])
  t.strictSame([done.code, JSON.parse(done.stdout), done.stderr], [0, receipt(3), ''])
  failing = true
  const failed = await run(t, ['purge', '--tag', 'a', '--json', '--admin', admin.url])
  t.strictSame([failed.code, JSON.parse(failed.stdout), failed.stderr], [1, problem, 'springhouse: The purge could not be recorded, and nothing was purged.\n'])
})

test('the token may come from a file, of a flag or of the environment', async (t) => {
  let status = 200
  const admin = await adminServer(t, () => ({ status, body: receipt(1, 1) }))
  const dir = t.testdir({ token: 'from-file\r\n', other: 'other', spaced: 'two words', empty: '' })
  const purge = async (args: string[], env: Record<string, string> = {}) => await run(t, ['purge', '--all', '--admin', admin.url, ...args], env)
  const env = { SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/other` }
  const sent: readonly [string[], Record<string, string>, string][] = [
    [['--token-file', `${dir}/token`], {}, 'from-file'],
    [['--token-file', `${dir}/token`], env, 'from-file'],
    [['--token-file', `${dir}/token`], { SPRINGHOUSE_ADMIN_TOKEN: 'x' }, 'from-file'],
    [['--token', 'flag'], env, 'flag'],
    [[], env, 'other'],
    [[], { ...env, SPRINGHOUSE_ADMIN_TOKEN: '' }, 'other'],
    [[], { SPRINGHOUSE_ADMIN_TOKEN: 'x', SPRINGHOUSE_ADMIN_TOKEN_FILE: '' }, 'x'],
  ]
  for (const [args, environment, token] of sent) {
    t.equal((await purge(args, environment)).code, 0)
    t.equal(admin.asked.at(-1)?.authorization, `Bearer ${token}`)
  }
  const count = admin.asked.length
  const refused: readonly [string[], Record<string, string>, number, string][] = [
    [['--token', 'x', '--token-file', `${dir}/token`], {}, 2, 'the token is given twice: as --token and as --token-file; leave one of them out'],
    [[], { ...env, SPRINGHOUSE_ADMIN_TOKEN: 'x' }, 2, 'the token is given twice: as SPRINGHOUSE_ADMIN_TOKEN and as SPRINGHOUSE_ADMIN_TOKEN_FILE; leave one of them out'],
    [['--token-file', `${dir}/none`], {}, 1, `--token-file: cannot read ${dir}/none: there is no such file`],
    [[], { SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/empty` }, 1, `SPRINGHOUSE_ADMIN_TOKEN_FILE: ${dir}/empty is empty`],
    [['--token-file', `${dir}/spaced`], {}, 1, `--token-file: ${dir}/spaced does not hold a token of visible ASCII characters without spaces`],
  ]
  for (const [args, environment, code, line] of refused) t.strictSame(await purge(args, environment), { code, stdout: '', stderr: `springhouse: ${line}\n` })
  t.equal(admin.asked.length, count)
  status = 401
  t.equal((await purge(['--token-file', `${dir}/token`])).stderr, `springhouse: the admin API does not know this token: check ${dir}/token\n`)
})

test('an admin API that cannot be used is one clear line', async (t) => {
  const port = await freePort()
  t.strictSame(await run(t, ['purge', '--all', '--admin', `http://127.0.0.1:${port}`]), {
    code: 1,
    stdout: '',
    stderr: `springhouse: nothing listens at http://127.0.0.1:${port} (connection refused): give the admin listener with --admin or SPRINGHOUSE_ADMIN\n`,
  })
  let answer: { status: number; body: unknown } = { status: 401, body: { title: 'A valid bearer token is needed.' } }
  const admin = await adminServer(t, () => answer)
  const stderr = async (args: string[] = []) => (await run(t, ['stats', '--admin', admin.url, ...args])).stderr
  t.equal(await stderr(), 'springhouse: the admin API needs a token: give it with --token or SPRINGHOUSE_ADMIN_TOKEN\n')
  t.equal(await stderr(['--token', 'abc']), 'springhouse: the admin API does not know this token: check --token or SPRINGHOUSE_ADMIN_TOKEN\n')
  answer = { status: 403, body: { title: 'The token lacks the required scope.', detail: 'It needs purge.' } }
  t.equal(await stderr(), 'springhouse: The token lacks the required scope. It needs purge.\n')
  answer = { status: 404, body: '<html>' }
  t.equal(await stderr(), `springhouse: ${admin.url} responded 404: is it the admin listener of springhouse?\n`)
  answer = { status: 200, body: '<html>' }
  t.equal(await stderr(), `springhouse: ${admin.url} responded 200 without JSON: is it the admin listener of springhouse?\n`)
})

const explanation: Explanation = {
  url: 'http://api.example.com/v1/a',
  method: 'GET',
  route: 'api@*/',
  key: 'api.example.com\n/v1/a',
  unkeyed: [],
  keyParts: [],
  decision: { action: 'serve', reason: 'fresh', section: 'RFC 9111 §4.2', meaning: 'Fresh.', advice: 'Nothing.' },
  steps: [],
  last: [],
  variants: [
    { status: 200, variant: 'en', ageMs: 12_345, lifetimeMs: 60_000, heuristic: false, freshUntilMs: 1_700_000_047_000, keepUntilMs: 1_700_003_647_000, freshness: 'fresh',
      tags: ['red', 'blue'], bytes: 2048, tier: 'memory', vary: [['accept-language', 'en']], verdict: 'valid' },
    { status: 206, variant: 'fr part', part: { ranges: '0-49,90-139', complete: 200, sound: true }, ageMs: 90_000, lifetimeMs: 60_000, heuristic: false,
      freshUntilMs: 1_700_000_000_000, keepUntilMs: 1_700_003_600_000, freshness: 'stale', tags: [], bytes: 100, tier: 'redis', vary: [['accept-language', 'fr']],
      verdict: 'valid' },
  ],
}

test('explain shows the decision, its reason, the key and every variant', async (t) => {
  const admin = await adminServer(t, () => ({ status: 200, body: explanation }))
  const { code, stdout } = await run(t, ['explain', 'http://api.example.com/v1/a', '--admin', admin.url])
  t.equal(code, 0)
  t.equal(stdout, `\
request   GET http://api.example.com/v1/a
decision  serve
reason    fresh (RFC 9111 §4.2)
change    Nothing.
route     api@*/
key       api.example.com\\x0a/v1/a

status  freshness  purges  age  lifetime  fresh until           kept until            bytes  part             tier    tags      vary                        variant
200     fresh      valid   12s  1m        2023-11-14T22:14:07Z  2023-11-14T23:14:07Z  2KiB   -                memory  red blue  [["accept-language","en"]]  en
206     stale      valid   90s  1m        2023-11-14T22:13:20Z  2023-11-14T23:13:20Z  100    0-49,90-139/200  redis   -         [["accept-language","fr"]]  fr part
`)
  t.strictSame(admin.asked.map(({ method, url }) => [method, url]), [['GET', '/v1/explain?url=http%3A%2F%2Fapi.example.com%2Fv1%2Fa']])
})

test('explain sends the request that -H and -X describe', async (t) => {
  const admin = await adminServer(t,
    () => ({ status: 200, body: { ...explanation, decision: { action: 'fetch', reason: 'uri-miss', section: 'RFC 9111 §4', advice: 'Nothing.' }, variants: [] } }))
  const args = ['explain', 'http://api.example.com/v1/a', '-X', 'HEAD', '-H', 'Accept-Language: fr', '-H', 'accept-language:en', '--admin', admin.url]
  t.match(await run(t, args), { code: 0, stdout: /reason {4}uri-miss \(RFC 9111 §4\)\nchange {4}Nothing\.\n[^]*nothing is stored for this URL\n$/ })
  t.strictSame(admin.asked[0]?.body, { url: 'http://api.example.com/v1/a', method: 'HEAD', headers: { 'accept-language': 'fr, en' } })
  const json = await run(t, [...args, '--json'])
  t.match(JSON.parse(json.stdout), { decision: { reason: 'uri-miss' } })
})

test('stats shows every number with its name', async (t) => {
  const admin = await adminServer(t, () => ({ status: 200, body: { requests: { hit: 10, miss: 2 }, store: { kind: 'memory', degraded: [] } } }))
  t.strictSame(await run(t, ['stats', '--admin', admin.url]), {
    code: 0,
    stderr: '',
    stdout: 'requests.hit    10\nrequests.miss   2\nstore.kind      memory\nstore.degraded  -\n',
  })
})

test('stats --watch polls until Ctrl-C', async (t) => {
  let second: () => void
  const askedTwice = new Promise<void>((resolve) => {
    second = resolve
  })
  const admin = await adminServer(t, () => {
    if (admin.asked.length === 2) second()
    return { status: 200, body: { requests: 1 } }
  })
  const watch = new Running(t, ['stats', '--watch', '--admin', admin.url])
  await askedTwice
  watch.child.kill('SIGINT')
  t.match(await watch.ended, { code: 0, stdout: /^requests {2}1\n/ })
})
