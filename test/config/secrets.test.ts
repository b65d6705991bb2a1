// Secrets that files hold: every setting that is secret can come from one, and a file that is of no use is refused.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { test, type Test } from 'tap'
import { variables } from '../../src/config/environment.ts'
import { loadConfig, resolveConfig, type Flags } from '../../src/config/load.ts'
import { humanise, maskSecrets } from '../../src/config/mask.ts'
import { configNode, memberSchema, type SchemaNode } from '../../src/config/node.ts'
import { ConfigError, problemLine } from '../../src/config/problem.ts'
import type { Config } from '../../src/config/schema.ts'
import { readSecretFile } from '../../src/config/secret-file.ts'

const origin = ['http://127.0.0.1:1']

function fromEnv(env: Record<string, string>, flags: Flags = {}): Config {
  return loadConfig({ env, flags: { origin, ...flags } }).config
}

/** Paths that begin with a letter are of files in the directory. */
function load(dir: string, text: string, env: Record<string, string> = {}, flags: Flags = {}): Config {
  writeFileSync(`${dir}/a.yaml`, text.replaceAll(/File: (?=[a-z])/g, `File: ${dir}/`))
  return loadConfig({ file: `${dir}/a.yaml`, env, flags: { origin, ...flags } }).config
}

function lines(attempt: () => unknown): string[] {
  try {
    attempt()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine)
    throw error
  }
  return []
}

const dirOf = (t: Test, files: Record<string, string> = {}): string => t.testdir({ secret: 'hush', url: 'redis://u:hush@h:1\n', ...files })

// The guard: `withFile` in schema/leaf.ts. A secret that is added without it would have no way to come from a file.
test('every setting that is secret has one beside it for the path of a file', (t) => {
  let secrets = 0
  const look = (node: SchemaNode): void => {
    for (const [name, member] of Object.entries(node.properties ?? {})) {
      if (member.secret === true) {
        secrets++
        t.equal(node.properties?.[`${name}File`]?.fileOf, name, name)
        t.not(node.required?.includes(`${name}File`), true)
      }
      look(member)
    }
    for (const each of [...node.anyOf ?? [], node.items, memberSchema(node)]) if (each !== undefined) look(each)
  }
  look(configNode)
  t.ok(secrets >= 3)
  for (const name of ['SPRINGHOUSE_REDIS_PASSWORD_FILE', 'SPRINGHOUSE_REDIS_URL_FILE', 'SPRINGHOUSE_REDIS_SENTINEL_PASSWORD_FILE'])
    t.ok(variables.some((variable) => variable.name === name), name)
  t.end()
})

