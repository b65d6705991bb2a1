// The commands that use the admin API: purge, explain and stats.
import { once } from 'node:events'
import { createServer as createListener, type AddressInfo } from 'node:net'
import { test } from 'tap'
import type { Explanation } from '../../src/exchange/explain/explanation.ts'
import { adminServer, freePort, onTerminal, run, Running } from './command.ts'

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

test('a purge that not every replica acknowledged in time ends with 3', async (t) => {
  const admin = await adminServer(t, () => ({ status: 202, body: receipt(2) }))
  t.strictSame(await run(t, ['purge', '--all', '--wait', '2s', '--admin', admin.url]), {
    code: 3,
    stdout: '',
    stderr: 'springhouse: recorded (id 1700000000000-0), but only 2 of 3 replicas acknowledged within 2s\n',
  })
  const json = await run(t, ['purge', '--all', '--json', '--admin', admin.url])
  t.equal(json.code, 3)
  t.strictSame(JSON.parse(json.stdout), receipt(2), 'one document')
})

const notWritten = { type: 'about:blank', title: 'The purge could not be recorded, and nothing was purged.', status: 503, code: 'PURGE_NOT_WRITTEN' }

// The guard: exitCodeOf() in cli/exit-codes.ts.
test('each kind of error has its exit code, and with --json its one document', async (t) => {
  let answer: { status: number; body: unknown } = { status: 200, body: receipt(3) }
  const admin = await adminServer(t, () => answer)
  const cases: readonly [number, object, number, string?][] = [
    [200, receipt(3), 0],
    [202, receipt(2), 3],
    [400, { title: 'Bad.', status: 400, code: 'BAD_ADMIN_REQUEST', errors: [{ path: 'tags', message: 'is long' }] }, 1, 'Bad. tags is long'],
    [401, { title: 'No.', status: 401 }, 5, 'the admin API does not know this token: check --token or SPRINGHOUSE_ADMIN_TOKEN'],
    [403, { title: 'The token lacks the required scope.', status: 403, scope: 'purge' }, 5, 'The token lacks the required scope. It needs the scope purge.'],
    [429, { title: 'Too many.', status: 429 }, 5, 'Too many.'],
    [500, { title: 'Internal.', status: 500 }, 1, 'Internal.'],
    [503, notWritten, 4, notWritten.title],
    [503, { title: 'Perhaps.', status: 503, code: 'PURGE_UNCONFIRMED' }, 7, 'Perhaps.'],
    [503, { title: 'Starting.', status: 503, code: 'NOT_READY' }, 1, 'Starting.'],
  ]
  for (const [status, body, code, line] of cases) {
    answer = { status, body }
    const done = await run(t, ['purge', '--tag', 'a', '--json', '--token', 'x', '--admin', admin.url])
    t.strictSame([done.code, JSON.parse(done.stdout)], [code, body], String(status))
    if (line !== undefined) t.equal(done.stderr, `springhouse: ${line}\n`)
  }
  answer = { status: 503, body: { title: 'Perhaps.', code: 'SESSION_UNCONFIRMED' } }
  t.equal((await run(t, ['sessions', 'revoke', '--user', 'ann', '--admin', admin.url])).code, 7)
  answer = { status: 202, body: { revoked: 1 } }
  t.match(await run(t, ['sessions', 'revoke', '--user', 'ann', '--admin', admin.url]), { code: 3, stderr: /no Redis replica has confirmed it/ })
})

