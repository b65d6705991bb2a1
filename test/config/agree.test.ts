// `check` and `serve` refuse the same files, with the same lines: what a pipeline checks is what a start needs.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { test, type Test } from 'tap'
import { startApp } from '../../src/app.ts'
import { configurationNotices } from '../../src/cli/configuration-notices.ts'
import { loadConfig, type Loaded } from '../../src/config/load.ts'
import { ConfigError, problemLine } from '../../src/config/problem.ts'
import { run } from '../cli/command.ts'
import { encryptedKey, expiredCertificate, expiredKey, namesKey, testCertificate, testKey } from '../support/certificate.ts'

const head = 'proxy: { host: 127.0.0.1, port: 0 }\nadmin: { host: 127.0.0.1, port: 0 }\norigins: { a: { servers: [http://127.0.0.1:9] } }\n'
const route = (text: string): string => `${head}routes: [ ${text} ]\n`
const match = (text: string): string => route(`{ match: { ${text} }, origin: a }`)
const tls = (cert: string, key: string): string => head.replace('port: 0 }', `port: 0, tls: { cert: ${cert}, key: ${key} } }`)
const redisTls = (text: string): string => `${head}redis: { url: rediss://127.0.0.1:1, tls: { ${text} } }\n`
const originCa = (file: string): string => head.replace('servers: [http:', `tls: { ca: ${file} }, servers: [https:`)

/** Files that must be refused, with a part of the line that says why. `DIR` is the folder of the certificates. */
const bad: readonly (readonly [text: string, why: RegExp])[] = [
  [': : :', /line 1/],
  ['a: b: c', /line 1/],
  ['[1, 2]', /expected a map of settings at the top/],
  ['just text', /expected a map of settings at the top/],
  ['"unclosed', /line 1/],
  ['proxy: {', /line 1/],
  ['a: *nothing', /nothing/],
  [`${head}proxy: {}\n`, /given twice/],
  ['\torigins: {}', /line 1/],
  ['origins: {}', /none is given/],
  ['', /none is given/],
  [`${head}orgins: {}`, /unknown key; did you mean origins/],
  [head.replace('servers', 'server'), /unknown key; did you mean servers/],
  [head.replace('http:', 'ftp:'), /expected an http or https URL/],
  [head.replace('[http://127.0.0.1:9]', '[]'), /a list of at least one/],
  [head.replace('[http://127.0.0.1:9]', 'http://127.0.0.1:9'), /expected a list/],
  [head.replace('127.0.0.1:9]', '127.0.0.1:9?x]'), /expected an http or https URL/],
  [head.replace('127.0.0.1:9]', 'u:p@127.0.0.1:9]'), /without user info/],
  [head.replace('{ a:', '{ A_b:'), /unusable name/],
  [head.replace('port: 0', 'port: 99999'), /from 0 to 65535/],
  [head.replace('port: 0', 'port: "80a"'), /from 0 to 65535/],
  [head.replace('host: 127.0.0.1', 'host: "a b"'), /a host name or an IP address/],
  [head.replace('admin: { host: 127.0.0.1', 'admin: { host: 0.0.0.0'), /a token is needed/],
  [`${head}workers: 2`, /need a shared store/],
  [`${head}workers: many`, /from 1 to 256, or auto/],
  [`${head}sessions: { enabled: true, cookie: { secure: false } }`, /browsers refuse the cookie/],
  [`${head}auth: { jwt: [ { name: i, issuer: i, audience: [a], jwks: https://i.example/, algorithms: [none] } ] }`, /without a signature/],
  [`${head}cache: { keepStale: 60 }`, /a duration with its unit/],
  [`${head}cache: { memory: { maxBytes: 0 } }`, /leaves no store/],
  [`${head}cache: { tags: { fields: [ { name: set-cookie } ] } }`, /set-cookie/i],
  [`${head}log: { level: loud }`, /expected one of trace/],
  [`${head}redis: {}`, /exactly one of url, cluster and sentinel/],
  [`${head}redis: { url: http://redis }`, /expected a redis:/],
  [`${head}redis: { url: redis://r, passwordFile: DIR/none }`, /no such file/],
  [`${head}redis: { url: redis://r, keyPrefix: "a b" }`, /letters, digits/],
  [match('path: /v1/*'), /a wildcard is not supported/],
  [match('path: "/users/{id}"'), /a variable in braces/],
  [match('path: "/users/:id"'), /a variable after a colon/],
  [match('path: "^/v1"'), /a regular expression/],
  [match('path: v1'), /a path that begins with \//],
  [match('path: /a/../b'), /a \.\. segment/],
  [match('path: /a, exact: /b'), /given beside path/],
  [match('host: "a.example:80"'), /a host without port/],
  [match('host: http://a.example'), /a host without port/],
  [route('{ origin: b }'), /there is no origin named "b"/],
  [route('{ match: {} }'), /missing; expected the name of an origin/],
  [route('{ origin: a, cache: { enabled: false } }'), /renamed; write mode/],
  [route('{ origin: a, cache: { ttl: { status: { 429: 5s } } } }'), /never stored/],
  [route('{ origin: a, retryOn: [404] }'), /retryOn/],
  [`${head}log: { query: [$NOT_REPLACED] }`, /\$/],
  [tls('DIR/none.pem', 'DIR/key.pem'), /proxy\.tls\.cert: cannot read .*none\.pem: there is no such file/],
  [tls('DIR/folder', 'DIR/key.pem'), /proxy\.tls\.cert: cannot read .*folder: it is a directory/],
  [tls('DIR/garbage.pem', 'DIR/key.pem'), /garbage\.pem holds no certificate in PEM/],
  [tls('DIR/broken.pem', 'DIR/key.pem'), /broken\.pem holds a certificate that cannot be read/],
  [tls('DIR/empty.pem', 'DIR/key.pem'), /empty\.pem is empty/],
  [tls('DIR/key.pem', 'DIR/cert.pem'), /cert and key may be exchanged/],
  [tls('DIR/cert.pem', 'DIR/encrypted.pem'), /encrypted\.pem holds a key with a passphrase/],
  [tls('DIR/cert.pem', 'DIR/garbage.pem'), /garbage\.pem holds no private key in PEM/],
  [tls('DIR/cert.pem', 'DIR/other-key.pem'), /other-key\.pem does not belong to the certificate in/],
  [tls('DIR/chain.pem', 'DIR/key.pem'), /its own must be the first/],
  [redisTls('ca: DIR/garbage.pem'), /redis\.tls\.ca: .* holds no certificate/],
  [redisTls('cert: DIR/cert.pem'), /redis\.tls\.key: missing/],
  [redisTls('cert: DIR/cert.pem, key: DIR/other-key.pem'), /redis\.tls\.key: .* does not belong/],
  [originCa('DIR/folder'), /origins\.a\.tls\.ca: cannot read .*: it is a directory/],
  [originCa('DIR/key.pem'), /origins\.a\.tls\.ca: .* holds a key and no certificate/],
]

function files(t: Test): (name: string, text: string) => string {
  const folder = t.testdir({ 'cert.pem': testCertificate, 'key.pem': testKey, 'other-key.pem': namesKey, 'encrypted.pem': encryptedKey, 'garbage.pem': 'garbage', 'empty.pem': '',
    'broken.pem': testCertificate.replace('MIIB', 'AAAA'), 'chain.pem': expiredCertificate + testCertificate, 'expired.pem': expiredCertificate, 'expired-key.pem': expiredKey })
  mkdirSync(join(folder, 'folder'))
  return (name, text) => {
    const file = join(folder, name)
    writeFileSync(file, text.replaceAll('DIR', folder))
    return file
  }
}

/** The lines with which `check` refuses a file. */
function checked(file: string): string[] {
  try {
    loadConfig({ file, env: {} })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine)
    throw error
  }
}