test('a secret comes from the file that the configuration or the environment names', (t) => {
  const dir = dirOf(t)
  const config = load(dir, `
admin: { tokens: [ { name: a, tokenFile: ${relative(process.cwd(), dir)}/secret } ] }
redis: { sentinel: { master: m, nodes: [s:1], passwordFile: ${dir}/secret }, passwordFile: "${dir}/\${NAME:-secret}" }
`)
  t.match(config, { admin: { tokens: [{ token: 'hush', tokenFile: `${relative(process.cwd(), dir)}/secret` }] }, redis: { password: 'hush', sentinel: { password: 'hush' } } })
  t.equal(load(dir, 'redis: { urlFile: url }').redis?.url, 'redis://u:hush@h:1')
  t.equal(fromEnv({ SPRINGHOUSE_REDIS_URL_FILE: `${dir}/url` }).redis?.url, 'redis://u:hush@h:1')
  t.equal(fromEnv({ SPRINGHOUSE_REDIS_URL: 'redis://h', SPRINGHOUSE_REDIS_PASSWORD_FILE: relative(process.cwd(), `${dir}/secret`) }).redis?.password, 'hush',
    'from where the process is')
  const watched = fromEnv({ SPRINGHOUSE_REDIS_SENTINEL_MASTER: 'm', SPRINGHOUSE_REDIS_SENTINEL_NODES: 's:1', SPRINGHOUSE_REDIS_SENTINEL_PASSWORD_FILE: `${dir}/secret` })
  t.equal(watched.redis?.sentinel?.password, 'hush')
  t.match(fromEnv({ SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/secret` }).admin.tokens, [{ name: 'env', token: 'hush', scopes: ['read', 'purge', 'sessions'] }])
  t.match(fromEnv({ SPRINGHOUSE_ADMIN_TOKENS: `[{ name: a, tokenFile: ${dir}/secret }]` }).admin.tokens, [{ name: 'a', token: 'hush' }])
  t.match(resolveConfig({ origins: { a: { servers: origin } }, redis: { urlFile: `${dir}/url` } }).redis, { url: 'redis://u:hush@h:1' })
  const same = load(dir, 'admin: { tokens: [ { name: a, tokenFile: secret } ] }', { SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/secret` })
  t.match(same.admin.tokens, [{ name: 'a', scopes: ['read'] }])
  t.equal(same.admin.tokens.length, 1, 'the file says what its own token may do')
  t.end()
})

test('the environment beats the file in either form, and a flag beats both', (t) => {
  const dir = dirOf(t, { other: 'other' })
  const redis = (text: string, env: Record<string, string>, flags: Flags = {}) => load(dir, `redis: { url: redis://h, ${text} }`, env, flags).redis
  t.strictSame([redis('passwordFile: none', { SPRINGHOUSE_REDIS_PASSWORD: 'mine' })].map((each) => [each?.password, each?.passwordFile]), [['mine', undefined]])
  t.equal(redis('password: x', { SPRINGHOUSE_REDIS_PASSWORD_FILE: `${dir}/other` })?.password, 'other')
  t.equal(redis('passwordFile: secret', { SPRINGHOUSE_REDIS_PASSWORD_FILE: `${dir}/other` })?.password, 'other')
  t.equal(redis('password: "${UNSET}"', { SPRINGHOUSE_REDIS_PASSWORD_FILE: `${dir}/other` })?.password, 'other')
  t.equal(redis('passwordFile: secret', { SPRINGHOUSE_REDIS_PASSWORD_FILE: '', SPRINGHOUSE_REDIS_PASSWORD: '' })?.password, 'hush', 'what is empty is not set')
  t.equal(fromEnv({ SPRINGHOUSE_REDIS_URL_FILE: `${dir}/none` }, { redis: 'redis://flag' }).redis?.url, 'redis://flag')
  t.end()
})

test('a secret that is given twice is one clear line', (t) => {
  const dir = dirOf(t)
  const cases: readonly [() => unknown, string][] = [
    [() => load(dir, 'redis: { url: redis://h, password: x, passwordFile: secret }'), 'redis.passwordFile: given twice: as password and as passwordFile; leave one of them out'],
    [() => load(dir, 'redis: { url: redis://h, urlFile: url }'), 'redis.urlFile: given twice: as url and as urlFile; leave one of them out'],
    [() => load(dir, 'admin: { tokens: [ { name: a, token: x, tokenFile: none } ] }'), 'admin.tokens[0].tokenFile: given twice: as token and as tokenFile; leave one of them out'],
    [() => fromEnv({ SPRINGHOUSE_REDIS_URL: 'redis://h', SPRINGHOUSE_REDIS_PASSWORD: 'x', SPRINGHOUSE_REDIS_PASSWORD_FILE: `${dir}/secret` }),
      'SPRINGHOUSE_REDIS_PASSWORD_FILE: given twice: as SPRINGHOUSE_REDIS_PASSWORD and as SPRINGHOUSE_REDIS_PASSWORD_FILE; leave one of them out'],
    [() => fromEnv({ SPRINGHOUSE_ADMIN_TOKEN: 'x', SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/secret` }),
      'SPRINGHOUSE_ADMIN_TOKEN_FILE: given twice: as SPRINGHOUSE_ADMIN_TOKEN and as SPRINGHOUSE_ADMIN_TOKEN_FILE; leave one of them out'],
    [() => load(dir, 'redis: { urlFile: url, password: x }'), 'redis.password: given twice: here, and in a URL; leave one of them out'],
    [() => load(dir, 'admin: { tokens: [ { name: a, tokenFile: secret }, { name: b, token: hush } ] }'), 'admin.tokens[1].token: another token already has the same value'],
  ]
  for (const [attempt, line] of cases) t.strictSame(lines(attempt), [line])
  t.end()
})

// The guard: `readPlainFile` in secret-file.ts. Without O_NONBLOCK, and without the check of its kind, a pipe would hang the start.
test('a file that cannot be used is one clear line with its path, and nothing waits for it', (t) => {
  const dir = dirOf(t, { empty: '', newlines: '\r\n\n', lines: 'a\nb\n', nul: 'a\0b', tab: 'a\tb', large: 'x'.repeat(64 * 1024 + 1), spaced: 'two words' })
  mkdirSync(`${dir}/directory`)
  execFileSync('mkfifo', [`${dir}/pipe`])
  writeFileSync(`${dir}/latin`, Buffer.from([0x61, 0xff]))
  writeFileSync(`${dir}/utf16`, Buffer.from('\uFEFFhush', 'utf16le'))
  symlinkSync('nowhere', `${dir}/dangling`)
  symlinkSync('loop', `${dir}/loop`)
  const cases: readonly [string, string][] = [
    ['none', `cannot read ${dir}/none: there is no such file`],
    ['secret/below', `cannot read ${dir}/secret/below: there is no such file`],
    ['dangling', `cannot read ${dir}/dangling: there is no such file`],
    ['loop', `cannot read ${dir}/loop: ELOOP`],
    ['directory', `cannot read ${dir}/directory: it is a directory`],
    ['pipe', `cannot read ${dir}/pipe: it is not a regular file`],
    ['/dev/zero', 'cannot read /dev/zero: it is not a regular file'],
    ['/dev/null', 'cannot read /dev/null: it is not a regular file'],
    ['empty', `${dir}/empty is empty`],
    ['newlines', `${dir}/newlines is empty`],
    ['lines', `${dir}/lines has more than one line`],
    ['nul', `${dir}/nul holds control characters`],
    ['tab', `${dir}/tab holds control characters`],
    ['latin', `${dir}/latin is not text in UTF-8`],
    ['utf16', `${dir}/utf16 is not text in UTF-8`],
    ['large', `${dir}/large is larger than 64 KiB; it may be the wrong file`],
  ]
  for (const [file, why] of cases) {
    t.strictSame(lines(() => load(dir, `admin: { host: 0.0.0.0, tokens: [ { name: a, tokenFile: ${file} } ] }`)), [`admin.tokens[0].tokenFile: ${why}`])
    t.strictSame(lines(() => load(dir, `redis: { urlFile: ${file} }\nworkers: 2`)), [`redis.urlFile: ${why}`])
    t.strictSame(lines(() => load(dir, `redis: { url: redis://h, username: u, passwordFile: ${file} }`)), [`redis.passwordFile: ${why}`])
    const path = file.startsWith('/') ? file : `${dir}/${file}`
    t.strictSame(lines(() => fromEnv({ SPRINGHOUSE_ADMIN_TOKEN_FILE: path, SPRINGHOUSE_ADMIN_HOST: '0.0.0.0' })), [`SPRINGHOUSE_ADMIN_TOKEN_FILE: ${why}`])
    t.strictSame(lines(() => fromEnv({ SPRINGHOUSE_REDIS_URL: 'redis://h', SPRINGHOUSE_REDIS_PASSWORD_FILE: path })), [
      `redis.passwordFile: ${why} (from SPRINGHOUSE_REDIS_PASSWORD_FILE)`,
    ])
  }
  t.strictSame(lines(() => load(dir, 'admin: { tokens: [ { name: a, tokenFile: "" } ] }')), ['admin.tokens[0].tokenFile: expected the path of a file, got ""'])
  t.strictSame(lines(() => load(dir, 'admin: { tokens: [ { name: a, tokenFile: 3 } ] }')), ['admin.tokens[0].tokenFile: expected the path of a file, got 3'])
  t.strictSame(lines(() => load(dir, 'admin: { tokens: [ { name: a } ] }')), [
    'admin.tokens[0].token: missing; expected a token of visible ASCII characters without spaces, or tokenFile, the path of a file that holds it',
  ])
  t.end()
})

test('a secret from a file is checked like any value, and is not shown', (t) => {
  const dir = dirOf(t, { spaced: 'hush hush', long: 'hush'.repeat(300) })
  t.strictSame(lines(() => load(dir, 'admin: { tokens: [ { name: a, tokenFile: spaced } ] }')), [
    `admin.tokens[0].token: expected a token of visible ASCII characters without spaces, got a value that is not shown here (from ${dir}/spaced)`,
  ])
  t.strictSame(lines(() => fromEnv({ SPRINGHOUSE_ADMIN_TOKENS: `[{ name: a, tokenFile: ${dir}/spaced }]` })), [
    `admin.tokens[0].token: expected a token of visible ASCII characters without spaces, got a value that is not shown here (from ${dir}/spaced)`,
  ])
  const told = lines(() => load(dir, 'redis: { urlFile: secret }'))
  t.equal(told.length, 1)
  t.match(told[0], /^redis\.url: expected .*, got a value that is not shown here \(from .*\/secret\)$/)
  t.match(lines(() => load(dir, 'redis: { url: redis://h, passwordFile: long }')), [/^redis\.password: .* not shown here/])
  t.match(lines(() => fromEnv({ SPRINGHOUSE_ADMIN_TOKEN_FILE: `${dir}/spaced` })), [/^admin\.tokens\[0\]\.token: .* not shown here \(from SPRINGHOUSE_ADMIN_TOKEN_FILE\)$/])
  t.end()
})

test('the line breaks at the end are taken off, and nothing else', (t) => {
  const dir = dirOf(t)
  const read = (text: string) => {
    writeFileSync(`${dir}/x`, text)
    return readSecretFile(`${dir}/x`)
  }
  for (const end of ['', '\n', '\r\n', '\n\n', '\r\n\r\n', '\r']) t.strictSame(read(` pa$\${word} é ${end}`), { usable: true, secret: ' pa$${word} é ' })
  t.strictSame(read('\uFEFFhush\n'), { usable: true, secret: 'hush' }, 'a byte order mark is no part of it either')
  t.strictSame(read('x'.repeat(64 * 1024)), { usable: true, secret: 'x'.repeat(64 * 1024) })
  t.strictSame(readSecretFile('/proc/self/comm'), { usable: true, secret: readFileSync('/proc/self/comm', 'utf8').trimEnd() }, 'a file that does not say its length')
  t.end()
})

test('a file that this user may not read is said so', { skip: process.getuid?.() === 0 ? 'root may read everything' : false }, (t) => {
  const dir = dirOf(t)
  chmodSync(`${dir}/secret`, 0)
  t.strictSame(lines(() => load(dir, 'redis: { url: redis://h, passwordFile: secret }')), [`redis.passwordFile: cannot read ${dir}/secret: this user has no permission to read it`])
  t.end()
})

test('messages show the path of a secret file, and not its content', (t) => {
  const dir = dirOf(t)
  const config = load(dir, 'admin: { tokens: [ { name: a, tokenFile: secret } ] }\nredis: { urlFile: url }')
  const shown = humanise(maskSecrets(config))
  t.notMatch(JSON.stringify(shown), /hush/)
  t.match(shown, { admin: { tokens: [{ token: '********', tokenFile: `${dir}/secret` }] }, redis: { url: 'redis://u:********@h:1', urlFile: `${dir}/url` } })
  t.end()
})