// The guards: `connected` and `changes` in cli/admin-client.ts.
test('a listener that cannot be reached is 6, and one that is silent after a change was sent is 7', async (t) => {
  const port = await freePort()
  for (const verb of [['purge', '--all'], ['stats'], ['sessions', 'list', '--user', 'a']]) {
    const refused = await run(t, [...verb, '--json', '--admin', `http://127.0.0.1:${port}`])
    t.match([refused.code, JSON.parse(refused.stdout)], [6, { title: /connection refused/, exitCode: 6 }], verb.join(' '))
  }
  t.match(await run(t, ['stats', '--admin', 'http://nosuch.invalid:1']), { code: 6, stderr: /cannot reach/ })
  const silent = createListener((socket) => void socket.on('error', () => undefined).resume())
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const late = ['--timeout', '200ms', '--admin', url]
  t.match(await run(t, ['purge', '--all', '--wait', '0', ...late]), { code: 7, stderr: /did not respond in time: it is not known whether the change was recorded/ })
  t.match(await run(t, ['stats', ...late]), { code: 6, stderr: /did not respond in time\n$/ })
  t.match(await run(t, ['explain', 'http://a/', '-H', 'a: b', ...late]), { code: 6 }, 'a POST that changes nothing')
  const cut = createListener((socket) => void socket.on('error', () => undefined).once('data', () => socket.destroy()))
  cut.listen(0, '127.0.0.1')
  await once(cut, 'listening')
  t.teardown(() => cut.close())
  const cutUrl = `http://127.0.0.1:${(cut.address() as AddressInfo).port}`
  t.match(await run(t, ['purge', '--all', '--admin', cutUrl]), { code: 7, stderr: /cannot reach/ })
})

test('on a terminal the acknowledgements are shown as they come; colours end with NO_COLOR', async (t) => {
  const event = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
  let last: object = { live: 2, acknowledged: 2, copied: true }
  const admin = await adminServer(t, ({ method }) =>
    method === 'POST'
      ? { status: 202, body: receipt(0, 2) }
      : { status: 200,
        body: event('ack', { replica: 'web-1\u001b', live: 2, acknowledged: 1 }) + event('ack', { replica: 'web-2', live: 2, acknowledged: 2 }) + event('done', last) })
  const done = await onTerminal(t, ['purge', '--all', '--wait', '5s', '--admin', admin.url])
  t.equal(done.code, 0)
  const [green, quiet, normal, plainAgain, clear] = ['\u001b[32m', '\u001b[2m', '\u001b[39m', '\u001b[22m', '\r\u001b[K']
  t.equal(done.stdout,
    `${clear}${green}✓${normal} 1 of 2 replicas have applied it ${quiet}web-1\\x1b${plainAgain}${clear}${green}✓${normal} 2 of 2 replicas have applied it ${quiet}web-2${plainAgain}${clear}purged (id 1700000000000-0), acknowledged by 2 of 2 replicas\r\n`)
  t.strictSame(admin.asked.map(({ method, url, body }) => [method, url, body]), [['POST', '/v1/purge', { all: true, waitMs: 0 }], ['GET', '/v1/purges/1700000000000-0?waitMs=5000',
    undefined]])
  last = { live: 2, acknowledged: 1, copied: false }
  const plain = await onTerminal(t, ['purge', '--all', '--admin', admin.url], { NO_COLOR: '1' })
  t.equal(plain.code, 3)
  t.notOk(plain.stdout.replaceAll('\u001b[K', '').includes('\u001b['))
  t.match(plain.stdout, /recorded \(id 1700000000000-0\), but only 1 of 2 replicas acknowledged in time/)
})