/** The lines with which a start refuses it. */
async function served(file: string): Promise<string[]> {
  let loaded: Loaded
  try {
    loaded = loadConfig({ file, env: {} })
  } catch (error) {
    return (error as ConfigError).problems.map(problemLine)
  }
  try {
    const app = await startApp({ config: loaded.config, logger: pino({ level: 'silent' }) })
    await app.close()
    return []
  } catch (error) {
    return [`only the start refuses it: ${(error as Error).message}`]
  }
}

// Fails without `pemProblems` in config/rules.ts, and without `signs` in config/route-path.ts.
test('check and serve refuse the same files with the same lines', async (t) => {
  const write = files(t)
  t.ok(bad.length >= 60, `${bad.length} files`)
  for (const [index, [text, why]] of bad.entries()) {
    const file = write(`${index}.yaml`, text)
    const lines = checked(file)
    t.match(lines.join('\n'), why, text)
    t.strictSame(await served(file), lines, text)
  }
  for (const text of [head, tls('DIR/cert.pem', 'DIR/key.pem'), tls('DIR/expired.pem', 'DIR/expired-key.pem'), redisTls('ca: DIR/chain.pem'), originCa('DIR/cert.pem')]) {
    const file = write('good.yaml', text)
    t.strictSame([checked(file), await served(file)], [[], []], text)
  }
})

test('the commands do', async (t) => {
  const write = files(t)
  for (const [index, text] of [match('path: /v1/*'), tls('DIR/cert.pem', 'DIR/other-key.pem')].entries()) {
    const file = write(`${index}.yaml`, text)
    const [check, serve] = await Promise.all([run(t, ['check', '--config', file]), run(t, ['serve', '--config', file])])
    t.equal(check.code, 1)
    t.strictSame(serve, check)
  }
})

// The guards: `shadowedRoutes` and `pemNotices`.
test('a route that matches nothing, and a certificate that has expired, is a line each, and no error', async (t) => {
  const write = files(t)
  const routes = ['match: { host: "*.shop.example" }', 'match: { path: /api/ }', 'match: { path: /api/v1 }', 'match: { path: "/%61pi", host: a.example }',
    'match: { host: a.shop.example, path: /x }', 'match: { exact: /health }', 'match: { exact: /health/ }', 'match: { exact: /health, host: b.example }',
    'match: { path: /apikeys }', 'match: { path: /API }', 'match: {}', 'match: { exact: / }']
  const file = write('a.yaml', tls('DIR/expired.pem', 'DIR/expired-key.pem') + `routes:\n${routes.map((each) => `  - { ${each}, origin: a }\n`).join('')}`)
  const loaded = loadConfig({ file, env: {} })
  const never = (later: number, earlier: number) => `routes[${later}] can never match: routes[${earlier}] comes before it and takes all of its requests`
  const expired = /^proxy\.tls\.cert: .*expired\.pem holds a certificate that has expired \(Feb  1 00:00:00 2020 GMT\)$/
  const lines = configurationNotices(loaded, Date.UTC(2026, 0, 1))
  t.strictSame(lines.slice(0, -1), [never(2, 1), never(3, 1), never(4, 0), never(7, 5), never(11, 10)])
  t.match(lines.at(-1), expired)
  t.match(configurationNotices(loaded, Date.UTC(2019, 0, 1)).at(-1), /is not valid before Jan  1/)
  const { code, stdout, stderr } = await run(t, ['check', '--config', file])
  t.same([code, stdout], [0, 'config ok\n'])
  t.equal(stderr.split('\n').length, lines.length + 1)
})