test('a wildcard is refused, with the option that does what it seems to do', async (t) => {
  const cases: readonly [string[], RegExp][] = [
    [['--url', 'http://a/v1/*'], /\* is no wildcard: http:\/\/a\/v1\/\*\. Use --prefix http:\/\/a\/v1\/ for every URL that begins so/],
    [['--url', '*'], /Use --prefix \/ for/],
    [['--prefix', '/v1/*'], /--prefix needs no \*, because it takes every URL that begins so: use --prefix \/v1\/\n/],
  ]
  for (const [args, line] of cases) t.match(await run(t, ['purge', ...args, '--admin', 'http://127.0.0.1:1']), { code: 2, stdout: '', stderr: line })
  t.match(JSON.parse((await run(t, ['purge', '--json'])).stdout), { title: /give --url/, exitCode: 2 })
  t.match(JSON.parse((await run(t, ['purge', '--json', '--nosuch'])).stdout), { title: /unknown option '--nosuch'/, exitCode: 2 })
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
    code: 6,
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

const setCookie = { reason: 'set-cookie', section: 'configuration setCookie', meaning: 'It sets a cookie.', advice: 'Set none.' }

const explanation: Explanation = {
  url: 'http://api.example.com/v1/a',
  method: 'GET',
  route: 'api@*/',
  key: 'api.example.com\n/v1/a',
  unkeyed: [],
  keyParts: [],
  decision: { action: 'serve', reason: 'fresh', section: 'RFC 9111 §4.2', meaning: 'Fresh.', advice: 'Nothing.' },
  steps: [
    { step: 'route', outcome: 'yes', value: 'api@*/' },
    { step: 'lookup', outcome: 'no', value: 'nothing' },
    { step: 'decision', outcome: 'fetch', reason: 'uri-miss', section: 'RFC 9211 §2.2' },
    { step: 'storing', outcome: 'no', reason: 'set-cookie', section: 'configuration setCookie', of: 'response', field: 'Set-Cookie', value: 'lb\u001b' },
  ],
  last: [{ atMs: 1_700_000_000_000, replica: 'web-3', status: 200, ...setCookie }],
  variants: [
    { status: 200, variant: 'en', ageMs: 12_345, lifetimeMs: 60_000, heuristic: false, freshUntilMs: 1_700_000_047_000, keepUntilMs: 1_700_003_647_000, freshness: 'fresh',
      tags: ['red', 'blue'], bytes: 2048, tier: 'memory', vary: [['accept-language', 'en']], verdict: 'valid' },
    { status: 206, variant: 'fr part', part: { ranges: '0-49,90-139', complete: 200, sound: true }, ageMs: 90_000, lifetimeMs: 60_000, heuristic: false,
      freshUntilMs: 1_700_000_000_000, keepUntilMs: 1_700_003_600_000, freshness: 'stale', tags: [], bytes: 100, tier: 'redis', vary: [['accept-language', 'fr']],
      verdict: 'valid' },
  ],
}

test('explain shows the decision, what to change, the steps, the last responses and every variant', async (t) => {
  const admin = await adminServer(t, () => ({ status: 200, body: explanation }))
  const { code, stdout } = await run(t, ['explain', 'http://api.example.com/v1/a', '--admin', admin.url])
  t.equal(code, 0)
  t.equal(stdout, `\
request   GET http://api.example.com/v1/a
decision  serve
reason    fresh (RFC 9111 §4.2)
meaning   Fresh.
change    Nothing.
route     api@*/
key       api.example.com\\x0a/v1/a

steps
  1 route     ✓ api@*/
  2 lookup    ✗ nothing
  3 decision  → fetch  uri-miss  (RFC 9211 §2.2)
  4 storing   ✗ set-cookie  response field Set-Cookie: lb\\x1b  (configuration setCookie)

last responses that were not stored
  2023-11-14T22:13:20Z  status 200  replica web-3
    set-cookie (configuration setCookie): It sets a cookie.
    change: Set none.

status  freshness  purges  age  lifetime  fresh until           kept until            bytes  part             tier    tags      vary                        variant
200     fresh      valid   12s  1m        2023-11-14T22:14:07Z  2023-11-14T23:14:07Z  2KiB   -                memory  red blue  [["accept-language","en"]]  en
206     stale      valid   90s  1m        2023-11-14T22:13:20Z  2023-11-14T23:13:20Z  100    0-49,90-139/200  redis   -         [["accept-language","fr"]]  fr part
`)
  t.strictSame(admin.asked.map(({ method, url }) => [method, url]), [['GET', '/v1/explain?url=http%3A%2F%2Fapi.example.com%2Fv1%2Fa']])
})

test('explain --try shows what the origin responded', async (t) => {
  let tried: object = { status: 200, ms: 12, stored: true, lifetimeMs: 60_000, tags: ['a'], vary: [] }
  const admin = await adminServer(t, () => ({ status: 200, body: { ...explanation, tried } }))
  const shown = async (): Promise<string> => /tried at the origin\n([^]*?)\n\nsteps/.exec((await run(t, ['explain', 'http://a/', '--try', '--admin', admin.url])).stdout)?.[1] ?? ''
  t.equal(await shown(), '  status 200 after 12 ms\n    may be stored, fresh for 1m, tags: a')
  t.strictSame(admin.asked[0]?.body, { url: 'http://a/', method: 'GET', headers: {}, try: true })
  tried = { status: 200, ms: 1, stored: false, ...setCookie }
  t.equal(await shown(), '  status 200 after 1 ms\n    not stored: set-cookie (configuration setCookie): It sets a cookie.\n    change: Set none.')
  tried = { error: 'ORIGIN_TIMEOUT', meaning: 'Late.', ms: 5_000 }
  t.equal(await shown(), '  ORIGIN_TIMEOUT: Late.')
})

test('explain sends the request that -H and -X describe', async (t) => {
  const admin = await adminServer(t,
    () => ({ status: 200,
      body: { ...explanation, decision: { action: 'fetch', reason: 'uri-miss', section: 'RFC 9111 §4', meaning: 'None.', advice: 'Nothing.' }, variants: [] } }))
  const args = ['explain', 'http://api.example.com/v1/a', '-X', 'HEAD', '-H', 'Accept-Language: fr', '-H', 'accept-language:en', '--admin', admin.url]
  t.match(await run(t, args), { code: 0, stdout: /reason {4}uri-miss \(RFC 9111 §4\)\nmeaning {3}None\.\nchange {4}Nothing\.\n[^]*nothing is stored for this URL\n$/ })
  t.strictSame(admin.asked[0]?.body, { url: 'http://api.example.com/v1/a', method: 'HEAD', headers: { 'accept-language': 'fr, en' } })
  const json = await run(t, [...args, '--json'])
  t.match(JSON.parse(json.stdout), { decision: { reason: 'uri-miss' } })
})

const statistics = {
  version: '0.1.0',
  uptimeMs: 7_200_000,
  requests: 12_345,
  hitRatio: 0.9412,
  outcomes: { hit: 11_000, stale: 0, miss: 1_300, pass: 45 },
  notStoredByReason: { 'no-store': 12, 'private': 0 },
  originErrors: { ORIGIN_TIMEOUT: 0 },
  fillsBegun: 1_312,
  bytes: { toClients: 3_221_225_472, fromOrigins: 1_048_576, saved: 512 },
  latencyMs: { hit: { count: 11_000, p50: 0.42, p99: 4 }, stale: { count: 0, p50: null, p99: null }, miss: { count: 1_300, p50: 120, p99: 2_500 } },
  store: { kind: 'tiered', entries: 1_203, bytes: 12_582_912, maxBytes: 268_435_456, evictions: 0, degraded: [] },
  purges: 0,
}

test('stats fits one screen, and shows every number with --all', async (t) => {
  const admin = await adminServer(t, () => ({ status: 200, body: statistics }))
  t.strictSame(await run(t, ['stats', '--fleet', '--admin', admin.url]), {
    code: 0,
    stderr: '',
    stdout: `springhouse    0.1.0, up 2 h
requests       12,345
hit ratio      94.1 %
outcomes       hit 11,000  miss 1,300  pass 45
not stored     no-store 12
fetches        1,312
bytes          3.0 GiB to clients, 1.0 MiB from origins, 512 B saved
latency        hit         p50 0.4 ms, p99 4.0 ms
               miss        p50 120 ms, p99 2 s
store          tiered, 1,203 entries, 12.0 MiB of 256.0 MiB, 0 evicted
degraded       nothing
purges         0
`.replace(/^(.{11}) {4}/gm, '$1  '),
  })
  t.equal(admin.asked[0]?.url, '/v1/stats?scope=fleet')
  const all = (await run(t, ['stats', '--all', '--admin', admin.url])).stdout
  t.match(all, /^originErrors\.ORIGIN_TIMEOUT +0$/m)
  t.match(all, /^store\.degraded +-$/m)
})

test('stats --watch polls until Ctrl-C, which is 130; with --json each is a line', async (t) => {
  let second: () => void
  const askedTwice = new Promise<void>((resolve) => {
    second = resolve
  })
  const admin = await adminServer(t, () => {
    if (admin.asked.length === 2) second()
    return { status: 200, body: { requests: 1 } }
  })
  const watch = new Running(t, ['stats', '--watch', '--json', '--admin', admin.url])
  await askedTwice
  watch.child.kill('SIGINT')
  t.match(await watch.ended, { code: 130, stdout: /^\{"requests":1\}\n/ })
})

test('entries reads as many pages as it needs', async (t) => {
  const entry = { url: 'http://a/\u001b', status: 200, bytes: 2_048, ageMs: 5_000, lifetimeMs: 60_000, verdict: 'valid', tags: ['red', 'blue'] }
  const admin = await adminServer(t,
    ({ url }) => ({ status: 200,
      body: url.includes('cursor=next') ? { entries: [{ ...entry, verdict: 'dead', tags: [] }], cursor: 'third' } : { entries: [entry], cursor: 'next' } }))
  const listed = await run(t, ['entries', '--prefix', '/v1/', '--tag', 'red', '--limit', '2', '--admin', admin.url])
  t.strictSame(listed, {
    code: 0,
    stdout: `url            status  state   age  lifetime  bytes    tags
http://a/\\x1b  200     fresh   5 s  60 s      2.0 KiB  red blue
http://a/\\x1b  200     purged  5 s  60 s      2.0 KiB  -
`,
    stderr: 'springhouse: there are more: raise --limit above 2\n',
  })
  t.strictSame(admin.asked.map(({ url }) => url), ['/v1/entries?limit=2&prefix=%2Fv1%2F&tag=red', '/v1/entries?limit=1&prefix=%2Fv1%2F&tag=red&cursor=next'])
  t.match(JSON.parse((await run(t, ['entries', '--limit', '2', '--json', '--admin', admin.url])).stdout), { entries: { length: 2 }, cursor: 'third' })
  t.match(await run(t, ['entries', '--limit', 'some']), { code: 2 })
})

test('top prints what is listed, with its share and the error of the estimate', async (t) => {
  const items = [{ name: '/v1/items\u001b', value: 1_200, error: 3, share: 0.41, hitRatio: null }, { name: '/v1/me', value: 30, error: 0, share: 0.01, hitRatio: 0.5 }]
  const admin = await adminServer(t, () => ({ status: 200, body: { windowMs: 300_000, sampledOneIn: 64, items } }))
  t.equal((await run(t, ['top', '--of', 'keys', '--by', 'misses', '--limit', '2', '--fleet', '--admin', admin.url])).stdout, `\
keys by misses, last 5 min, one request in 64 sampled
misses    share   hit ratio  keys
1,200 ±3  41.0 %  -          /v1/items\\x1b
30        1.0 %   50.0 %     /v1/me
`)
  t.equal(admin.asked[0]?.url, '/v1/top?of=keys&by=misses&limit=2&scope=fleet')
  t.match(await run(t, ['top', '--by', 'age', '--admin', admin.url]), { code: 2, stderr: /Allowed choices are requests, misses, bytes, originMs/ })
})

test('tail prints requests as they come, and follows the next stream when one ends', async (t) => {
  const line = (target: string): string =>
    `:\n\nevent: request\ndata: ${
      JSON.stringify({ time: '2026-01-01T02:03:04.5Z', outcome: 'miss', reason: 'uri-miss', notStored: 'no-store', status: 200, method: 'GET', host: 'a', target, ms: 12 })
    }\n\n`
  const admin = await adminServer(t, () => ({ status: 200, body: `event: dropped\ndata: {"count":7}\n\n${line('/\u001b')}` }))
  const args = ['tail', '--outcome', 'miss', '--slower', '500ms', '--status', '5xx', '--limit', '2', '--admin', admin.url]
  const text = '02:03:04  200  miss           12 ms  GET a/\\x1b  uri-miss, not stored: no-store\n'
  const said = 'springhouse: 7 requests came too fast to be printed\n'
  t.strictSame(await run(t, args), { code: 0, stdout: text.repeat(2), stderr: said.repeat(2) })
  t.equal(admin.asked[0]?.url, '/v1/tail?outcome=miss&status=5xx&minMs=500&limit=2')
  t.match(JSON.parse((await run(t, [...args, '--json', '--limit', '1'])).stdout), { outcome: 'miss', target: '/\u001b' })
})
